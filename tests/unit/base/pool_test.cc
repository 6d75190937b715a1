// SPDX-License-Identifier: BSD-3-Clause
#include "base/pool.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/batch.h"

namespace millrace {
namespace {

struct Thing {
  uint64_t a = 7;
  uint32_t b = 9;
};

struct Memory {
  explicit Memory(uint32_t capacity) {
    Region measure;
    Pool<Thing>().init(measure, capacity);
    size = measure.used();
    bytes = new (std::align_val_t{64}) std::byte[size];
    Region region(bytes, size);
    pool.init(region, capacity);
    used = region.used();
  }
  ~Memory() { ::operator delete[](bytes, std::align_val_t{64}); }
  size_t size = 0, used = 0;
  std::byte* bytes = nullptr;
  Pool<Thing> pool;
};

TEST(Pool, MeasuringTellsExactlyWhatIsUsed) {
  for (uint32_t capacity : {0u, 1u, 3u, 64u, 1000u}) {
    Memory memory(capacity);
    EXPECT_EQ(memory.used, memory.size) << capacity;
    EXPECT_EQ(memory.pool.capacity(), capacity);
    EXPECT_EQ(memory.pool.free_count(), capacity);
  }
}

TEST(Pool, GivesEachIndexOnceAndThenNone) {
  Memory memory(100);
  std::set<uint32_t> taken;
  for (uint32_t i = 0; i < 100; ++i) {
    const uint32_t index = memory.pool.take();
    EXPECT_EQ(index, i) << "dense from 0";
    taken.insert(index);
    EXPECT_EQ(memory.pool[index].a, 7u) << "value-initialised";
  }
  EXPECT_EQ(taken.size(), 100u);
  EXPECT_EQ(memory.pool.used(), 100u);
  EXPECT_EQ(memory.pool.take(), no_index);
  EXPECT_EQ(memory.pool.take(), no_index) << "and it stays exhausted";
  memory.pool.give(42);
  EXPECT_EQ(memory.pool.take(), 42u);
  EXPECT_EQ(memory.pool.take(), no_index);
}

TEST(Pool, TheLastGivenIsTheNextTaken) {
  Memory memory(10);
  for (int i = 0; i < 10; ++i) memory.pool.take();
  for (uint32_t i : {3u, 8u, 1u}) memory.pool.give(i);
  EXPECT_EQ(memory.pool.take(), 1u);
  EXPECT_EQ(memory.pool.take(), 8u);
  EXPECT_EQ(memory.pool.take(), 3u);
}

TEST(Pool, AnObjectIsLeftAsItsLastUserLeftIt) {
  Memory memory(2);
  const uint32_t index = memory.pool.take();
  memory.pool[index].a = 99;
  memory.pool.give(index);
  EXPECT_EQ(memory.pool[memory.pool.take()].a, 99u);
}

TEST(Pool, ObjectsBeginOnACacheLine) {
  Memory memory(5);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(&memory.pool[0]) % 64, 0u);
}

TEST(Region, SpansDoNotOverlap) {
  alignas(64) std::byte bytes[1024];
  Region region(bytes, sizeof bytes);
  const auto a = region.take<uint8_t>(3);
  const auto b = region.take<uint64_t>(5);
  const auto c = region.take<uint8_t>(1);
  EXPECT_EQ(reinterpret_cast<std::byte*>(a.data()), bytes);
  EXPECT_EQ(reinterpret_cast<std::byte*>(b.data()), bytes + 64);
  EXPECT_EQ(reinterpret_cast<std::byte*>(c.data()), bytes + 128);
  EXPECT_EQ(region.used(), 129u);
}

TEST(RegionDeathTest, NeverGivesMoreThanItHas) {
  alignas(64) std::byte bytes[64];
  Region region(bytes, sizeof bytes);
  region.take<uint8_t>(64);
  EXPECT_DEATH(region.take<uint8_t>(1), "ensure");
}

TEST(Batch, FillsUpToItsCapacity) {
  int memory[3];
  Batch<int> batch{std::span<int>(memory)};
  EXPECT_TRUE(batch.empty());
  for (int i = 0; i < 3; ++i) batch.push(i);
  EXPECT_EQ(batch.room(), 0u);
  EXPECT_EQ(batch.size(), 3u);
  EXPECT_EQ(std::vector<int>(batch.begin(), batch.end()), (std::vector<int>{0, 1, 2}));
  batch.pop();
  EXPECT_EQ(batch.span().size(), 2u);
  batch.clear();
  EXPECT_EQ(batch.room(), 3u);
}

TEST(BatchDeathTest, PushWithoutRoomEndsTheProcess) {
  int memory[1];
  Batch<int> batch{std::span<int>(memory)};
  batch.push(1);
  EXPECT_DEATH(batch.push(2), "ensure");
}

}  // namespace
}  // namespace millrace
