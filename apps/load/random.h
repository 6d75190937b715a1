// SPDX-License-Identifier: BSD-3-Clause
// Random numbers for a load (SplitMix64), repeatable by a seed. Streams of one seed, and those of
// neighbouring seeds, have nothing in common: where a stream begins is a hash of both.
#pragma once

#include <cstdint>

namespace millrace::load {

class Random {
 public:
  using result_type = uint64_t;  // it serves the distributions of <random>
  Random(uint64_t seed, uint64_t stream) : state_(mixed(mixed(seed) + golden * (stream + 1))) {}

  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return UINT64_MAX; }
  uint64_t operator()() { return mixed(state_ += golden); }
  // In (0, 1].
  double uniform() { return static_cast<double>(((*this)() >> 11) + 1) * 0x1p-53; }

 private:
  static constexpr uint64_t golden = 0x9e37'79b9'7f4a'7c15;
  static constexpr uint64_t mixed(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
  }
  uint64_t state_;
};

}  // namespace millrace::load
