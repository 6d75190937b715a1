// SPDX-License-Identifier: BSD-3-Clause
// Rates as text. (rate.h)
#include "rate.h"

#include <cstdio>

namespace millrace::load {

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
  // Below one in a thousand seconds nothing would ever come.
  if (rate.from < 0.001 || rate.to < 0.001 || rate.from > 1e9 || rate.to > 1e9) return false;
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
