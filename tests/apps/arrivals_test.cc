// SPDX-License-Identifier: BSD-3-Clause
// Open loop: when requests are due, against an oracle that knows the formula of the rate and nothing else.
// All cores of a run are drawn together: what they do in sum is what was asked for.
#include "load/arrivals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "rate_oracle.h"

namespace millrace::load {
namespace {

constexpr double hz = 1e9;  // so that cycles are nanoseconds
constexpr uint64_t start = 7'000'000;

Rate rate_of(const std::string& text) {
  Rate rate;
  EXPECT_TRUE(Rate::parse(text, rate)) << text;
  return rate;
}

uint64_t cycles_after(double seconds) {
  return start + static_cast<uint64_t>(seconds * hz);
}

struct Case {
  const char* rate;
  double seconds;
  uint32_t cores, connections;
  uint64_t requests = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& s) {
  return out << s.rate << " for " << s.seconds << " s, " << s.cores << " cores, " << s.connections
             << " connections, " << s.requests << " requests";
}

RateOracle oracle_of(const Case& s) {
  Rate rate = rate_of(s.rate);
  return {rate.from, rate.to, rate.over.seconds(), s.seconds};
}

std::vector<Arrivals> cores_of(const Case& s, Arrival arrival, uint64_t seed = 1) {
  std::vector<Arrivals> out;
  for (uint32_t core = 0; core < s.cores; ++core) {
    out.emplace_back(rate_of(s.rate), arrival, Share(core, s.cores, s.connections), s.requests, hz, seed);
    out.back().start(start);
  }
  return out;
}

struct Request {
  uint64_t due;
  uint32_t core;
};

// All that are due by then, in order. The cores are used up.
std::vector<Request> taken(std::vector<Arrivals>& cores, uint64_t until) {
  std::vector<Request> out;
  for (uint32_t core = 0; core < cores.size(); ++core)
    while (cores[core].due() <= until && cores[core].due() != Arrivals::never)
      out.push_back({cores[core].take(), core});
  std::stable_sort(out.begin(), out.end(), [](const Request& a, const Request& b) { return a.due < b.due; });
  return out;
}

const Case setups[] = {
    {"1000", 3, 1, 1},
    {"1000", 3, 2, 3},
    {"997.3", 5, 3, 64},
    {"0.7", 60, 2, 2},
    {"100k", 0.3, 8, 64},
    {"50k", 0.4, 64, 65},
    {"50k", 0.4, 64, 127},
    {"0.1..1000/4s", 4, 1, 64},
    {"0.1..1000/4s", 6, 2, 64},
    {"0..5k/2s", 3, 4, 5},
    {"0.001..0.01/1000s", 2000, 2, 3},
    {"9000..10/3s", 5, 3, 7},
    {"1M..0.001/20ms", 5, 2, 64},
    {"10k..10.001k/3s", 5, 5, 33},
    {"5..100k/1s", 1.2, 7, 1000},
    {"1000", 9, 2, 3, 6000},
    {"1000..9000/4s", 9, 3, 5, 20'000},
    {"20k", 9, 8, 9, 12'345},
    {"1000", 9, 4, 4, 4},
};

class Process : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(setups, Process, testing::ValuesIn(setups));

// --- evenly spaced ---

TEST_P(Process, the_kth_fixed_request_of_all_cores_is_due_when_the_area_is_k) {
  const Case& s = GetParam();
  RateOracle oracle = oracle_of(s);
  std::vector<Arrivals> cores = cores_of(s, Arrival::fixed);
  std::vector<Request> all = taken(cores, cycles_after(s.seconds));
  double area = oracle.area(s.seconds),
         expected = s.requests != 0 ? std::min<double>(area, s.requests) : area;
  ASSERT_NEAR(all.size(), std::floor(expected + 1e-6), 1e-9);
  for (size_t k = 0; k < all.size(); ++k) {
    double time = oracle.when(static_cast<double>(k + 1));
    // As a time, or (where hardly anything comes) as an area.
    double due = static_cast<double>(all[k].due - start) / hz;
    if (std::abs(due - time) > 1e-6 * time + 3 / hz) {
      ASSERT_NEAR(oracle.area(due), k + 1, 1e-6 * (k + 1)) << k;
    }
  }
}

TEST_P(Process, cores_have_their_connections_part_at_every_moment) {
  const Case& s = GetParam();
  std::vector<Arrivals> cores = cores_of(s, Arrival::fixed);
  std::vector<uint64_t> counts(s.cores);
  double done = 0;
  for (const Request& request : taken(cores, cycles_after(s.seconds))) {
    ++counts[request.core];
    ++done;
    Share share(request.core, s.cores, s.connections);
    ASSERT_NEAR(counts[request.core], done * share.connections() / s.connections, 1);
  }
}

TEST_P(Process, what_is_owed_is_counted_as_it_would_be_taken) {
  const Case& s = GetParam();
  for (Arrival arrival : {Arrival::fixed, Arrival::poisson})
    for (double part : {0.0, 0.1, 0.5, 1.0})
      for (Arrivals& core : cores_of(s, arrival)) {
        uint64_t until = cycles_after(part * s.seconds);
        for (int i = 0; i < 3 && core.due() <= cycles_after(s.seconds / 4); ++i) core.take();
        uint64_t due = core.due(), owed = core.count_until(until), count = 0;
        EXPECT_EQ(core.due(), due);
        for (; core.due() <= until; ++count) core.take();
        ASSERT_EQ(owed, count) << part;
      }
}

// --- independent ---

// Of `areas` in order: are the gaps of a unit Poisson process? Equally likely bins, and what a gap says of
// the next.
void expect_exponential(const std::vector<double>& areas) {
  constexpr size_t bins = 20;
  std::vector<double> gaps, seen(bins);
  double last = 0, product = 0;
  for (double area : areas) {
    gaps.push_back(area - last);
    last = area;
  }
  auto n = static_cast<double>(gaps.size());
  for (size_t i = 0; i < gaps.size(); ++i) {
    double below = -std::expm1(-gaps[i]);  // the part of all gaps that are shorter
    ++seen[std::min(bins - 1, static_cast<size_t>(below * bins))];
    if (i > 0) product += (gaps[i] - 1) * (gaps[i - 1] - 1);
  }
  double chi = 0;
  for (double count : seen) chi += (count - n / bins) * (count - n / bins) / (n / bins);
  EXPECT_LT(chi, 62);  // of 19 degrees of freedom: one sample in 500,000 is above that; the seed is fixed
  EXPECT_LT(std::abs(product) / n, 5 / std::sqrt(n));
  EXPECT_NEAR(last / n, 1, 5 / std::sqrt(n));
}

const Case poisson_setups[] = {
    {"10k", 5, 1, 1},         {"10k", 5, 2, 2},           {"10k", 5, 2, 3},
    {"10k", 5, 8, 64},        {"10k", 5, 64, 65},         {"0..20k/4s", 5, 3, 64},
    {"30k..10/3s", 5, 4, 5},  {"5k..50k/1s", 2, 2, 64},   {"10k", 9, 1, 1, 50'000},
    {"10k", 9, 2, 3, 50'001}, {"10k", 9, 64, 65, 50'000}, {"0.1..30k/4s", 9, 8, 9, 50'000},
};

class Poisson : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(setups, Poisson, testing::ValuesIn(poisson_setups));

TEST_P(Poisson, all_cores_together_are_one_process_at_the_rate_that_was_asked_for) {
  const Case& s = GetParam();
  RateOracle oracle = oracle_of(s);
  std::vector<Arrivals> cores = cores_of(s, Arrival::poisson, 42);
  std::vector<Request> all = taken(cores, cycles_after(s.seconds));
  std::vector<double> areas;
  std::vector<uint64_t> counts(s.cores);
  for (const Request& request : all) {
    areas.push_back(oracle.area(static_cast<double>(request.due - start) / hz));
    ++counts[request.core];
  }
  expect_exponential(areas);
  for (uint32_t core = 0; core < s.cores; ++core) {
    Share share(core, s.cores, s.connections);
    double expected = share.part() * oracle.area(s.seconds);
    if (s.requests != 0) {
      EXPECT_EQ(counts[core], share.of(s.requests));
    } else {
      EXPECT_NEAR(counts[core], expected, 5 * std::sqrt(expected));
    }
  }
}

// Cores 2k and 2k + 1 had the same numbers once, and whichever seed it was.
TEST_P(Poisson, each_core_and_each_seed_has_times_of_its_own) {
  const Case& s = GetParam();
  std::set<uint64_t> seen;
  size_t count = 0;
  for (uint64_t seed : {1, 2, 3, 4, 5, 1000, 1001})
    for (Arrivals& core : cores_of({"1", 0, s.cores, s.connections}, Arrival::poisson, seed))
      for (int i = 0; i < 10; ++i, ++count) seen.insert(core.take());
  EXPECT_EQ(seen.size(), count);  // nanoseconds of seconds: two alike are one in 10^6
}

TEST_P(Poisson, a_seed_repeats_it) {
  auto some = [](uint64_t seed) {
    std::vector<Arrivals> cores = cores_of(GetParam(), Arrival::poisson, seed);
    std::vector<uint64_t> out;
    for (const Request& request : taken(cores, cycles_after(0.5))) out.push_back(request.due);
    return out;
  };
  EXPECT_EQ(some(7), some(7));
  EXPECT_NE(some(7), some(8));
}

// How many fall due in each tenth of a second says nothing of how many do for another core.
TEST(Arrivals, poisson_cores_are_independent) {
  constexpr uint32_t cores = 4, bins = 400;
  constexpr double bin_mean = 100;
  std::vector<Arrivals> all = cores_of({"4000", 0, cores, 64}, Arrival::poisson, 9);
  std::vector<std::vector<double>> counts(cores, std::vector<double>(bins));
  for (const Request& request : taken(all, cycles_after(bins / 10.0) - 1))
    ++counts[request.core][(request.due - start) / 100'000'000];
  for (uint32_t a = 0; a < cores; ++a)
    for (uint32_t b = 0; b <= a; ++b) {
      double sum = 0;
      for (uint32_t i = 0; i < bins; ++i) sum += (counts[a][i] - bin_mean) * (counts[b][i] - bin_mean);
      EXPECT_NEAR(sum / bins / bin_mean, a == b ? 1 : 0, 5 / std::sqrt(bins) * (a == b ? std::sqrt(2) : 1))
          << a << b;
    }
}

// With a number of requests the run ends with one core's last, and not long before with the others'.
TEST(Arrivals, the_last_poisson_request_of_a_run_is_as_late_as_so_many_take) {
  constexpr uint64_t requests = 1000;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::vector<Arrivals> cores = cores_of({"1000", 0, 8, 8, requests}, Arrival::poisson, seed);
    std::vector<Request> all = taken(cores, UINT64_MAX - 1);
    ASSERT_EQ(all.size(), requests);
    EXPECT_NEAR(static_cast<double>(all.back().due - start) / hz, 1, 5 / std::sqrt(requests)) << seed;
  }
}

// --- far behind ---

TEST(Arrivals, a_client_that_owes_a_thousand_million_is_told_so_at_once) {
  for (uint64_t requests : {uint64_t{0}, uint64_t{3'000'000'000'000}})
    for (uint32_t cores : {1, 4}) {
      double sum = 0;
      for (Arrivals& core : cores_of({"1G", 0, cores, 64, requests}, Arrival::poisson, 5))
        sum += static_cast<double>(core.count_until(cycles_after(1000)));
      EXPECT_NEAR(sum, 1e12, 5e6) << cores;
    }
  std::vector<Arrivals> cores = cores_of({"1G", 0, 2, 3, 5'000'000'000}, Arrival::poisson, 5);
  EXPECT_EQ(cores[0].count_until(cycles_after(1000)) + cores[1].count_until(cycles_after(1000)),
            5'000'000'000u);
  cores = cores_of({"1G", 0, 2, 3}, Arrival::fixed);
  EXPECT_EQ(cores[0].count_until(cycles_after(1000)) + cores[1].count_until(cycles_after(1000)),
            1'000'000'000'000u);
}

TEST(Arrivals, a_rate_times_a_duration_is_a_number) {
  for (const char* rate : {"10", "100", "1000", "3k", "7", "12.5"})
    for (uint64_t tenths = 1; tenths <= 50; ++tenths) {
      Duration time = milliseconds(100 * tenths);
      Arrivals one(rate_of(rate), Arrival::fixed, Share(), 0, 2.6e9, 1);
      one.start(start);
      uint64_t end = start + static_cast<uint64_t>(time.seconds() * 2.6e9) +
                     1;  // as the run has it, and a cycle for rounding
      EXPECT_EQ(one.count_until(end),
                static_cast<uint64_t>(rate_of(rate).to * static_cast<double>(tenths) / 10 + 1e-9))
          << rate << tenths;
    }
}

// --- shares ---

TEST(Share, requests_go_to_cores_as_connections_do) {
  for (uint32_t cores : {1, 2, 3, 7, 64})
    for (uint32_t connections : {cores, cores + 1, 2 * cores - 1, 10 * cores, 1000u})
      for (uint64_t requests :
           {uint64_t{cores}, uint64_t{cores + 1}, uint64_t{1000}, uint64_t{12'345}, uint64_t{1} << 60}) {
        uint64_t sum = 0, all = 0;
        for (uint32_t core = 0; core < cores; ++core) {
          Share share(core, cores, connections);
          sum += share.of(requests);
          all += share.connections();
          EXPECT_NEAR(static_cast<double>(share.of(requests)), share.part() * static_cast<double>(requests),
                      1 + 1e-12 * static_cast<double>(requests));
          EXPECT_GE(share.of(requests), 1u) << "a core that has nothing to do";
        }
        EXPECT_EQ(sum, requests);
        EXPECT_EQ(all, connections);
      }
}

TEST(Share, places_are_dealt_out_once_each) {
  for (uint32_t cores : {1, 2, 3, 7})
    for (uint32_t connections : {cores, cores + 1, 5 * cores - 1, 64u}) {
      std::set<uint64_t> seen;
      constexpr uint64_t most = 500;
      for (uint32_t core = 0; core < cores; ++core) {
        Share share(core, cores, connections);
        uint64_t place = core, mine = share.of(most);
        uint32_t in_round = core;
        for (uint64_t i = 0; i < mine; ++i) {
          ASSERT_EQ(share.place(i), place);
          ASSERT_EQ(share.of(place) + 1, share.of(place + 1));
          seen.insert(place);
          place = share.place_after(place, in_round);
        }
      }
      EXPECT_EQ(seen.size(), most);
      EXPECT_EQ(*seen.rbegin(), most - 1);
    }
}

}  // namespace
}  // namespace millrace::load
