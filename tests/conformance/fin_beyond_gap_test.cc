// SPDX-License-Identifier: BSD-3-Clause
// A FIN that lies beyond a gap is a note, and no more: anybody may have sent it (RFC 9293 3.10.7.4, eighth). The peer's
// own FIN, in order, always counts.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct FinBeyondGap : testing::Test {
  FinBeyondGap() { net.established_passive(); }
  void forged_fin(uint32_t seq) {
    net.in(F(seq, 1));
    net.expect(A(1, 1));  // RFC5681-4.2c
  }
  void ends(uint32_t ack) {
    net.expect(A(1, ack));
    net.expect_event(Event::peer_closed);
    EXPECT_EQ(net.state(), State::close_wait);
  }
  Net net;
};

TEST_F(FinBeyondGap, IsTakenWhenTheGapIsFilled) {
  forged_fin(101);
  net.in(P(1, 1, 100));
  ends(102);
  EXPECT_EQ(net.received, stream(1, 100));
}

TEST_F(FinBeyondGap, AFinInOrderCountsThoughALaterOneIsNoted) {
  forged_fin(5001);
  net.in(F(1, 1));
  ends(2);
}

TEST_F(FinBeyondGap, AFinWithTextInOrderCountsThoughALaterOneIsNoted) {
  forged_fin(5001);
  net.in(PF(1, 1, 100));
  ends(102);
  EXPECT_EQ(net.received, stream(1, 100));
}

TEST_F(FinBeyondGap, AFinInOrderCountsThoughAnEarlierOneWasNoted) {
  forged_fin(51);
  net.in(P(1, 1, 100));  // contradicts it
  net.expect_after(milliseconds(40), A(1, 101));
  EXPECT_EQ(net.state(), State::established);
  net.in(F(101, 1));
  ends(102);
  EXPECT_EQ(net.received, stream(1, 100));
}

TEST_F(FinBeyondGap, TextBeyondItIsNotIgnored) {
  forged_fin(51);
  net.in(A(101, 1, 100));  // out of order, and beyond it
  net.expect(A(1, 1));
  net.in(A(1, 1, 100));
  net.expect(A(1, 201));
  EXPECT_EQ(net.received, stream(1, 200));
  net.in(F(201, 1));
  ends(202);
}

TEST_F(FinBeyondGap, OneThatHeldTextContradictsIsNotNoted) {
  net.in(A(101, 1, 100));
  net.expect(A(1, 1));
  forged_fin(151);
  net.in(A(1, 1, 100));
  net.expect(A(1, 201));
  EXPECT_EQ(net.state(), State::established);
  EXPECT_EQ(net.received, stream(1, 200));
}

TEST_F(FinBeyondGap, TheLatestIsNoted) {
  forged_fin(5001);
  forged_fin(101);
  net.in(P(1, 1, 100));
  ends(102);
}

TEST_F(FinBeyondGap, EachIsAcknowledged) {
  for (int i = 0; i < 3; ++i) forged_fin(101);
  net.in(P(1, 1, 100));
  ends(102);
}

TEST_F(FinBeyondGap, AFinInOrderEndsWhatLiesBeyondIt) {
  net.in(A(201, 1, 100));
  net.expect(A(1, 1));
  net.in(PF(1, 1, 200));  // the text held behind it adjoins
  ends(202);
  EXPECT_EQ(net.received, stream(1, 200));
  EXPECT_EQ(stack::gauges(*net.stack).held, 0u);
}

TEST_F(FinBeyondGap, TheFastPathComesBack) {
  forged_fin(51);
  EXPECT_TRUE(net.tcb().is(tcp::fin_waiting));
  net.in(P(1, 1, 100));
  net.expect_after(milliseconds(40), A(1, 101));
  EXPECT_FALSE(net.tcb().is(tcp::fin_waiting));
}

TEST(FinBeyondGapStates, CountsInFinWait) {
  for (State state : {State::fin_wait_1, State::fin_wait_2}) {
    Net net;
    net.enter(state);
    uint32_t ack = state == State::fin_wait_1 ? 1 : 2;
    net.in(F(5001, ack));
    net.expect(A(2, 1));
    net.in(F(1, ack));
    net.expect(A(2, 2));
    net.expect_event(Event::peer_closed);
    EXPECT_EQ(net.state(), state == State::fin_wait_1 ? State::closing : State::time_wait);
    net.events.clear();
  }
}

}  // namespace
}  // namespace millrace::conformance
