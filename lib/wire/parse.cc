// SPDX-License-Identifier: BSD-3-Clause
// Bytes -> values: nic/rx hands in a burst, flow/demux takes the segments and keys that come out. One
// function for each layer, one reason for each frame that goes no further; after this nobody looks at header
// bytes again.
#include "wire/parse.h"

#include "base/ensure.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/options.h"
#include "wire/vlan.h"

namespace millrace::wire {
namespace {

constexpr uint32_t eth_length = 14, ip_length = 20, tcp_length = 20, arp_length = 28;
constexpr uint16_t type_ipv4 = 0x0800, type_arp = 0x0806;
constexpr uint8_t proto_icmp = 1, proto_tcp = 6;
constexpr uint32_t prefetch_ahead = 4;

// A layer answers with the reason to drop, or with this.
constexpr Count accepted = Count::count_;

struct Burst {
  const LocalAddresses& local;
  Ipv4Address broadcast;  // the subnet's own; unspecified: it has none
  uint64_t own_mac;       // as load_mac() reads it
  ParsedBurst& out;
};

struct IpPacket {
  Ipv4Address source;
  Ipv4Address destination;
  uint64_t address_sum;  // of both, for the pseudo-header
  const uint8_t* payload;
  uint32_t length;  // of the payload, without Ethernet padding
  uint8_t ecn;
};

// Six bytes in memory order; two loads, because behind the sixth there may be nothing.
uint64_t load_mac(const uint8_t* at) {
  return load_raw<uint32_t>(at) | static_cast<uint64_t>(load_raw<uint16_t>(at + 4)) << 32;
}

Mac mac_at(const uint8_t* at) {
  Mac mac;
  std::memcpy(mac.bytes.data(), at, mac.bytes.size());
  return mac;
}

bool trusted(Verdict verdict) {
  return verdict == Verdict::good || verdict == Verdict::intact;
}

// Offsets from the handle have 16 bits: a frame that does not lie below 64 KB was never ours to take.
bool is_in_reach(const Frame& frame) {
  const uint64_t start =
      reinterpret_cast<uintptr_t>(frame.data) - reinterpret_cast<uintptr_t>(frame.packet.handle);
  return start <= 0xffff && start + frame.length <= 0xffff;
}

bool is_ip_checksum_right(const uint8_t* ip, uint32_t header, Verdict verdict) {
  if (trusted(verdict)) return true;
  if (verdict == Verdict::bad) return false;
  if (header != ip_length) return is_valid_sum(sum_bytes(ip, header));
  uint64_t sum = load_raw<uint32_t>(ip + 16);  // five words in 64 bits: no carry is lost
  for (uint32_t at = 0; at < 16; at += 4) sum += load_raw<uint32_t>(ip + at);
  return is_valid_sum(sum);
}

bool is_tcp_checksum_right(const IpPacket& ip, Verdict verdict) {
  if (trusted(verdict)) return true;
  if (verdict == Verdict::bad) return false;
  const uint64_t pseudo =
      ip.address_sum + (uint64_t{proto_tcp} << 8) + __builtin_bswap16(static_cast<uint16_t>(ip.length));
  return is_valid_sum(sum_bytes(ip.payload, ip.length, pseudo));
}

// No host can have sent from here (RFC1122-3.2.1.3a, RFC9293-MUST-63).
bool is_invalid_source(Ipv4Address a, const Burst& burst) {
  return a.is_unspecified() || a.is_limited_broadcast() || a.is_multicast() || a.is_loopback() ||
         a == burst.broadcast || burst.local.contains(a);
}

OtherFrame& next_other(Burst& burst, const Frame& frame, uint32_t index) {
  OtherFrame& other = burst.out.other[burst.out.others++];
  other = {};
  other.frame = static_cast<uint16_t>(index);
  other.mac = mac_at(frame.data + 6);
  return other;
}

// RFC 9293 3.1. The segment's place is the next free one; only an accepted segment keeps it.
Count parse_tcp(const Frame& frame, uint32_t index, const IpPacket& ip, Burst& burst) {
  if (ip.length < tcp_length) return Count::drop_tcp_header;
  const uint8_t* tcp = ip.payload;
  const uint64_t ports_seq = load_be64(tcp);
  const uint32_t control = load_be32(tcp + 12);
  const uint32_t header = control >> 28 << 2;
  const uint16_t remote_port = static_cast<uint16_t>(ports_seq >> 48);
  const uint16_t local_port = static_cast<uint16_t>(ports_seq >> 32);
  if (header < tcp_length || header > ip.length || remote_port == 0 || local_port == 0)
    return Count::drop_tcp_header;
  if (!is_tcp_checksum_right(ip, frame.l4_checksum)) return Count::drop_tcp_checksum;  // RFC9293-MUST-3

  Segment& seg = burst.out.segment[burst.out.segments];
  seg.packet = frame.packet;
  seg.seq = {static_cast<uint32_t>(ports_seq)};
  seg.ack = {load_be32(tcp + 8)};
  seg.flags = static_cast<uint8_t>(control >> 16);
  seg.text_len = static_cast<uint16_t>(ip.length - header);
  seg.len = seg.text_len + seg.has(syn) + seg.has(fin);
  seg.text_offset = static_cast<uint16_t>(tcp + header - frame.packet.handle);
  seg.wnd = static_cast<uint16_t>(control);  // RFC9293-MUST-1
  seg.urgent = load_be16(tcp + 18);
  seg.options = 0;
  seg.ecn = ip.ecn;
  seg.wscale = 0;
  seg.sack_count = 0;
  seg.ts_val = 0;
  seg.ts_ecr = 0;
  seg.mss = 0;
  seg.sack_offset = 0;
  seg.frame = static_cast<uint16_t>(index);
  seg.source = mac_at(frame.data + 6);
  if (!read_options(tcp + tcp_length, header - tcp_length, seg)) return Count::drop_tcp_options;

  burst.out.key[burst.out.segments++] = {ip.destination, ip.source, local_port, remote_port, 4};
  return accepted;
}

Count take_icmp(const Frame& frame, uint32_t index, const IpPacket& ip, Burst& burst) {
  OtherFrame& other = next_other(burst, frame, index);
  other.kind = Other::icmp;
  other.offset = static_cast<uint16_t>(ip.payload - frame.data);
  other.length = static_cast<uint16_t>(ip.length);
  other.source = ip.source;
  other.destination = ip.destination;
  return accepted;
}

// RFC 791. The time to live is not looked at (RFC1122-3.2.1.7), nor are options (RFC1122-3.2.1.8,
// RFC9293-MUST-50).
Count parse_ipv4(const Frame& frame, uint32_t begin, uint32_t index, bool to_group, Burst& burst) {
  const uint8_t* ip = frame.data + begin;
  const uint32_t present = frame.length - begin;
  if (present < ip_length) return Count::drop_runt;
  if (ip[0] >> 4 != 4) return Count::drop_ip_version;  // RFC1122-3.2.1.1
  const uint32_t header = (ip[0] & 15u) << 2;
  const uint32_t total = load_be16(ip + 2);
  if (header < ip_length || total < header || total > present) return Count::drop_ip_header;
  if (!is_ip_checksum_right(ip, header, frame.ip_checksum))
    return Count::drop_ip_checksum;  // RFC1122-3.2.1.2

  const uint64_t addresses = load_raw<uint64_t>(ip + 12);
  const uint32_t raw_source = static_cast<uint32_t>(addresses);
  const uint32_t raw_destination = static_cast<uint32_t>(addresses >> 32);
  const IpPacket packet{{__builtin_bswap32(raw_source)},
                        {__builtin_bswap32(raw_destination)},
                        uint64_t{raw_source} + raw_destination,
                        ip + header,
                        total - header,  // Ethernet's padding ends here
                        static_cast<uint8_t>(ip[1] & 3)};
  if (is_invalid_source(packet.source, burst)) return Count::drop_ip_source;
  // To broadcast or multicast, by address or by frame: nothing here listens to that (RFC9293-MUST-57,
  // RFC1122-3.2.2.6b, RFC1122-3.3.6).
  if (to_group || !burst.local.contains(packet.destination)) return Count::drop_not_for_us;
  if (load_be16(ip + 6) & 0x3fff) return Count::drop_ip_fragment;
  if (ip[9] == proto_tcp) return parse_tcp(frame, index, packet, burst);
  if (ip[9] == proto_icmp) return take_icmp(frame, index, packet, burst);
  return Count::drop_ip_protocol;
}

Count take_arp(const Frame& frame, uint32_t begin, uint32_t index, Burst& burst) {
  OtherFrame& other = next_other(burst, frame, index);
  const uint32_t present = frame.length - begin;
  other.kind = Other::arp;
  other.offset = static_cast<uint16_t>(begin);
  other.length = static_cast<uint16_t>(present < arp_length ? present : arp_length);
  return accepted;
}

Count parse_ethernet(const Frame& frame, uint32_t index, Burst& burst) {
  if (frame.length < eth_length || !is_in_reach(frame)) return Count::drop_runt;
  const auto [type, begin] = ether_type(frame.data, frame.length);
  if (type != type_ipv4 && type != type_arp) return Count::drop_ethertype;
  if (frame.data[6] & 1) return Count::drop_ip_source;  // no station has a group address: an answer would go to many
  const bool to_group = frame.data[0] & 1;
  if (!to_group && load_mac(frame.data) != burst.own_mac) return Count::drop_not_for_us;
  return type == type_ipv4 ? parse_ipv4(frame, begin, index, to_group, burst) : take_arp(frame, begin, index, burst);
}

// The headers' two lines, early enough to be there when their turn comes.
void prefetch(const Frame& frame) {
  __builtin_prefetch(frame.data);
  __builtin_prefetch(frame.data + 64);
}

}  // namespace

void parse_burst(std::span<const Frame> frames, const LocalAddresses& local, const Mac& own_mac,
                 ParsedBurst& out, Batch<PacketRef>& release, Counters& counters) {
  const uint32_t count = static_cast<uint32_t>(frames.size());
  ensure(count <= limits::rx_burst);
  out.segments = 0;
  out.others = 0;
  Burst burst{local, local.subnet_broadcast(), load_mac(own_mac.bytes.data()), out};
  for (uint32_t i = 0; i < count && i < prefetch_ahead; ++i) prefetch(frames[i]);
  for (uint32_t i = 0; i < count; ++i) {
    if (i + prefetch_ahead < count) prefetch(frames[i + prefetch_ahead]);
    const Count reason = parse_ethernet(frames[i], i, burst);
    if (reason == accepted) [[likely]]
      continue;
    counters.add(reason);
    release.push(frames[i].packet);
  }
  uint64_t text = 0;
  for (uint32_t i = 0; i < out.segments; ++i) text += out.segment[i].text_len;
  counters.add(Count::frames_received, count);
  counters.add(Count::segments_received, out.segments);
  counters.add(Count::bytes_received, text);
}

SackBlock sack_block(const Segment& seg, uint32_t i) {
  debug_ensure(i < seg.sack_count);
  const uint64_t edges = load_be64(seg.packet.handle + seg.sack_offset + 8 * i);
  return {{static_cast<uint32_t>(edges >> 32)}, {static_cast<uint32_t>(edges)}};
}

bool parse_arp(std::span<const uint8_t> bytes, ArpPacket& out) {
  if (bytes.size() < arp_length) return false;
  const uint8_t* arp = bytes.data();
  // RFC826-rx: Ethernet, IPv4, and the address lengths that go with them.
  const uint64_t head = load_be64(arp);
  const uint16_t operation = static_cast<uint16_t>(head);
  if (head >> 16 != 0x0001'0800'0604 || (operation != 1 && operation != 2)) return false;
  out.request = operation == 1;
  out.sender_mac = mac_at(arp + 8);
  out.sender = {load_be32(arp + 14)};
  out.target = {load_be32(arp + 24)};
  return true;
}

}  // namespace millrace::wire
