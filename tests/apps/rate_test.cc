// SPDX-License-Identifier: BSD-3-Clause
// Rates as text and as areas, and targets as text.
#include "load/rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "load/targets.h"
#include "rate_oracle.h"

namespace millrace::load {
namespace {

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

TEST(Rate, a_line_may_begin_at_nothing) {
  EXPECT_EQ(rate_of("0..1k/10s").text(), "0..1000/10s");
  Rate rate;
  for (const char* text : {"0..0/1s", "1k..0/1s", "0.0001..1/1s"}) EXPECT_FALSE(Rate::parse(text, rate)) << text;
}

// 0.1..1000/4s: 2,000 requests, of which the first is due after 63 ms and not after ten seconds.
TEST(Rate, the_area_of_a_ramp_is_what_is_due) {
  EXPECT_NEAR(rate_of("0.1..1000/4s").area(4), 2000.2, 1e-9);
  EXPECT_NEAR(rate_of("0.1..1000/4s").area(6), 4000.2, 1e-9);
  EXPECT_NEAR(rate_of("0.1..1000/4s").when(1), 0.0890, 1e-4);
  EXPECT_NEAR(rate_of("0..1000/4s").when(1), std::sqrt(2 / 250.0), 1e-12);
}

TEST(Rate, times_and_areas_are_those_of_the_formula) {
  for (const char* text : {"1000", "0.001", "1G", "0..1k/10s", "0.001..1G/3s", "1G..0.001/3s", "999..1000/1ms", "5..4/7s",
                           "0..0.001/1000s", "1000..1000/5s"}) {
    Rate rate = rate_of(text);
    double until = 3 * rate.over.seconds() + 7;
    RateOracle oracle(rate.from, rate.to, rate.over.seconds(), until);
    for (double part : {0.0, 1e-6, 0.01, 0.2, 0.3333, 0.5, 0.9, 1.0}) {
      double time = part * until, area = oracle.area(time);
      EXPECT_NEAR(rate.area(time), area, 1e-9 * area) << text << " " << time;
      // There and back: of the time nothing is lost but what the area cannot hold.
      double back = oracle.area(rate.when(area));
      EXPECT_NEAR(back, area, 1e-9 * area + 1e-9) << text << " " << time;
    }
  }
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
