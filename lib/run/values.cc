// SPDX-License-Identifier: BSD-3-Clause
// Values of keys as text, there and back. (run/values.h, millrace/settings.h)
#include "run/values.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "millrace/settings.h"

namespace millrace {

// "12", "1.5": no sign, no exponent, no blank; what follows is left in `text`.
static bool take_decimal(std::string_view& text, double& out) {
  size_t digits = text.find_first_not_of("0123456789.");
  std::string_view number = text.substr(0, digits);
  if (number.empty() || number.size() > 20 || number.front() == '.' || number.back() == '.') return false;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out);
  if (error != std::errc{} || end != number.data() + number.size()) return false;
  text.remove_prefix(number.size());
  return true;
}

static constexpr std::pair<const char*, double> time_units[] = {{"h", 3600e9}, {"m", 60e9}, {"s", 1e9},
                                                                {"ms", 1e6},   {"us", 1e3}, {"ns", 1}};

bool parse_time(std::string_view text, Duration& out) {
  double value = 0;
  if (!take_decimal(text, value)) return false;
  if (text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) text = "s";
  if (text == "min") text = "m";
  for (auto [unit, ns] : time_units) {
    if (text != unit) continue;
    if (value * ns > 1e18) return false;
    out = {static_cast<uint64_t>(std::llround(value * ns))};
    return true;
  }
  return false;
}

// In the largest unit that it is whole in, but "60s", not "1m", as people write it.
std::string to_text(Duration duration) {
  for (auto [unit, ns] : time_units)
    if (duration.ns != 0 && duration.ns % static_cast<uint64_t>(ns) == 0 &&
        (ns < 60e9 || duration >= seconds(120)))
      return std::to_string(duration.ns / static_cast<uint64_t>(ns)) + unit;
  return "0s";
}

// What a suffix stands for; 0: there is no such one. K alone is in use for both powers, so it goes with bytes only, where
// it has always been 1,024.
static uint64_t unit_of(std::string_view suffix, bool of_bytes) {
  static constexpr std::pair<const char*, uint64_t> units[] = {
      {"", 1}, {"k", 1'000}, {"M", 1'000'000}, {"G", 1'000'000'000}, {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}};
  for (auto [name, unit] : units)
    if (suffix == name) return unit;
  return of_bytes && suffix == "K" ? 1 << 10 : 0;
}

bool parse_quantity(std::string_view text, double& out) {
  double value = 0;
  if (!take_decimal(text, value)) return false;
  auto unit = static_cast<double>(unit_of(text, false));
  if (unit == 0 || value * unit > 1e18) return false;
  out = value * unit;
  return true;
}

namespace run {

bool parse_number(std::string_view text, uint64_t least, uint64_t most, uint64_t& out) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return false;
  if (value < least || value > most) return false;
  out = value;
  return true;
}

// In whole numbers, so that no digit is lost: "1.5k" is 15 times 100.
bool parse_scaled(std::string_view text, bool of_bytes, uint64_t least, uint64_t most, uint64_t& out) {
  if (parse_number(text, least, most, out)) return true;
  size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) return false;  // no suffix: digits alone will do
  uint64_t unit = unit_of(text.substr(end), of_bytes), whole = 0, part = 0;
  std::string_view number = text.substr(0, end), fraction;
  if (size_t point = number.find('.'); point != std::string_view::npos) {
    fraction = number.substr(point + 1);
    number = number.substr(0, point);
    if (fraction.size() > 9 || !parse_number(fraction, 0, UINT64_MAX, part)) return false;
  }
  if (unit == 0 || !parse_number(number, 0, UINT64_MAX / (uint64_t{1} << 31), whole)) return false;
  uint64_t scale = 1;
  for (size_t i = 0; i < fraction.size(); ++i) scale *= 10;
  if (part * unit % scale != 0) return false;
  uint64_t value = whole * unit + part * unit / scale;
  if (value < least || value > most) return false;
  out = value;
  return true;
}

bool parse_prefix(std::string_view text, Ipv4Address& address, uint8_t& length) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  auto parsed = parse_ipv4(text.substr(0, slash));
  uint64_t bits = 0;
  if (!parsed || !parse_number(text.substr(slash + 1), 0, 32, bits)) return false;
  address = *parsed;
  length = static_cast<uint8_t>(bits);
  return true;
}

bool parse_neighbor(std::string_view text, StaticNeighbor& out) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  auto address = parse_ipv4(text.substr(0, equals));
  auto mac = parse_mac(text.substr(equals + 1));
  if (!address || !mac) return false;
  out = {*address, *mac};
  return true;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      out += c;
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += escape;
  }
  return out + '"';
}

}  // namespace run
}  // namespace millrace
