// SPDX-License-Identifier: BSD-3-Clause
// Two hosts, two links, one clock that jumps from one thing that happens to the next.
#pragma once

#include <string>

#include "tests/sim/plan.h"

namespace millrace::sim {

struct Result {
  bool passed = false;
  std::string why;
  uint64_t digest = 0;     // of all emitted bytes
  uint64_t turns = 0;
  uint64_t segments = 0;
  uint32_t finished = 0;   // connections
};

// Runs one seed; `until` bounds the number of turns (0: as many as it takes); `trace` prints what the hosts count.
// With `segment_burst` above 1 hardware cuts what both send (TSO).
Result run_world(uint64_t seed, uint64_t until, bool trace, uint32_t segment_burst = 1);

}  // namespace millrace::sim
