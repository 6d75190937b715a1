// SPDX-License-Identifier: BSD-3-Clause
// Sequence numbers (RFC 9293 3.4): a circle of 2^32. There is no operator<, because the order is not transitive.
#pragma once

#include <cstdint>

namespace millrace::wire {

struct Seq {
  uint32_t value = 0;
  friend constexpr bool operator==(Seq, Seq) = default;
  friend constexpr Seq operator+(Seq s, uint32_t n) { return {s.value + n}; }
  friend constexpr Seq operator-(Seq s, uint32_t n) { return {s.value - n}; }
  constexpr Seq& operator+=(uint32_t n) { value += n; return *this; }
};

constexpr bool before(Seq a, Seq b) { return static_cast<int32_t>(a.value - b.value) < 0; }
constexpr bool before_eq(Seq a, Seq b) { return static_cast<int32_t>(a.value - b.value) <= 0; }
constexpr bool after(Seq a, Seq b) { return before(b, a); }
constexpr bool after_eq(Seq a, Seq b) { return before_eq(b, a); }

// How far `to` lies after `from`; meaningful where before_eq(from, to).
constexpr uint32_t distance(Seq from, Seq to) { return to.value - from.value; }
// The same with a sign.
constexpr int32_t offset(Seq from, Seq to) { return static_cast<int32_t>(to.value - from.value); }

// left <= s < left + size
constexpr bool in_window(Seq s, Seq left, uint32_t size) { return s.value - left.value < size; }

constexpr Seq later(Seq a, Seq b) { return before(a, b) ? b : a; }
constexpr Seq earlier(Seq a, Seq b) { return before(a, b) ? a : b; }

}  // namespace millrace::wire
