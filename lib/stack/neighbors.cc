// SPDX-License-Identifier: BSD-3-Clause
#include "stack/neighbors.h"

#include <algorithm>

namespace millrace::stack {

uint16_t Neighbors::find(Ipv4Address address) const {
  for (uint16_t i = 0; i < used_; ++i)
    if (entries_[i].address == address && entries_[i].state != Neighbor::State::unused) return i;
  return none;
}

bool Neighbors::crowded() const {
  size_t in_use = 0;
  for (uint16_t i = 0; i < used_; ++i) in_use += entries_[i].users > 0 ? 1 : 0;
  return 2 * in_use >= entries_.size();
}

uint16_t Neighbors::find_or_add(Ipv4Address address) {
  uint16_t i = find(address);
  if (i != none) return i;
  if (used_ < entries_.size()) {
    i = used_++;
  } else {
    // Someone nobody sends to any more makes room.
    for (i = 0; i < used_; ++i)
      if (entries_[i].users == 0 && !entries_[i].fixed) break;
    if (i == used_) return none;
  }
  entries_[i] = Neighbor{};
  entries_[i].address = address;
  entries_[i].state = Neighbor::State::failed;  // until somebody wants it
  return i;
}

void Neighbors::start_asking(Neighbor& n, Neighbor::State state, Instant now) {
  n.state = state;
  n.asked = 1;
  n.ask = true;
  asking_ = true;
  set_timer(n, now + ask_interval);
}

void Neighbors::want(uint16_t i, Instant now) {
  Neighbor& n = entries_[i];
  if (n.state == Neighbor::State::failed) start_asking(n, Neighbor::State::incomplete, now);
}

void Neighbors::confirm(uint16_t i, const wire::Mac& mac, Instant now) {
  Neighbor& n = entries_[i];
  if (n.fixed) return;
  n.mac = mac;
  n.state = Neighbor::State::reachable;
  n.ask = false;
  set_timer(n, now + good_for);
}

void Neighbors::doubt(uint16_t i, Instant now) {
  Neighbor& n = entries_[i];
  if (n.state == Neighbor::State::reachable && !n.fixed) start_asking(n, Neighbor::State::probing, now);
}

bool Neighbors::fix(Ipv4Address address, const wire::Mac& mac) {
  uint16_t i = find_or_add(address);
  if (i == none) return false;
  Neighbor& n = entries_[i];
  n.mac = mac;
  n.state = Neighbor::State::reachable;
  n.fixed = true;
  return true;
}

bool Neighbors::timeout(uint16_t i, Instant now) {
  Neighbor& n = entries_[i];
  switch (n.state) {
    case Neighbor::State::reachable:
      if (n.users == 0) {  // nobody needs it: forgotten, to be asked for anew
        n.state = Neighbor::State::failed;
        n.next_at = Instant::never();
      } else {
        start_asking(n, Neighbor::State::probing, now);
      }
      return false;
    case Neighbor::State::probing:
    case Neighbor::State::incomplete:
      if (n.asked < ask_limit) {
        ++n.asked;
        n.ask = true;
        asking_ = true;
        set_timer(n, now + ask_interval);
        return false;
      }
      n.state = Neighbor::State::failed;
      n.next_at = Instant::never();
      return true;
    default:
      n.next_at = Instant::never();
      return false;
  }
}

void Neighbors::refresh_deadline() {
  next_at_ = Instant::never();
  for (uint16_t i = 0; i < used_; ++i) next_at_ = std::min(next_at_, entries_[i].next_at);
}

}  // namespace millrace::stack
