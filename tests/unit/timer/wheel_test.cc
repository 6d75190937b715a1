// SPDX-License-Identifier: BSD-3-Clause
// The wheel against a model that cannot be wrong: an ordered set of (tick, index).
#include "timer/wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/siphash.h"

namespace millrace::timer {
namespace {

constexpr Duration tick = nanoseconds(1 << Wheel::tick_shift);
constexpr uint64_t last_tick = UINT64_MAX >> Wheel::tick_shift;

uint64_t tick_not_before(Instant at) {
  uint64_t rounded = at.ns / tick.ns + (at.ns % tick.ns != 0);
  return std::min(rounded, last_tick);
}

// A wheel with memory of exactly the size it asks for.
class TestWheel : public Wheel {
 public:
  explicit TestWheel(uint32_t indices, Instant now = {}) {
    Region measure;
    Wheel probe;
    probe.init(measure, indices, now);
    bytes_ = (measure.used() + 63) & ~size_t{63};
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(64, bytes_)));
    Region region(memory_.get(), bytes_);
    init(region, indices, now);
  }
  size_t bytes() const { return bytes_; }

  // All that is due, in as many calls as it takes.
  std::vector<uint32_t> all_due(Instant now, size_t room = 64) {
    std::vector<uint32_t> all, due(room);
    do {
      uint32_t count = advance(now, due);
      all.insert(all.end(), due.begin(), due.begin() + count);
    } while (next_deadline() <= now);
    return all;
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  size_t bytes_ = 0;
};

// The wheel and the model, driven together.
class Checked {
 public:
  Checked(uint32_t indices, Instant now) : wheel_(indices, now), tick_(indices), now_(now) {}

  Instant now() const { return now_; }

  void arm(uint32_t index, Instant at) {
    wheel_.arm(index, at);
    uint64_t asked = tick_not_before(at);
    if (tick_[index] && *tick_[index] <= asked) return;
    forget(index);
    tick_[index] = asked;
    order_.insert({asked, index});
    ASSERT_TRUE(wheel_.armed(index));
  }
  void cancel(uint32_t index) {
    wheel_.cancel(index);
    forget(index);
    ASSERT_FALSE(wheel_.armed(index));
  }
  // One call of advance(): what it yields is due, and if it had room and work to spare, all that is due.
  void advance(Instant now, size_t room, bool everything) {
    now_ = now;
    std::vector<uint32_t> due(room);
    uint32_t count = wheel_.advance(now, due);
    ASSERT_LE(count, room);
    for (uint32_t i = 0; i < count; ++i) {
      ASSERT_TRUE(tick_[due[i]].has_value()) << "fired, but not armed";
      ASSERT_LE(*tick_[due[i]], now.ns / tick.ns) << "fired early";
      ASSERT_FALSE(wheel_.armed(due[i]));
      forget(due[i]);
      ++fired_;
    }
    if (everything) {
      ASSERT_TRUE(order_.empty() || order_.begin()->first > now.ns / tick.ns) << "not fired";
    }
    check();
  }
  void finish_turn(size_t room) {
    for (uint32_t calls = 0; wheel_.next_deadline() <= now_; ++calls) {
      advance(now_, room, false);
      ASSERT_LT(calls, 10'000'000u);
    }
    advance(now_, room, true);
  }
  void check() const {
    ASSERT_EQ(wheel_.size(), order_.size());
    if (order_.empty()) {
      ASSERT_EQ(wheel_.next_deadline(), Instant::never());
    } else {
      uint64_t first = std::max(order_.begin()->first, now_.ns / tick.ns);
      ASSERT_LE(wheel_.next_deadline().ns, first * tick.ns);
    }
  }
  Instant next_deadline() const { return wheel_.next_deadline(); }
  bool empty() const { return order_.empty(); }
  uint64_t fired() const { return fired_; }

 private:
  void forget(uint32_t index) {
    if (!tick_[index]) return;
    order_.erase({*tick_[index], index});
    tick_[index].reset();
  }
  TestWheel wheel_;
  std::vector<std::optional<uint64_t>> tick_;
  std::set<std::pair<uint64_t, uint32_t>> order_;
  Instant now_;
  uint64_t fired_ = 0;
};

// Spans of all magnitudes up to 2^bits ns, so that every level is used and its borders are crossed.
Duration any_span(Random& random, uint32_t bits) {
  return {random.next() >> (64 - bits + random.below(bits))};
}

struct Mix {
  const char* name;
  uint32_t indices;
  uint32_t arm_bits;   // deadlines up to 2^n ns ahead
  uint32_t step_bits;  // advances of up to 2^n ns
  uint32_t operations;
  uint64_t start;
};

class WheelModel : public testing::TestWithParam<Mix> {};

TEST_P(WheelModel, AgreesUnderRandomOperations) {
  const Mix& mix = GetParam();
  Random random(mix.indices * 31 + mix.arm_bits);
  Checked checked(mix.indices, {mix.start});
  for (uint32_t i = 0; i < mix.operations && !testing::Test::HasFatalFailure(); ++i) {
    uint32_t index = random.below(mix.indices);
    uint32_t action = random.below(100);
    if (action < 60) {
      checked.arm(index, checked.now() + any_span(random, mix.arm_bits));
    } else if (action < 63) {  // in the past
      checked.arm(index, checked.now() - Duration{random.below(1'000'000) % (checked.now().ns + 1)});
    } else if (action < 80) {
      checked.cancel(index);
    } else if (action < 98) {  // little room: stops, goes on in later calls, with arms and cancels between
      checked.advance(checked.now() + any_span(random, mix.step_bits), random.below(6), false);
    } else if (action < 99) {
      checked.advance(checked.now() + any_span(random, mix.step_bits), mix.indices * 64, mix.arm_bits < 52);
    } else {
      checked.finish_turn(1 + random.below(64));
    }
  }
  while (!checked.empty() && mix.arm_bits < 52 && !testing::Test::HasFatalFailure()) {
    checked.advance(std::max(checked.now(), checked.next_deadline()), 64, false);
  }
  EXPECT_GT(checked.fired(), mix.operations / 20);
}

constexpr uint64_t day = 86'400'000'000'000;
INSTANTIATE_TEST_SUITE_P(Mixes, WheelModel,
                         testing::Values(Mix{"crowded_level_0", 500, 22, 16, 1'000'000, 0},
                                         Mix{"milliseconds", 300, 28, 24, 1'000'000, 12'345'678'901},
                                         Mix{"seconds", 2000, 34, 30, 1'000'000, 3 * day},
                                         Mix{"minutes_and_long_idling", 100, 38, 40, 500'000, 7},
                                         Mix{"days", 200, 49, 45, 500'000, (uint64_t{1} << 46) - 1000},
                                         Mix{"beyond_all", 50, 64, 50, 100'000, 40 * day},
                                         Mix{"one_index", 1, 40, 38, 500'000, 0},
                                         Mix{"few_indices", 8, 36, 34, 500'000, (uint64_t{255} << 38) - 5}),
                         [](const auto& mix) { return mix.param.name; });

TEST(Wheel, FiresAtTheFirstAdvanceNotBeforeItsDeadlineRoundedUp) {
  std::vector<uint64_t> spans = {0, 1, tick.ns - 1, tick.ns, tick.ns + 1};
  for (uint32_t bits = 15; bits < 50; ++bits)
    for (int64_t off : {-1, 0, 1}) spans.push_back((uint64_t{1} << bits) + static_cast<uint64_t>(off));
  for (uint64_t start : {uint64_t{0}, uint64_t{5'000'000'001}, (uint64_t{1} << 46) - 1}) {
    for (uint64_t span : spans) {
      TestWheel wheel(4, {start});
      wheel.arm(3, {start + span});
      uint64_t fires = (start + span + tick.ns - 1) / tick.ns * tick.ns;
      uint32_t due[64];
      if (fires > start) {
        ASSERT_EQ(wheel.advance({fires - 1}, due), 0u) << start << " + " << span;
      }
      ASSERT_TRUE(wheel.armed(3));
      ASSERT_LE(wheel.next_deadline().ns, fires);
      ASSERT_EQ(wheel.advance({std::max(fires, start)}, due), 1u) << start << " + " << span;
      ASSERT_EQ(due[0], 3u);
      ASSERT_EQ(wheel.size(), 0u);
      ASSERT_EQ(wheel.next_deadline(), Instant::never());
    }
  }
}

TEST(Wheel, LaterDeadlinesChangeNothing) {
  TestWheel wheel(2);
  wheel.arm(0, Instant{} + milliseconds(10));
  wheel.arm(0, Instant{} + milliseconds(20));
  EXPECT_EQ(wheel.size(), 1u);
  EXPECT_EQ(wheel.all_due(Instant{} + milliseconds(11)).size(), 1u);
  wheel.arm(1, Instant{} + seconds(100));
  wheel.arm(1, Instant{} + milliseconds(30));
  EXPECT_EQ(wheel.size(), 1u);
  EXPECT_EQ(wheel.all_due(Instant{} + milliseconds(31)).size(), 1u);
  EXPECT_TRUE(wheel.all_due(Instant{} + seconds(200)).empty());
}

TEST(Wheel, ThePastFiresAtTheNextAdvance) {
  TestWheel wheel(2, Instant{} + seconds(5));
  wheel.arm(0, Instant{});
  EXPECT_EQ(wheel.all_due(Instant{} + seconds(5)), std::vector<uint32_t>{0});
  wheel.arm(1, Instant{} + seconds(4));
  wheel.arm(1, Instant{} + seconds(3));
  EXPECT_EQ(wheel.all_due(Instant{} + seconds(5)), std::vector<uint32_t>{1});
}

// The wheel follows the time also when nothing is due: what is near is put on level 0, where it stays.
TEST(Wheel, NearDeadlinesAreKnownExactly) {
  for (bool something_due : {false, true}) {
    TestWheel wheel(2);
    Instant now{uint64_t{5} << (16 + Wheel::tick_shift)};
    if (something_due) wheel.arm(0, Instant{} + milliseconds(1));
    EXPECT_EQ(wheel.all_due(now).size(), something_due);
    wheel.arm(1, now + tick * 100);
    EXPECT_EQ(wheel.next_deadline(), now + tick * 100);
  }
}

TEST(Wheel, NeverIsNeverReached) {
  TestWheel wheel(1);
  wheel.arm(0, Instant::never());
  EXPECT_TRUE(wheel.all_due({100 * day}).empty());
  EXPECT_TRUE(wheel.armed(0));
  wheel.arm(0, {100 * day + 1});
  EXPECT_EQ(wheel.all_due({100 * day + tick.ns}).size(), 1u);
}

TEST(Wheel, FiresInOrderOfTicksAndFirstComeFirstWithinATick) {
  constexpr uint32_t indices = 20'000;
  TestWheel wheel(indices);
  Random random(1);
  std::vector<uint64_t> at(indices);
  for (uint32_t i = 0; i < indices; ++i) wheel.arm(i, {at[i] = random.below(1'000'000'000)});
  auto order = wheel.all_due(Instant{} + seconds(2), 7);
  ASSERT_EQ(order.size(), indices);
  for (uint32_t i = 1; i < indices; ++i)
    ASSERT_LE(tick_not_before({at[order[i - 1]]}), tick_not_before({at[order[i]]}));

  for (uint32_t i = 0; i < 100; ++i) wheel.arm(i, Instant{} + seconds(2) + microseconds(100));
  auto same_tick = wheel.all_due(Instant{} + seconds(3), 3);
  for (uint32_t i = 0; i < 100; ++i) ASSERT_EQ(same_tick[i], i);
}

// Who arms again for a time that has passed stands behind those who wait already.
TEST(Wheel, NobodyStarves) {
  TestWheel wheel(100, Instant{} + seconds(1));
  for (uint32_t i = 0; i < 100; ++i) wheel.arm(i, Instant{});
  std::vector<uint32_t> fired(100);
  uint32_t due[10];
  for (int turn = 0; turn < 30; ++turn) {
    uint32_t count = wheel.advance(Instant{} + seconds(1), due);
    for (uint32_t i = 0; i < count; ++i) {
      ++fired[due[i]];
      wheel.arm(due[i], Instant{});
    }
  }
  for (uint32_t times : fired) EXPECT_EQ(times, 3u);
}

// A hundred thousand deadlines in one slot of a higher level: no call moves more than its share.
TEST(Wheel, RedistributesInParts) {
  constexpr uint32_t indices = 100'000;
  TestWheel wheel(indices);
  for (uint32_t i = 0; i < indices; ++i) wheel.arm(i, Instant{} + seconds(3) + nanoseconds(i * 1000));
  Instant border = wheel.next_deadline();
  EXPECT_LT(border, Instant{} + seconds(3));
  uint32_t due[64];
  uint32_t calls = 0;
  for (; wheel.next_deadline() <= border; ++calls) ASSERT_EQ(wheel.advance(border, due), 0u);
  EXPECT_GE(calls, indices / (64 * Wheel::moves_per_due));
  EXPECT_LE(calls, indices / (64 * Wheel::moves_per_due) + 2);
  EXPECT_EQ(wheel.all_due(Instant{} + seconds(4)).size(), indices);
}

// Cancelling all that is left of a half redistributed slot leaves a wheel that goes on as if it were new.
TEST(Wheel, CancelInAHalfRedistributedSlot) {
  TestWheel wheel(1000);
  for (Instant base : {Instant{} + seconds(3), Instant{} + seconds(20), Instant{20 * day}}) {
    for (uint32_t i = 0; i < 1000; ++i) wheel.arm(i, base + microseconds(i));
    uint32_t due[8];
    EXPECT_EQ(wheel.advance(wheel.next_deadline(), due), 0u);
    EXPECT_EQ(wheel.size(), 1000u);
    for (uint32_t i = 0; i < 1000; ++i) wheel.cancel(i);
    EXPECT_EQ(wheel.next_deadline(), Instant::never());
    wheel.arm(5, base + seconds(1));
    EXPECT_TRUE(wheel.all_due(base + milliseconds(999)).empty());
    EXPECT_EQ(wheel.all_due(base + milliseconds(1001)), std::vector<uint32_t>{5});
  }
}

TEST(Wheel, ADayIsJumpedOver) {
  constexpr uint32_t indices = 1000;
  TestWheel wheel(indices);
  Instant now;
  for (int d = 0; d < 10'000; ++d) {  // tick by tick this would be 5 * 10^13 steps
    wheel.arm(static_cast<uint32_t>(d) % indices, now + Duration{day} - seconds(1));
    now = now + Duration{day};
    ASSERT_EQ(wheel.all_due(now).size(), 1u);
  }
}

// As many chunks in use as can be: an entry in every slot that can be reached, the rest in as few as
// possible; and then all of it moved about. A lack of chunks would end the test.
TEST(Wheel, MemoryIsBoundedAndEnough) {
  for (uint32_t indices : {1u, 7u, 100u, 1100u, 5000u}) {
    TestWheel wheel(indices);
    EXPECT_LE(wheel.bytes(),
              8 * indices + 64 * (1 + std::min(indices, indices / 7 + 1028)) + 1026 * 16 + 256);
    uint32_t i = 0;
    for (uint32_t level = 0; level < 4; ++level)
      for (uint64_t digit = 1; digit < 256 && i < indices; ++digit, ++i)
        wheel.arm(i, {digit << (8 * level + Wheel::tick_shift)});
    for (; i < indices; ++i) wheel.arm(i, {(3 + i % 250) << (16 + Wheel::tick_shift)});
    EXPECT_EQ(wheel.size(), indices);
    EXPECT_EQ(wheel.all_due({day}, 3).size(), indices);
  }
  constexpr size_t million = 1 << 20;
  EXPECT_LE(TestWheel(million).bytes(), million * 18 + 128 * 1024);
}

TEST(Wheel, SameCallsSameOrder) {
  auto run = [] {
    TestWheel wheel(5000);
    Random random(9);
    std::vector<uint32_t> order;
    Instant now;
    for (int i = 0; i < 20'000; ++i) {
      wheel.arm(random.below(5000), now + any_span(random, 34));
      if (i % 3 == 0) wheel.cancel(random.below(5000));
      now = now + any_span(random, 22);
      auto due = wheel.all_due(now, 5);
      order.insert(order.end(), due.begin(), due.end());
    }
    return order;
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace millrace::timer
