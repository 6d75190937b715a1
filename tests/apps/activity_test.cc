// SPDX-License-Identifier: BSD-3-Clause
// A server's averages are of the time in which it was not idle.
#include "load/activity.h"

#include <gtest/gtest.h>

namespace millrace::load {
namespace {

// Looks each hundredth of a second; from `begin` to `end` something happens `every` so often.
struct Clock {
  Activity activity;
  uint64_t done = 0;
  int ticks = 0;
  void pass(double seconds, int every_ticks = 0) {
    for (int i = 0; i < static_cast<int>(seconds * 100 + 0.5); ++i) {
      ++ticks;
      if (every_ticks != 0 && i % every_ticks == 0) ++done;
      activity.look(ticks / 100.0, done);
    }
  }
};

TEST(Activity, idle_time_before_between_and_after_is_left_out) {
  Clock clock;
  clock.pass(10);
  EXPECT_EQ(clock.activity.seconds(), 0);
  clock.pass(3, 1);
  clock.pass(20);
  clock.pass(2, 1);
  clock.pass(30);
  EXPECT_NEAR(clock.activity.seconds(), 5, 0.03);
}

TEST(Activity, a_request_now_and_then_is_a_low_rate_and_not_a_high_one) {
  Clock clock;
  clock.pass(60, 50);  // two a second
  EXPECT_NEAR(clock.activity.seconds(), 60, 0.6);
}

TEST(Activity, one_request_alone_took_a_look) {
  Clock clock;
  clock.pass(5);
  clock.pass(0.01, 1);
  clock.pass(5);
  EXPECT_NEAR(clock.activity.seconds(), 0.01, 1e-9);
}

TEST(Activity, a_busy_start_counts_from_the_beginning) {
  Clock clock;
  clock.pass(4, 1);
  EXPECT_NEAR(clock.activity.seconds(), 4, 1e-9);
}

}  // namespace
}  // namespace millrace::load
