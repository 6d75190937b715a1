// SPDX-License-Identifier: BSD-3-Clause
#include "stack/paths.h"

#include <algorithm>
#include <bit>

namespace millrace::stack {

void Paths::init(Region& region, uint32_t capacity, const SipKey& secret) {
  entries_ = region.take<Path>(std::bit_ceil(std::max(capacity, ways)));
  secret_ = secret;
}

std::span<Paths::Path> Paths::set_of(Ipv4Address remote) const {
  const uint64_t word[1] = {remote.value};
  const auto sets = static_cast<uint64_t>(entries_.size() / ways);
  return entries_.subspan((siphash13<1>(secret_, word) & (sets - 1)) * ways, ways);
}

const Paths::Path* Paths::find(Ipv4Address remote, Instant now) const {
  if (empty(now)) return nullptr;
  for (const Path& p : set_of(remote))
    if (p.remote == remote) return p.until > now ? &p : nullptr;
  return nullptr;
}

void Paths::learn(Ipv4Address remote, uint16_t mtu, Instant now, Instant until) {
  std::span<Path> set = set_of(remote);
  Path* place = &set[0];
  for (Path& p : set) {
    if (p.remote == remote) {
      if (p.until > now && p.mtu < mtu) return;
      place = &p;
      break;
    }
    if (p.until < place->until) place = &p;  // the oldest; a free one is older than all
  }
  *place = {remote, mtu, until};
  last_until_ = std::max(last_until_, until);
}

}  // namespace millrace::stack
