// SPDX-License-Identifier: BSD-3-Clause
// Numbers for people.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace millrace::stat {

template <typename... Values>
std::string format(const char* how, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, how, values...);
  return text;
}

// "204ms", "1.5s", "59s", "2min", as ss has them.
inline std::string time_text(uint64_t us) {
  auto n = static_cast<double>(us);
  if (us < 1000) return format("%luus", static_cast<unsigned long>(us));
  if (us < 1'000'000) return format("%.3gms", n / 1e3);
  if (us < 120'000'000) return format("%.3gs", n / 1e6);
  return us < 7'200'000'000 ? format("%.0fmin", n / 60e6) : format("%.0fh", n / 3600e6);
}

// "950", "12.3k", "4.56M": three digits and a power of ten.
inline std::string short_number(double n) {
  constexpr const char* units[] = {"", "k", "M", "G", "T", "P"};
  size_t unit = 0;
  for (; n >= 999.5 && unit < 5; ++unit) n /= 1000;
  if (unit == 0) return n < 10 && n != static_cast<double>(static_cast<int>(n)) ? format("%.1f", n) : format("%.0f", n);
  return format(n < 9.995 ? "%.2f%s" : n < 99.95 ? "%.1f%s" : "%.0f%s", n, units[unit]);
}

}  // namespace millrace::stat
