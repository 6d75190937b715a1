// SPDX-License-Identifier: BSD-3-Clause
// States and their successors, and the ring of TIME-WAIT records.
#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "base/siphash.h"
#include "tcp/isn.h"
#include "tcp/state.h"
#include "tcp/time_wait.h"

namespace millrace::tcp {
namespace {

TEST(State, names_are_those_of_the_rfc) {
  EXPECT_STREQ(name(State::fin_wait_1), "FIN-WAIT-1");
  EXPECT_STREQ(name(State::syn_received), "SYN-RECEIVED");
}

TEST(State, only_the_arrows_of_figure_5) {
  EXPECT_TRUE(may_follow(State::fin_wait_1, State::time_wait));
  EXPECT_TRUE(may_follow(State::syn_sent, State::syn_received));
  EXPECT_FALSE(may_follow(State::close_wait, State::fin_wait_1));
  EXPECT_FALSE(may_follow(State::time_wait, State::established));
  for (auto s : {State::established, State::last_ack, State::syn_sent})
    EXPECT_TRUE(may_follow(s, State::closed));
}

TEST(TimeWaitRing, behaves_as_a_queue_with_holes) {
  std::vector<std::byte> memory(64 * 64 + 64);
  auto skip = 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
  Region region{memory.data() + skip, memory.size() - skip};
  TimeWaitRing ring;
  ring.init(region, 32);
  Random random{7};
  std::deque<std::pair<uint32_t, uint32_t>> model;  // index, tag; tag 0: ended
  for (uint32_t step = 1; step < 20'000; ++step) {
    uint32_t what = random.below(3);
    if (what == 0 && !ring.full()) {
      TimeWait record;
      record.tag = step;
      model.emplace_back(ring.append(record), step);
    } else if (what == 1 && !model.empty()) {
      auto& [index, tag] = model[random.below(static_cast<uint32_t>(model.size()))];
      if (tag != 0) ring.end(index);
      tag = 0;
    } else if (what == 2 && !ring.empty()) {
      ASSERT_EQ(ring.oldest(), model.front().first);
      ASSERT_EQ(ring[ring.oldest()].alive, model.front().second != 0);
      ring.drop_oldest();
      model.pop_front();
    }
    uint32_t alive = 0;
    for (auto& [index, tag] : model) {
      alive += tag != 0;
      if (tag != 0) {
        ASSERT_EQ(ring[index].tag, tag);
      }
    }
    ASSERT_EQ(ring.alive(), alive);
    ASSERT_EQ(ring.full(), model.size() == 32);
  }
}

// RFC9293-MUST-8, RFC9293-SHLD-1, RFC6528-3
TEST(Isn, has_a_clock_and_differs_by_flow_and_secret) {
  SipKey a{1, 2}, b{1, 3};
  wire::FlowKey k{ipv4(10, 0, 0, 1), ipv4(10, 0, 0, 2), 7, 40000, 4}, other = k;
  other.remote_port = 40001;
  Instant t{seconds(100).ns};
  wire::Seq first = initial_numbers(a, k, t).iss;
  wire::Seq later = initial_numbers(a, k, t + milliseconds(4)).iss;
  EXPECT_NEAR(wire::distance(first, later), 1000, 30);  // about 4 us a tick
  EXPECT_NE(first, initial_numbers(b, k, t).iss);
  EXPECT_NE(first, initial_numbers(a, other, t).iss);
  EXPECT_EQ(initial_numbers(a, k, t).ts_offset, initial_numbers(a, k, t + seconds(9)).ts_offset);
}

}  // namespace
}  // namespace millrace::tcp
