// SPDX-License-Identifier: BSD-3-Clause
// Local ports where there are several cores: those that make a flow the connecting core's own, all of them, and no other.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "flow/local_ports.h"
#include "test_memory.h"

namespace millrace::flow {
namespace {

constexpr Ipv4Address local = ipv4(10, 0, 0, 1);

// A key that is random but for its length, and a table dealt out to `cores` in turn.
struct Cores {
  explicit Cores(uint32_t cores, uint32_t table_size = 128, uint64_t seed = 1) {
    Random random(seed);
    for (uint8_t& byte : key) byte = static_cast<uint8_t>(random.next());
    for (uint32_t i = 0; i < table_size; ++i) table.push_back(static_cast<uint8_t>(i % cores));
    steering = std::make_unique<wire::Steering>(key, table);
  }
  uint32_t owner(uint32_t remote, uint16_t remote_port, uint16_t port) const {
    return steering->owner({local, {remote}, port, remote_port, 4});
  }
  uint8_t key[40];
  std::vector<uint8_t> table;
  std::unique_ptr<wire::Steering> steering;
};

struct SteeredPorts : LocalPorts {
  SteeredPorts(const Cores& cores, uint32_t core, uint16_t first, uint16_t last, uint32_t max_pools = 2)
      : memory([&](Region& region) { init(region, max_pools, first, last, 1, cores.steering.get(), core); }) {}
  std::vector<uint16_t> take_all(uint32_t remote, uint16_t port) {
    std::vector<uint16_t> all;
    uint32_t pool = pool_for(local, {remote}, port);
    for (uint16_t taken; take(pool, taken);) all.push_back(taken);
    return all;
  }
  void give_all(uint32_t remote, uint16_t port, const std::vector<uint16_t>& all) {
    uint32_t pool = pool_for(local, {remote}, port);
    for (uint16_t one : all) put_back(pool, one);
  }
  TestMemory memory;
};

// For each destination the cores' ports together are all ports, each once.
TEST(SteeredPorts, EachPortIsOneCores) {
  for (uint32_t cores : {2u, 3u, 8u, 256u}) {
    Cores all(cores, 512);
    for (uint32_t remote : {7u, 0x0a090001u}) {
      std::set<uint16_t> seen;
      size_t most = 0, least = SIZE_MAX;
      for (uint32_t core = 0; core < cores; ++core) {
        SteeredPorts ports(all, core, 1024, 65535);
        std::vector<uint16_t> taken = ports.take_all(remote, 80);
        for (uint16_t port : taken) {
          ASSERT_EQ(all.owner(remote, 80, port), core);
          ASSERT_TRUE(seen.insert(port).second);
        }
        most = std::max(most, taken.size());
        least = std::min(least, taken.size());
      }
      EXPECT_EQ(seen.size(), 64512u) << cores;
      EXPECT_GE(least * 3, most) << cores;  // of 512 entries 256 cores have two each, of 3 cores 170 or 171
    }
  }
}

// Any range, aligned or not, down to a few ports: exactly those that an owner's table says.
TEST(SteeredPorts, AnyRange) {
  Cores cores(3);
  for (auto [first, last] : {std::pair{40'000, 40'099}, {1, 65'535}, {5000, 5000}, {1023, 1157}}) {
    for (uint32_t core = 0; core < 3; ++core) {
      std::set<uint16_t> expected;
      for (int port = first; port <= last; ++port)
        if (cores.owner(9, 443, static_cast<uint16_t>(port)) == core) expected.insert(static_cast<uint16_t>(port));
      SteeredPorts ports(cores, core, static_cast<uint16_t>(first), static_cast<uint16_t>(last));
      auto taken = ports.take_all(9, 443);
      EXPECT_EQ(std::set<uint16_t>(taken.begin(), taken.end()), expected) << first << ' ' << last << ' ' << core;
      EXPECT_EQ(ports.capacity(ports.pool_for(local, {9}, 443)), expected.size());
    }
  }
}

// Another destination's ports are others: a pool that is taken over is filled anew.
TEST(SteeredPorts, APoolIsTakenOver) {
  Cores cores(4);
  SteeredPorts ports(cores, 2, 10'000, 19'999, 1);
  for (uint32_t remote = 1; remote < 30; ++remote) {
    auto taken = ports.take_all(remote, 80);
    EXPECT_GT(taken.size(), 2000u);
    EXPECT_LT(taken.size(), 3000u);
    for (uint16_t port : taken) ASSERT_EQ(cores.owner(remote, 80, port), 2u);
    EXPECT_EQ(ports.pool_for(local, {remote + 100}, 80), no_index) << "in use";
    ports.give_all(remote, 80, taken);
  }
}

TEST(SteeredPorts, OrderIsShuffledAndLongestFreeFirst) {
  Cores cores(2);
  SteeredPorts ports(cores, 0, 10'000, 19'999);
  auto first = ports.take_all(1, 80);
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  ports.give_all(1, 80, first);
  EXPECT_EQ(ports.take_all(1, 80), first);
}

// A key that says nothing of the port: all flows to one destination are one core's, and the others have no port for it.
TEST(SteeredPorts, AKeyThatLeavesACoreWithoutPorts) {
  Cores cores(2);
  std::fill(std::begin(cores.key), std::end(cores.key), uint8_t{0});
  wire::Steering blind(cores.key, cores.table);
  for (uint32_t core = 0; core < 2; ++core) {
    Cores same(2);
    *same.steering = blind;
    SteeredPorts ports(same, core, 10'000, 10'999);
    EXPECT_EQ(ports.take_all(1, 80).size(), core == 0 ? 1000u : 0u);
    EXPECT_EQ(ports.take_all(1, 80).size(), 0u);
  }
}

}  // namespace
}  // namespace millrace::flow
