// SPDX-License-Identifier: BSD-3-Clause
// Open loop: when the requests of one core are due. The next is due at its time whether or not the last was
// answered, so a server that stalls finds a queue, and latency counts from the time that was meant.
//
// All cores are parts of one process. Fixed: the run's kth request is due when the area under the rate is k,
// and the cores take them in turn (share.h). Poisson: the areas at which requests are due are the points of a
// unit Poisson process; those of each core are a process of their own, and together they are one again. With
// a number of requests, R, each core has its share of them to the last: the area of the Rth point is drawn
// once for all cores, and given that, the R - 1 before it lie independently and evenly below it, whichever
// core has which.
//
// No clock and no state but its own: what is due is a function of the arguments.
#pragma once

#include <cstdint>

#include "random.h"
#include "rate.h"
#include "share.h"

namespace millrace::load {

enum class Arrival : uint8_t { fixed, poisson };

class Arrivals {
 public:
  static constexpr uint64_t never = UINT64_MAX;

  // The rate and the number of requests (0: without end) are the run's, the share is this core's, the seed is
  // the same for all cores.
  Arrivals(Rate rate, Arrival arrival, Share share, uint64_t requests, double cycles_per_second,
           uint64_t seed);

  // The time from which on the rate counts.
  void start(uint64_t cycles);
  // When the next is due, in cycles; take() makes it the one after.
  uint64_t due() const { return due_; }
  uint64_t take() {
    uint64_t time = due_;
    step();
    return time;
  }
  // How many are due by then that were not taken: what a client that cannot keep up owes. Of a Poisson
  // process those far ahead are not gone through: their number is drawn, from the law that they follow.
  uint64_t count_until(uint64_t cycles) const;

 private:
  void step();
  void find_due();
  uint64_t cycles_at(double area) const;
  // When the run's request of this place is due, if they are evenly spaced.
  uint64_t fixed_due(uint64_t place) const { return cycles_at(static_cast<double>(place + 1)); }
  double next_point();
  uint64_t count_fixed(uint64_t cycles) const;
  uint64_t count_poisson(uint64_t cycles) const;
  uint64_t points_between(double from, double to) const;

  Rate rate_;
  Arrival arrival_;
  Share share_;
  uint64_t limit_;  // ours
  double cycles_per_second_;
  Random random_;
  double mean_gap_;            // Poisson: between our points, as an area
  double last_point_ = 0;      // with a limit: the area of the run's last request...
  bool last_is_ours_ = false;  // ...and whether it is this core's
  uint64_t start_ = 0;
  uint64_t taken_ = 0;
  double point_ = 0;       // Poisson: the area of the next
  uint64_t place_ = 0;     // fixed: of the next among all of the run...
  uint32_t in_round_ = 0;  // ...and in its round
  uint64_t due_ = never;
};

}  // namespace millrace::load
