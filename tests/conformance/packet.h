// SPDX-License-Identifier: BSD-3-Clause
// Packets as the tests write and read them. Seg is one TCP segment in numbers; A(1, 1).text("x").win(0) reads
// like a trace. The codec is the tests' own: what the library builds is read by other code, and the other way
// round.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "millrace/address.h"
#include "millrace/time.h"
#include "wire/mac.h"

namespace millrace::conformance {

enum : uint8_t { fin = 1, syn = 2, rst = 4, psh = 8, ack_bit = 16, urg = 32, ece_bit = 64, cwr_bit = 128 };

struct Seg {
  uint8_t flags = 0;
  uint32_t seq = 0;
  uint32_t ack = 0;
  uint32_t length = 0;  // of the text: stream() at `seq`, unless `bytes` says otherwise
  std::optional<std::string> bytes;
  std::optional<uint16_t> window;
  uint16_t pointer = 0;  // urgent
  std::optional<uint16_t> mss_option;
  std::optional<uint8_t> scale;
  bool sack_permitted = false;
  bool timestamps = false;
  bool timestamps_as_agreed = true;  // on a packet to the stack: the peer's clock, when negotiated
  std::optional<uint32_t> ts_val;
  std::optional<uint32_t> ts_ecr;
  std::vector<std::pair<uint32_t, uint32_t>> sacks;
  std::optional<uint8_t> ecn_bits;  // of the IP header; 2: ECT(0), 3: CE
  std::string raw;  // option bytes instead of all others

  Seg& text(std::string s) { return length = static_cast<uint32_t>(s.size()), bytes = std::move(s), *this; }
  Seg& win(uint32_t w) { return window = static_cast<uint16_t>(w), *this; }
  Seg& urgent(uint16_t p) { return flags |= urg, pointer = p, *this; }
  Seg& ece() { return flags |= ece_bit, *this; }
  Seg& cwr() { return flags |= cwr_bit, *this; }
  Seg& ecn(uint8_t bits) { return ecn_bits = bits, *this; }
  Seg& mss(uint16_t m) { return mss_option = m, *this; }
  Seg& wscale(uint8_t s) { return scale = s, *this; }
  Seg& sack_ok() { return sack_permitted = true, *this; }
  Seg& ts() { return timestamps = true, *this; }
  Seg& ts(uint32_t val, uint32_t ecr) { return ts_val = val, ts_ecr = ecr, ts(); }
  Seg& ecr(uint32_t e) { return ts_ecr = e, ts(); }
  Seg& no_ts() { return timestamps_as_agreed = false, *this; }
  Seg& sack(uint32_t left, uint32_t right) { return sacks.emplace_back(left, right), *this; }
  Seg& options(std::string o) { return raw = std::move(o), timestamps_as_agreed = false, *this; }
};

// Named as tcpdump marks them. `n`: bytes of text.
inline Seg with(uint8_t flags, uint32_t seq, uint32_t ack = 0, uint32_t n = 0) {
  Seg s;
  s.flags = flags;
  s.seq = seq;
  s.ack = ack;
  s.length = n;
  return s;
}
inline Seg S(uint32_t seq) {
  return with(syn, seq);
}
inline Seg SA(uint32_t seq, uint32_t ack) {
  return with(syn | ack_bit, seq, ack);
}
inline Seg A(uint32_t seq, uint32_t ack, uint32_t n = 0) {
  return with(ack_bit, seq, ack, n);
}
inline Seg P(uint32_t seq, uint32_t ack, uint32_t n) {
  return with(psh | ack_bit, seq, ack, n);
}
inline Seg F(uint32_t seq, uint32_t ack, uint32_t n = 0) {
  return with(fin | ack_bit, seq, ack, n);
}
inline Seg PF(uint32_t seq, uint32_t ack, uint32_t n) {
  return with(fin | psh | ack_bit, seq, ack, n);
}
inline Seg R(uint32_t seq) {
  return with(rst, seq);
}
inline Seg RA(uint32_t seq, uint32_t ack) {
  return with(rst | ack_bit, seq, ack);
}

// The text of either direction: n bytes from relative sequence number `from` on.
std::string stream(uint32_t from, uint32_t n);

// A packet that left, decoded, numbers as they are on the wire.
struct Sent {
  enum Kind { tcp, arp, icmp } kind = tcp;
  Seg seg;
  wire::Mac to;
  Ipv4Address source;       // ARP: the sender's
  Ipv4Address destination;  // ARP: the target's
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t ttl = 0;
  uint8_t tos = 0;
  bool dont_fragment = false;
  bool arp_request = false;
  std::string icmp_message;
  Instant at;
  uint32_t turn = 0;
};

// Decodes and checks everything that must be so on the wire; `error` is empty if it is.
Sent decode(const std::vector<uint8_t>& frame, std::string& error);

struct IpHeader {
  wire::Mac to, from;
  Ipv4Address source, destination;
  uint8_t protocol = 6;
  uint8_t ttl = 64;
  uint8_t tos = 0;
  uint8_t version = 4;
  uint16_t fragment = 0x4000;
  std::string options;
  bool bad_checksum = false;
};
using Bytes = std::vector<uint8_t>;

// Ethernet's padding included.
Bytes encode_ip(const IpHeader& ip, const Bytes& payload);
Bytes encode_tcp(const IpHeader& ip, uint16_t from, uint16_t to, const Seg& seg, const std::string& text,
                 bool bad_checksum = false);
Bytes encode_icmp(uint8_t type, uint8_t code, const std::string& rest, bool bad_checksum = false);
// What a router says of a segment of ours: `quoted` bytes of it, IP header included, come back. `mtu` is of the next hop.
Bytes encode_icmp_error(const IpHeader& ip, const Sent& about, uint8_t type, uint8_t code, uint16_t mtu = 0,
                        size_t quoted = 28);
Bytes encode_arp(bool request, const wire::Mac& to, const wire::Mac& sender_mac, Ipv4Address sender,
                 Ipv4Address target);

std::string to_string(const Seg& seg);

}  // namespace millrace::conformance
