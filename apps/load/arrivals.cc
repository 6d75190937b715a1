// SPDX-License-Identifier: BSD-3-Clause
// When requests are due. (arrivals.h)
#include "arrivals.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace millrace::load {

// Streams of random numbers: one that all cores share, then one for each.
static constexpr uint64_t common_stream = 0;

// The area of the run's last request: a sum of so many independent gaps.
static double sum_of_gaps(uint64_t requests, uint64_t seed) {
  Random common(seed, common_stream);
  return std::gamma_distribution<double>(static_cast<double>(requests))(common);
}

Arrivals::Arrivals(Rate rate, Arrival arrival, Share share, uint64_t requests, double cycles_per_second,
                   uint64_t seed)
    : rate_(rate),
      arrival_(arrival),
      share_(share),
      limit_(requests == 0 ? UINT64_MAX : share.of(requests)),
      cycles_per_second_(cycles_per_second),
      random_(seed, common_stream + 1 + share.core()),
      mean_gap_(1 / share.part()) {
  if (requests == 0 || arrival == Arrival::fixed) return;
  last_point_ = sum_of_gaps(requests, seed);
  last_is_ours_ = share.of(requests) != share.of(requests - 1);
}

void Arrivals::start(uint64_t cycles) {
  start_ = cycles;
  taken_ = 0;
  point_ = 0;
  place_ = in_round_ = share_.core();
  find_due();
}

void Arrivals::step() {
  if (due_ == never) return;
  ++taken_;
  place_ = share_.place_after(place_, in_round_);
  find_due();
}

void Arrivals::find_due() {
  if (taken_ == limit_) {
    due_ = never;
  } else if (arrival_ == Arrival::fixed) {
    due_ = fixed_due(place_);
  } else {
    point_ = next_point();
    due_ = cycles_at(point_);
  }
}

uint64_t Arrivals::cycles_at(double area) const {
  constexpr double most = 0x1p63;  // centuries
  return start_ + static_cast<uint64_t>(std::min(rate_.when(area) * cycles_per_second_, most));
}

// The point after point_, of which taken_ have been before it. With a limit: the least of those that are
// left, which are evenly spread up to the run's last.
double Arrivals::next_point() {
  if (limit_ == UINT64_MAX) return point_ - mean_gap_ * std::log(random_.uniform());
  uint64_t left = limit_ - taken_ - (last_is_ours_ ? 1 : 0);
  if (left == 0) return last_point_;
  return point_ -
         (last_point_ - point_) * std::expm1(std::log(random_.uniform()) / static_cast<double>(left));
}

uint64_t Arrivals::count_until(uint64_t cycles) const {
  if (due_ > cycles) return 0;  // also: never
  return arrival_ == Arrival::fixed ? count_fixed(cycles) : count_poisson(cycles);
}

// As many as the area holds; then by the very times that take() gives, for areas are rounded.
uint64_t Arrivals::count_fixed(uint64_t cycles) const {
  double area = rate_.area(static_cast<double>(cycles - start_) / cycles_per_second_);
  uint64_t count = std::min(share_.of(static_cast<uint64_t>(area)), limit_);
  while (count < limit_ && fixed_due(share_.place(count)) <= cycles) ++count;
  while (count > taken_ && fixed_due(share_.place(count - 1)) > cycles) --count;
  return count - taken_;
}

uint64_t Arrivals::count_poisson(uint64_t cycles) const {
  constexpr uint64_t most_steps = 1 << 20;
  Arrivals copy = *this;
  uint64_t count = 0;
  for (; count < most_steps && copy.due_ <= cycles; ++count) copy.step();
  if (copy.due_ > cycles) return count;
  double area = rate_.area(static_cast<double>(cycles - start_) / cycles_per_second_);
  return count + 1 + copy.points_between(copy.point_, std::max(area, copy.point_));
}

// How many there are after the next one, which is at `from`.
uint64_t Arrivals::points_between(double from, double to) const {
  Random random = random_;
  if (limit_ == UINT64_MAX)
    return static_cast<uint64_t>(std::poisson_distribution<int64_t>((to - from) / mean_gap_)(random));
  uint64_t left = limit_ - taken_ - 1, even = left - (last_is_ours_ && left > 0 ? 1 : 0);
  if (to >= last_point_) return left;
  double share = (to - from) / (last_point_ - from);
  return static_cast<uint64_t>(
      std::binomial_distribution<int64_t>(static_cast<int64_t>(even), share)(random));
}

}  // namespace millrace::load
