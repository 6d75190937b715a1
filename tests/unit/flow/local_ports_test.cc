// SPDX-License-Identifier: BSD-3-Clause
// Local ports: each once before any twice, longest free first, in an order that is the seed's.
#include "flow/local_ports.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "test_memory.h"

namespace millrace::flow {
namespace {

struct TestPorts : LocalPorts {
  TestPorts(uint32_t max_pools, uint16_t first, uint16_t last, uint64_t seed = 1)
      : memory([&](Region& region) { init(region, max_pools, first, last, seed); }) {}
  uint32_t pool(uint32_t remote, uint16_t port = 80) { return pool_for(ipv4(10, 0, 0, 1), {remote}, port); }
  uint16_t take_one(uint32_t pool) {
    uint16_t port = 0;
    EXPECT_TRUE(take(pool, port));
    return port;
  }
  std::vector<uint16_t> take_all(uint32_t pool) {
    std::vector<uint16_t> all;
    for (uint16_t port; take(pool, port);) all.push_back(port);
    return all;
  }
  TestMemory memory;
};

std::set<uint16_t> as_set(const std::vector<uint16_t>& ports) {
  return {ports.begin(), ports.end()};
}

TEST(LocalPorts, EachOnceDownToTheLast) {
  TestPorts ports(1, first_ephemeral_port, last_ephemeral_port);
  uint32_t pool = ports.pool(7);
  EXPECT_EQ(ports.capacity(pool), 64512u);
  EXPECT_EQ(ports.free_count(pool), 64512u);
  auto all = ports.take_all(pool);
  auto unique = as_set(all);
  EXPECT_EQ(all.size(), 64512u);
  EXPECT_EQ(unique.size(), 64512u);
  EXPECT_EQ(*unique.begin(), 1024);
  EXPECT_EQ(*unique.rbegin(), 65535);
  EXPECT_EQ(ports.free_count(pool), 0u);
  uint16_t none;
  EXPECT_FALSE(ports.take(pool, none));
}

TEST(LocalPorts, OrderIsTheSeedsAndTheDestinations) {
  auto order = [](uint64_t seed, uint32_t remote, uint16_t port) {
    TestPorts ports(2, 10'000, 19'999, seed);
    return ports.take_all(ports.pool(remote, port));
  };
  auto first = order(1, 7, 80);
  EXPECT_EQ(first, order(1, 7, 80));
  for (const auto& other : {order(2, 7, 80), order(1, 8, 80), order(1, 7, 81)}) {
    uint32_t same = 0;
    for (size_t i = 0; i < first.size(); ++i) same += first[i] == other[i];
    EXPECT_LT(same, 20u);  // of a random order: 1 or so
  }
  uint32_t ascents = 0, in_place = 0;  // and it is no mere offset, nor the identity
  for (size_t i = 1; i < first.size(); ++i) ascents += first[i] > first[i - 1];
  for (size_t i = 0; i < first.size(); ++i) in_place += first[i] == 10'000 + i;
  EXPECT_NEAR(ascents, 5000, 300);
  EXPECT_LT(in_place, 20u);
}

// Over many seeds, each port comes first about as often as any other.
TEST(LocalPorts, FirstPortIsUniform) {
  std::map<uint16_t, int> count;
  for (uint64_t seed = 0; seed < 16'000; ++seed) {
    TestPorts ports(1, 5000, 5015, seed);
    ++count[ports.take_one(ports.pool(1))];
  }
  ASSERT_EQ(count.size(), 16u);
  for (auto [port, times] : count) EXPECT_NEAR(times, 1000, 160) << port;
}

TEST(LocalPorts, LongestFreeFirst) {
  TestPorts ports(1, 100, 199);
  uint32_t pool = ports.pool(1);
  std::vector<uint16_t> taken;
  for (int i = 0; i < 40; ++i) taken.push_back(ports.take_one(pool));
  for (int i = 39; i >= 0; --i) ports.put_back(pool, taken[i]);
  auto rest = ports.take_all(pool);
  ASSERT_EQ(rest.size(), 100u);
  auto early = as_set(taken);
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(early.contains(rest[i])) << "used again before one never used";
  for (int i = 0; i < 40; ++i) EXPECT_EQ(rest[60 + i], taken[39 - i]);
}

TEST(LocalPorts, PutFrontComesNext) {
  TestPorts ports(1, 100, 199);
  uint32_t pool = ports.pool(1);
  for (int round = 0; round < 3; ++round) {
    uint16_t x = ports.take_one(pool);
    uint16_t y = ports.take_one(pool);
    ports.put_front(pool, y);
    ports.put_front(pool, x);
    EXPECT_EQ(ports.free_count(pool), 100u);
    EXPECT_EQ(ports.take_one(pool), x);
    EXPECT_EQ(ports.take_one(pool), y);
    auto rest = ports.take_all(pool);
    EXPECT_EQ(as_set(rest).size(), 98u);
    ports.put_back(pool, x);
    ports.put_back(pool, y);
    for (uint16_t port : rest) ports.put_back(pool, port);
  }
}

// Against a plain queue, once every port was used; before that, against the set of ports never used.
TEST(LocalPorts, AgreeWithAQueue) {
  for (auto [first, last] :
       {std::pair<uint16_t, uint16_t>{1, 1}, {1, 2}, {500, 626}, {500, 627}, {500, 628}}) {
    TestPorts ports(1, first, last);
    uint32_t pool = ports.pool(1);
    std::set<uint16_t> never_used;
    for (uint32_t port = first; port <= last; ++port) never_used.insert(static_cast<uint16_t>(port));
    std::deque<uint16_t> front, back;  // put back before and behind those
    std::vector<uint16_t> used;
    Random random(last);
    for (int i = 0; i < 200'000; ++i) {
      if (random.below(20) < 10) {
        uint16_t port = 0;
        bool any = !front.empty() || !never_used.empty() || !back.empty();
        ASSERT_EQ(ports.take(pool, port), any);
        if (!any) continue;
        if (!front.empty()) {
          ASSERT_EQ(port, front.front());
          front.pop_front();
        } else if (!never_used.empty()) {
          ASSERT_EQ(never_used.erase(port), 1u);
        } else {
          ASSERT_EQ(port, back.front());
          back.pop_front();
        }
        used.push_back(port);
      } else if (!used.empty()) {
        std::swap(used[random.below(static_cast<uint32_t>(used.size()))], used.back());
        bool to_front = random.below(8) == 0;
        (to_front ? ports.put_front(pool, used.back()) : ports.put_back(pool, used.back()));
        (to_front ? front.push_front(used.back()) : back.push_back(used.back()));
        used.pop_back();
      }
      ASSERT_EQ(ports.free_count(pool), front.size() + never_used.size() + back.size());
    }
  }
}

TEST(LocalPorts, PoolsAreFoundAgainAndAreApart) {
  TestPorts ports(3, 100, 199);
  uint32_t x = ports.pool(1), y = ports.pool(2), z = ports.pool(1, 81);
  EXPECT_EQ((std::set<uint32_t>{x, y, z}).size(), 3u);
  EXPECT_EQ(ports.pool(1), x);
  EXPECT_EQ(ports.pool_for(ipv4(10, 0, 0, 1), {2}, 80), y);
  EXPECT_EQ(as_set(ports.take_all(x)).size(), 100u);
  EXPECT_EQ(ports.free_count(y), 100u);
  EXPECT_EQ(as_set(ports.take_all(y)).size(), 100u);
}

TEST(LocalPorts, AnIdlePoolIsTakenOverABusyOneIsNot) {
  TestPorts ports(2, 100, 199);
  uint32_t x = ports.pool(1), y = ports.pool(2);
  uint16_t from_x = ports.take_one(x), from_y = ports.take_one(y);
  EXPECT_EQ(ports.pool(3), no_index);
  ports.put_back(x, from_x);
  EXPECT_EQ(ports.pool(1), x);  // still its own
  EXPECT_EQ(ports.pool(3), x);
  EXPECT_EQ(ports.free_count(x), 100u);
  EXPECT_EQ(ports.pool(2), y);
  EXPECT_EQ(as_set(ports.take_all(x)).size(), 100u);
  EXPECT_EQ(ports.pool(1), no_index);
  ports.put_front(y, from_y);
  EXPECT_EQ(ports.pool(1), y);
  EXPECT_EQ(ports.pool(3), x);
  EXPECT_EQ(ports.pool(2), y);  // y is idle again: whoever asks next has it
}

// The one idle longest goes first; a returning destination does not begin with the same ports again.
TEST(LocalPorts, TakenOverInOrderOfIdling) {
  TestPorts ports(3, 100, 1099);
  uint32_t x = ports.pool(1), y = ports.pool(2), z = ports.pool(3);
  std::vector<uint16_t> first;
  for (int i = 0; i < 5; ++i) first.push_back(ports.take_one(x));
  for (uint16_t port : first) ports.put_back(x, port);
  EXPECT_EQ(ports.pool(4), y);
  EXPECT_EQ(ports.pool(5), z);
  EXPECT_EQ(ports.pool(6), x);
  uint32_t again = ports.pool(1);
  EXPECT_EQ(again, y);
  std::vector<uint16_t> second;
  for (int i = 0; i < 5; ++i) second.push_back(ports.take_one(again));
  EXPECT_NE(first, second);
}

TEST(LocalPorts, ManyDestinationsInFewPools) {
  constexpr uint32_t pools = 16;
  TestPorts ports(pools, 100, 131);
  std::map<uint32_t, std::vector<uint16_t>> used;  // by destination, with ports in use
  Random random(5);
  for (int i = 0; i < 300'000; ++i) {
    uint32_t destination = random.below(40);
    auto known = used.find(destination);
    if (random.below(2) == 0) {
      uint32_t pool = ports.pool(destination);
      ASSERT_EQ(pool == no_index, known == used.end() && used.size() == pools);
      uint16_t port;
      if (pool == no_index || !ports.take(pool, port)) continue;
      auto& mine = used[destination];
      ASSERT_EQ(std::count(mine.begin(), mine.end(), port), 0);
      mine.push_back(port);
    } else if (known != used.end()) {
      ports.put_back(ports.pool(destination), known->second.back());
      known->second.pop_back();
      if (known->second.empty()) used.erase(known);
    }
  }
}

}  // namespace
}  // namespace millrace::flow
