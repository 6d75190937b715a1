// SPDX-License-Identifier: BSD-3-Clause
// Open loop: when requests are meant to begin. The next is due at its time whether or not the last was
// answered, so a server that stalls finds a queue, and latency counts from the time that was meant.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include <millrace/millrace.h>

namespace millrace::load {

// So many a second, or rising (falling) in a straight line.
struct Rate {
  double from = 0, to = 0;
  Duration over{};

  bool is_none() const { return from == 0 && to == 0; }
  double at(double seconds) const {
    double share = over.ns == 0 ? 1 : std::min(1.0, seconds / over.seconds());
    return from + (to - from) * share;
  }
  // "250", "100k", "100k..1M/10s"
  static bool parse(const std::string& text, Rate& out);
  std::string text() const;
};

enum class Arrival : uint8_t { fixed, poisson };

class Arrivals {
 public:
  Arrivals(Rate rate, Arrival arrival, double cycles_per_second, uint64_t seed)
      : rate_(rate), arrival_(arrival), hz_(cycles_per_second), random_(seed | 1) {}

  void start(uint64_t cycles) {
    start_ = cycles;
    elapsed_ = 0;
    step();
  }
  // When the next is due, in cycles; take() makes it the one after.
  uint64_t due() const { return due_; }
  uint64_t take() {
    uint64_t time = due_;
    step();
    return time;
  }
  // How many are due by then that were not taken: what a client that cannot keep up owes.
  uint64_t count_until(uint64_t cycles) const {
    Arrivals copy = *this;
    uint64_t count = 0;
    while (copy.due_ <= cycles) {
      copy.step();
      ++count;
    }
    return count;
  }

 private:
  void step() {
    double gap = 1 / rate_.at(elapsed_);
    if (arrival_ == Arrival::poisson) gap *= -std::log(uniform());
    elapsed_ += gap;
    due_ = start_ + static_cast<uint64_t>(elapsed_ * hz_);
  }
  // In (0, 1]: xorshift64*.
  double uniform() {
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    return static_cast<double>((random_ * 0x2545f4914f6cdd1d >> 11) + 1) * 0x1p-53;
  }

  Rate rate_;
  Arrival arrival_;
  double hz_;
  uint64_t random_;
  uint64_t start_ = 0;
  uint64_t due_ = UINT64_MAX;
  double elapsed_ = 0;
};

}  // namespace millrace::load
