// SPDX-License-Identifier: BSD-3-Clause
#include "stack/paths.h"

#include <gtest/gtest.h>

#include <vector>

namespace millrace::stack {
namespace {

struct PathsTest : testing::Test {
  static constexpr uint32_t places = 64;
  std::vector<std::byte> memory = std::vector<std::byte>(places * sizeof(Paths::Path) + 128);
  Paths paths;
  Instant now{seconds(10).ns};
  void SetUp() override {
    auto skip = 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
    Region region{memory.data() + skip, memory.size() - skip};
    paths.init(region, places, {1, 2});
  }
  uint32_t known(uint32_t count) const {
    uint32_t n = 0;
    for (uint32_t i = 1; i <= count; ++i) n += paths.find({i}, now) != nullptr;
    return n;
  }
};

TEST_F(PathsTest, NothingIsKnownAtFirst) {
  EXPECT_TRUE(paths.empty(now));
  EXPECT_EQ(paths.find(ipv4(10, 0, 0, 1), now), nullptr);
}

// RFC 1191 6.3
TEST_F(PathsTest, WhatIsLearnedHoldsUntilItsTime) {
  const Instant until = now + seconds(600);
  paths.learn(ipv4(10, 0, 0, 1), 1400, now, until);
  ASSERT_NE(paths.find(ipv4(10, 0, 0, 1), now), nullptr);
  EXPECT_EQ(paths.find(ipv4(10, 0, 0, 1), now)->mtu, 1400);
  EXPECT_EQ(paths.find(ipv4(10, 0, 0, 2), now), nullptr);
  EXPECT_NE(paths.find(ipv4(10, 0, 0, 1), until - nanoseconds(1)), nullptr);
  EXPECT_EQ(paths.find(ipv4(10, 0, 0, 1), until), nullptr);
  EXPECT_FALSE(paths.empty(until - nanoseconds(1)));
  EXPECT_TRUE(paths.empty(until));
}

TEST_F(PathsTest, ASecondLessonTakesThePlaceOfTheFirst) {
  for (uint16_t mtu = 1400; mtu > 600; --mtu) paths.learn(ipv4(10, 0, 0, 1), mtu, now, now + seconds(mtu));
  for (uint32_t i = 1; i <= places / 8; ++i) paths.learn({i}, 1000, now, now + seconds(600));
  EXPECT_EQ(paths.find(ipv4(10, 0, 0, 1), now)->mtu, 601);
  EXPECT_EQ(known(places / 8), places / 8);
}

TEST_F(PathsTest, WhatIsLessStaysWhileItCounts) {
  paths.learn(ipv4(10, 0, 0, 1), 1000, now, now + seconds(600));
  paths.learn(ipv4(10, 0, 0, 1), 1400, now + seconds(599), now + seconds(1199));
  EXPECT_EQ(paths.find(ipv4(10, 0, 0, 1), now + seconds(599))->mtu, 1000);
  paths.learn(ipv4(10, 0, 0, 1), 1400, now + seconds(600), now + seconds(1200));
  EXPECT_EQ(paths.find(ipv4(10, 0, 0, 1), now + seconds(600))->mtu, 1400);
}

TEST_F(PathsTest, WhenAPlaceIsWantedTheOldestGoes) {
  constexpr uint32_t many = places * 20;
  for (uint32_t i = 1; i <= many; ++i) {
    paths.learn({i}, 1000, now, now + seconds(600) + nanoseconds(i));
    EXPECT_NE(paths.find({i}, now), nullptr);
  }
  EXPECT_EQ(known(many), places);  // all are used
  EXPECT_EQ(known(many / 2), 0u);
}

}  // namespace
}  // namespace millrace::stack
