// SPDX-License-Identifier: BSD-3-Clause
// What is not TCP: ARP and ICMP.
#include "wire/parse.h"

#include <gtest/gtest.h>

#include "frames.h"
#include "wire/icmp.h"

namespace millrace::wire {
namespace {

using namespace test;

TEST(Parse, ArpGoesToOthersWithoutPadding) {
  TxSegment tx;
  tx.kind = TxSegment::arp_request;
  tx.local = peer_ip;
  tx.remote = own_ip;
  for (const Mac& to : {Mac::broadcast(), own_mac}) {
    tx.destination = to;
    Bytes f = make_frame(tx);
    f.resize(60);
    Block block(f);
    const Frame frame = block.frame();
    Parsed parsed;
    parsed.run({&frame, 1});
    ASSERT_EQ(parsed.burst.others, 1u);
    ASSERT_TRUE(parsed.released.empty());
    const OtherFrame& other = parsed.burst.other[0];
    EXPECT_EQ(other.kind, Other::arp);
    EXPECT_EQ(other.length, 28);
    EXPECT_EQ(other.mac, peer_mac);
    ArpPacket arp;
    ASSERT_TRUE(parse_arp({frame.data + other.offset, other.length}, arp));
    EXPECT_TRUE(arp.request);
    EXPECT_EQ(arp.sender, peer_ip);
    EXPECT_EQ(arp.sender_mac, peer_mac);
    EXPECT_EQ(arp.target, own_ip);
  }
}

// req: RFC826-rx
TEST(Parse, ArpOfOtherKinds) {
  TxSegment tx;
  tx.kind = TxSegment::arp_request;
  const Bytes f = make_frame(tx);
  const Bytes good(f.begin() + 14, f.end());
  ArpPacket arp;
  for (size_t length = 0; length < good.size(); ++length) {
    Block cut({good.data(), length});
    EXPECT_FALSE(parse_arp({cut.frame().data, length}, arp)) << length;
  }
  for (size_t at = 0; at < 8; ++at)
    for (int bit = 2; bit < 8; ++bit) {
      Bytes other = good;
      other[at] ^= static_cast<uint8_t>(1 << bit);
      EXPECT_FALSE(parse_arp(other, arp)) << at;
    }
  for (uint8_t operation : {0, 3, 4}) {
    Bytes other = good;
    other[7] = operation;
    EXPECT_FALSE(parse_arp(other, arp));
  }
  EXPECT_TRUE(parse_arp(good, arp));
}

TEST(Parse, IcmpGoesToOthers) {
  TxSegment tx = peer_segment();
  tx.kind = TxSegment::icmp_echo_reply;
  for (size_t rest : {size_t{4}, size_t{5}, size_t{60}}) {
    Bytes f = make_frame(tx, Bytes(rest, 3));
    f.resize(std::max<size_t>(f.size(), 60), 0xee);
    Block block(f);
    const Frame frame = block.frame();
    Parsed parsed;
    parsed.run({&frame, 1});
    ASSERT_EQ(parsed.burst.others, 1u);
    const OtherFrame& other = parsed.burst.other[0];
    EXPECT_EQ(other.kind, Other::icmp);
    EXPECT_EQ(other.offset, 34);
    EXPECT_EQ(other.length, 4 + rest);
    EXPECT_EQ(other.source, peer_ip);
    EXPECT_EQ(other.destination, own_ip);
    EXPECT_EQ(other.mac, peer_mac);
    IcmpMessage message;
    EXPECT_TRUE(parse_icmp({frame.data + other.offset, other.length}, message));
  }
}

// req: RFC1122-3.2.2.6b
TEST(Parse, IcmpToManyIsDropped) {
  TxSegment tx = peer_segment();
  tx.kind = TxSegment::icmp_echo_reply;
  tx.destination = Mac::broadcast();
  EXPECT_EQ(verdict_of(make_frame(tx, Bytes(8))), Count::drop_not_for_us);
  tx.destination = own_mac;
  tx.remote = ipv4(10, 0, 0, 255);
  EXPECT_EQ(verdict_of(make_frame(tx, Bytes(8))), Count::drop_not_for_us);
}

// IEEE 802.1Q: a tag with VLAN 0 carries a priority, and the frame belongs where an untagged one does.
constexpr uint16_t priority_tags[] = {0x0000, 0x2000, 0xe000, 0x1000, 0xf000};

TEST(Parse, PriorityTaggedSegmentsCountAsUntagged) {
  const Bytes plain = make_frame(peer_segment(ack | psh), Bytes{1, 2, 3, 4, 5});
  for (uint16_t tag : priority_tags) {
    Bytes f = tagged(plain, tag);
    f.resize(80, 0xee);  // padding is still none of the text
    accept(f, [](const Segment& seg) {
      EXPECT_EQ(seg.seq.value, 1000u);
      EXPECT_EQ(seg.text_len, 5);
      EXPECT_EQ(std::memcmp(seg.packet.handle + seg.text_offset, "\1\2\3\4\5", 5), 0);
      EXPECT_EQ(seg.source, peer_mac);
    });
  }
}

TEST(Parse, PriorityTaggedArpAndIcmpCountAsUntagged) {
  TxSegment request, echo = peer_segment();
  request.kind = TxSegment::arp_request;
  request.destination = Mac::broadcast();
  request.local = peer_ip;
  request.remote = own_ip;
  echo.kind = TxSegment::icmp_echo_reply;
  for (uint16_t tag : priority_tags) {
    const Block blocks[] = {Block(tagged(make_frame(request), tag)), Block(tagged(make_frame(echo, Bytes(9, 3)), tag))};
    const Frame frames[] = {blocks[0].frame(), blocks[1].frame()};
    Parsed parsed;
    parsed.run(frames);
    ASSERT_EQ(parsed.burst.others, 2u);
    const OtherFrame &first = parsed.burst.other[0], &second = parsed.burst.other[1];
    ArpPacket arp;
    ASSERT_TRUE(parse_arp({frames[0].data + first.offset, first.length}, arp));
    EXPECT_EQ(arp.sender, peer_ip);
    EXPECT_EQ(first.mac, peer_mac);
    IcmpMessage message;
    EXPECT_TRUE(parse_icmp({frames[1].data + second.offset, second.length}, message));
    EXPECT_EQ(second.length, 13);
  }
}

TEST(Parse, TagsOfVlansAreNotOurs) {
  const Bytes plain = make_frame(peer_segment());
  for (uint16_t vlan : {1, 2, 0x0fff, 0x2001}) EXPECT_EQ(verdict_of(tagged(plain, vlan)), Count::drop_ethertype) << vlan;
  EXPECT_EQ(verdict_of(tagged(tagged(plain, 0), 0)), Count::drop_ethertype);  // one tag, not several
  // Each length: what is cut short is dropped, and nothing behind it is read.
  const Bytes whole = tagged(plain, 0);
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(verdict_of({whole.data(), length}), accepted) << length;
  EXPECT_EQ(verdict_of(whole), accepted);
  Bytes other = whole;
  other[0] ^= 4;
  EXPECT_EQ(verdict_of(other), Count::drop_not_for_us);
}

}  // namespace
}  // namespace millrace::wire
