// SPDX-License-Identifier: BSD-3-Clause
// Each offload both ways: what a driver is asked for, what a frame tells the hardware, and that what the hardware makes of
// it (DPDK's own models of it: rte_gso, rte_ip's checksums) are the bytes that leave without.
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_gso.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <cstring>
#include <utility>
#include <vector>

#include "nic/offloads.h"
#include "nic/rx.h"
#include "nic/tx.h"
#include "two_ports.h"
#include "wire/bytes.h"

namespace millrace::nic {
namespace {

using Bytes = std::vector<uint8_t>;
constexpr uint32_t headers = 14 + 20 + 20;

constexpr uint64_t tx_checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
constexpr uint64_t tx_tso = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
constexpr uint64_t rx_checksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;

// A driver that can do all that there is.
rte_eth_dev_info able() {
  rte_eth_dev_info info{};
  info.rx_offload_capa = ~uint64_t{0};
  info.tx_offload_capa = ~uint64_t{0};
  info.tx_desc_lim.nb_seg_max = UINT16_MAX;
  return info;
}

TEST(Negotiation, WhatIsThereIsUsed) {
  Config config;
  config.vlan = 7;
  Offloads o = choose_offloads(config, able(), {});
  EXPECT_EQ(o.rx, rx_checksums | RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_VLAN_FILTER);
  EXPECT_EQ(o.tx, tx_checksums | tx_tso | RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
  EXPECT_TRUE(o.checksums.ip && o.checksums.l4 && o.insert_vlan && o.strip_vlan);
  EXPECT_EQ(o.segment_burst, limits::joined_segments);
  EXPECT_EQ(o.believed_rx_flags, RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
}

TEST(Negotiation, WhatIsNotThereIsNotAskedFor) {
  Config config;
  config.vlan = 7;
  Offloads o = choose_offloads(config, rte_eth_dev_info{}, {});
  EXPECT_EQ(o.rx, 0u);
  EXPECT_EQ(o.tx, 0u);
  EXPECT_EQ(o.segment_burst, 1u);
  EXPECT_EQ(o.believed_rx_flags, 0u);
  EXPECT_FALSE(o.checksums.ip || o.checksums.l4 || o.insert_vlan || o.strip_vlan || o.attach || o.fast_free);
  EXPECT_NE(describe(o, config).find("tx TCP software"), std::string::npos);
  EXPECT_NE(describe(o, config).find("no TSO"), std::string::npos);
  EXPECT_NE(describe(o, config).find("VLAN 7: tags inserted in software"), std::string::npos);
}

TEST(Negotiation, WhatIsNotWantedIsNotAskedFor) {
  Config config;
  config.hardware_segmentation = false;
  EXPECT_EQ(choose_offloads(config, able(), {}).tx, tx_checksums | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
  config.vlan = 7;
  config.hardware_vlan = false;
  EXPECT_EQ(choose_offloads(config, able(), {}).rx, rx_checksums | RTE_ETH_RX_OFFLOAD_VLAN_FILTER);  // else nothing comes
  config.hardware_checksums = false;
  Offloads o = choose_offloads(config, able(), {});
  EXPECT_EQ(o.tx, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
  EXPECT_EQ(o.believed_rx_flags, 0u);
}

TEST(Negotiation, CutPiecesNeedChecksumsAndFramesOfSeveralBuffers) {
  Config config;
  for (uint64_t missing : {RTE_ETH_TX_OFFLOAD_TCP_CKSUM, RTE_ETH_TX_OFFLOAD_TCP_TSO, RTE_ETH_TX_OFFLOAD_MULTI_SEGS}) {
    rte_eth_dev_info info = able();
    info.tx_offload_capa &= ~missing;
    EXPECT_FALSE(choose_offloads(config, info, {}).cuts()) << missing;
  }
  rte_eth_dev_info info = able();
  info.tx_desc_lim.nb_seg_max = 5;
  EXPECT_EQ(choose_offloads(config, info, {}).segment_burst, 5u);
  EXPECT_EQ(choose_offloads(config, info, {}).most_buffers, 5u);
}

TEST(Negotiation, BuffersAreFreedFastOnlyIfAllAreAlike) {
  Config config;
  config.hardware_segmentation = false;
  EXPECT_TRUE(choose_offloads(config, able(), {}).fast_free);
  EXPECT_FALSE(choose_offloads(config, able(), {.queue_for_each_core = false}).fast_free);
  config.copy_limit = 1000;  // longer text is attached
  EXPECT_FALSE(choose_offloads(config, able(), {}).fast_free);
  EXPECT_TRUE(choose_offloads(config, able(), {}).attach);
  EXPECT_FALSE(choose_offloads(config, able(), {.keeps_buffers = true}).attach);
  config.hardware_segmentation = true;
  EXPECT_FALSE(choose_offloads(config, able(), {}).fast_free);
}

TEST(Negotiation, NoSegmentIsGatheredFromMorePiecesThanHardwareTakes) {
  Config config;
  config.mtu = 9000;
  config.copy_limit = 64;
  EXPECT_EQ(copy_limit_of(config), 4500u);
  config.copy_limit = 5000;
  EXPECT_EQ(copy_limit_of(config), 5000u);
  EXPECT_TRUE(choose_offloads(config, able(), {}).attach);
  config.mtu = 1500;
  EXPECT_FALSE(choose_offloads(config, able(), {}).attach);
}

TEST(Negotiation, AKernelBehindTheDeviceGetsWhatRfc9293Asks) {
  Config config;
  EXPECT_EQ(choose_offloads(config, able(), {.kernel_behind = true}).tx, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
}

// Two ports that rings join; what hardware would do is asked of the first, and taken off the second raw.
class OffloadTest : public TwoPorts {
 protected:
  void open(uint16_t mtu = 1500) {
    TwoPorts::open(mtu);
    tx_[0].prepare_turn();
  }
  Offloads& offloads(int side = 0) { return link_->port(side).offloads; }

  // Text of the application's in slices of so many bytes.
  std::vector<Slice> text(uint32_t length, uint32_t of_each) {
    std::vector<Slice> out;
    for (uint32_t at = 0; at < length; at += of_each) {
      Slice slice = take_slice(link_->port(0).cores[0].app_pool);
      slice.length = static_cast<uint16_t>(std::min(of_each, length - at));
      for (uint32_t i = 0; i < slice.length; ++i) slice.mutable_data()[i] = static_cast<uint8_t>((at + i) * 7 >> 3);
      out.push_back(slice);
    }
    return out;
  }
  static void give_back(const std::vector<Slice>& slices) {
    for (const Slice& slice : slices) release(slice.packet);
  }

  wire::TxSegment segment(uint32_t at, uint32_t length, uint8_t flags) {
    wire::TxSegment tx;
    tx.flags = flags;
    tx.destination = link_->port(1).mac;
    tx.local = ipv4(10, 9, 0, 2);
    tx.remote = ipv4(10, 9, 0, 3);
    tx.local_port = 1000;
    tx.remote_port = 2000;
    tx.seq = wire::Seq{0xfffffe00 + at};  // numbers wrap
    tx.ack = wire::Seq{77};
    tx.wnd = 500;
    tx.text_len = static_cast<uint16_t>(length);
    return tx;
  }
  void send(wire::TxSegment tx, const std::vector<Slice>& slices) {
    tx.slice_count = static_cast<uint8_t>(slices.size());
    tx_[0].send({&tx, 1}, slices, {});
  }

  std::vector<rte_mbuf*> raw() {
    rte_mbuf* mbufs[64];
    uint16_t got = rte_eth_rx_burst(link_->port(1).id, 0, mbufs, 64);
    return {mbufs, mbufs + got};
  }
  static Bytes bytes_of(const rte_mbuf* mbuf) {
    Bytes out(mbuf->pkt_len);
    const void* at = rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, out.data());
    if (at != out.data()) std::memcpy(out.data(), at, out.size());
    return out;
  }
  // A frame as it leaves the hardware: checksums done; numbers of datagrams that are never fragments mean nothing.
  static Bytes finished(Bytes frame) {
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(frame.data() + 14);
    ip->packet_id = 0;
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    wire::store_be16(&frame[14 + 20 + 16], 0);
    uint16_t sum = rte_ipv4_udptcp_cksum(ip, frame.data() + 34);
    std::memcpy(&frame[14 + 20 + 16], &sum, 2);
    return frame;
  }
};

TEST_F(OffloadTest, ChecksumsOfTheHardwareAreThoseOfTheSoftware) {
  open();
  auto slices = text(1460, 700);
  send(segment(0, 1460, wire::ack), slices);
  offloads().checksums = {.ip = true, .l4 = true};
  send(segment(0, 1460, wire::ack), slices);
  auto mbufs = raw();
  ASSERT_EQ(mbufs.size(), 2u);
  Bytes by_software = bytes_of(mbufs[0]), unfinished = bytes_of(mbufs[1]);
  EXPECT_EQ(finished(by_software), by_software);
  EXPECT_EQ(finished(unfinished), by_software);
  EXPECT_EQ(mbufs[0]->ol_flags, 0u);
  EXPECT_EQ(mbufs[1]->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM);
  EXPECT_EQ(mbufs[1]->l2_len, 14u);
  EXPECT_EQ(mbufs[1]->l3_len, 20u);
  EXPECT_EQ(mbufs[1]->l4_len, 20u);
  // What the driver is to start from.
  auto* ip = rte_pktmbuf_mtod_offset(mbufs[1], rte_ipv4_hdr*, 14);
  uint16_t pseudo = 0;
  std::memcpy(&pseudo, &unfinished[14 + 20 + 16], 2);
  EXPECT_EQ(pseudo, rte_ipv4_phdr_cksum(ip, mbufs[1]->ol_flags));
  rte_pktmbuf_free_bulk(mbufs.data(), 2);
  give_back(slices);
}

TEST_F(OffloadTest, WhatHardwareCutsAreTheSegmentsOfTheSoftware) {
  constexpr uint32_t mss = 1448, length = 9 * mss + 100;
  open();
  auto slices = text(length, 2000);
  // One by one.
  std::vector<Bytes> expected;
  for (uint32_t at = 0; at < length; at += mss) {
    uint32_t part = std::min(mss, length - at);
    std::vector<Slice> here;
    for (uint32_t i = 0, begin = 0; i < slices.size(); begin += slices[i++].length) {
      uint32_t from = std::max(begin, at), to = std::min(begin + slices[i].length, at + part);
      if (from >= to) continue;
      here.push_back(slices[i]);
      here.back().offset = static_cast<uint16_t>(here.back().offset + from - begin);
      here.back().length = static_cast<uint16_t>(to - from);
    }
    bool last = at + part == length;
    send(segment(at, part, last ? wire::ack | wire::psh | wire::fin : wire::ack), here);
  }
  auto singles = raw();
  for (rte_mbuf* mbuf : singles) expected.push_back(bytes_of(mbuf));
  ASSERT_EQ(expected.size(), 10u);
  rte_pktmbuf_free_bulk(singles.data(), static_cast<unsigned>(singles.size()));
  // As one.
  offloads().checksums = {.ip = true, .l4 = true};
  offloads().segment_burst = 16;
  wire::TxSegment whole = segment(0, length, wire::ack | wire::psh | wire::fin);
  whole.segment_size = mss;
  send(whole, slices);
  auto mbufs = raw();
  ASSERT_EQ(mbufs.size(), 1u);
  rte_mbuf* mbuf = mbufs[0];
  EXPECT_EQ(mbuf->pkt_len, headers + length);
  EXPECT_EQ(mbuf->tso_segsz, mss);
  EXPECT_LE(mbuf->nb_segs, 10);
  EXPECT_TRUE(mbuf->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
  uint16_t pseudo = 0;
  std::memcpy(&pseudo, rte_pktmbuf_mtod_offset(mbuf, uint8_t*, 14 + 20 + 16), 2);
  EXPECT_EQ(pseudo, rte_ipv4_phdr_cksum(rte_pktmbuf_mtod_offset(mbuf, rte_ipv4_hdr*, 14), mbuf->ol_flags));
  rte_mempool* pool = link_->port(0).cores[0].app_pool.get();
  rte_gso_ctx gso{};
  gso.direct_pool = gso.indirect_pool = pool;
  gso.gso_types = RTE_ETH_TX_OFFLOAD_TCP_TSO;
  gso.gso_size = headers + mss;
  rte_mbuf* pieces[16];
  int count = rte_gso_segment(mbuf, &gso, pieces, 16);
  ASSERT_EQ(count, 10);
  for (int i = 0; i < count; ++i) EXPECT_EQ(finished(bytes_of(pieces[i])), expected[static_cast<size_t>(i)]) << i;
  rte_pktmbuf_free_bulk(pieces, static_cast<unsigned>(count));
  rte_pktmbuf_free(mbuf);
  give_back(slices);
}

// Of a whole stock nothing is taken that is owed to the segments behind.
TEST_F(OffloadTest, LongSegmentsTakeNoMoreBuffersThanTheyWereCounted) {
  open();
  offloads().checksums = {.ip = true, .l4 = true};
  offloads().segment_burst = 16;
  auto slices = text(16 * 1460, 2048);
  uint32_t sure = tx_[0].sure();
  std::vector<wire::TxSegment> burst(sure / 16, segment(0, 16 * 1460, wire::ack));
  for (wire::TxSegment& tx : burst) {
    tx.segment_size = 1460;
    tx.slice_count = static_cast<uint8_t>(slices.size());
  }
  tx_[0].send(burst, slices, {});
  EXPECT_GE(tx_[0].sure() + burst.size() * 16, sure);
  auto mbufs = raw();
  EXPECT_EQ(mbufs.size(), burst.size());
  for (rte_mbuf* mbuf : mbufs) EXPECT_EQ(bytes_of(mbuf).size(), headers + 16 * 1460);
  rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(mbufs.size()));
  give_back(slices);
}

// Many short pieces between long ones: what would be too many buffers is copied.
TEST_F(OffloadTest, NoFrameHasMoreBuffersThanHardwareTakes) {
  open();
  offloads().checksums = {.ip = true, .l4 = true};
  offloads().segment_burst = 16;
  offloads().attach = true;
  offloads().most_buffers = 12;
  link_->port(0).copy_limit = 750;
  std::vector<Slice> slices;
  for (uint32_t i = 0; i < 14; ++i)
    for (uint32_t length : {100u, 1000u}) slices.push_back(text(length, length)[0]);
  wire::TxSegment whole = segment(0, 14 * 1100, wire::ack);
  whole.segment_size = 1448;
  send(whole, slices);
  auto mbufs = raw();
  ASSERT_EQ(mbufs.size(), 1u);
  EXPECT_LE(mbufs[0]->nb_segs, 12);
  Bytes sent = bytes_of(mbufs[0]), expected;
  for (const Slice& slice : slices) expected.insert(expected.end(), slice.data(), slice.data() + slice.length);
  EXPECT_EQ(Bytes(sent.begin() + headers, sent.end()), expected);
  rte_pktmbuf_free(mbufs[0]);
  give_back(slices);
}

TEST_F(OffloadTest, LongTextIsSentFromWhereItLiesAndFreedByWhoeverIsLast) {
  open(9000);
  auto slices = text(8500, 8000);
  send(segment(0, 8500, wire::ack), slices);
  offloads().attach = true;
  link_->port(0).copy_limit = 2048;
  send(segment(0, 8500, wire::ack), slices);
  auto mbufs = raw();
  ASSERT_EQ(mbufs.size(), 2u);
  EXPECT_EQ(mbufs[0]->nb_segs, 1);
  ASSERT_EQ(mbufs[1]->nb_segs, 3);  // the header, the long slice, the short one
  EXPECT_EQ(rte_pktmbuf_mtod(mbufs[1]->next, const uint8_t*), slices[0].data());
  EXPECT_EQ(bytes_of(mbufs[0]), bytes_of(mbufs[1]));
  rte_pktmbuf_free(mbufs[0]);
  auto* text_buffer = reinterpret_cast<rte_mbuf*>(slices[0].packet.handle);
  EXPECT_EQ(rte_mbuf_refcnt_read(text_buffer), 2);
  give_back(slices);
  EXPECT_EQ(rte_mbuf_refcnt_read(text_buffer), 1);
  rte_pktmbuf_free(mbufs[1]);
}

TEST_F(OffloadTest, ConstantTextIsNobodysBufferAndCopied) {
  open(9000);
  offloads().attach = true;
  link_->port(0).copy_limit = 100;
  auto slices = text(3000, 3000);
  auto constant = slices;
  constant[0].origin = Slice::registered;
  send(segment(0, 3000, wire::ack), constant);
  auto mbufs = raw();
  ASSERT_EQ(mbufs.size(), 1u);
  EXPECT_EQ(mbufs[0]->nb_segs, 1);
  rte_pktmbuf_free(mbufs[0]);
  give_back(slices);
}

TEST_F(OffloadTest, AJumboFrameIsOneBuffer) {
  open(9000);
  auto slices = text(8960, 8960);
  send(segment(0, 8960, wire::ack), slices);
  auto frames = rx_[1].poll(32);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].length, 14u + 9000);
  EXPECT_EQ(0, std::memcmp(frames[0].data + headers, slices[0].data(), 8960));
  EXPECT_EQ(rx_[1].linearised(), 0u);
  release(frames[0].packet);
  give_back(slices);
}

class VlanTest : public OffloadTest {
 protected:
  void open_vlan(uint16_t left, uint16_t right) {
    open();
    link_->port(0).vlan = left;
    link_->port(1).vlan = right;
  }
  Bytes untagged() {
    uint16_t id = std::exchange(link_->port(0).vlan, uint16_t{0});
    send(segment(3, 0, wire::ack), {});
    auto mbufs = raw();
    Bytes out = bytes_of(mbufs[0]);
    rte_pktmbuf_free(mbufs[0]);
    link_->port(0).vlan = id;
    return out;
  }
};

TEST_F(VlanTest, ATagInsertedHereIsStrippedHere) {
  open_vlan(0x123, 0x123);
  Bytes plain = untagged();
  send(segment(3, 0, wire::ack), {});
  auto frames = rx_[1].poll(32);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(Bytes(frames[0].data, frames[0].data + frames[0].length), plain);
  release(frames[0].packet);
}

TEST_F(VlanTest, ATagInsertedHereIsThatOf8021Q) {
  open_vlan(0x123, 0);
  Bytes expected = untagged();
  const uint8_t tag[] = {0x81, 0x00, 0x01, 0x23};
  expected.insert(expected.begin() + 12, tag, tag + 4);
  send(segment(3, 0, wire::ack), {});
  auto mbufs = raw();
  ASSERT_EQ(mbufs.size(), 1u);
  EXPECT_EQ(bytes_of(mbufs[0]), expected);
  rte_pktmbuf_free(mbufs[0]);
}

TEST_F(VlanTest, ATagForTheHardwareToInsertIsTheSame) {
  open_vlan(0x123, 0x123);
  Bytes plain = untagged();
  offloads().insert_vlan = true;
  send(segment(3, 0, wire::ack), {});
  auto mbufs = raw();
  ASSERT_EQ(mbufs.size(), 1u);
  EXPECT_EQ(bytes_of(mbufs[0]), plain);
  EXPECT_TRUE(mbufs[0]->ol_flags & RTE_MBUF_F_TX_VLAN);
  EXPECT_EQ(mbufs[0]->vlan_tci, 0x123);
  rte_pktmbuf_free(mbufs[0]);
}

TEST_F(VlanTest, ATagThatHardwareStripsIsLookedAt) {
  open_vlan(0, 0x123);
  offloads(1).strip_vlan = true;
  for (uint16_t tag : {0x2123, 0x2124}) {  // with a priority
    send(segment(3, 0, wire::ack), {});
    auto mbufs = raw();
    ASSERT_EQ(mbufs.size(), 1u);
    mbufs[0]->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    mbufs[0]->vlan_tci = tag;
    ASSERT_EQ(rte_eth_tx_burst(link_->port(0).id, 0, mbufs.data(), 1), 1);
    auto frames = rx_[1].poll(32);
    EXPECT_EQ(frames.size(), tag == 0x2123 ? 1u : 0u);
    for (const wire::Frame& frame : frames) release(frame.packet);
  }
  EXPECT_EQ(rx_[1].of_other_vlans(), 1u);
}

TEST_F(VlanTest, FramesOfOtherVlansAndOfNoneAreDroppedAndCounted) {
  open_vlan(0x124, 0x123);
  send(segment(3, 0, wire::ack), {});
  EXPECT_TRUE(rx_[1].poll(32).empty());
  link_->port(0).vlan = 0;
  send(segment(3, 0, wire::ack), {});
  EXPECT_TRUE(rx_[1].poll(32).empty());
  EXPECT_EQ(rx_[1].of_other_vlans(), 2u);
}

}  // namespace
}  // namespace millrace::nic
