// SPDX-License-Identifier: BSD-3-Clause
#include "millrace/ring.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/siphash.h"

namespace millrace {
namespace {

template <typename T>
struct Owned : Ring<T> {
  explicit Owned(uint32_t capacity) : memory(capacity) { this->init(memory.data(), capacity); }
  std::vector<T> memory;
};

TEST(Ring, CapacityTwoIsFullWithTwo) {
  Owned<int> ring(2);
  EXPECT_EQ(ring.room(), 2u);
  EXPECT_EQ(ring.available(), 0u);
  for (int i = 0; i < 2; ++i) {
    ring.next() = i;
    ring.advance(1);
  }
  EXPECT_EQ(ring.available(), 0u) << "not published yet";
  EXPECT_EQ(ring.room(), 0u);
  ring.publish();
  ASSERT_EQ(ring.available(), 2u);
  EXPECT_EQ(ring.front(0), 0);
  EXPECT_EQ(ring.front(1), 1);
  ring.consume(1);
  EXPECT_EQ(ring.room(), 0u) << "not given back yet";
  ring.give_back();
  EXPECT_EQ(ring.room(), 1u);
  EXPECT_EQ(ring.available(), 1u);
}

TEST(Ring, IndicesRunOverTheirWrapManyTimes) {
  Owned<uint32_t> ring(2);
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_GE(ring.room(), 1u);
    ring.next() = i;
    ring.advance(1);
    ring.publish();
    ASSERT_EQ(ring.available(), 1u);
    ASSERT_EQ(ring.front(), i);
    ring.consume(1);
    ring.give_back();
  }
  EXPECT_EQ(ring.tail(), 1000u);
  EXPECT_EQ(ring.head(), 1000u);
}

TEST(Ring, AnyMixOfBatchesKeepsTheOrder) {
  Random random(3);
  for (uint32_t capacity : {1u, 2u, 8u, 64u}) {
    Owned<uint64_t> ring(capacity);
    uint64_t written = 0, published = 0, read = 0;
    for (int i = 0; i < 20000; ++i) {
      for (uint32_t n = random.below(capacity + 1); n != 0 && ring.room() != 0; --n) {
        ring.next() = written++;
        ring.advance(1);
      }
      if (random.below(2)) {
        ring.publish();
        published = written;
      }
      for (uint32_t n = std::min(random.below(capacity + 1), ring.available()); n != 0; --n) {
        ASSERT_EQ(ring.front(), read++);
        ring.consume(1);
      }
      if (random.below(2)) ring.give_back();
      ASSERT_LE(read, published);
      ASSERT_LE(written - read, capacity);
    }
    EXPECT_GT(read, 1000u);
  }
}

// One producer, one consumer: every element arrives whole, once and in order.
TEST(Ring, TwoThreads) {
  struct Element {
    uint64_t number, square, more[6];
  };
  constexpr uint64_t total = 200000;
  for (uint32_t capacity : {2u, 64u}) {
    Owned<Element> ring(capacity);
    std::thread producer([&] {
      for (uint64_t n = 0; n < total;) {
        const uint32_t room = ring.room();
        if (room == 0) std::this_thread::yield();
        for (uint32_t i = 0; i < room && n < total; ++i, ++n) {
          ring.next() = {n, n * n, {n, n, n, n, n, n}};
          ring.advance(1);
        }
        ring.publish();
      }
    });
    uint64_t wrong = 0;
    for (uint64_t n = 0; n < total;) {
      const uint32_t available = ring.available();
      if (available == 0) std::this_thread::yield();
      for (uint32_t i = 0; i < available; ++i, ++n) {
        const Element& e = ring.front(i);
        wrong += e.number != n || e.square != n * n || e.more[5] != n;
      }
      ring.consume(available);
      ring.give_back();
    }
    producer.join();
    EXPECT_EQ(wrong, 0u) << capacity;
    EXPECT_EQ(ring.available(), 0u);
  }
}

}  // namespace
}  // namespace millrace
