// SPDX-License-Identifier: BSD-3-Clause
// Who listens where.
#include "flow/listeners.h"

#include <gtest/gtest.h>

#include <map>

#include "base/siphash.h"
#include "test_memory.h"

namespace millrace::flow {
namespace {

struct TestListeners : Listeners {
  explicit TestListeners(uint32_t capacity) : memory([&](Region& region) { init(region, capacity); }) {}
  TestMemory memory;
};

constexpr Ipv4Address any, a = ipv4(10, 0, 0, 1), b = ipv4(10, 0, 0, 2);

TEST(Listeners, TheSpecificOneWinsOverAny) {
  TestListeners listeners(10);
  EXPECT_EQ(listeners.find(a, 80), no_index);
  EXPECT_FALSE(listeners.has_port(80));
  uint32_t of_any = listeners.add(any, 80).index;
  EXPECT_EQ(listeners.find(a, 80), of_any);
  uint32_t of_a = listeners.add(a, 80).index;
  EXPECT_EQ(listeners.find(a, 80), of_a);
  EXPECT_EQ(listeners.find(b, 80), of_any);
  EXPECT_EQ(listeners.find(a, 81), no_index);
  EXPECT_TRUE(listeners.has_port(80));
  EXPECT_FALSE(listeners.has_port(81));
  listeners.remove(of_a);
  EXPECT_EQ(listeners.find(a, 80), of_any);
  listeners.remove(of_any);
  EXPECT_FALSE(listeners.has_port(80));
  EXPECT_EQ(listeners.size(), 0u);
}

TEST(Listeners, TheSameTwiceAndTooManyAreToldApart) {
  TestListeners listeners(3);
  ASSERT_EQ(listeners.add(any, 80).refused, Event::no_reason);
  ASSERT_EQ(listeners.add(a, 80).refused, Event::no_reason);
  EXPECT_EQ(listeners.add(any, 80).refused, Event::in_use);
  EXPECT_EQ(listeners.add(any, 80).index, no_index);
  EXPECT_EQ(listeners.add(a, 80).refused, Event::in_use);
  uint32_t last = listeners.add(a, 81).index;
  EXPECT_NE(last, no_index);
  EXPECT_EQ(listeners.add(b, 80).refused, Event::no_memory);
  EXPECT_EQ(listeners.add(a, 81).refused, Event::in_use);  // also when full
  listeners.remove(last);
  EXPECT_EQ(listeners.add(b, 80).index, last);
}

TEST(Listeners, AgreeWithAMap) {
  constexpr uint32_t capacity = 200;
  TestListeners listeners(capacity);
  std::map<std::pair<uint16_t, Ipv4Address>, uint32_t> model;
  Random random(1);
  const uint16_t ports[] = {0, 1, 80, 65535, 443, 8080};
  for (uint32_t i = 0; i < 200'000; ++i) {
    uint16_t port = ports[random.below(6)];
    Ipv4Address local{random.below(60)};  // 0 is any
    auto known = model.find({port, local});
    if (random.below(2) == 0) {
      auto added = listeners.add(local, port);
      if (known != model.end()) {
        ASSERT_EQ(added.refused, Event::in_use);
      } else if (model.size() == capacity) {
        ASSERT_EQ(added.refused, Event::no_memory);
      } else {
        ASSERT_LT(added.index, capacity);
        model[{port, local}] = added.index;
      }
    } else if (known != model.end()) {
      listeners.remove(known->second);
      model.erase(known);
    }
    auto want = model.find({port, local});
    if (want == model.end()) want = model.find({port, any});
    ASSERT_EQ(listeners.find(local, port), want == model.end() ? no_index : want->second);
    auto first = model.lower_bound({port, any});
    ASSERT_EQ(listeners.has_port(port), first != model.end() && first->first.first == port);
    ASSERT_EQ(listeners.size(), model.size());
  }
}

TEST(Listeners, EveryPortAtOnce) {
  TestListeners listeners(Listeners::max_capacity);
  for (uint32_t port = 1; port <= 65535; ++port)
    ASSERT_NE(listeners.add(any, static_cast<uint16_t>(port)).index, no_index);
  EXPECT_EQ(listeners.add(a, 1).refused, Event::no_memory);
  std::map<uint32_t, int> seen;
  for (uint32_t port = 1; port <= 65535; ++port) ++seen[listeners.find(b, static_cast<uint16_t>(port))];
  EXPECT_EQ(seen.size(), 65535u);
  EXPECT_EQ(seen.count(no_index), 0u);
}

}  // namespace
}  // namespace millrace::flow
