// SPDX-License-Identifier: BSD-3-Clause
// How fast very many connections begin. All at once they would stand in each other's way: round trips outgrow
// the RTO that a first one, nearly alone, has left behind, and TCP sends again what was not lost. So no more
// are underway than a window, which grows as they come back, and is held where they queue for too long. What
// is too long grows, too, but only as fast as RTOs follow: by a quarter in each round of all of them.
//
// How long they queue is the mean of some less the shortest mean so far: a server that thinks for long is no
// queue.
#pragma once

#include <algorithm>
#include <cstdint>

namespace millrace::load {

class Ramp {
 public:
  // `all` of them there will be, `first` of them at once. `comes_round`: each comes back again and again, and
  // in the end all are underway; else a longer queue is never right, for each is new.
  Ramp(uint64_t all, uint64_t first, uint64_t longest_queue_ns, bool comes_round)
      : all_(all),
        first_(static_cast<double>(first)),
        window_(first_),
        longest_queue_(static_cast<double>(longest_queue_ns)),
        longer_(comes_round ? 1 + quarter / static_cast<double>(std::max<uint64_t>(all, 1)) : 1) {}

  bool is_over() const { return window_ >= static_cast<double>(all_); }
  uint64_t window() const { return is_over() ? UINT64_MAX : static_cast<uint64_t>(window_); }
  // One has come back after so long.
  void answered(uint64_t ns) {
    sum_ += ns;
    if (++count_ == batch) look();
    longest_queue_ *= longer_;
    // What is seen is a round trip old, in which the window has grown once more.
    if (queue_ <= longest_queue_ / 4)
      window_ += 1;
    else if (queue_ <= longest_queue_ * 3 / 4)
      window_ += quarter;
    else if (queue_ > longest_queue_)
      window_ = std::max(first_, window_ - quarter);
  }

 private:
  static constexpr uint64_t batch = 256;
  static constexpr double quarter = 0.25;

  void look() {
    auto mean = static_cast<double>(sum_ / batch);
    shortest_ = std::min(shortest_, mean);
    queue_ = mean - shortest_;
    sum_ = count_ = 0;
  }

  const uint64_t all_;
  const double first_;
  double window_;
  double longest_queue_;  // nanoseconds
  const double longer_;
  uint64_t sum_ = 0, count_ = 0;
  double shortest_ = 1e18, queue_ = 0;
};

}  // namespace millrace::load
