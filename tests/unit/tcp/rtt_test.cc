// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/rtt.h"

#include <gtest/gtest.h>

namespace millrace::tcp {
namespace {

struct RttTest : testing::Test {
  Params params;
  Tcb tcb;
  void SetUp() override { rtt_init(tcb, params); }
  uint64_t rto_ms() const { return tcb.rtt.rto / 1000; }
};

// RFC6298-2.1
TEST_F(RttTest, begins_at_one_second) {
  EXPECT_EQ(rto_ms(), 1000u);
}

// RFC6298-2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 * RTTVAR
TEST_F(RttTest, first_sample) {
  rtt_sample(tcb, params, milliseconds(100));
  EXPECT_EQ(tcb.rtt.srtt / 8, 100'000u);
  EXPECT_EQ(tcb.rtt.rttvar / 4, 50'000u);
  EXPECT_EQ(rto_ms(), 300u);
}

// RFC6298-2.3: the variance is taken with the old SRTT
TEST_F(RttTest, second_sample) {
  rtt_sample(tcb, params, milliseconds(100));
  rtt_sample(tcb, params, milliseconds(180));
  EXPECT_EQ(tcb.rtt.rttvar / 4, 50'000u * 3 / 4 + 80'000u / 4);  // 57.5 ms
  EXPECT_EQ(tcb.rtt.srtt / 8, 110'000u);
  EXPECT_EQ(rto_ms(), 110u + 230u);
}

// RFC6298-2.4, RFC6298-2.5
TEST_F(RttTest, has_a_floor_and_a_ceiling) {
  for (int i = 0; i < 100; ++i) rtt_sample(tcb, params, microseconds(20));
  EXPECT_EQ(rto_ms(), params.rto_min.ms());
  for (int i = 0; i < 100; ++i) rtt_sample(tcb, params, seconds(100));
  EXPECT_LE(rto_ms(), params.rto_max.ms());
  tcb.backoff = 200;
  EXPECT_EQ(current_rto(tcb, params), params.rto_max);
}

// RFC6298-4: a path without any variance keeps the clock's granularity above SRTT
TEST_F(RttTest, variance_is_never_below_the_granularity) {
  for (int i = 0; i < 200; ++i) rtt_sample(tcb, params, milliseconds(400));
  EXPECT_GE(tcb.rtt.rto, 400'000u + params.clock_granularity.us());
  EXPECT_LE(tcb.rtt.rto, 400'000u + 2 * params.clock_granularity.us());
}

// RFC6298-5.5
TEST_F(RttTest, backs_off_by_doubling) {
  for (uint8_t n = 0; n < 6; ++n) {
    tcb.backoff = n;
    EXPECT_EQ(current_rto(tcb, params), seconds(1) * (1u << n));
  }
}

// The smallest and the largest sample neither stop the estimator nor overflow it.
TEST_F(RttTest, takes_any_sample) {
  rtt_sample(tcb, params, Duration{0});
  EXPECT_GT(tcb.rtt.srtt, 0u);
  for (int i = 0; i < 50; ++i) rtt_sample(tcb, params, seconds(100'000));
  for (int i = 0; i < 50; ++i) rtt_sample(tcb, params, nanoseconds(1));
  EXPECT_GT(tcb.rtt.srtt, 0u);
  EXPECT_GE(tcb.rtt.rto, params.rto_min.us());
}

}  // namespace
}  // namespace millrace::tcp
