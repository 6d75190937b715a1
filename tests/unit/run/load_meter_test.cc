// SPDX-License-Identifier: BSD-3-Clause
// Where cycles went: of the longest turn, what the scheduler took.
#include "run/load_meter.h"

#include <gtest/gtest.h>

namespace millrace::run {
namespace {

constexpr uint64_t hz = 1'000'000'000;  // so that cycles are nanoseconds
uint64_t cpu_ns = 0;                    // of a thread that there is not

class LoadMeterTest : public testing::Test {
 protected:
  LoadMeterTest() {
    cpu_ns = 1;
    meter_.next_turn(now_, false);
  }
  // A turn of so long a time, in which the thread had its CPU for so much of it.
  void turn(uint64_t length, uint64_t on_cpu, bool useful = true) {
    now_ += length;
    cpu_ns += on_cpu;
    meter_.next_turn(now_, useful);
  }
  Endpoint::Load load() const { return meter_.read(nic::Clock(hz)); }

  LoadMeter meter_{hz, [] { return cpu_ns; }};
  uint64_t now_ = 1'000'000'000;
};

TEST_F(LoadMeterTest, a_turn_that_had_its_cpu_was_not_off_it) {
  for (int i = 0; i < 1000; ++i) turn(500 + i, 500 + i);
  EXPECT_NEAR(static_cast<double>(load().longest_turn.ns), 1499, 1);
  EXPECT_EQ(load().longest_turn_off_cpu.ns, 0u);
}

TEST_F(LoadMeterTest, what_the_scheduler_took_of_the_longest_turn_is_told) {
  for (int i = 0; i < 10'000; ++i) turn(500, 500);
  turn(4'000'000, 100'000);
  for (int i = 0; i < 10'000; ++i) turn(500, 500);
  turn(2'000'000, 2'000'000);  // longer than all but the other
  EXPECT_NEAR(static_cast<double>(load().longest_turn.ns), 4'000'000, 10);
  // At least: it may have had the CPU since the last look, a quarter of a millisecond before at most.
  EXPECT_LE(load().longest_turn_off_cpu.ns, 3'900'000u);
  EXPECT_GE(load().longest_turn_off_cpu.ns, 3'900'000u - 251'000);
}

TEST_F(LoadMeterTest, what_was_lost_before_the_turn_is_not_of_it) {
  turn(500, 500);
  turn(9'000'000, 1000, false);  // one that had nothing to do
  turn(1'000'000, 1'000'000);
  EXPECT_NEAR(static_cast<double>(load().longest_turn.ns), 1'000'000, 10);
  EXPECT_EQ(load().longest_turn_off_cpu.ns, 0u);
}

TEST_F(LoadMeterTest, the_clock_of_a_thread_counts_its_own_time) {
  uint64_t before = thread_cpu_ns();
  for (int i = 0; i < 10'000'000 && thread_cpu_ns() == before; ++i) {
  }
  EXPECT_GT(thread_cpu_ns(), before);
}

}  // namespace
}  // namespace millrace::run
