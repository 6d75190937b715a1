// SPDX-License-Identifier: BSD-3-Clause
// Rates as text, and the area under them. (rate.h)
#include "rate.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace millrace::load {

// Not Duration::seconds(), whose product is an ulp beside 0.3 for 300 ms.
static double length_of(Duration time) {
  return static_cast<double>(time.ns) / 1e9;
}

// When a line from `low` up to `high` has so large an area below it. The root of the parabola in the form
// that loses no digits, flat or steep.
static double when_rising(double low, double high, double length, double area) {
  return 2 * area / (low + std::sqrt(low * low + 2 * (high - low) / length * area));
}

double Rate::area(double seconds) const {
  double length = length_of(over);
  if (seconds >= length) return (from + to) / 2 * length + to * (seconds - length);
  return (from + (to - from) * seconds / (2 * length)) * seconds;
}

double Rate::when(double area) const {
  if (area <= 0) return 0;
  if (over.ns == 0) return area / to;
  double length = length_of(over), ramp = (from + to) / 2 * length;
  if (area >= ramp) return length + (area - ramp) / to;
  if (from <= to) return when_rising(from, to, length, area);
  return length -
         when_rising(to, from, length, ramp - area);  // a falling line is a rising one, seen from its end
}

bool Rate::parse(const std::string& text, Rate& out) {
  Rate rate;
  size_t dots = text.find(".."), slash = text.find('/');
  if (dots == std::string::npos) {
    if (!parse_quantity(text, rate.from)) return false;
    rate.to = rate.from;
  } else {
    if (slash == std::string::npos || slash < dots) return false;
    if (!parse_quantity(text.substr(0, dots), rate.from)) return false;
    if (!parse_quantity(text.substr(dots + 2, slash - dots - 2), rate.to)) return false;
    if (!parse_time(text.substr(slash + 1), rate.over) || rate.over.ns == 0) return false;
  }
  // Below one in a thousand seconds nothing would ever come; a line may begin at nothing.
  constexpr double least = 0.001, most = 1e9;
  bool may_begin = rate.from >= least || (rate.from == 0 && rate.over.ns != 0);
  if (!may_begin || rate.to < least || rate.from > most || rate.to > most) return false;
  out = rate;
  return true;
}

static std::string number(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.10g", value);
  return out;
}

std::string Rate::text() const {
  if (is_none()) return "";
  return over.ns == 0 ? number(to) : number(from) + ".." + number(to) + "/" + to_text(over);
}

}  // namespace millrace::load
