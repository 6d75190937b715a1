// SPDX-License-Identifier: BSD-3-Clause
// What the tests of this room share: packets in heap blocks of exactly their size, so that a sanitizer sees
// the first byte read behind them, and a parse of one frame with its counters.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/siphash.h"
#include "wire/build.h"
#include "wire/parse.h"

namespace millrace::wire::test {

using Bytes = std::vector<uint8_t>;

inline constexpr Mac own_mac{{2, 0, 0, 0, 0, 1}};
inline constexpr Mac peer_mac{{2, 0, 0, 0, 0, 2}};
inline constexpr LocalAddresses local_addresses{ipv4(10, 0, 0, 1), 2, 24};
inline constexpr Ipv4Address own_ip = ipv4(10, 0, 0, 1);
inline constexpr Ipv4Address peer_ip = ipv4(10, 0, 0, 200);

// A block whose handle lies `headroom` bytes before the frame and which ends where the frame ends.
class Block {
 public:
  explicit Block(std::span<const uint8_t> frame, size_t headroom = 24)
      : memory_(new uint8_t[headroom + frame.size()]()), headroom_(headroom), length_(frame.size()) {
    if (!frame.empty()) std::memcpy(memory_.get() + headroom, frame.data(), frame.size());
  }
  PacketRef packet() const { return {memory_.get()}; }
  Frame frame(Verdict ip = Verdict::unknown, Verdict l4 = Verdict::unknown) const {
    return {packet(), memory_.get() + headroom_, static_cast<uint32_t>(length_), ip, l4};
  }
  Slice slice() const {
    return {packet(), Slice::own_buffer, static_cast<uint16_t>(headroom_), static_cast<uint16_t>(length_)};
  }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  size_t headroom_;
  size_t length_;
};

// A plain segment from the peer to this endpoint: what the peer's stack would have given to its own build.
inline TxSegment peer_segment(uint8_t flags = ack) {
  TxSegment tx;
  tx.flags = flags;
  tx.destination = own_mac;
  tx.local = peer_ip;
  tx.remote = own_ip;
  tx.local_port = 40000;
  tx.remote_port = 80;
  tx.seq = {1000};
  tx.ack = {2000};
  tx.wnd = 0xfff0;
  return tx;
}

// The whole frame: header and text.
inline Bytes make_frame(TxSegment tx, const Bytes& text = {}, std::span<const SackBlock> sacks = {},
                        const Mac& from = peer_mac, ChecksumOffload offload = {}) {
  Block source(text, 0);
  const Slice slice = source.slice();
  tx.text_len = static_cast<uint16_t>(text.size());
  tx.slice_count = text.empty() ? 0 : 1;
  tx.sack_count = static_cast<uint8_t>(sacks.size());
  Bytes out(max_header);
  const uint32_t length =
      build_header(tx, {&slice, text.empty() ? 0u : 1u}, sacks, from, offload, out.data());
  out.resize(length);
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

// The same frame with a tag of 802.1Q: three bits of priority, one of eligibility to be dropped, twelve of a VLAN.
inline Bytes tagged(Bytes frame, uint16_t tag) {
  const uint8_t bytes[] = {0x81, 0x00, static_cast<uint8_t>(tag >> 8), static_cast<uint8_t>(tag)};
  frame.insert(frame.begin() + 12, std::begin(bytes), std::end(bytes));
  return frame;
}

inline Bytes random_bytes(Random& random, size_t length) {
  Bytes out(length);
  for (auto& b : out) b = static_cast<uint8_t>(random.next());
  return out;
}

// RFC 1071 as it is written there: 16-bit words in network order, the odd byte padded with zero.
inline uint16_t naive_sum(std::span<const uint8_t> text, uint32_t sum = 0) {
  for (size_t i = 0; i < text.size(); ++i) {
    sum += i % 2 == 0 ? uint32_t{text[i]} << 8 : text[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

inline void put16(Bytes& frame, size_t at, uint32_t value) {
  frame[at] = static_cast<uint8_t>(value >> 8);
  frame[at + 1] = static_cast<uint8_t>(value);
}
inline void put32(Bytes& frame, size_t at, uint32_t value) {
  put16(frame, at, value >> 16);
  put16(frame, at + 2, value & 0xffff);
}
inline uint16_t get16(std::span<const uint8_t> frame, size_t at) {
  return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
}
inline uint32_t get32(std::span<const uint8_t> frame, size_t at) {
  return static_cast<uint32_t>(get16(frame, at)) << 16 | get16(frame, at + 2);
}

// Recomputes both checksums, as an honest sender of such a packet would. Lengths must be consistent.
inline void fix_checksums(Bytes& frame) {
  const size_t header = (frame[14] & 15u) * 4;
  const size_t tcp = 14 + header, length = get16(frame, 16) - header;
  put16(frame, 24, 0);
  put16(frame, 24, static_cast<uint16_t>(~naive_sum({&frame[14], header})));
  put16(frame, tcp + 16, 0);
  const uint32_t pseudo = naive_sum({&frame[26], 8}) + 6 + static_cast<uint32_t>(length);
  put16(frame, tcp + 16, static_cast<uint16_t>(~naive_sum({&frame[tcp], length}, pseudo)));
}

// One parse and all it said.
struct Parsed {
  ParsedBurst burst;
  Counters counters;
  std::vector<PacketRef> released;

  void run(std::span<const Frame> frames, const LocalAddresses& local = local_addresses) {
    PacketRef room[limits::rx_burst];
    Batch<PacketRef> release{std::span<PacketRef>(room)};
    parse_burst(frames, local, own_mac, burst, release, counters);
    released.assign(release.begin(), release.end());
  }
  const Segment& seg() const { return burst.segment[0]; }
  const FlowKey& key() const { return burst.key[0]; }
};

// Why a frame was dropped, or `accepted` if it was not.
inline constexpr Count accepted = Count::count_;
inline Count verdict_of(std::span<const uint8_t> bytes, Verdict ip = Verdict::unknown,
                        Verdict l4 = Verdict::unknown, const LocalAddresses& local = local_addresses) {
  static Parsed parsed;
  static uint64_t before[count_kinds];
  for (size_t i = 0; i < count_kinds; ++i) before[i] = parsed.counters[static_cast<Count>(i)];
  Block block(bytes);
  const Frame frame = block.frame(ip, l4);
  parsed.run({&frame, 1}, local);
  Count reason = Count::count_;
  uint64_t drops = 0;
  for (auto i = static_cast<size_t>(Count::drop_runt); i <= static_cast<size_t>(Count::drop_after_close); ++i)
    if (parsed.counters[static_cast<Count>(i)] != before[i]) {
      reason = static_cast<Count>(i);
      drops += parsed.counters[static_cast<Count>(i)] - before[i];
    }
  // Exactly one place for every packet.
  if (drops != parsed.released.size() || drops + parsed.burst.segments + parsed.burst.others != 1)
    std::abort();
  return reason;
}

// Parses `frame` and shows the segment to `look` while its bytes still exist.
template <typename Look>
void accept(const Bytes& frame, Look look, Verdict ip = Verdict::unknown, Verdict l4 = Verdict::unknown) {
  Block block(frame);
  const Frame f = block.frame(ip, l4);
  Parsed parsed;
  parsed.run({&f, 1});
  ASSERT_EQ(parsed.burst.segments, 1u);
  ASSERT_TRUE(parsed.released.empty());
  look(parsed.seg());
}

}  // namespace millrace::wire::test
