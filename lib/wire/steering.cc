// SPDX-License-Identifier: BSD-3-Clause
// Looking at a frame before anybody has: where does it belong? (wire/steering.h)
#include "wire/steering.h"

#include <bit>

#include "base/ensure.h"
#include "wire/bytes.h"
#include "wire/icmp.h"
#include "wire/vlan.h"

namespace millrace::wire {

static constexpr uint32_t eth_length = 14, ip_length = 20, ports_length = 4, icmp_header = 8;
static constexpr uint16_t type_ipv4 = 0x0800, type_arp = 0x0806, fragment_bits = 0x3fff;
static constexpr uint8_t proto_icmp = 1, proto_tcp = 6;

Steering::Steering(std::span<const uint8_t> key, std::span<const uint8_t> owners)
    : hash_(key), mask_(static_cast<uint32_t>(owners.size()) - 1) {
  ensure(std::has_single_bit(owners.size()) && owners.size() <= max_table);
  for (uint32_t i = 0; i < owners.size(); ++i) owners_[i] = owners[i];
}

// The length of an IPv4 header, of which `ip` has at least the fixed part; 0: it is none, or not all there.
static uint32_t header_length(std::span<const uint8_t> ip) {
  const uint32_t length = (ip[0] & 15u) << 2;
  return ip[0] >> 4 == 4 && length >= ip_length && length <= ip.size() ? length : 0;
}

// An error quotes a segment of ours: its source is the flow's local end.
uint32_t Steering::of_icmp(std::span<const uint8_t> message, uint32_t here) const {
  if (!is_icmp_error(message) || message.size() < icmp_header + ip_length) return here;
  const std::span<const uint8_t> ip = message.subspan(icmp_header);
  const uint32_t header = header_length(ip);
  if (header == 0 || ip[9] != proto_tcp || ip.size() < header + ports_length) return here;
  return owner({{load_be32(&ip[12])}, {load_be32(&ip[16])}, load_be16(&ip[header]), load_be16(&ip[header + 2]), 4});
}

uint32_t Steering::destination(const Frame& frame, uint32_t here) const {
  if (frame.length < eth_length + ip_length) return here;
  const auto [type, begin] = ether_type(frame.data, frame.length);
  if (type != type_ipv4) return type == type_arp ? everyone : here;
  if (frame.length < begin + ip_length) return here;
  const std::span<const uint8_t> ip{frame.data + begin, frame.length - begin};
  const uint32_t header = header_length(ip);
  if (header == 0) return here;
  const Ipv4Address source{load_be32(&ip[12])}, destination{load_be32(&ip[16])};
  if ((load_be16(&ip[6]) & fragment_bits) != 0) return at(hash_.of_addresses(source, destination));
  if (ip[9] == proto_icmp) return of_icmp(ip.subspan(header), here);
  if (ip[9] != proto_tcp || ip.size() < header + ports_length) return here;
  return owner({destination, source, load_be16(&ip[header + 2]), load_be16(&ip[header]), 4});
}

}  // namespace millrace::wire
