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
  friend constexpr bool operator==(const FlowKey&, const FlowKey&) = default;
};
static_assert(sizeof(FlowKey) == 16);

constexpr uint64_t hash(const SipKey& secret, const FlowKey& key) {
  struct Words { uint64_t w[2]; };
  auto words = std::bit_cast<Words>(key);
  return siphash13<2>(secret, words.w);
}

}  // namespace millrace::wire
