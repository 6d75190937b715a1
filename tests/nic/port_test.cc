// SPDX-License-Identifier: BSD-3-Clause
// nic alone, over a ring pair: frames built, carried and given back, with every kind of shortage.
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "nic/clock.h"
#include "nic/device.h"
#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/port.h"
#include "nic/rx.h"
#include "nic/tx.h"
#include "two_ports.h"

namespace millrace::nic {
namespace {

// Seconds pass on our clock as on the system's: to a ten-thousandth, which EAL's rounded rate is not. Each end of the
// stretch is the tightest of a few looks, so that being interrupted does not count.
TEST(Clock, RunsAsFastAsTheSystems) {
  struct Moment { double ours, theirs; };
  Clock clock(cycles_per_second());
  auto look = [&] {
    Moment best{};
    double least = 1;
    for (int tries = 0; tries < 100; ++tries) {
      timespec now{};
      double before = (clock.at(read_cycles()) - Instant{}).seconds();
      clock_gettime(CLOCK_MONOTONIC, &now);
      double after = (clock.at(read_cycles()) - Instant{}).seconds();
      if (after - before >= least) continue;
      least = after - before;
      best = {(before + after) / 2, static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9};
    }
    return best;
  };
  Moment begin = look(), end = begin;
  while (end.theirs - begin.theirs < 0.1) end = look();
  EXPECT_NEAR((end.ours - begin.ours) / (end.theirs - begin.theirs), 1, 1e-4);
}

class PortTest : public TwoPorts {
 protected:
  void SetUp() override { open(); }

  wire::TxSegment segment(uint32_t number) {
    wire::TxSegment tx;
    tx.flags = wire::ack;
    tx.local = ipv4(10, 9, 0, 2);
    tx.remote = ipv4(10, 9, 0, 3);
    tx.local_port = 1;
    tx.remote_port = 2;
    tx.seq = wire::Seq{number};
    return tx;
  }
  static uint32_t sequence(const wire::Frame& frame) {
    return uint32_t{frame.data[38]} << 24 | uint32_t{frame.data[39]} << 16 | uint32_t{frame.data[40]} << 8 |
           frame.data[41];
  }
  static void give_back(std::span<const wire::Frame> frames) {
    for (const wire::Frame& frame : frames) release({&frame.packet, 1});
  }
};

TEST_F(PortTest, two_ports_have_two_addresses) {
  EXPECT_NE(link_->port(0).mac, link_->port(1).mac);
  EXPECT_FALSE(link_->port(0).mac.is_group());
  EXPECT_NE(link_->port(0).banner.find("no steering needed"), std::string::npos) << link_->port(0).banner;
}

// What a NIC is told of a buffer is where it lies. (net_ring's need no such address, and take less memory without.)
TEST_F(PortTest, buffers_for_dma_have_an_address_for_it) {
  PacketPool pool("test", {.buffers = 64, .room = room_for(1500), .cache = 0, .numa_node = SOCKET_ID_ANY, .own_memory = false,
                           .does_dma = true, .shares_cpu = false});
  for (uint32_t i = 0; i < pool.buffers(); ++i) {
    rte_mbuf* mbuf = pool.take();
    ASSERT_NE(mbuf, nullptr);
    EXPECT_EQ(mbuf->buf_iova, reinterpret_cast<uintptr_t>(mbuf->buf_addr));  // EAL's addresses for IO are virtual here
    rte_pktmbuf_free(mbuf);
  }
}

TEST_F(PortTest, a_frame_arrives_with_its_payload) {
  Slice slice = take_slice(link_->port(0).cores[0].app_pool);
  ASSERT_TRUE(slice);
  slice.length = 1460;
  for (int i = 0; i < 1460; ++i) slice.mutable_data()[i] = static_cast<uint8_t>(i * 7);
  wire::TxSegment tx = segment(1);
  tx.slice_count = 1;
  tx.text_len = 1460;
  tx_[0].prepare_turn();
  tx_[0].send({&tx, 1}, {&slice, 1}, {});
  auto frames = rx_[1].poll(32);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].length, 14u + 20 + 20 + 1460);
  EXPECT_LE(static_cast<size_t>(frames[0].data - frames[0].packet.handle) + frames[0].length,
            size_t{UINT16_MAX});
  EXPECT_EQ(frames[0].l4_checksum, wire::Verdict::unknown);
  EXPECT_EQ(0, memcmp(frames[0].data + 54, slice.data(), 1460));
  give_back(frames);
  release({&slice.packet, 1});
}

TEST_F(PortTest, what_the_driver_does_not_take_waits_and_keeps_its_order) {
  uint32_t sent = 0;
  while (tx_[0].prepare_turn(), tx_[0].room() != 0) {
    uint32_t room = std::min(tx_[0].room(), limits::tx_burst);
    std::vector<wire::TxSegment> burst;
    for (uint32_t i = 0; i < room; ++i) burst.push_back(segment(sent++));
    tx_[0].send(burst, {}, {});
  }
  EXPECT_GT(sent, ring_pair_size);  // the ring is full, the backlog too
  EXPECT_GE(tx_[0].sure(), limits::answer_reserve - limits::tx_burst % limits::answer_reserve);
  uint32_t got = 0;
  for (int idle = 0; idle < 3; ++idle) {
    for (auto frames = rx_[1].poll(32); !frames.empty(); frames = rx_[1].poll(32)) {
      idle = 0;
      for (const wire::Frame& frame : frames) ASSERT_EQ(sequence(frame), got++);
      give_back(frames);
    }
    tx_[0].prepare_turn();
  }
  EXPECT_EQ(got, sent);
}

TEST_F(PortTest, an_empty_pool_leaves_no_room_and_then_recovers) {
  std::vector<rte_mbuf*> taken;
  while (rte_mbuf* mbuf = link_->port(0).cores[0].tx_pool.take()) taken.push_back(mbuf);
  tx_[0].prepare_turn();
  EXPECT_EQ(tx_[0].sure(), 0u);
  EXPECT_EQ(tx_[0].room(), 0u);
  for (int i = 0; i < 40; ++i) {
    PacketRef packet{reinterpret_cast<uint8_t*>(taken.back())};
    taken.pop_back();
    release({&packet, 1});
  }
  tx_[0].prepare_turn();
  EXPECT_GE(tx_[0].sure(), 20u);  // part of a refill is better than none
  for (rte_mbuf* mbuf : taken) {
    PacketRef packet{reinterpret_cast<uint8_t*>(mbuf)};
    release({&packet, 1});
  }
  tx_[0].prepare_turn();
  EXPECT_EQ(tx_[0].sure(), tx_stock);
}

TEST_F(PortTest, a_chain_becomes_one_piece) {
  rte_mempool* pool = link_->port(0).cores[0].app_pool.get();
  rte_mbuf* head = rte_pktmbuf_alloc(pool);
  rte_mbuf* tail = rte_pktmbuf_alloc(pool);
  memset(rte_pktmbuf_append(head, 100), 'a', 100);
  memset(rte_pktmbuf_append(tail, 200), 'b', 200);
  ASSERT_EQ(rte_pktmbuf_chain(head, tail), 0);
  ASSERT_EQ(rte_eth_tx_burst(link_->port(0).id, 0, &head, 1), 1);
  auto frames = rx_[1].poll(32);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].length, 300u);
  EXPECT_EQ(frames[0].data[99], 'a');
  EXPECT_EQ(frames[0].data[100], 'b');
  EXPECT_EQ(frames[0].data[299], 'b');
  EXPECT_EQ(rx_[1].linearised(), 1u);
  give_back(frames);
}

TEST_F(PortTest, a_chain_that_fits_no_buffer_is_dropped_and_counted) {
  rte_mempool* pool = link_->port(0).cores[0].app_pool.get();
  rte_mbuf* head = rte_pktmbuf_alloc(pool);
  rte_pktmbuf_append(head, 2000);
  rte_mbuf* tail = rte_pktmbuf_alloc(pool);
  rte_pktmbuf_append(tail, 2000);
  ASSERT_EQ(rte_pktmbuf_chain(head, tail), 0);
  ASSERT_EQ(rte_eth_tx_burst(link_->port(0).id, 0, &head, 1), 1);
  EXPECT_TRUE(rx_[1].poll(32).empty());
  EXPECT_EQ(rx_[1].dropped(), 1u);
}

TEST_F(PortTest, a_buffer_that_is_not_clean_is_released_the_long_way) {
  rte_mempool* pool = link_->port(0).cores[0].app_pool.get();
  rte_mbuf* direct = rte_pktmbuf_alloc(pool);
  rte_mbuf* indirect = rte_pktmbuf_alloc(pool);
  rte_pktmbuf_append(direct, 10);
  rte_pktmbuf_attach(indirect, direct);
  PacketRef both[] = {{reinterpret_cast<uint8_t*>(direct)}, {reinterpret_cast<uint8_t*>(indirect)}};
  release(both);
  EXPECT_EQ(link_->port(0).cores[0].app_pool.missing(), 0u);
}

std::string trouble(const std::string& device) {
  try {
    create_device(device);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Devices, names_that_are_none_are_told_in_a_sentence) {
  Link::open_pair(
      [] {
        Config c;
        c.packet_buffers = 4096;
        return c;
      }(),
      [] {
        Config c;
        c.packet_buffers = 4096;
        return c;
      }());
  EXPECT_NE(trouble("net_nonsense0").find("no such device: net_nonsense0"), std::string::npos)
      << trouble("net_nonsense0");
  EXPECT_NE(trouble("ff:1f.7").find("no PCI device 0000:ff:1f.7"), std::string::npos);
  EXPECT_NE(trouble("net_pcap0,rx_pcap=/none").find("net_pcap does not make"), std::string::npos);
}

TEST(Devices, pci_addresses_are_told_from_virtual_names) {
  EXPECT_EQ(pci_address("03:00.0"), "0000:03:00.0");
  EXPECT_EQ(pci_address("0001:03:1f.7"), "0001:03:1f.7");
  EXPECT_EQ(pci_address("0000:03:00.0,arg=1"), "0000:03:00.0");
  for (const char* other : {"net_tap0", "03:00", "03:00.9", "03:20.0", "", "eth0", "03:00.0x"})
    EXPECT_EQ(pci_address(other), "") << other;
  EXPECT_EQ(driver_prefix("net_tap0,iface=mr0"), "net_tap");
  EXPECT_EQ(driver_prefix("net_af_packet12"), "net_af_packet");
}

}  // namespace
}  // namespace millrace::nic
