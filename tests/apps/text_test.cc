// SPDX-License-Identifier: BSD-3-Clause
// What is read on a terminal: times, lines of 80 columns, and where errors are counted.
#include "load/text.h"

#include <gtest/gtest.h>

#include "load/tally.h"

namespace millrace::load {
namespace {

TEST(Text, times_have_a_unit_that_fits) {
  EXPECT_EQ(short_time(0), "0 ns");
  EXPECT_EQ(short_time(7), "7.00 ns");
  EXPECT_EQ(short_time(999), "999 ns");
  EXPECT_EQ(short_time(999.6), "1.00 us");
  EXPECT_EQ(short_time(12'345), "12.3 us");
  EXPECT_EQ(short_time(99'960), "100 us");
  EXPECT_EQ(short_time(999'400), "999 us");
  EXPECT_EQ(short_time(999'500), "1.00 ms");
  EXPECT_EQ(short_time(4'561'000), "4.56 ms");
  EXPECT_EQ(short_time(1'234'000'000), "1.23 s");
  EXPECT_EQ(short_time(274e9), "274 s");
}

TEST(Text, a_line_drops_the_least_important_until_it_fits) {
  std::vector<LinePart> parts = {{"1 s", 9}, {"busy 50 %", 2}, {"3 errors", 8}, {"0 retransmitted", 1}};
  EXPECT_EQ(fitting_line(parts, 80), "1 s  busy 50 %  3 errors  0 retransmitted");
  EXPECT_EQ(fitting_line(parts, 30), "1 s  busy 50 %  3 errors");
  EXPECT_EQ(fitting_line(parts, 20), "1 s  3 errors");
  EXPECT_EQ(fitting_line(parts, 5), "1 s");
  EXPECT_EQ(fitting_line({{"1 s", 9}}, 1), "1 s");
}

TEST(Errors, connects_that_could_not_be_are_named_for_what_they_are) {
  struct {
    Event::Reason reason;
    uint64_t Errors::*where;
  } cases[] = {{Event::refused, &Errors::refused},       {Event::timed_out, &Errors::timed_out},
               {Event::unreachable, &Errors::unreachable}, {Event::no_memory, &Errors::no_memory},
               {Event::invalid, &Errors::invalid},       {Event::other_core, &Errors::other_core},
               {Event::closing, &Errors::closing},       {Event::stale, &Errors::other}};
  for (auto [reason, where] : cases) {
    Errors errors;
    ++errors.of_connect(reason);
    EXPECT_EQ(errors.*where, 1u) << millrace::name(reason);
    EXPECT_EQ(errors.sum(), 1u);
    TallyOf<Shown> one;
    ++one.errors.of_connect(reason);
    Tally sum;
    sum.add(one);
    EXPECT_EQ(sum.errors.*where, 1u) << millrace::name(reason);
  }
}

}  // namespace
}  // namespace millrace::load
