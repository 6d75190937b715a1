// SPDX-License-Identifier: BSD-3-Clause
// Numbers as they are read on a terminal: three digits or so, in a unit that fits.
#pragma once

#include <string>
#include <vector>

namespace millrace::load {

// "10.8 M", "43.1 K", "512".
std::string short_number(double value);
// "56.7 Mbit/s" of bytes a second.
std::string bit_rate(double bytes);
// "850 ns", "12.3 us", "4.56 ms", "1.23 s".
std::string short_time(double ns);

// A line of parts, in so many columns at most: of what does not fit, the least important go first.
struct LinePart {
  std::string text;
  int importance;
};
std::string fitting_line(std::vector<LinePart> parts, size_t columns);

}  // namespace millrace::load
