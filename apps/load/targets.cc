// SPDX-License-Identifier: BSD-3-Clause
// Targets as text. (targets.h)
#include "targets.h"

#include <charconv>

namespace millrace::load {

static bool parse_port(std::string_view text, uint16_t& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size() && out != 0;
}

bool parse_ports(const std::string& text, std::vector<uint16_t>& out) {
  size_t dash = text.find('-');
  uint16_t first = 0, last = 0;
  if (!parse_port(std::string_view(text).substr(0, dash), first)) return false;
  last = first;
  if (dash != std::string::npos && !parse_port(std::string_view(text).substr(dash + 1), last)) return false;
  if (last < first) return false;
  for (uint32_t port = first; port <= last; ++port) out.push_back(static_cast<uint16_t>(port));
  return true;
}

bool parse_target(const std::string& text, std::vector<Target>& out) {
  size_t colon = text.find(':');
  if (colon == std::string::npos) return false;
  auto address = parse_ipv4(std::string_view(text).substr(0, colon));
  std::vector<uint16_t> ports;
  if (!address || !parse_ports(text.substr(colon + 1), ports)) return false;
  for (uint16_t port : ports) out.push_back({*address, port});
  return true;
}

}  // namespace millrace::load
