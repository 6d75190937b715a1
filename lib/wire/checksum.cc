// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum's inner loop: 64-bit words in one chain of add-with-carry, which is the fastest there
// is for texts below some 500 bytes.
#include "wire/checksum.h"

#include "wire/bytes.h"

namespace millrace::wire {
namespace {

// A sum and the carry it still owes. A chain that starts without a carry cannot end with sum + carry too
// large, so settle() loses nothing.
struct Chain {
  unsigned long long sum;
  unsigned char carry = 0;

  void add(const uint8_t* at) {
    const auto word = load_raw<uint64_t>(at);
#ifdef __x86_64__
    carry =
        __builtin_ia32_addcarryx_u64(carry, sum, word, &sum);  // adc; compilers do not find it by themselves
#else
    const bool first = __builtin_add_overflow(sum, word, &sum);
    carry = first | __builtin_add_overflow(sum, carry, &sum);
#endif
  }
  void settle() {
    sum += carry;
    carry = 0;
  }
};

}  // namespace

uint64_t sum_bytes(const uint8_t* data, size_t length, uint64_t initial) {
  if (length < 8) {
    uint64_t word = 0;
    if (length != 0) std::memcpy(&word, data, length);
    return add_sums(initial, word);
  }
  const uint8_t* end = data + length;
  Chain chain{initial};
  for (size_t blocks = length / 32; blocks != 0; --blocks, data += 32) {
    chain.add(data);
    chain.add(data + 8);
    chain.add(data + 16);
    chain.add(data + 24);
    chain.settle();
  }
  if (length & 16) {
    chain.add(data);
    chain.add(data + 8);
    chain.settle();
    data += 16;
  }
  if (length & 8) {
    chain.add(data);
    chain.settle();
  }
  // The last 0 to 7 bytes are the high end of the last 8; two shifts, because one by 64 is undefined.
  return add_sums(chain.sum, load_raw<uint64_t>(end - 8) >> 1 >> (63 - 8 * (length & 7)));
}

uint64_t sum_many(std::span<const Slice> slices) {
  uint64_t sum = 0;
  bool odd = false;
  for (const Slice& slice : slices) {
    const uint64_t part = sum_bytes(slice.data(), slice.length);
    // At an odd position every byte has the other weight: a rotation by one byte (RFC 1071 2 (B)).
    sum = add_sums(sum, odd ? std::rotl(part, 8) : part);
    odd ^= slice.length & 1;
  }
  return sum;
}

}  // namespace millrace::wire
