// SPDX-License-Identifier: BSD-3-Clause
// How many requests a second an open loop asks for: a constant, or a line that rises (or falls) and then
// stays. What has fallen due by a time is the area under it. (arrivals.h)
#pragma once

#include <millrace/millrace.h>

#include <string>

namespace millrace::load {

struct Rate {
  double from = 0, to = 0;
  Duration over{};  // 0: `to` from the beginning

  bool is_none() const { return from == 0 && to == 0; }
  // Requests that are due by then, as a real number.
  double area(double seconds) const;
  // The inverse: when the area is so large.
  double when(double area) const;

  // "250", "100k", "100k..1M/10s"
  static bool parse(const std::string& text, Rate& out);
  std::string text() const;
};

}  // namespace millrace::load
