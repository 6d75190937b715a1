// SPDX-License-Identifier: BSD-3-Clause
// Numbers for a terminal. (text.h)
#include "text.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace millrace::load {

std::string short_number(double value) {
  char out[32];
  if (value >= 1e9)
    std::snprintf(out, sizeof out, "%.2f G", value / 1e9);
  else if (value >= 1e6)
    std::snprintf(out, sizeof out, "%.2f M", value / 1e6);
  else if (value >= 1e4)
    std::snprintf(out, sizeof out, "%.1f K", value / 1e3);
  else
    std::snprintf(out, sizeof out, "%.0f", value);
  return out;
}

std::string bit_rate(double bytes) {
  std::string number = short_number(8 * bytes);
  return number + (std::isdigit(static_cast<unsigned char>(number.back())) ? " bit/s" : "bit/s");
}

std::string short_time(double ns) {
  char out[32];
  const char* unit = "ns";
  for (const char* next : {"us", "ms", "s"}) {
    if (ns < 999.5) break;
    ns /= 1000;
    unit = next;
  }
  int decimals = ns == 0 || ns >= 99.95 ? 0 : ns >= 9.995 ? 1 : 2;
  std::snprintf(out, sizeof out, "%.*f %s", decimals, ns, unit);
  return out;
}

std::string fitting_line(std::vector<LinePart> parts, size_t columns) {
  auto joined = [&] {
    std::string line;
    for (const LinePart& part : parts) line += (line.empty() ? "" : "  ") + part.text;
    return line;
  };
  while (parts.size() > 1 && joined().size() > columns)
    parts.erase(std::min_element(parts.begin(), parts.end(),
                                 [](const LinePart& a, const LinePart& b) { return a.importance < b.importance; }));
  return joined();
}

}  // namespace millrace::load
