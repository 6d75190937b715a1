// SPDX-License-Identifier: BSD-3-Clause
#include "wire/seq.h"

#include <gtest/gtest.h>

#include "base/siphash.h"

namespace millrace::wire {
namespace {

TEST(Seq, OrderIsKeptAcrossTheWrap) {
  const Seq last{0xffffffff}, first{0};
  EXPECT_TRUE(before(last, first));
  EXPECT_TRUE(after(first, last));
  EXPECT_FALSE(before(first, last));
  EXPECT_EQ(last + 1, first);
  EXPECT_EQ(first - 1, last);
  EXPECT_EQ(distance(last, first), 1u);
  EXPECT_EQ(offset(first, last), -1);
  EXPECT_EQ(later(last, first), first);
  EXPECT_EQ(earlier(last, first), last);
}

TEST(Seq, EqualNumbersAreNeitherBeforeNorAfter) {
  for (uint32_t v : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    EXPECT_FALSE(before(Seq{v}, Seq{v}));
    EXPECT_FALSE(after(Seq{v}, Seq{v}));
    EXPECT_TRUE(before_eq(Seq{v}, Seq{v}));
    EXPECT_TRUE(after_eq(Seq{v}, Seq{v}));
  }
}

TEST(Seq, AnythingLessThanHalfTheCircleAheadIsAfter) {
  Random random(1);
  for (int i = 0; i < 100000; ++i) {
    const Seq a{static_cast<uint32_t>(random.next())};
    const uint32_t ahead = 1 + random.below(0x7fffffff);
    const Seq b = a + ahead;
    ASSERT_TRUE(before(a, b)) << a.value << '+' << ahead;
    ASSERT_TRUE(before_eq(a, b));
    ASSERT_TRUE(after(b, a));
    ASSERT_FALSE(before(b, a));
    ASSERT_FALSE(before_eq(b, a));
    ASSERT_EQ(distance(a, b), ahead);
    ASSERT_EQ(later(a, b), b);
    ASSERT_EQ(later(b, a), b);
    ASSERT_EQ(earlier(a, b), a);
    ASSERT_EQ(b - ahead, a);
  }
}

TEST(Seq, AWindowMayWrap) {
  const Seq left{0xfffffff0};
  EXPECT_TRUE(in_window(left, left, 32));
  EXPECT_TRUE(in_window(Seq{0}, left, 32));
  EXPECT_TRUE(in_window(Seq{15}, left, 32));
  EXPECT_FALSE(in_window(Seq{16}, left, 32));
  EXPECT_FALSE(in_window(left - 1, left, 32));
  EXPECT_FALSE(in_window(left, left, 0)) << "an empty window contains nothing";
}

TEST(Seq, AddingInPlaceWraps) {
  Seq s{0xfffffffe};
  s += 5;
  EXPECT_EQ(s.value, 3u);
}

}  // namespace
}  // namespace millrace::wire
