// SPDX-License-Identifier: BSD-3-Clause
// The 4-tuple that names a flow, from this endpoint's side. 16 bytes for IPv4; IPv6's addresses will stand in an
// array beside it, read only to confirm a match.
#pragma once

#include <bit>
#include <cstdint>

#include "base/siphash.h"
#include "millrace/address.h"

namespace millrace::wire {

struct FlowKey {
  Ipv4Address local;
  Ipv4Address remote;
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  uint32_t family = 4;

  struct Words { uint64_t w[2]; };
  constexpr Words words() const { return std::bit_cast<Words>(*this); }
  friend constexpr bool operator==(const FlowKey& a, const FlowKey& b) {
    Words x = a.words(), y = b.words();
    return ((x.w[0] ^ y.w[0]) | (x.w[1] ^ y.w[1])) == 0;
  }
};
static_assert(sizeof(FlowKey) == 16);

constexpr uint64_t hash(const SipKey& secret, const FlowKey& key) {
  return siphash13<2>(secret, key.words().w);
}

}  // namespace millrace::wire
