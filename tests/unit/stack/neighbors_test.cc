// SPDX-License-Identifier: BSD-3-Clause
#include "stack/neighbors.h"

#include <gtest/gtest.h>

#include <vector>

namespace millrace::stack {
namespace {

struct NeighborsTest : testing::Test {
  std::vector<std::byte> memory = std::vector<std::byte>(8192);
  Neighbors n;
  Instant now{seconds(10).ns};
  wire::Mac mac{{2, 0, 0, 0, 0, 9}};
  void SetUp() override {
    auto skip = 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
    Region region{memory.data() + skip, memory.size() - skip};
    n.init(region, 4);
  }
  // Lets time pass to the next deadline; true if neighbour `i` has failed by that.
  bool next(uint16_t i) {
    n.refresh_deadline();
    now = std::max(now, n.next_deadline());
    bool failed = n.timeout(i, now);
    n.refresh_deadline();
    return failed;
  }
};

// RFC1122-2.3.2.1b
TEST_F(NeighborsTest, asks_once_a_second_three_times) {
  uint16_t i = n.find_or_add(ipv4(10, 0, 0, 2));
  n.want(i, now);
  EXPECT_TRUE(n[i].ask);
  Instant start = now;
  for (int asked = 2; asked <= 3; ++asked) {
    n[i].ask = false;
    n.want(i, now);  // asking already: no second request
    EXPECT_FALSE(n[i].ask);
    EXPECT_FALSE(next(i));
    EXPECT_TRUE(n[i].ask);
    EXPECT_EQ(now - start, seconds(static_cast<uint64_t>(asked) - 1));
  }
  n[i].ask = false;
  EXPECT_TRUE(next(i));
  EXPECT_EQ(now - start, seconds(3));
  EXPECT_EQ(n[i].state, Neighbor::State::failed);
  n.want(i, now);  // who comes later may try again
  EXPECT_TRUE(n[i].ask);
}

// RFC1122-2.3.2.1a
TEST_F(NeighborsTest, an_address_in_use_is_asked_for_again_and_used_meanwhile) {
  uint16_t i = n.find_or_add(ipv4(10, 0, 0, 2));
  n.want(i, now);
  n.confirm(i, mac, now);
  n[i].users = 1;
  Instant confirmed = now;
  EXPECT_FALSE(next(i));
  EXPECT_EQ(now - confirmed, Neighbors::good_for);
  EXPECT_EQ(n[i].state, Neighbor::State::probing);
  EXPECT_TRUE(n[i].usable());
  n.confirm(i, mac, now);
  EXPECT_EQ(n[i].state, Neighbor::State::reachable);
}

TEST_F(NeighborsTest, an_address_nobody_uses_is_forgotten) {
  uint16_t i = n.find_or_add(ipv4(10, 0, 0, 2));
  n.confirm(i, mac, now);
  EXPECT_FALSE(next(i));
  EXPECT_FALSE(n[i].usable());
  EXPECT_EQ(n.next_deadline(), Instant::never());
}

TEST_F(NeighborsTest, when_full_only_who_has_no_users_makes_room) {
  for (uint32_t k = 0; k < 4; ++k) n[n.find_or_add(ipv4(10, 0, 0, 2 + k))].users = 1;
  EXPECT_EQ(n.find_or_add(ipv4(10, 0, 0, 99)), Neighbors::none);
  n[2].users = 0;
  EXPECT_EQ(n.find_or_add(ipv4(10, 0, 0, 99)), 2);
  EXPECT_EQ(n.find(ipv4(10, 0, 0, 4)), Neighbors::none);
}

TEST_F(NeighborsTest, one_that_the_user_gave_is_never_asked_for_and_never_changed) {
  ASSERT_TRUE(n.fix(ipv4(10, 0, 0, 9), mac));
  uint16_t i = n.find(ipv4(10, 0, 0, 9));
  EXPECT_TRUE(n[i].usable());
  EXPECT_EQ(n.next_deadline(), Instant::never());
  n.confirm(i, wire::Mac{{2, 0, 0, 0, 0, 66}}, now);
  EXPECT_EQ(n[i].mac, mac);
  n.doubt(i, now);
  EXPECT_FALSE(n[i].ask);
  // Others fill the places; it keeps its own.
  for (uint8_t k = 1; k < 4; ++k) ++n[n.find_or_add(ipv4(10, 0, 0, k))].users;
  EXPECT_EQ(n.find_or_add(ipv4(10, 0, 0, 77)), Neighbors::none);
  EXPECT_EQ(n.find(ipv4(10, 0, 0, 9)), i);
}

}  // namespace
}  // namespace millrace::stack
