// SPDX-License-Identifier: BSD-3-Clause
// TcpOptions in words: printed, read and checked by the one table. (millrace/tcp_option_table.h)
#include <charconv>

#include "millrace/config.h"
#include "millrace/tcp_option_table.h"

namespace millrace {
namespace {

struct TimeUnit {
  std::string_view name;
  uint64_t ns;
};
constexpr TimeUnit time_units[] = {{"h", 3600'000'000'000}, {"min", 60'000'000'000}, {"s", 1'000'000'000},
                                   {"ms", 1'000'000},       {"us", 1'000},           {"ns", 1}};

std::string time_text(uint64_t ns) {
  for (const TimeUnit& unit : time_units)
    if (unit.ns <= 1'000'000'000 && ns % unit.ns == 0) return std::to_string(ns / unit.ns) + " " + std::string{unit.name};
  return "";
}

[[noreturn]] void refuse(const TcpOption& option, const std::string& value) {
  std::string key = "tcp." + std::string{option.key};
  throw ConfigError(key + " is " + value + ": expected " + expected(option), key);
}

// The number at the start of `text`, which is cut off with what blanks follow. False: there is none.
bool take_number(std::string_view& text, uint64_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  while (text.starts_with(' ')) text.remove_prefix(1);
  return true;
}

bool parse_time(std::string_view text, uint64_t& ns) {
  uint64_t number = 0;
  if (!take_number(text, number)) return false;
  if (number == 0 && text.empty()) {
    ns = 0;
    return true;
  }
  for (const TimeUnit& unit : time_units)
    if (text == unit.name) return !__builtin_mul_overflow(number, unit.ns, &ns);
  return false;
}

bool parse_value(const TcpOption& option, std::string_view text, uint64_t& value) {
  switch (option.unit) {
    case TcpOption::Unit::time: return parse_time(text, value);
    case TcpOption::Unit::flag:
      value = text == "on" || text == "true";
      return value != 0 || text == "off" || text == "false";
    case TcpOption::Unit::choice:
      for (value = 0; value < option.choices.size(); ++value)
        if (option.choices[value] == text) return true;
      return false;
    default: return take_number(text, value) && text.empty();
  }
}

void demand(bool holds, const char* otherwise, const char* key) {
  if (!holds) throw ConfigError(otherwise, key);
}

}  // namespace

const TcpOption* find_tcp_option(std::string_view key) {
  for (const TcpOption& option : tcp_options)
    if (option.key == key) return &option;
  return nullptr;
}

std::string to_string(const TcpOption& option, uint64_t value) {
  switch (option.unit) {
    case TcpOption::Unit::time: return time_text(value);
    case TcpOption::Unit::flag: return value != 0 ? "on" : "off";
    case TcpOption::Unit::choice:
      return value < option.choices.size() ? std::string{option.choices[value]} : std::to_string(value);
    default: return std::to_string(value);
  }
}

std::string expected(const TcpOption& option) {
  std::string range = " from " + to_string(option, option.least) + " to " + to_string(option, option.most);
  switch (option.unit) {
    case TcpOption::Unit::time: return "a time" + range;
    case TcpOption::Unit::bytes: return "bytes" + range;
    case TcpOption::Unit::segments: return "segments" + range;
    case TcpOption::Unit::count: return "a number" + range;
    case TcpOption::Unit::flag: return "on or off";
    case TcpOption::Unit::choice: break;
  }
  std::string names;
  for (size_t i = 0; i < option.choices.size(); ++i) {
    if (i > 0) names += i + 1 == option.choices.size() ? " or " : ", ";
    names += option.choices[i];
  }
  return names;
}

uint64_t parse(const TcpOption& option, std::string_view text) {
  uint64_t value = 0;
  if (!parse_value(option, text, value) || value < option.least || value > option.most)
    refuse(option, "'" + std::string{text} + "'");
  return value;
}

void check(const TcpOptions& options) {
  for (const TcpOption& option : tcp_options) {
    uint64_t value = option.get(options);
    if (value < option.least || value > option.most) refuse(option, to_string(option, value));
  }
  demand(options.rto_min <= options.rto_initial, "tcp.rto_initial is below tcp.rto_min: expected at least as much",
         "tcp.rto_initial");
  demand(options.rto_initial <= options.rto_max, "tcp.rto_max is below tcp.rto_initial: expected at least as much",
         "tcp.rto_max");
  demand(options.persist_min <= options.persist_max, "tcp.persist_max is below tcp.persist_min: expected at least as much",
         "tcp.persist_max");
  demand(options.receive_buffer_max / 16384 <= options.receive_buffer,
         "tcp.receive_buffer_max is more than 16384 times tcp.receive_buffer: no window scale can say both",
         "tcp.receive_buffer_max");
}

}  // namespace millrace
