// SPDX-License-Identifier: BSD-3-Clause
// The tables of a key. (wire/toeplitz.h)
#include "wire/toeplitz.h"

#include "base/ensure.h"
#include "wire/bytes.h"

namespace millrace::wire {

// Bit i of a tuple, counted from its first byte's highest one, contributes the key's 32 bits from bit i on.
Toeplitz::Toeplitz(std::span<const uint8_t> key) {
  ensure(key.size() >= least_key);
  for (uint32_t byte = 0; byte < ipv4_tuple; ++byte) {
    table_[byte][0] = 0;
    for (uint32_t bit = 0; bit < 8; ++bit) {
      const uint64_t window = uint64_t{load_be32(&key[byte])} << 8 | key[byte + 4];
      const uint32_t value = 0x80u >> bit;
      table_[byte][value] = static_cast<uint32_t>(window << bit >> 8);
    }
    for (uint32_t value = 1; value < 256; ++value) {
      const uint32_t lowest = value & -value;
      table_[byte][value] = table_[byte][value ^ lowest] ^ table_[byte][lowest];
    }
  }
}

}  // namespace millrace::wire
