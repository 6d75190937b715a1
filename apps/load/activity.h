// SPDX-License-Identifier: BSD-3-Clause
// For how long a server was not idle. Short pauses between requests are no idleness; a second without any is.
#pragma once

#include <cstdint>

namespace millrace::load {

class Activity {
 public:
  // Now and then: the time, and a number that changes with all that the server does.
  void look(double seconds, uint64_t done) {
    if (done != done_) {
      done_ = done;
      // After idleness it began at some time since the last look.
      active_ += was_active_ && seconds - changed_ < longest_pause ? seconds - changed_ : seconds - looked_;
      changed_ = seconds;
      was_active_ = true;
    }
    looked_ = seconds;
  }
  double last_look() const { return looked_; }
  double seconds() const { return active_; }

 private:
  static constexpr double longest_pause = 1;
  uint64_t done_ = 0;
  double looked_ = 0, changed_ = 0, active_ = 0;
  bool was_active_ = false;
};

}  // namespace millrace::load
