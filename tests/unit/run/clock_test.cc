// SPDX-License-Identifier: BSD-3-Clause
// nic/clock: cycles to nanoseconds without a division, and never backwards.
#include "nic/clock.h"

#include <gtest/gtest.h>

namespace millrace::nic {
namespace {

TEST(Clock, one_second_of_cycles_is_one_second) {
  for (uint64_t hz : {1'000'000'000ull, 2'600'000'000ull, 3'333'333'333ull, 24'000'000ull}) {
    Clock clock{hz};
    EXPECT_NEAR(static_cast<double>(clock.at(hz).ns), 1e9, 2) << hz;
  }
}

TEST(Clock, ten_years_of_uptime_neither_overflow_nor_drift) {
  constexpr uint64_t hz = 2'600'000'000, years = 10, seconds = years * 365 * 86400;
  Clock clock{hz};
  double expected = static_cast<double>(seconds) * 1e9;
  EXPECT_NEAR(static_cast<double>(clock.at(hz * seconds).ns) / expected, 1.0, 1e-9);
}

TEST(Clock, neighbouring_cycles_never_go_back) {
  Clock clock{2'599'999'123};
  Instant last;
  for (uint64_t cycles = uint64_t{1} << 52; cycles < (uint64_t{1} << 52) + 10'000; ++cycles) {
    Instant now = clock.at(cycles);
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Clock, advance_keeps_its_last_word_when_the_counter_is_behind) {
  Clock clock{1'000'000'000};
  Instant first = clock.advance(5'000);
  EXPECT_EQ(first, clock.advance(4'000));
  EXPECT_GT(clock.advance(6'000), first);
}

}  // namespace
}  // namespace millrace::nic
