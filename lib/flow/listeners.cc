// SPDX-License-Identifier: BSD-3-Clause
// Adding and removing listeners.
#include "flow/listeners.h"

namespace millrace::flow {

void Listeners::init(Region& region, uint32_t capacity) {
  ensure(capacity <= max_capacity);
  listeners_.init(region, capacity);
  heads_ = region.take<uint16_t>(0x10000);
}

Listeners::Added Listeners::add(Ipv4Address local, uint16_t port) {
  uint16_t* link = &heads_[port];
  while (*link != 0 && listeners_[*link - 1u].local != local) link = &listeners_[*link - 1u].next;
  if (*link != 0) return {no_index, Event::in_use};

  uint32_t index = listeners_.take();
  if (index == no_index) return {no_index, Event::no_memory};
  if (!local.is_unspecified()) link = &heads_[port];  // any address: at the end, where the search has come to
  listeners_[index] = {local, port, *link};
  *link = static_cast<uint16_t>(index + 1);
  return {index, Event::no_reason};
}

void Listeners::remove(uint32_t index) {
  uint16_t* link = &heads_[listeners_[index].port];
  while (*link != index + 1) {
    ensure(*link != 0);
    link = &listeners_[*link - 1u].next;
  }
  *link = listeners_[index].next;
  listeners_.give(index);
}

}  // namespace millrace::flow
