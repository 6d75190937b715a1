// SPDX-License-Identifier: BSD-3-Clause
// The flow table against std::unordered_map, with tags that collide, at full load, and read while it is
// written.
#include "flow/flow_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <unordered_map>
#include <vector>

#include "base/siphash.h"
#include "test_memory.h"
#include "wire/flow_key.h"

namespace millrace::flow {
namespace {

struct TestTable : FlowTable {
  explicit TestTable(uint32_t max_entries) : memory([&](Region& region) { init(region, max_entries); }) {}
  TestMemory memory;
};

Number tcb(uint32_t index) {
  return Number::make(Kind::tcb, index);
}

Number find_exactly(const FlowTable& table, uint32_t tag, Number number) {
  return table.find(tag, [&](Number n) { return n == number; });
}

TEST(FlowTable, FindsWhatWasInserted) {
  TestTable table(100);
  EXPECT_FALSE(table.candidate(7));
  ASSERT_TRUE(table.insert(7, tcb(0)));
  EXPECT_EQ(table.candidate(7), tcb(0));
  EXPECT_FALSE(table.candidate(8));
  EXPECT_FALSE(table.find(7, [](Number) { return false; }));
  table.rename(7, tcb(0), Number::make(Kind::time_wait, 3));
  EXPECT_EQ(table.candidate(7).kind(), Kind::time_wait);
  EXPECT_EQ(table.candidate(7).index(), 3u);
  EXPECT_EQ(table.size(), 1u);
  table.erase(7, Number::make(Kind::time_wait, 3));
  EXPECT_FALSE(table.candidate(7));
  EXPECT_EQ(table.size(), 0u);
}

// The tag 0 is one like any other, though an empty place is 0 too.
TEST(FlowTable, TagZeroIsNotEmptiness) {
  TestTable table(100);
  EXPECT_FALSE(table.candidate(0));
  ASSERT_TRUE(table.insert(0, tcb(5)));
  EXPECT_EQ(table.candidate(0), tcb(5));
  EXPECT_EQ(table.find(0, [](Number n) { return static_cast<bool>(n) && n != tcb(5); }), Number{});
}

TEST(FlowTable, TagIsTheUpperHalf) {
  EXPECT_EQ(FlowTable::tag_of(0x1234567890abcdef), 0x12345678u);
}

TEST(FlowTable, RefusesWhenFullAndOnlyThen) {
  for (uint32_t max : {0u, 1u, 8u, 9u, 1000u}) {
    TestTable table(max);
    EXPECT_EQ(table.capacity(), max);
    for (uint32_t i = 0; i < max; ++i) ASSERT_TRUE(table.insert(i * 0x9e3779b1, tcb(i)));
    EXPECT_FALSE(table.insert(0xffffffff, tcb(max)));
    for (uint32_t i = 0; i < max; ++i) EXPECT_EQ(find_exactly(table, i * 0x9e3779b1, tcb(i)), tcb(i));
    if (max == 0) continue;
    table.erase(0, tcb(0));
    EXPECT_TRUE(table.insert(0xffffffff, tcb(max)));
    EXPECT_EQ(table.candidate(0xffffffff), tcb(max));
    EXPECT_EQ(table.size(), max);
  }
}

// Many of one tag, from the last bucket, so that the walk wraps to the first.
TEST(FlowTable, SameTagManyTimes) {
  TestTable table(1000);
  constexpr uint32_t tag = 0xffffffff, count = 500;
  for (uint32_t i = 0; i < count; ++i) ASSERT_TRUE(table.insert(tag, tcb(i)));
  EXPECT_GT(table.overflows(), 0u);
  for (uint32_t i = 0; i < count; ++i) ASSERT_EQ(find_exactly(table, tag, tcb(i)), tcb(i));
  uint32_t asked = 0;
  EXPECT_FALSE(table.find(tag, [&](Number) { return ++asked > count; }));
  EXPECT_EQ(asked, count);
  for (uint32_t i = 0; i < count; i += 2) table.erase(tag, tcb(i));
  for (uint32_t i = 1; i < count; i += 2) table.rename(tag, tcb(i), Number::make(Kind::half_open, i));
  for (uint32_t i = 0; i < count; ++i) {
    ASSERT_FALSE(find_exactly(table, tag, tcb(i)));
    ASSERT_EQ(static_cast<bool>(find_exactly(table, tag, Number::make(Kind::half_open, i))), i % 2 == 1);
  }
  for (uint32_t i = 1; i < count; i += 2) table.erase(tag, Number::make(Kind::half_open, i));
  EXPECT_EQ(table.overflows(), 0u);
  EXPECT_EQ(table.size(), 0u);
}

TEST(FlowTable, FewStandOutsideTheirBucketAtFullLoad) {
  constexpr uint32_t max = (1 << 20) * 42 / 10 / 16;  // 0.6 of 7 places in 2^16 buckets
  TestTable table(max);
  Random random(1);
  for (uint32_t i = 0; i < max; ++i) ASSERT_TRUE(table.insert(FlowTable::tag_of(random.next()), tcb(i)));
  EXPECT_GT(table.overflows(), max / 60);  // the table is no larger than it has to be
  EXPECT_LT(table.overflows(), max / 25);
}

// Any mix of operations; the tags of `tag_bits` bits only, spread over the table or all in one bucket.
void compare_with_map(uint32_t max, uint32_t tag_bits, uint32_t tag_shift, uint32_t operations) {
  TestTable table(max);
  struct Value {
    uint32_t tag;
    Number number;
  };
  std::unordered_map<uint32_t, Value> model;  // by index
  Random random(max + tag_bits);
  for (uint32_t i = 0; i < operations; ++i) {
    uint32_t index = random.below(max + max / 8);
    auto known = model.find(index);
    uint32_t action = random.below(10);
    if (known == model.end()) {
      uint32_t tag = static_cast<uint32_t>(random.next() >> (64 - tag_bits)) << tag_shift;
      ASSERT_FALSE(find_exactly(table, tag, tcb(index)));
      if (action < 8) {
        bool room = model.size() < max;
        ASSERT_EQ(table.insert(tag, tcb(index)), room);
        if (room) model[index] = {tag, tcb(index)};
      }
    } else if (auto& [tag, number] = known->second; action < 2) {
      table.erase(tag, number);
      ASSERT_FALSE(find_exactly(table, tag, number));
      model.erase(known);
    } else if (action < 4) {
      Number to = Number::make(number.kind() == Kind::tcb ? Kind::time_wait : Kind::tcb, index);
      table.rename(tag, number, to);
      ASSERT_FALSE(find_exactly(table, tag, number));
      number = to;
    } else {
      ASSERT_EQ(find_exactly(table, tag, number), number);
      ASSERT_TRUE(table.candidate(tag));
    }
    ASSERT_EQ(table.size(), model.size());
  }
  for (auto& [index, value] : model) ASSERT_EQ(find_exactly(table, value.tag, value.number), value.number);
  for (auto& [index, value] : model) table.erase(value.tag, value.number);
  EXPECT_EQ(table.overflows(), 0u);
  EXPECT_EQ(table.size(), 0u);
}

TEST(FlowTable, AgreesWithAMap) {
  compare_with_map(5000, 32, 0, 1'000'000);
}
TEST(FlowTable, AgreesWithAMapWithFewTags) {
  compare_with_map(2000, 6, 26, 300'000);
}
TEST(FlowTable, AgreesWithAMapWithOneBucketForAll) {
  compare_with_map(300, 20, 0, 300'000);
}
TEST(FlowTable, AgreesWithAMapWhenTiny) {
  compare_with_map(8, 3, 29, 300'000);
}

// Readers look while the writer writes: what stays is always found, and nothing is found that was never
// there.
TEST(FlowTable, ReadersSeeWhatStays) {
  constexpr uint32_t max = 400, stays = 100, tags = 16;
  TestTable table(max);
  auto tag_of_index = [](uint32_t index) { return (index % tags) << 28; };
  for (uint32_t i = 0; i < stays; ++i) ASSERT_TRUE(table.insert(tag_of_index(i), tcb(i)));

  std::atomic<bool> stop = false;
  std::atomic<uint32_t> missed = 0, wrong = 0;
  auto read = [&](uint64_t seed) {
    Random random(seed);
    while (!stop.load(std::memory_order_relaxed)) {
      uint32_t index = random.below(stays);
      auto same_index = [&](Number n) {
        if (n.index() >= max || tag_of_index(n.index()) != tag_of_index(index)) ++wrong;
        return n.index() == index;
      };
      if (!table.find(tag_of_index(index), same_index)) ++missed;
    }
  };
  std::thread one(read, 1), two(read, 2);
  Random random(3);
  std::vector<bool> in(max);
  for (uint32_t i = 0; i < 200'000; ++i) {
    uint32_t index = stays + random.below(max - stays);
    if (in[index]) {
      table.erase(tag_of_index(index), tcb(index));
    } else {
      ASSERT_TRUE(table.insert(tag_of_index(index), tcb(index)));
    }
    in[index] = !in[index];
    uint32_t renamed = random.below(stays);
    table.rename(tag_of_index(renamed), tcb(renamed), Number::make(Kind::time_wait, renamed));
    table.rename(tag_of_index(renamed), Number::make(Kind::time_wait, renamed), tcb(renamed));
  }
  stop = true;
  one.join();
  two.join();
  EXPECT_EQ(missed, 0u);
  EXPECT_EQ(wrong, 0u);
}

// What the writer wrote into a record before it inserted the number is seen by a reader that finds the
// number.
TEST(FlowTable, RecordsAreSeenBeforeTheirNumbers) {
  constexpr uint32_t max = 50'000;
  TestTable table(max);
  SipKey secret{1, 2};
  std::vector<wire::FlowKey> records(max);
  auto key_of = [](uint32_t i) {
    return wire::FlowKey{ipv4(10, 0, 0, 1), {i * 0x9e3779b1}, 80, static_cast<uint16_t>(i)};
  };
  std::atomic<bool> stop = false;
  uint64_t found = 0, lookups = 0;
  std::thread reader([&] {
    Random random(1);
    for (; !stop.load(std::memory_order_relaxed); ++lookups) {
      wire::FlowKey key = key_of(random.below(max));
      if (table.find(FlowTable::tag_of(hash(secret, key)),
                     [&](Number n) { return records[n.index()] == key; }))
        ++found;
    }
  });
  for (uint32_t i = 0; i < max; ++i) {
    records[i] = key_of(i);
    ASSERT_TRUE(table.insert(FlowTable::tag_of(hash(secret, records[i])), tcb(i)));
  }
  stop = true;
  reader.join();
  EXPECT_LE(found, lookups);
}

}  // namespace
}  // namespace millrace::flow
