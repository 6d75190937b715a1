// SPDX-License-Identifier: BSD-3-Clause
// The latency histogram against its promise: three significant digits, whatever the value.
#include "load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace millrace::load {
namespace {

TEST(Histogram, buckets_follow_each_other_and_are_narrow) {
  uint64_t next = 0;
  for (uint32_t i = 0; i < Histogram::buckets; ++i) {
    uint64_t lowest = Histogram::lowest_of(i), highest = Histogram::highest_of(i);
    ASSERT_EQ(lowest, next);
    ASSERT_EQ(Histogram::index_of(lowest), i);
    ASSERT_EQ(Histogram::index_of(highest), i);
    ASSERT_LE(highest - lowest, lowest / 1024);
    next = highest + 1;
  }
  EXPECT_EQ(next, Histogram::largest + 1);
}

TEST(Histogram, an_empty_one_says_zero) {
  Histogram empty;
  EXPECT_EQ(empty.count(), 0u);
  EXPECT_EQ(empty.percentile(99), 0u);
  EXPECT_EQ(empty.min(), 0u);
  EXPECT_EQ(empty.max(), 0u);
  EXPECT_EQ(empty.mean(), 0);
}

TEST(Histogram, small_values_are_exact) {
  Histogram h;
  for (uint64_t v = 1; v <= 1000; ++v) h.record(v);
  EXPECT_EQ(h.count(), 1000u);
  EXPECT_EQ(h.min(), 1u);
  EXPECT_EQ(h.percentile(0), 1u);
  EXPECT_EQ(h.percentile(50), 500u);
  EXPECT_EQ(h.percentile(99), 990u);
  EXPECT_EQ(h.percentile(99.9), 999u);
  EXPECT_EQ(h.percentile(99.99), 1000u);
  EXPECT_EQ(h.max(), 1000u);
  EXPECT_DOUBLE_EQ(h.mean(), 500.5);
}

TEST(Histogram, one_value_is_every_percentile) {
  Histogram h;
  h.record(123'456'789);
  for (double p : {0.0, 50.0, 99.99, 100.0})
    EXPECT_NEAR(static_cast<double>(h.percentile(p)), 123'456'789, 123'457);
}

TEST(Histogram, what_is_too_long_counts_as_the_longest) {
  Histogram h;
  h.record(UINT64_MAX);
  EXPECT_EQ(h.max(), Histogram::largest);
}

TEST(Histogram, percentiles_are_those_of_the_sorted_values_to_a_thousandth) {
  std::mt19937_64 random{7};
  std::lognormal_distribution<double> latency{11, 2};
  Histogram h;
  std::vector<uint64_t> values(100'000);
  double sum = 0;
  for (uint64_t& v : values) {
    v = static_cast<uint64_t>(latency(random));
    sum += static_cast<double>(v);
    h.record(v);
  }
  std::sort(values.begin(), values.end());
  for (double p : {1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    auto rank = std::max<size_t>(1, static_cast<size_t>(std::lround(p * 1000)));  // of 100,000
    auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(h.percentile(p)), exact, exact / 1000) << p;
  }
  EXPECT_NEAR(h.mean(), sum / 100'000, sum / 100'000 / 1000);
}

TEST(Histogram, merging_adds_and_the_difference_takes_away) {
  Histogram a, b, later, difference;
  for (uint64_t v : {10u, 20u, 5000u}) a.record(v);
  for (uint64_t v : {1u, 7'000'000u}) b.record(v);
  later.merge(a);
  later.merge(b);
  EXPECT_EQ(later.count(), 5u);
  EXPECT_EQ(later.min(), 1u);
  EXPECT_EQ(later.max(), b.max());
  difference.set_difference(later, a);
  EXPECT_EQ(difference.count(), 2u);
  EXPECT_EQ(difference.min(), 1u);
}

}  // namespace
}  // namespace millrace::load
