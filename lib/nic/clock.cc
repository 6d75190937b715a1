// SPDX-License-Identifier: BSD-3-Clause
// Where the cycles come from. (nic/clock.h)
#include "nic/clock.h"

#include <rte_cycles.h>
#include <time.h>

#include <algorithm>

namespace millrace::nic {

namespace {

// One moment on both clocks.
struct Moment {
  uint64_t cycles = 0;
  uint64_t ns = 0;
};

// Of a few tries the one that nothing interrupted.
Moment look() {
  Moment best;
  uint64_t least = UINT64_MAX;
  for (int tries = 0; tries < 8; ++tries) {
    timespec now{};
    uint64_t before = rte_rdtsc();
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t after = rte_rdtsc();
    if (after - before >= least) continue;
    least = after - before;
    best = {before + least / 2, static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec)};
  }
  return best;
}

const Moment at_start = look();

// EAL's figure is rounded to 10 MHz, which is up to two thousandths wrong: too much for a program that tells rates. What
// has passed since the program began, a tenth of a second at least, gives it to a millionth.
uint64_t measure_rate() {
  constexpr uint64_t enough = 100'000'000;
  Moment now = look();
  for (int tries = 0; now.ns - at_start.ns < enough && tries < 100; ++tries) {
    uint64_t left = enough - (now.ns - at_start.ns);
    timespec rest{0, static_cast<long>(std::min(left, enough))};
    nanosleep(&rest, nullptr);
    now = look();
  }
  auto cycles = static_cast<unsigned __int128>(now.cycles - at_start.cycles);
  return static_cast<uint64_t>(cycles * 1'000'000'000 / std::max<uint64_t>(now.ns - at_start.ns, 1));
}

}  // namespace

uint64_t read_cycles() {
  return rte_rdtsc();
}
uint64_t cycles_per_second() {
  static const uint64_t rate = measure_rate();
  return rate;
}

}  // namespace millrace::nic
