// SPDX-License-Identifier: BSD-3-Clause
// What a rate means, from its formula alone: the rate at a time, and sums of narrow strips below it. It knows
// no square root and no inverse, so that it cannot share a mistake with apps/load/rate.cc.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace millrace::load {

class RateOracle {
 public:
  RateOracle(double from, double to, double over, double until) : from_(from), to_(to), over_(over) {
    constexpr int strips = 4096;  // up to the end of the ramp, and as many behind it
    std::vector<double> edges;
    double ramp_end = std::min(over, until);
    for (int i = 0; i <= strips && ramp_end > 0; ++i) edges.push_back(ramp_end * i / strips);
    if (edges.empty()) edges.push_back(0);
    for (int i = 1; i <= strips && until > ramp_end; ++i)
      edges.push_back(ramp_end + (until - ramp_end) * i / strips);
    long double sum = 0;
    for (size_t i = 0; i < edges.size(); ++i) {
      if (i > 0) sum += strip(edges[i - 1], edges[i]);
      points_.push_back({edges[i], sum});
    }
  }

  double at(double time) const {
    return over_ == 0 || time >= over_ ? to_ : from_ + (to_ - from_) * (time / over_);
  }
  // The area from 0 to there.
  double area(double time) const {
    size_t i = 1;
    auto after = std::upper_bound(points_.begin(), points_.end(), time,
                                  [](double t, const Point& p) { return t < p.time; });
    i = std::clamp<size_t>(static_cast<size_t>(after - points_.begin()), 1, points_.size() - 1);
    return static_cast<double>(points_[i - 1].area + strip(points_[i - 1].time, time));
  }
  // When it has grown to that: halving, over and over.
  double when(double wanted) const {
    double low = 0, high = points_.back().time;
    for (int i = 0; i < 100; ++i) {
      double middle = (low + high) / 2;
      (area(middle) < wanted ? low : high) = middle;
    }
    return high;
  }

 private:
  struct Point {
    double time;
    long double area;
  };
  long double strip(double a, double b) const {
    return (static_cast<long double>(b) - a) * (static_cast<long double>(at(a)) + at(b)) / 2;
  }
  const double from_, to_, over_;
  std::vector<Point> points_;
};

}  // namespace millrace::load
