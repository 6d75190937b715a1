// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071). A sum here is a 64-bit one's complement sum of the bytes as they lie in
// memory; it does not matter how wide the words are that made it, only whether a byte stood at an even
// position.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/packet.h"

namespace millrace::wire {

// What rests on it: word sums taken in memory order, swapped once at the end.
static_assert(std::endian::native == std::endian::little);

// a + b, the carry coming round.
constexpr uint64_t add_sums(uint64_t a, uint64_t b) {
  uint64_t s = a + b;
  return s + (s < a);
}

// 64 bits -> 16. Zero only for a sum of nothing but zeros.
constexpr uint16_t fold(uint64_t sum) {
  // Halves added crosswise: the upper one has got the lower one's carry.
  sum += std::rotl(sum, 32);
  uint32_t half = static_cast<uint32_t>(sum >> 32);
  half += std::rotl(half, 16);
  return static_cast<uint16_t>(half >> 16);
}

// The sum in the order of the protocol: to be added to fields summed as plain numbers.
constexpr uint16_t fold_to_host(uint64_t sum) {
  return __builtin_bswap16(fold(sum));
}

// Does a text that contains its own checksum sum up to minus zero?
constexpr bool is_valid_sum(uint64_t sum) {
  return fold(sum) == 0xffff;
}

// The sum of `length` bytes of which the first stands at an even position, added to `initial`.
uint64_t sum_bytes(const uint8_t* data, size_t length, uint64_t initial = 0);

// The sum of slices that make one text; any but the last may end at an odd position.
uint64_t sum_many(std::span<const Slice> slices);
inline uint64_t sum_slices(std::span<const Slice> slices) {
  return slices.size() == 1 ? sum_bytes(slices[0].data(), slices[0].length) : sum_many(slices);
}

}  // namespace millrace::wire
