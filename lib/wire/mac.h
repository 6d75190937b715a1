// SPDX-License-Identifier: BSD-3-Clause
// An Ethernet address.
#pragma once

#include <array>
#include <cstdint>

namespace millrace::wire {

struct Mac {
  std::array<uint8_t, 6> bytes{};
  friend constexpr bool operator==(const Mac&, const Mac&) = default;
  constexpr bool is_group() const { return bytes[0] & 1; }
  static constexpr Mac broadcast() { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
};

}  // namespace millrace::wire
