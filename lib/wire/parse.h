// SPDX-License-Identifier: BSD-3-Clause
// Bytes -> values: the third stage of a packet's way. A burst of frames becomes Segments and FlowKeys, two arrays
// side by side; what is no TCP goes to `others`, what is malformed or not ours is released with a named count.
#pragma once

#include <cstdint>
#include <span>

#include "base/batch.h"
#include "base/limits.h"
#include "millrace/statistics.h"
#include "wire/flow_key.h"
#include "wire/frame.h"
#include "wire/mac.h"
#include "wire/segment.h"

namespace millrace::wire {

// The addresses this endpoint answers for: `count` consecutive ones from `first`.
struct LocalAddresses {
  Ipv4Address first;
  uint32_t count = 1;
  uint8_t prefix_length = 24;

  constexpr bool contains(Ipv4Address a) const { return a.value - first.value < count; }
  constexpr uint32_t mask() const { return prefix_length == 0 ? 0 : ~uint32_t{0} << (32 - prefix_length); }
  constexpr bool on_link(Ipv4Address a) const { return ((a.value ^ first.value) & mask()) == 0; }
  // The subnet's own broadcast address (RFC1122-3.3.6); /31 and /32 have none.
  constexpr Ipv4Address subnet_broadcast() const {
    return prefix_length < 31 ? Ipv4Address{first.value | ~mask()} : Ipv4Address{};
  }
  constexpr bool is_subnet_broadcast(Ipv4Address a) const { return !a.is_unspecified() && a == subnet_broadcast(); }
};

enum class Other : uint8_t { arp, icmp };

struct OtherFrame {
  Other kind;
  uint16_t frame;        // index in the burst
  uint16_t offset;       // of the ARP packet or ICMP message from frame.data
  uint16_t length;       // of it, without Ethernet padding
  Ipv4Address source;    // icmp only
  Ipv4Address destination;
  Mac mac;               // where it came from
};

struct ParsedBurst {
  uint32_t segments = 0;
  uint32_t others = 0;
  Segment segment[limits::rx_burst];
  FlowKey key[limits::rx_burst];
  OtherFrame other[limits::rx_burst];
};

// At most limits::rx_burst frames. Every packet ends in exactly one place: a segment, an other, or `release`.
void parse_burst(std::span<const Frame> frames, const LocalAddresses& local, const Mac& own_mac, ParsedBurst& out,
                 Batch<PacketRef>& release, Counters& counters);

// The i-th SACK block of a segment, read from the packet.
SackBlock sack_block(const Segment& seg, uint32_t i);

struct ArpPacket {
  bool request;  // else a reply
  Mac sender_mac;
  Ipv4Address sender;
  Ipv4Address target;
};
// False: not an Ethernet/IPv4 ARP request or reply, or too short.
bool parse_arp(std::span<const uint8_t> bytes, ArpPacket& out);

}  // namespace millrace::wire
