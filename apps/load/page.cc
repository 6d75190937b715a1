// SPDX-License-Identifier: BSD-3-Clause
// --html: page.html with a run's JSON in it. It needs nothing else. (report.h)
#include <nlohmann/json.hpp>
#include <string>

#include "report.h"

namespace millrace::load {

static constexpr const char* page =
#include <page.inc>
    ;

std::string make_page(const nlohmann::ordered_json& data) {
  // Within a script element nothing but its end has a meaning.
  std::string json = data.dump();
  for (size_t at = 0; (at = json.find('<', at)) != std::string::npos; at += 6) json.replace(at, 1, "\\u003c");
  std::string out = page;
  constexpr const char* place = "@DATA@";
  return out.replace(out.find(place), std::string(place).size(), json);
}

}  // namespace millrace::load
