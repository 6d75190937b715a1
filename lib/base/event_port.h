// SPDX-License-Identifier: BSD-3-Clause
// Where the core may write events of one channel.
#pragma once

#include <cstdint>

#include "millrace/event.h"

namespace millrace {

// Slots [next, end) of a ring of mask + 1.
struct EventPort {
  Event* slots = nullptr;
  uint32_t mask = 0;
  uint32_t next = 0;
  uint32_t end = 0;
  bool room() const { return next != end; }
  Event& push() { return slots[next++ & mask]; }
};

}  // namespace millrace
