// SPDX-License-Identifier: BSD-3-Clause
// Values -> bytes: the last stage before a packet leaves. Every checksum is summed from the numbers that are
// about to be stored and from the payload's source: reading back what was just written would wait for the
// stores.
#include "wire/build.h"

#include <algorithm>

#include "base/ensure.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/options.h"

namespace millrace::wire {
namespace {

constexpr uint32_t eth_length = 14, ip_length = 20, tcp_length = 20, icmp_part = 4, arp_length = 28;
constexpr uint8_t proto_icmp = 1, proto_tcp = 6;
constexpr uint16_t dont_fragment = 0x4000;

// From two loads: six bytes that are copied into a number of eight are read back before they are stored, which waits.
uint64_t as_number(const Mac& mac) {
  return static_cast<uint64_t>(load_be32(&mac.bytes[0])) << 16 | load_be16(&mac.bytes[4]);
}

// The first 16 bytes: Ethernet and what `next` puts into the two behind it.
void write_ethernet(const Mac& destination, const Mac& source, uint16_t type, uint16_t next, uint8_t* out) {
  const uint64_t from = as_number(source);
  store_be64(out, as_number(destination) << 16 | from >> 32);
  store_be64(out + 8, from << 32 | static_cast<uint64_t>(type) << 16 | next);
}

// Ethernet and IPv4. DF, and with it no identification: an atomic datagram (RFC6864-4, RFC9293-MAY-4).
void write_ipv4(const TxSegment& tx, const Mac& own_mac, uint8_t protocol, uint32_t payload, bool offload,
                uint8_t* out) {
  const uint32_t total = ip_length + payload;
  ensure(total <= 0xffff);
  const uint32_t first = 0x4500u | tx.tos;  // RFC9293-MUST-48: DSCP as chosen
  const uint32_t ttl_protocol = static_cast<uint32_t>(tx.ttl) << 8 | protocol;  // RFC9293-MUST-49
  uint16_t checksum = 0;
  if (!offload) {
    const uint64_t sum =
        uint64_t{first} + total + dont_fragment + ttl_protocol + tx.local.value + tx.remote.value;
    checksum = static_cast<uint16_t>(~fold(sum));
  }
  write_ethernet(tx.destination, own_mac, 0x0800, static_cast<uint16_t>(first), out);
  store_be64(out + 16,
             static_cast<uint64_t>(total) << 48 | static_cast<uint64_t>(dont_fragment) << 16 | ttl_protocol);
  store_be64(out + 24, static_cast<uint64_t>(checksum) << 48 | static_cast<uint64_t>(tx.local.value) << 16 |
                           tx.remote.value >> 16);
  store_be16(out + 32, static_cast<uint16_t>(tx.remote.value));
}

uint32_t build_tcp(const TxSegment& tx, std::span<const Slice> slices, std::span<const SackBlock> sacks,
                   const Mac& own_mac, ChecksumOffload offload, uint8_t* out) {
  const uint8_t options = allowed_options(tx.options, tx.flags);
  sacks = sacks.first(std::min<size_t>(tx.sack_count, sacks.size()));
  const uint32_t header = tcp_header_length(options, static_cast<uint32_t>(sacks.size()));
  const uint32_t length = header + tx.text_len;
  write_ipv4(tx, own_mac, proto_tcp, length, offload.ip, out);

  uint8_t* tcp = out + eth_length + ip_length;
  const uint32_t ports = static_cast<uint32_t>(tx.local_port) << 16 | tx.remote_port;
  const uint32_t control = header << 26 | static_cast<uint32_t>(tx.flags) << 16 | tx.wnd;
  store_be64(tcp, static_cast<uint64_t>(ports) << 32 | tx.seq.value);
  store_be64(tcp + 8, static_cast<uint64_t>(tx.ack.value) << 32 | control);
  const uint64_t option_sum = write_options(tx, options, sacks, tcp + tcp_length);

  // 32-bit numbers in a 64-bit sum: no carry can be lost.
  uint64_t sum = uint64_t{tx.local.value} + tx.remote.value + proto_tcp + length;
  // What the hardware wants to start from: it adds the length of each piece itself if it cuts.
  uint16_t checksum = fold(tx.segment_size == 0 ? sum : sum - length);
  if (!offload.l4) {              // RFC9293-MUST-2: always computed, here or there
    sum += uint64_t{ports} + tx.seq.value + tx.ack.value + control + tx.urgent + option_sum;
    checksum = static_cast<uint16_t>(~fold(sum + fold_to_host(sum_slices(slices))));
  }
  store_be32(tcp + 16, static_cast<uint32_t>(checksum) << 16 | tx.urgent);
  return eth_length + ip_length + header;
}

// Type, code and checksum; the slices are the rest, returned as they came (RFC1122-3.2.2.6a). No hardware
// computes an ICMP checksum.
uint32_t build_icmp_echo_reply(const TxSegment& tx, std::span<const Slice> slices, const Mac& own_mac,
                               ChecksumOffload offload, uint8_t* out) {
  write_ipv4(tx, own_mac, proto_icmp, icmp_part + tx.text_len, offload.ip, out);
  // Type 0 and code 0 add nothing.
  const uint16_t checksum = static_cast<uint16_t>(~fold_to_host(sum_slices(slices)));
  store_be32(out + eth_length + ip_length, checksum);
  return eth_length + ip_length + icmp_part;
}

uint32_t build_arp(const TxSegment& tx, const Mac& own_mac, uint8_t* out) {
  const bool reply = tx.kind == TxSegment::arp_reply;
  const uint64_t target_mac = reply ? as_number(tx.destination) : 0;
  write_ethernet(tx.destination, own_mac, 0x0806, 1, out);
  store_be64(out + 16, uint64_t{0x0800'0604} << 32 | (reply ? 2u : 1u) << 16 | as_number(own_mac) >> 32);
  store_be64(out + 24, as_number(own_mac) << 32 | tx.local.value);
  store_be64(out + 32, target_mac << 16 | tx.remote.value >> 16);
  store_be16(out + 40, static_cast<uint16_t>(tx.remote.value));
  return eth_length + arp_length;
}

}  // namespace

uint32_t tcp_header_length(uint8_t options, uint32_t sack_count) {
  return tcp_length + options_length(options, sack_count);
}

uint32_t build_header(const TxSegment& tx, std::span<const Slice> slices, std::span<const SackBlock> sacks,
                      const Mac& own_mac, ChecksumOffload offload, uint8_t* out) {
  switch (tx.kind) {
    case TxSegment::tcp: return build_tcp(tx, slices, sacks, own_mac, offload, out);
    case TxSegment::icmp_echo_reply: return build_icmp_echo_reply(tx, slices, own_mac, offload, out);
    case TxSegment::arp_request:
    case TxSegment::arp_reply: return build_arp(tx, own_mac, out);
  }
  ensure(!"a known kind");
  return 0;
}

}  // namespace millrace::wire
