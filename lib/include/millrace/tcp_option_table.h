// SPDX-License-Identifier: BSD-3-Clause
// TcpOptions as a table: each member by its name, with its unit and bounds. Configuration files, command lines, checks
// and listings are made from it, so that none of them knows an option that another does not.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "millrace/tcp_options.h"

namespace millrace {

struct TcpOption {
  enum class Unit : uint8_t { time, bytes, segments, count, flag, choice };

  const char* key;  // the member's name, and what stands in the [tcp] table of a file
  Unit unit;
  // Values as numbers: times in nanoseconds, flags 0 or 1, choices by their place in `choices`.
  uint64_t least, most;
  std::span<const std::string_view> choices;
  uint64_t (*get)(const TcpOptions&);
  void (*put)(TcpOptions&, uint64_t value);  // the value lies within the bounds
};

inline constexpr std::string_view rto_min_choices[] = {"total", "variance"};
inline constexpr std::string_view syn_cookies_choices[] = {"off", "on_overflow", "always"};
inline constexpr std::string_view syn_layout_choices[] = {"scale_last", "scale_first"};
inline constexpr std::string_view ecn_choices[] = {"off", "passive", "active"};

namespace tcp_option {

template <auto member>
uint64_t get(const TcpOptions& options) {
  if constexpr (std::is_same_v<decltype(member), Duration TcpOptions::*>)
    return (options.*member).ns;
  else
    return static_cast<uint64_t>(options.*member);
}

template <auto member>
void put(TcpOptions& options, uint64_t value) {
  using Type = std::remove_reference_t<decltype(options.*member)>;
  if constexpr (std::is_same_v<Type, Duration>)
    options.*member = {value};
  else
    options.*member = static_cast<Type>(value);
}

template <auto member>
constexpr TcpOption time_option(const char* key, Duration least, Duration most) {
  return {key, TcpOption::Unit::time, least.ns, most.ns, {}, get<member>, put<member>};
}
template <auto member>
constexpr TcpOption number(const char* key, TcpOption::Unit unit, uint64_t least, uint64_t most) {
  return {key, unit, least, most, {}, get<member>, put<member>};
}
template <auto member>
constexpr TcpOption flag_option(const char* key) {
  return {key, TcpOption::Unit::flag, 0, 1, {}, get<member>, put<member>};
}
template <auto member>
constexpr TcpOption choice_option(const char* key, std::span<const std::string_view> choices) {
  return {key, TcpOption::Unit::choice, 0, choices.size() - 1, choices, get<member>, put<member>};
}

inline constexpr Duration tick = milliseconds(1), hour = seconds(3600), day = seconds(86400), week = seconds(7 * 86400);
inline constexpr uint64_t largest_window = 65535u << 14;  // RFC7323-2.3a

}  // namespace tcp_option

// In the order of the struct.
inline constexpr auto tcp_options = [] {
  using namespace tcp_option;
  using O = TcpOptions;
  using enum TcpOption::Unit;
  return std::array{
      time_option<&O::rto_initial>("rto_initial", tick, hour),
      time_option<&O::rto_min>("rto_min", tick, hour),
      choice_option<&O::rto_min_applies_to>("rto_min_applies_to", rto_min_choices),
      time_option<&O::rto_max>("rto_max", tick, hour),
      time_option<&O::clock_granularity>("clock_granularity", Duration{}, seconds(1)),
      flag_option<&O::frto>("frto"),
      flag_option<&O::tail_loss_probe>("tail_loss_probe"),
      time_option<&O::probe_ack_delay>("probe_ack_delay", Duration{}, seconds(10)),
      time_option<&O::probe_margin>("probe_margin", Duration{}, seconds(10)),
      number<&O::r1>("r1", count, 1, 254),
      time_option<&O::r2>("r2", tick, week),
      number<&O::syn_retries>("syn_retries", count, 0, 127),
      number<&O::syn_ack_retries>("syn_ack_retries", count, 0, 127),
      time_option<&O::persist_min>("persist_min", Duration{}, hour),
      time_option<&O::persist_max>("persist_max", tick, hour),
      time_option<&O::orphan_timeout>("orphan_timeout", tick, week),
      number<&O::orphan_limit>("orphan_limit", count, 0, UINT32_MAX),
      time_option<&O::fin_wait_2>("fin_wait_2", tick, week),
      time_option<&O::delayed_ack>("delayed_ack", Duration{}, milliseconds(499)),
      number<&O::ack_every>("ack_every", segments, 1, 64),
      number<&O::quick_acks>("quick_acks", segments, 0, 255),
      flag_option<&O::immediate_ack>("immediate_ack"),
      time_option<&O::keepalive_time>("keepalive_time", tick, week),
      time_option<&O::keepalive_interval>("keepalive_interval", tick, week),
      number<&O::keepalive_probes>("keepalive_probes", count, 1, 255),
      time_option<&O::time_wait>("time_wait", tick, day),
      choice_option<&O::syn_cookies>("syn_cookies", syn_cookies_choices),
      number<&O::challenge_limit>("challenge_limit", count, 0, 65535),
      time_option<&O::challenge_period>("challenge_period", tick, hour),
      time_option<&O::record_ack_interval>("record_ack_interval", Duration{}, hour),
      number<&O::receive_buffer>("receive_buffer", bytes, 2 * 1460, largest_window),
      number<&O::receive_buffer_max>("receive_buffer_max", bytes, 0, largest_window),
      number<&O::send_limit>("send_limit", bytes, 1, 1u << 30),
      number<&O::out_of_order_limit>("out_of_order_limit", segments, 0, UINT32_MAX),
      number<&O::out_of_order_charge>("out_of_order_charge", bytes, 1, 65535),
      number<&O::initial_window>("initial_window", segments, 1, 10),
      number<&O::slow_start_stretch>("slow_start_stretch", segments, 1, 255),
      flag_option<&O::restart_after_idle>("restart_after_idle"),
      number<&O::fixed_window>("fixed_window", bytes, 1460, largest_window),
      flag_option<&O::timestamps>("timestamps"),
      flag_option<&O::sack>("sack"),
      flag_option<&O::dsack>("dsack"),
      flag_option<&O::window_scaling>("window_scaling"),
      choice_option<&O::ecn>("ecn", ecn_choices),
      number<&O::push_every>("push_every", segments, 0, 255),
      number<&O::ttl>("ttl", count, 1, 255),
      number<&O::min_path_mtu>("min_path_mtu", bytes, 68, 1500),
      time_option<&O::path_mtu_timeout>("path_mtu_timeout", seconds(300), week),
      flag_option<&O::unreachable_ends_open>("unreachable_ends_open"),
      choice_option<&O::syn_layout>("syn_layout", syn_layout_choices),
      number<&O::ecn_syns>("ecn_syns", count, 0, 255),
      number<&O::syns_with_options>("syns_with_options", count, 0, 255),
      time_option<&O::syn_limit>("syn_limit", Duration{}, week),
      time_option<&O::rto_slop>("rto_slop", Duration{}, seconds(1)),
      flag_option<&O::whole_segments>("whole_segments"),
      flag_option<&O::ack_second>("ack_second"),
      flag_option<&O::beta_of_cwnd>("beta_of_cwnd"),
      flag_option<&O::delay_fin_ack>("delay_fin_ack"),
      flag_option<&O::require_timestamps>("require_timestamps"),
      flag_option<&O::answer_early_ack>("answer_early_ack"),
      flag_option<&O::closing_fin>("closing_fin"),
      flag_option<&O::exact_rst>("exact_rst"),
      flag_option<&O::challenge_syn>("challenge_syn"),
      flag_option<&O::drop_syn_fin>("drop_syn_fin"),
  };
}();

// nullptr: there is none of that name.
const TcpOption* find_tcp_option(std::string_view key);

// A value as text ("200 ms", "262144", "on", "variance"), and back. Times are a number and ns, us, ms, s, min or h.
// Throws ConfigError naming the key, the text and what is expected.
std::string to_string(const TcpOption& option, uint64_t value);
uint64_t parse(const TcpOption& option, std::string_view text);
// "a time from 1 ms to 3600 s": what `option` may be.
std::string expected(const TcpOption& option);

// Throws ConfigError for a value out of its bounds, and for values that contradict each other.
void check(const TcpOptions& options);

}  // namespace millrace
