// SPDX-License-Identifier: BSD-3-Clause
// The time stamp counter, read where a request leaves and where its answer is seen. The clock of a turn would
// be too coarse: with both ends on one lcore a round trip is a few turns long.
#pragma once

#include <cstdint>

namespace millrace::load {

inline uint64_t read_cycles() {
  return __builtin_ia32_rdtsc();
}

// A multiplication and a shift; exact to 1 in 10^9.
class CycleScale {
 public:
  explicit CycleScale(double cycles_per_second)
      : multiplier_(static_cast<uint64_t>(1e9 * 4294967296.0 / cycles_per_second)) {}
  uint64_t ns(uint64_t cycles) const {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(cycles) * multiplier_ >> 32);
  }

 private:
  uint64_t multiplier_;
};

}  // namespace millrace::load
