// SPDX-License-Identifier: BSD-3-Clause
// The library's one clock: the time stamp counter as an Instant, read once per turn after the rx burst.
// All clocks of a process have one origin and one rate, so that instants of two endpoints may be compared.
#pragma once

#include <cstdint>

#include "millrace/time.h"

namespace millrace::nic {

// The time stamp counter and its rate, which the first call measures: at most a tenth of a second.
uint64_t read_cycles();
uint64_t cycles_per_second();

class Clock {
 public:
  Clock() = default;
  // One division here, none later: ns = cycles * (2^32 * 10^9 / hz) >> 32. The rounding is below 1 in 10^9.
  explicit Clock(uint64_t hz)
      : multiplier_(static_cast<uint64_t>((static_cast<unsigned __int128>(1'000'000'000) << 32) / hz)) {}

  Instant at(uint64_t cycles) const {
    return {static_cast<uint64_t>(static_cast<unsigned __int128>(cycles) * multiplier_ >> 32)};
  }
  // As `at`, but never before what it said last: a thread may move to a CPU whose counter is behind.
  Instant advance(uint64_t cycles) {
    Instant now = at(cycles);
    if (now > last_) last_ = now;
    return last_;
  }

 private:
  uint64_t multiplier_ = 0;
  Instant last_;
};

}  // namespace millrace::nic
