// SPDX-License-Identifier: BSD-3-Clause
// SipHash-1-3 of short fixed-length keys: flow table, initial sequence numbers, timestamp offsets. Its secrecy is
// what keeps a peer from computing any of them (RFC9293-MUST-9, RFC6528-3).
#pragma once

#include <bit>
#include <cstdint>

namespace millrace {

struct SipKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;
};

namespace detail {
struct SipState {
  uint64_t v0, v1, v2, v3;
  constexpr void round() {
    v0 += v1; v1 = std::rotl(v1, 13); v1 ^= v0; v0 = std::rotl(v0, 32);
    v2 += v3; v3 = std::rotl(v3, 16); v3 ^= v2;
    v0 += v3; v3 = std::rotl(v3, 21); v3 ^= v0;
    v2 += v1; v1 = std::rotl(v1, 17); v1 ^= v2; v2 = std::rotl(v2, 32);
  }
  constexpr void absorb(uint64_t word) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};
}  // namespace detail

// The hash of `words` 64-bit words (of a fixed number known to both sides of any comparison).
template <uint32_t words>
constexpr uint64_t siphash13(const SipKey& key, const uint64_t (&in)[words]) {
  detail::SipState s{key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d, key.k0 ^ 0x6c7967656e657261,
                     key.k1 ^ 0x7465646279746573};
  for (uint64_t word : in) s.absorb(word);
  s.absorb(uint64_t{words * 8} << 56);
  s.v2 ^= 0xff;
  s.round(); s.round(); s.round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

// A generator of reproducible numbers from a seed (SplitMix64): port order, keys. Not for secrets by itself.
class Random {
 public:
  explicit constexpr Random(uint64_t seed) : state_(seed) {}
  constexpr uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // A number below `bound` (> 0).
  constexpr uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>((next() >> 32) * bound >> 32);
  }

 private:
  uint64_t state_;
};

}  // namespace millrace
