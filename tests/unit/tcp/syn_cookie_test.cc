// SPDX-License-Identifier: BSD-3-Clause
// What a SYN cookie brings back, and what is none.
#include "tcp/syn_cookie.h"

#include <gtest/gtest.h>

namespace millrace::tcp {
namespace {

using wire::Seq;

constexpr SipKey secret{11, 12};
constexpr Instant start{uint64_t{100} << cookie_step_bits};
constexpr Duration step = nanoseconds(uint64_t{1} << cookie_step_bits);
constexpr uint8_t all = wire::opt_mss | wire::opt_wscale | wire::opt_sack_permitted | wire::opt_timestamps;

struct SynCookieTest : testing::Test {
  CookieFlow flow{{ipv4(10, 0, 0, 1), ipv4(192, 0, 2, 7), 80, 5000, 4}, Seq{4711}, 3 << 16 | 2};
  CookieTerms offered = cookie_terms(1460, all, 7);
  CookieTerms told;
  uint32_t ts = cookie_ts_val(123456, offered);
  Seq iss = cookie_iss(secret, flow, offered, start);

  bool valid(const CookieFlow& of, Seq number, bool timestamps, uint32_t echo, const SipKey& key = secret) {
    return read_cookie(key, of, number, timestamps, echo, start, told) == CookieVerdict::valid;
  }
  bool read(Seq number, Instant now = start) {
    return read_cookie(secret, flow, number, true, ts, now, told) == CookieVerdict::valid;
  }
};

TEST_F(SynCookieTest, each_combination_of_options_comes_back) {
  for (uint32_t bits = 0; bits < 16; ++bits)
    for (uint8_t wscale = 0; wscale <= 15; ++wscale)
      for (uint16_t mss : cookie_mss) {
        CookieTerms terms = cookie_terms(mss, static_cast<uint8_t>(bits), wscale);
        bool timestamps = bits & wire::opt_timestamps;
        uint32_t val = cookie_ts_val(999, terms);
        Seq number = cookie_iss(secret, flow, terms, start);
        ASSERT_TRUE(valid(flow, number, timestamps, val));
        EXPECT_EQ(told.mss, bits & wire::opt_mss ? mss : 536);
        EXPECT_EQ(told.options, timestamps ? bits & ~wire::opt_mss : 0u);  // without them there is no place
        EXPECT_EQ(told.wscale, told.options & wire::opt_wscale ? std::min<uint8_t>(wscale, 14) : 0);
      }
}

TEST_F(SynCookieTest, an_mss_is_rounded_down) {
  EXPECT_EQ(cookie_terms(1459, all, 0).mss, 1440);
  EXPECT_EQ(cookie_terms(65535, all, 0).mss, 8960);
  EXPECT_EQ(cookie_terms(500, all, 0).mss, 64);
  EXPECT_EQ(cookie_terms(0, all, 0).mss, 64);
}

TEST_F(SynCookieTest, holds_in_its_own_step_and_the_next) {
  EXPECT_TRUE(read(iss, start + step - nanoseconds(1)));
  EXPECT_TRUE(read(iss, start + step));
  EXPECT_TRUE(read(iss, start + cookie_life - nanoseconds(1)));
  EXPECT_FALSE(read(iss, start + cookie_life));
  EXPECT_FALSE(read(iss, start + step * 3));
  EXPECT_FALSE(read(iss, start - nanoseconds(1)));
}

TEST_F(SynCookieTest, no_bit_of_it_can_be_changed) {
  for (uint32_t bit = 0; bit < 32; ++bit) EXPECT_FALSE(read({iss.value ^ uint32_t{1} << bit})) << bit;
}

TEST_F(SynCookieTest, another_mss_index_is_refused) {
  for (uint32_t other = 1; other < 8; ++other) EXPECT_FALSE(read({iss.value ^ other}));
}

TEST_F(SynCookieTest, what_the_timestamp_tells_cannot_be_changed) {
  for (uint32_t bits = 1; bits < 64; ++bits)
    EXPECT_FALSE(valid(flow, iss, true, ts ^ bits)) << bits;
  EXPECT_FALSE(valid(flow, iss, false, 0));
  EXPECT_TRUE(valid(flow, iss, true, ts + 64));  // the time itself is not asked
}

TEST_F(SynCookieTest, belongs_to_one_flow_one_listener_and_one_secret) {
  for (int what = 0; what < 6; ++what) {
    CookieFlow other = flow;
    if (what == 0) other.key.remote.value ^= 1;
    if (what == 1) other.key.remote_port ^= 1;
    if (what == 2) other.key.local.value ^= 1;
    if (what == 3) other.key.local_port ^= 1;
    if (what == 4) other.irs += 1;
    if (what == 5) other.listener += 1 << 16;
    EXPECT_FALSE(valid(other, iss, true, ts)) << what;
  }
  EXPECT_FALSE(valid(flow, iss, true, ts, {11, 13}));
}

TEST_F(SynCookieTest, a_segment_further_on_is_known_to_be_out_of_order) {
  flow.irs += 1460;
  EXPECT_EQ(read_cookie(secret, flow, iss, true, ts, start, told), CookieVerdict::out_of_order);
  EXPECT_EQ(read_cookie(secret, flow, iss, true, ts, start + cookie_life, told), CookieVerdict::forged);
  flow.key.remote_port ^= 1;
  EXPECT_EQ(read_cookie(secret, flow, iss, true, ts, start, told), CookieVerdict::forged);
}

// One in 2^28: among a million none is to be expected, and four would be a one in ten millions.
TEST_F(SynCookieTest, guesses_do_not_hit) {
  Random random{5};
  uint32_t hits = 0;
  for (int i = 0; i < 1'000'000; ++i) hits += read({static_cast<uint32_t>(random.next())}) ? 1 : 0;
  EXPECT_LT(hits, 4u);
}

// RFC 7323 4.1: the connection's later timestamps are not smaller
TEST_F(SynCookieTest, its_timestamp_is_at_most_64_ticks_behind_the_clock) {
  for (uint8_t wscale = 0; wscale < 15; ++wscale)
    for (uint32_t clock = 0xffffff80; clock != 0x80; ++clock) {
      uint32_t val = cookie_ts_val(clock, cookie_terms(1460, all, wscale));
      ASSERT_LT(clock - val, 64u);
    }
}

}  // namespace
}  // namespace millrace::tcp
