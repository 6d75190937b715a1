// SPDX-License-Identifier: BSD-3-Clause
#include "base/siphash.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace millrace {
namespace {

// SipHash-c-d as its paper describes it, over bytes of any number.
class Reference {
 public:
  Reference(int c, int d, uint64_t k0, uint64_t k1)
      : c_(c),
        d_(d),
        v_{0x736f6d6570736575 ^ k0, 0x646f72616e646f6d ^ k1, 0x6c7967656e657261 ^ k0,
           0x7465646279746573 ^ k1} {}

  uint64_t hash(const std::vector<uint8_t>& text) {
    uint64_t word = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      word |= uint64_t{text[i]} << (8 * (i % 8));
      if (i % 8 == 7) {
        compress(word);
        word = 0;
      }
    }
    compress(word | uint64_t{text.size() & 0xff} << 56);
    v_[2] ^= 0xff;
    rounds(d_);
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }
  void compress(uint64_t word) {
    v_[3] ^= word;
    rounds(c_);
    v_[0] ^= word;
  }
  void rounds(int n) {
    for (; n > 0; --n) {
      v_[0] += v_[1];
      v_[2] += v_[3];
      v_[1] = rotate(v_[1], 13) ^ v_[0];
      v_[3] = rotate(v_[3], 16) ^ v_[2];
      v_[0] = rotate(v_[0], 32);
      v_[2] += v_[1];
      v_[0] += v_[3];
      v_[1] = rotate(v_[1], 17) ^ v_[2];
      v_[3] = rotate(v_[3], 21) ^ v_[0];
      v_[2] = rotate(v_[2], 32);
    }
  }
  int c_, d_;
  uint64_t v_[4];
};

constexpr uint64_t paper_k0 = 0x0706050403020100, paper_k1 = 0x0f0e0d0c0b0a0908;

// The reference itself is right: the value of SipHash-2-4 in the paper's appendix A.
TEST(SipHash, TheReferenceComputesThePaperExample) {
  std::vector<uint8_t> text;
  for (uint8_t i = 0; i < 15; ++i) text.push_back(i);
  EXPECT_EQ(Reference(2, 4, paper_k0, paper_k1).hash(text), 0xa129ca6149be45e5);
}

template <uint32_t words>
void compare_with_reference(Random& random) {
  const SipKey key{random.next(), random.next()};
  uint64_t in[words];
  std::vector<uint8_t> text;
  for (auto& word : in) {
    word = random.next();
    for (int i = 0; i < 8; ++i) text.push_back(static_cast<uint8_t>(word >> (8 * i)));
  }
  ASSERT_EQ(siphash13<words>(key, in), Reference(1, 3, key.k0, key.k1).hash(text));
}

// req: RFC9293-MUST-9, RFC6528-3
TEST(SipHash, OneThreeIsWhatTheReferenceComputes) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    compare_with_reference<1>(random);
    compare_with_reference<2>(random);
    compare_with_reference<3>(random);
    compare_with_reference<5>(random);
  }
}

TEST(SipHash, IsAConstantExpression) {
  constexpr uint64_t in[2] = {1, 2};
  constexpr uint64_t at_compile_time = siphash13<2>({3, 4}, in);
  EXPECT_EQ(at_compile_time, siphash13<2>({3, 4}, in));
}

TEST(SipHash, EveryBitOfKeyAndTextMatters) {
  const SipKey key{5, 6};
  const uint64_t in[2] = {7, 8};
  std::set<uint64_t> seen{siphash13<2>(key, in)};
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t one = uint64_t{1} << bit;
    const uint64_t a[2] = {7 ^ one, 8}, b[2] = {7, 8 ^ one};
    seen.insert({siphash13<2>(key, a), siphash13<2>(key, b), siphash13<2>({5 ^ one, 6}, in),
                 siphash13<2>({5, 6 ^ one}, in)});
  }
  EXPECT_EQ(seen.size(), 1 + 4 * 64u);
}

TEST(Random, IsSplitMix64) {
  Random random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  Random random(2);
  std::set<uint32_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(7));
  EXPECT_EQ(seen, (std::set<uint32_t>{0, 1, 2, 3, 4, 5, 6}));
  for (int i = 0; i < 1000; ++i) ASSERT_LT(random.below(0xffffffff), 0xffffffffu);
  EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace millrace
