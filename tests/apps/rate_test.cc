// SPDX-License-Identifier: BSD-3-Clause
// Open loop: when requests are due. And targets as text.
#include "load/rate.h"

#include <gtest/gtest.h>

#include <map>

#include "load/targets.h"

namespace millrace::load {
namespace {

constexpr double hz = 1e9;  // so that cycles are nanoseconds

Rate rate_of(const char* text) {
  Rate rate;
  EXPECT_TRUE(Rate::parse(text, rate)) << text;
  return rate;
}

TEST(Rate, text_there_and_back) {
  EXPECT_EQ(rate_of("5000").text(), "5000");
  EXPECT_EQ(rate_of("2.5k").text(), "2500");
  EXPECT_EQ(rate_of("100k..1M/10s").text(), "100000..1000000/10s");
  EXPECT_EQ(Rate{}.text(), "");
  Rate rate;
  for (const char* text :
       {"", "0", "-1", "fast", "1..2", "1/2s", "1..2/", "1..2/0s", "..2/1s", "2G", "1..x/2s"})
    EXPECT_FALSE(Rate::parse(text, rate)) << text;
}

TEST(Arrivals, fixed_ones_are_evenly_spaced) {
  Arrivals arrivals(rate_of("1000"), Arrival::fixed, hz, 1);
  arrivals.start(7'000'000);
  for (uint64_t i = 1; i <= 100'000; ++i)
    EXPECT_NEAR(static_cast<double>(arrivals.take()), 7e6 + 1e6 * i, 2.0);
}

TEST(Arrivals, those_that_are_owed_are_counted_and_not_taken) {
  Arrivals arrivals(rate_of("1000"), Arrival::fixed, hz, 1);
  arrivals.start(0);
  EXPECT_NEAR(static_cast<double>(arrivals.count_until(2'000'000'000)), 2000, 1);
  uint64_t due = arrivals.due();
  EXPECT_NEAR(static_cast<double>(due), 1e6, 1);
  for (int i = 0; i < 500; ++i) arrivals.take();
  EXPECT_NEAR(static_cast<double>(arrivals.count_until(2'000'000'000)), 1500, 1);
}

TEST(Arrivals, a_ramp_has_the_mean_of_its_ends_and_then_stays) {
  Arrivals arrivals(rate_of("1000..9000/4s"), Arrival::fixed, hz, 1);
  arrivals.start(0);
  EXPECT_NEAR(static_cast<double>(arrivals.count_until(4'000'000'000)), 4 * 5000, 20);
  EXPECT_NEAR(static_cast<double>(arrivals.count_until(6'000'000'000)), 4 * 5000 + 2 * 9000, 20);
}

// Gaps of independent users: exponential, so their deviation is their mean.
TEST(Arrivals, poisson) {
  Arrivals arrivals(rate_of("1000"), Arrival::poisson, hz, 42);
  arrivals.start(0);
  constexpr int n = 100'000;
  double sum = 0, squares = 0;
  uint64_t last = 0;
  for (int i = 0; i < n; ++i) {
    uint64_t at = arrivals.take();
    auto gap = static_cast<double>(at - last);
    sum += gap;
    squares += gap * gap;
    last = at;
  }
  double mean = sum / n, deviation = std::sqrt(squares / n - mean * mean);
  EXPECT_NEAR(mean, 1e6, 1e4);
  EXPECT_NEAR(deviation, 1e6, 2e4);
}

TEST(Targets, text) {
  std::vector<Target> targets;
  EXPECT_TRUE(parse_target("10.9.0.1:80", targets));
  EXPECT_TRUE(parse_target("10.9.0.2:8000-8002", targets));
  ASSERT_EQ(targets.size(), 4u);
  EXPECT_EQ(targets[3].address, ipv4(10, 9, 0, 2));
  EXPECT_EQ(targets[3].port, 8002);
  for (const char* text : {"", "10.9.0.1", "10.9.0.1:", "10.9.0.1:0", "10.9.0.1:70000", "10.9.0.1:90-80",
                           "host:80", "10.9.0.1:80-", "10.9.0.1:80x"})
    EXPECT_FALSE(parse_target(text, targets)) << text;
}

TEST(Targets, every_pair_of_addresses_has_its_turn) {
  std::vector<Target> targets;
  parse_target("10.9.0.1:8000-8001", targets);
  Rotation rotation(ipv4(10, 9, 1, 1), 3, targets);
  std::map<std::pair<uint32_t, uint16_t>, int> seen;
  for (int i = 0; i < 12; ++i) {
    Ipv4Address local;
    Target target;
    rotation.next(local, target);
    ++seen[{local.value, target.port}];
  }
  EXPECT_EQ(seen.size(), 6u);
  for (const auto& [pair, count] : seen) EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace millrace::load
