// SPDX-License-Identifier: BSD-3-Clause
// Time as values. The library has one clock (nic/clock) and reads it once per turn; everything below
// receives an Instant as an argument, so nothing here can tell what time it is.
#pragma once

#include <compare>
#include <cstdint>

namespace millrace {

// A span of time in nanoseconds. Never negative: of two, only the shorter is taken from the longer.
struct Duration {
  uint64_t ns = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
  friend constexpr Duration operator*(Duration a, uint64_t k) { return {a.ns * k}; }
  constexpr uint64_t us() const { return ns / 1'000; }
  constexpr uint64_t ms() const { return ns / 1'000'000; }
  constexpr double seconds() const { return static_cast<double>(ns) * 1e-9; }
};

constexpr Duration nanoseconds(uint64_t n) { return {n}; }
constexpr Duration microseconds(uint64_t n) { return {n * 1'000}; }
constexpr Duration milliseconds(uint64_t n) { return {n * 1'000'000}; }
constexpr Duration seconds(uint64_t n) { return {n * 1'000'000'000}; }

// A point on the monotonic clock of one endpoint, in nanoseconds since an origin of that clock's own.
struct Instant {
  uint64_t ns = 0;
  friend constexpr auto operator<=>(Instant, Instant) = default;
  friend constexpr Instant operator+(Instant t, Duration d) { return {t.ns + d.ns}; }
  friend constexpr Instant operator-(Instant t, Duration d) { return {t.ns - d.ns}; }
  friend constexpr Duration operator-(Instant a, Instant b) { return {a.ns - b.ns}; }  // the earlier from the later
  constexpr uint64_t us() const { return ns / 1'000; }
  constexpr uint64_t ms() const { return ns / 1'000'000; }
  constexpr uint32_t s() const { return static_cast<uint32_t>(ns / 1'000'000'000); }
  static constexpr Instant never() { return {UINT64_MAX}; }
};

}  // namespace millrace
