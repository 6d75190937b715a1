// SPDX-License-Identifier: BSD-3-Clause
// CUBIC and HyStart++ against the formulas of RFC 9438 and RFC 9406, with a clock and ACKs that the test makes.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tcp/congestion.h"
#include "tcp/loss.h"
#include "tcp/rtt.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t mss = 1448;

struct Cubic : testing::Test {
  Context cx;
  Tcb tcb;
  uint32_t rtt_ms = 100;

  void SetUp() override {
    cx.now = Instant{} + seconds(100);
    tcb.congestion = Congestion::cubic;
    tcb.mss = mss;
    cc_init(cx, tcb);
    rtt_sample(tcb, cx.params, milliseconds(rtt_ms));
  }
  void set_rtt(uint32_t ms) {
    rtt_ms = ms;
    for (int i = 0; i < 100; ++i) rtt_sample(tcb, cx.params, milliseconds(ms));
  }
  // A loss at `segments`, recovered from: congestion avoidance begins.
  void lose_at(uint32_t segments) {
    tcb.cwnd = segments * mss;
    cc_lost(tcb, tcb.cwnd);
    tcb.cwnd = tcb.ssthresh;
  }
  // One round trip's worth of ACKs for a window that is used.
  void round_trip(uint32_t flight_percent = 100) {
    uint32_t acks = std::max(tcb.cwnd / mss, 1u);
    for (uint32_t i = 0; i < acks; ++i) {
      cx.now = cx.now + microseconds(uint64_t{rtt_ms} * 1000 / acks);
      cc_acked(cx, tcb, {mss, static_cast<uint32_t>(uint64_t{tcb.cwnd} * flight_percent / 100), 0, false});
    }
  }
  void run(double seconds_of_it, uint32_t flight_percent = 100) {
    Instant end = cx.now + milliseconds(static_cast<uint64_t>(seconds_of_it * 1000));
    while (cx.now < end) round_trip(flight_percent);
  }
  double segments() const { return double(tcb.cwnd) / mss; }
};

TEST_F(Cubic, the_cube_root_is_exact) {
  for (uint64_t r : {0ull, 1ull, 2ull, 9ull, 100ull, 4217ull, 200'000ull, 2'097'151ull}) {
    EXPECT_EQ(cube_root(r * r * r), r);
    if (r > 1) {
      EXPECT_EQ(cube_root(r * r * r - 1), r - 1);
    }
  }
}

// An epoch may begin in any millisecond, also in the one in which the clock's 32 bits of them are 0 (simulator).
TEST_F(Cubic, an_epoch_begins_while_the_milliseconds_wrap) {
  lose_at(100);
  cx.now = Instant{} + milliseconds(uint64_t{1} << 32);
  cc_acked(cx, tcb, {mss, tcb.cwnd, 0, false});
  EXPECT_GE(tcb.cubic.step, 1u);
  EXPECT_LE(tcb.cwnd, 72 * mss);
}

// At its aim a window grows by a hundredth in a round trip at most, also where a hundred times it is more than 32 bits.
TEST_F(Cubic, a_large_window_at_its_aim_grows_slowly) {
  lose_at(100);
  tcb.cwnd = tcb.cubic.w_max = 42'949'673;
  cc_acked(cx, tcb, {mss, tcb.cwnd, 0, false});
  EXPECT_GE(tcb.cubic.step, tcb.cwnd);
}

// RFC9438-4.6a: beta is 0.7; at least two segments
TEST_F(Cubic, a_loss_leaves_seven_tenths) {
  lose_at(100);
  EXPECT_EQ(tcb.ssthresh, 70 * mss);
  cc_lost(tcb, mss);
  EXPECT_EQ(tcb.ssthresh, 2 * mss);
}

// RFC9438-4.6b: of cwnd, whose growth stops when it is not used
TEST_F(Cubic, or_a_loss_leaves_seven_tenths_of_cwnd) {
  cx.params.beta_of_cwnd = true;
  cc_init(cx, tcb);
  tcb.cwnd = 10 * mss;
  cc_lost(tcb, mss);
  EXPECT_EQ(tcb.ssthresh, 7 * mss);
}

// RFC9438-4.2a, RFC9438-5.1, RFC9293-MAY-18: back at W_max after K = cbrt(30 / 0.4) s, at W_max + 0.4 K^3 after twice that
TEST_F(Cubic, the_window_follows_the_cubic) {
  lose_at(100);
  double k = std::cbrt(30 / 0.4);
  run(k);
  EXPECT_NEAR(segments(), 100, 2.5);
  run(k);
  EXPECT_NEAR(segments(), 130, 6);
}

// RFC9438-4.4, RFC9438-4.5: concave before W_max, convex after
TEST_F(Cubic, growth_slows_down_towards_w_max_and_speeds_up_behind_it) {
  lose_at(1000);
  double k = std::cbrt(300 / 0.4), last = segments();
  std::vector<double> grown;
  for (int i = 0; i < 8; ++i) {
    run(k / 4);
    grown.push_back(segments() - last);
    last = segments();
  }
  for (int i = 0; i < 3; ++i) EXPECT_GT(grown[i], grown[i + 1]) << i;
  for (int i = 4; i < 7; ++i) EXPECT_LT(grown[i], grown[i + 1]) << i;
}

// RFC9438-4.3: on a short path Reno would be faster: 9/17 of a segment a round trip, a whole one above where the loss was
TEST_F(Cubic, on_a_short_path_it_is_as_fast_as_reno) {
  set_rtt(1);
  lose_at(20);
  for (int i = 0; i < 10; ++i) round_trip();
  EXPECT_NEAR(segments(), 14 + 10 * 9 / 17., 1.1);
  while (segments() < 21) round_trip();
  double before = segments();
  for (int i = 0; i < 10; ++i) round_trip();
  EXPECT_NEAR(segments() - before, 10, 1.5);
}

// RFC9438-4.6b, RFC9438-4.2b: a window that is not used does not grow, and the time does not count
TEST_F(Cubic, time_without_enough_to_send_does_not_count) {
  lose_at(100);
  run(1);
  uint32_t before = tcb.cwnd;
  run(60, 20);
  EXPECT_EQ(tcb.cwnd, before);
  run(0.5);
  EXPECT_LT(segments(), 100);  // sixty seconds of the curve would be 80,000 segments
}

// RFC9438-4.7: who was pushed back before it was where it had been gives way
TEST_F(Cubic, fast_convergence) {
  lose_at(100);
  lose_at(80);
  EXPECT_EQ(tcb.cubic.w_max, 80u * mss * 17 / 20);
  lose_at(90);
  EXPECT_EQ(tcb.cubic.w_max, 90u * mss);
}

// RFC9438-4.8: after a timeout the curve begins where slow start ends
TEST_F(Cubic, after_a_timeout_k_is_zero) {
  tcb.cwnd = 100 * mss;
  tcb.snd.nxt = tcb.snd.max = tcb.snd.una + 100 * mss;
  cc_timeout(tcb, true);
  EXPECT_EQ(tcb.cwnd, mss);
  EXPECT_EQ(tcb.ssthresh, 70 * mss);
  tcb.cwnd = tcb.ssthresh;
  round_trip();
  EXPECT_EQ(tcb.cubic.k_ms, 0u);
  EXPECT_EQ(tcb.cubic.w_max, 70u * mss);
}

// RFC9438-4.6c: ECE brings cwnd down to one segment in the end
TEST_F(Cubic, ece_goes_down_to_one_segment) {
  tcb.cwnd = 10 * mss;
  for (int i = 0; i < 10; ++i) {
    tcb.snd.nxt = tcb.snd.max = tcb.snd.una + tcb.cwnd;
    cc_ecn(tcb);
  }
  EXPECT_EQ(tcb.cwnd, mss);
}

// RFC9438-4.9: a loss that was none: cwnd is as before, and grows from there
TEST_F(Cubic, an_undone_loss_starts_a_new_epoch) {
  lose_at(100);
  run(1);
  tcb.cwnd = 100 * mss;
  cc_undone(tcb);
  round_trip();
  EXPECT_GE(segments(), 100);
  EXPECT_LT(segments(), 103);
}

// RFC9438-4.10, RFC 9406 4.2: slow start doubles until round trips get longer, then conservatively, then stops
TEST_F(Cubic, slow_start_ends_when_round_trips_get_longer) {
  uint32_t rtt = 50'000;
  double before = segments();
  auto round = [&] {
    uint32_t acks = tcb.cwnd / mss;
    tcb.snd.nxt = tcb.snd.una + acks * mss;
    for (uint32_t i = 0; i < acks; ++i) {
      tcb.snd.una += mss;
      cc_acked(cx, tcb, {mss, tcb.cwnd, rtt, false});
    }
    tcb.snd.nxt = tcb.snd.una + tcb.cwnd;
  };
  round();
  round();
  EXPECT_GT(segments(), 3 * before);
  before = segments();
  rtt += 7'000;  // more than an eighth
  for (int i = 0; i < 2; ++i) round();
  EXPECT_NE(tcb.hystart.css_left, 0);
  for (int i = 0; i < 8 && tcb.cwnd < tcb.ssthresh; ++i) round();
  EXPECT_LE(tcb.ssthresh, tcb.cwnd);
}

// RFC 9406 4.3: a later slow start has an end already, and longer round trips do not slow it
TEST_F(Cubic, only_the_first_slow_start_looks_at_round_trips) {
  tcb.ssthresh = 1000 * mss;
  double before = segments();
  for (uint32_t rtt = 50'000; rtt < 80'000; rtt += 10'000) {
    uint32_t acks = tcb.cwnd / mss;
    tcb.snd.nxt = tcb.snd.una + acks * mss;
    for (uint32_t i = 0; i < acks; ++i) {
      tcb.snd.una += mss;
      cc_acked(cx, tcb, {mss, tcb.cwnd, rtt, false});
    }
  }
  EXPECT_NEAR(segments(), 8 * before, 0.1);
  EXPECT_EQ(tcb.hystart.css_left, 0);
}

}  // namespace
}  // namespace millrace::tcp
