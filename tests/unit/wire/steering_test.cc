// SPDX-License-Identifier: BSD-3-Clause
// Who owns a flow: the hash against the vectors that RSS is verified with, and each kind of frame to its core.
#include "wire/steering.h"

#include <gtest/gtest.h>

#include <array>

#include "frames.h"

namespace millrace::wire {
namespace {

using namespace test;

// The key and vectors of "Verifying the RSS Hash Calculation" (Microsoft, network driver documentation).
constexpr uint8_t verification_key[40] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct Vector {
  Ipv4Address destination;
  uint16_t destination_port;
  Ipv4Address source;
  uint16_t source_port;
  uint32_t addresses, all;
};
constexpr Vector vectors[] = {
    {ipv4(161, 142, 100, 80), 1766, ipv4(66, 9, 149, 187), 2794, 0x323e8fc2, 0x51ccc178},
    {ipv4(65, 69, 140, 83), 4739, ipv4(199, 92, 111, 2), 14230, 0xd718262a, 0xc626b0ea},
    {ipv4(12, 22, 207, 184), 38024, ipv4(24, 19, 198, 95), 12898, 0xd2d0a5de, 0x5c2b394a},
    {ipv4(209, 142, 163, 6), 2217, ipv4(38, 27, 205, 30), 48228, 0x82989176, 0xafc7327f},
    {ipv4(202, 188, 127, 2), 1303, ipv4(153, 39, 163, 191), 44251, 0x5d1809c5, 0x10e828a2},
};

TEST(Toeplitz, VerificationVectors) {
  Toeplitz toeplitz(verification_key);
  for (const Vector& v : vectors) {
    EXPECT_EQ(toeplitz.of({v.destination, v.source, v.destination_port, v.source_port, 4}), v.all);
    EXPECT_EQ(toeplitz.of_addresses(v.source, v.destination), v.addresses);
  }
}

TEST(Toeplitz, TheLocalPortsPartIsItsOwn) {
  Toeplitz toeplitz(verification_key);
  FlowKey key{own_ip, peer_ip, 0, 80, 4};
  uint32_t without = toeplitz.of(key);
  for (uint32_t port = 0; port < 0x10000; ++port) {
    key.local_port = static_cast<uint16_t>(port);
    ASSERT_EQ(toeplitz.of(key), without ^ toeplitz.of_local_port(key.local_port));
  }
}

// Core i % 5 of a table of 16.
struct Owners {
  std::array<uint8_t, 16> table{};
  Owners() {
    for (uint32_t i = 0; i < 16; ++i) table[i] = static_cast<uint8_t>(i % 5);
  }
};

class SteeringTest : public testing::Test {
 protected:
  static constexpr uint32_t here = 77;
  uint32_t destination(const Bytes& frame) { return steering.destination(Block(frame).frame(), here); }
  uint32_t owner_of_segment() { return steering.owner({own_ip, peer_ip, 80, 40000, 4}); }
  Steering steering{verification_key, Owners().table};
};

TEST_F(SteeringTest, ASegmentGoesToItsFlowsOwner) {
  for (const Vector& v : vectors) {
    TxSegment tx = peer_segment();
    tx.local = v.source;
    tx.local_port = v.source_port;
    tx.remote = v.destination;
    tx.remote_port = v.destination_port;
    EXPECT_EQ(destination(make_frame(tx)), (v.all & 15) % 5);
  }
}

TEST_F(SteeringTest, WithIpOptionsToo) {
  Bytes frame = make_frame(peer_segment());
  frame.insert(frame.begin() + 34, 4, 1);
  frame[14] = 0x46;
  EXPECT_EQ(destination(frame), owner_of_segment());
}

// Both pieces of a datagram come to one core, though only the first has ports.
TEST_F(SteeringTest, FragmentsGoByTheirAddresses) {
  uint32_t expected = steering.at(Toeplitz(verification_key).of_addresses(peer_ip, own_ip));
  Bytes frame = make_frame(peer_segment());
  for (uint16_t word : {0x2000, 0x2010, 0x0010}) {  // the first piece, one between, the last
    put16(frame, 20, word);
    EXPECT_EQ(destination(frame), expected);
  }
  put16(frame, 20, 0x4000);  // "don't fragment" is none
  EXPECT_EQ(destination(frame), owner_of_segment());
}

TEST_F(SteeringTest, ArpIsForEveryone) {
  TxSegment tx;
  tx.kind = TxSegment::arp_request;
  tx.local = peer_ip;
  tx.remote = own_ip;
  EXPECT_EQ(destination(make_frame(tx)), Steering::everyone);
}

// An ICMP message of this type that quotes a segment which this endpoint has sent.
Bytes icmp_frame(uint8_t type, size_t quoted = 28) {
  TxSegment tx = peer_segment();
  std::swap(tx.local, tx.remote);
  std::swap(tx.local_port, tx.remote_port);
  Bytes segment = make_frame(tx);
  Bytes frame = make_frame(peer_segment());
  frame.resize(34);
  frame[23] = 1;
  frame.insert(frame.end(), {type, 3, 0, 0, 0, 0, 0, 0});
  frame.insert(frame.end(), segment.begin() + 14, segment.begin() + 14 + static_cast<std::ptrdiff_t>(quoted));
  put16(frame, 16, static_cast<uint16_t>(frame.size() - 14));
  return frame;
}

TEST_F(SteeringTest, AnIcmpErrorGoesByTheFlowThatItQuotes) {
  for (uint8_t type : {3, 11, 12}) EXPECT_EQ(destination(icmp_frame(type)), owner_of_segment());
  EXPECT_EQ(destination(icmp_frame(8)), here);  // an echo request is answered where it is
  Bytes other = icmp_frame(3);
  other[14 + 20 + 8 + 9] = 17;  // quotes UDP
  EXPECT_EQ(destination(other), here);
}

// A priority tag changes nothing of it; behind a VLAN's there is nothing for us.
TEST_F(SteeringTest, APriorityTagIsPassedOver) {
  TxSegment arp;
  arp.kind = TxSegment::arp_request;
  for (uint16_t tag : {0x0000, 0xe000}) {
    EXPECT_EQ(destination(tagged(make_frame(peer_segment()), tag)), owner_of_segment());
    EXPECT_EQ(destination(tagged(icmp_frame(3), tag)), owner_of_segment());
    EXPECT_EQ(destination(tagged(make_frame(arp), tag)), Steering::everyone);
  }
  EXPECT_EQ(destination(tagged(make_frame(peer_segment()), 7)), here);
}

// Nothing is read behind the frame (the blocks are of exactly its size), and nothing goes astray to no core.
TEST_F(SteeringTest, WhateverComesGoesSomewhere) {
  Random random(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes frame = round % 3 == 0   ? round % 2 == 0 ? make_frame(peer_segment()) : tagged(make_frame(peer_segment()), 0)
                  : round % 3 == 1 ? icmp_frame(static_cast<uint8_t>(random.below(13)), random.below(36))
                                   : random_bytes(random, random.below(90));
    frame.resize(random.below(static_cast<uint32_t>(frame.size()) + 1));
    for (int changes = 0; changes < 2 && !frame.empty(); ++changes)
      frame[random.below(static_cast<uint32_t>(frame.size()))] ^= static_cast<uint8_t>(1u << random.below(8));
    uint32_t to = destination(frame);
    ASSERT_TRUE(to < 5 || to == here || to == Steering::everyone) << to;
  }
}

}  // namespace
}  // namespace millrace::wire
