// SPDX-License-Identifier: BSD-3-Clause
// How long who has nothing to do spins before it sleeps. Where the next event comes soon it spins until then, and none
// waits for a wakeup; where it comes late, spinning is in vain and gets short. (Linux's halt polling does the same.)
#pragma once

#include <algorithm>

#include "millrace/time.h"

namespace millrace::run {

class Spin {
 public:
  static constexpr Duration shortest = microseconds(5), longest = microseconds(200);

  Duration limit() const { return limit_; }
  void slept(Duration how_long, bool was_woken) {
    bool was_short = was_woken && how_long < longest;
    limit_ = was_short ? std::min(limit_ * 2, longest) : std::max(Duration{limit_.ns / 2}, shortest);
  }

 private:
  Duration limit_ = longest;
};

}  // namespace millrace::run
