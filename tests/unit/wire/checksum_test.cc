// SPDX-License-Identifier: BSD-3-Clause
#include "wire/checksum.h"

#include <gtest/gtest.h>

#include "frames.h"

namespace millrace::wire {
namespace {

using namespace test;

TEST(Checksum, TheExampleOfRfc1071) {
  const Bytes text{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(fold_to_host(sum_bytes(text.data(), text.size())), 0xddf2);
}

TEST(Checksum, EveryLengthAtEveryAlignment) {
  Random random(2);
  for (size_t length = 0; length <= 200; ++length)
    for (size_t shift = 0; shift < 16; ++shift) {
      const Bytes text = random_bytes(random, length);
      Block block(text, shift);  // ends with the text: nothing behind it may be read
      ASSERT_EQ(fold_to_host(sum_bytes(block.frame().data, length)), naive_sum(text))
          << length << '@' << shift;
    }
}

TEST(Checksum, LongTexts) {
  Random random(3);
  for (size_t length : {1447u, 1448u, 1460u, 8960u, 65535u}) {
    const Bytes text = random_bytes(random, length);
    EXPECT_EQ(fold_to_host(sum_bytes(text.data(), length)), naive_sum(text)) << length;
  }
}

// All carries there can be, and none.
TEST(Checksum, OnesAndZeros) {
  for (size_t length = 1; length <= 300; ++length) {
    const Bytes ones(length, 0xff), zeros(length, 0);
    ASSERT_EQ(fold_to_host(sum_bytes(ones.data(), length, ~uint64_t{0})), naive_sum(ones, 0xffff)) << length;
    ASSERT_EQ(fold(sum_bytes(zeros.data(), length)), 0) << length;
    ASSERT_EQ(fold(sum_bytes(zeros.data(), length, ~uint64_t{0})), 0xffff) << length;
  }
}

// Words that are nearly all ones make a carry out of every second addition.
TEST(Checksum, TextsFullOfCarries) {
  Random random(31);
  for (int i = 0; i < 20000; ++i) {
    Bytes text(8 + random.below(120), 0xff);
    for (uint32_t n = random.below(4); n != 0; --n)
      text[random.below(static_cast<uint32_t>(text.size()))] = static_cast<uint8_t>(random.next());
    const uint64_t initial = random.below(2) ? ~uint64_t{0} - random.below(3) : random.next();
    const uint32_t start = fold_to_host(initial);
    ASSERT_EQ(fold_to_host(sum_bytes(text.data(), text.size(), initial)) % 0xffff,
              naive_sum(text, start) % 0xffff);
  }
}

TEST(Checksum, FoldKeepsTheValueModuloSixteenOnes) {
  Random random(4);
  for (int i = 0; i < 100000; ++i) {
    const uint64_t value = random.next() >> random.below(64);
    ASSERT_EQ(fold(value) % 0xffff, value % 0xffff);
    ASSERT_EQ(fold(value) == 0, value == 0);
  }
  EXPECT_EQ(fold(~uint64_t{0}), 0xffff);
  EXPECT_EQ(fold(0), 0);
}

TEST(Checksum, AddingSumsBringsTheCarryRound) {
  EXPECT_EQ(add_sums(~uint64_t{0}, 1), 1u);
  EXPECT_EQ(add_sums(~uint64_t{0}, ~uint64_t{0}), ~uint64_t{0});
  EXPECT_EQ(add_sums(5, 7), 12u);
}

// However a text is cut into slices, odd pieces and empty ones included, its sum is the same.
TEST(Checksum, SlicesOfAnyLength) {
  Random random(5);
  for (int round = 0; round < 20000; ++round) {
    std::vector<Block> blocks;
    std::vector<Slice> slices;
    Bytes whole;
    for (uint32_t n = random.below(7); n != 0; --n) {
      const Bytes part = random_bytes(random, random.below(round % 2 ? 9 : 70));
      whole.insert(whole.end(), part.begin(), part.end());
      blocks.emplace_back(part, random.below(9));
      slices.push_back(blocks.back().slice());
    }
    ASSERT_EQ(fold_to_host(sum_slices(slices)), naive_sum(whole)) << "round " << round;
  }
}

TEST(Checksum, EveryCutOfOneTextInThree) {
  Random random(6);
  const Bytes text = random_bytes(random, 41);
  Block block(text, 3);
  for (uint16_t a = 0; a <= 41; ++a)
    for (uint16_t b = a; b <= 41; ++b) {
      const auto piece = [&](uint16_t from, uint16_t to) {
        return Slice{block.packet(), Slice::own_buffer, static_cast<uint16_t>(3 + from),
                     static_cast<uint16_t>(to - from)};
      };
      const Slice slices[] = {piece(0, a), piece(a, b), piece(b, 41)};
      ASSERT_EQ(fold_to_host(sum_slices(slices)), naive_sum(text)) << a << ',' << b;
    }
}

TEST(Checksum, ATextWithItsOwnChecksumIsValid) {
  Random random(7);
  for (int i = 0; i < 10000; ++i) {
    Bytes text = random_bytes(random, 2 + random.below(100));
    put16(text, 0, 0);
    const uint16_t sum = naive_sum(text);
    put16(text, 0, static_cast<uint16_t>(~sum));
    // Only zeros have a sum of plus zero; a pseudo-header is never that.
    ASSERT_TRUE(is_valid_sum(sum_bytes(text.data(), text.size())));
    text[random.below(static_cast<uint32_t>(text.size()))] ^= 0x10;
    ASSERT_FALSE(is_valid_sum(sum_bytes(text.data(), text.size())));
  }
}

}  // namespace
}  // namespace millrace::wire
