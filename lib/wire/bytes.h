// SPDX-License-Identifier: BSD-3-Clause
// Numbers in and out of packet bytes. Always by memcpy: packets are not aligned, and nothing may alias.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace millrace::wire {

// x86-64 and aarch64; a big-endian machine needs other loads here and another odd byte in checksum.cc.
static_assert(std::endian::native == std::endian::little);

template <typename T>
inline T load_raw(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline uint16_t load_be16(const uint8_t* at) {
  return __builtin_bswap16(load_raw<uint16_t>(at));
}
inline uint32_t load_be32(const uint8_t* at) {
  return __builtin_bswap32(load_raw<uint32_t>(at));
}
inline uint64_t load_be64(const uint8_t* at) {
  return __builtin_bswap64(load_raw<uint64_t>(at));
}

inline void store_be16(uint8_t* at, uint16_t value) {
  value = __builtin_bswap16(value);
  std::memcpy(at, &value, sizeof value);
}
inline void store_be32(uint8_t* at, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof value);
}
inline void store_be64(uint8_t* at, uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(at, &value, sizeof value);
}

}  // namespace millrace::wire
