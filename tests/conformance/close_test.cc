// SPDX-License-Identifier: BSD-3-Clause
// The ways a connection ends (RFC 9293 3.6, 3.10.4, 3.10.5, eighth step of 3.10.7.4).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

// RFC9293-3.10.7.4f (figure 12), RFC9293-MUST-12
TEST(Close, ActiveCloseThroughAllStates) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  EXPECT_EQ(net.state(), State::fin_wait_1);
  net.in(A(1, 2));
  EXPECT_EQ(net.state(), State::fin_wait_2);
  net.in(F(1, 2));
  net.expect(A(2, 2));
  EXPECT_EQ(net.state(), State::time_wait);
  net.expect_event(Event::closed, Event::finished);
  net.expect_no_event();
}

// RFC9293-3.10.7.4f, RFC9293-3.10.4
TEST(Close, PassiveCloseThroughAllStates) {
  Net net;
  net.established_passive();
  net.in(F(1, 1));
  net.expect(A(1, 2));
  net.expect_event(Event::peer_closed);
  EXPECT_EQ(net.state(), State::close_wait);
  net.close();
  net.expect(F(1, 2));
  EXPECT_EQ(net.state(), State::last_ack);
  net.in(A(2, 2));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::finished);
  net.expect_none();
}

// RFC9293-3.10.7.4f (figure 13)
TEST(Close, SimultaneousClose) {
  Net net;
  net.fin_wait_1();
  net.in(F(1, 1));
  net.expect(A(2, 2));
  EXPECT_EQ(net.state(), State::closing);
  net.in(A(2, 2));
  EXPECT_EQ(net.state(), State::time_wait);
  net.expect_event(Event::peer_closed);
  net.expect_event(Event::closed, Event::finished);
  net.drop_sent();
}

// RFC9293-3.10.7.4f: the ACK that ends CLOSING needs no answer
TEST(Close, TheAckThatEndsClosingIsNotAnswered) {
  Net net;
  net.closing();
  net.in(A(2, 2));
  EXPECT_EQ(net.state(), State::time_wait);
  net.expect_none();
}

// RFC9293-3.10.7.4f: FIN and ACK of our FIN in one segment
TEST(Close, FinAndAckInFinWait1LeadStraightToTimeWait) {
  Net net;
  net.fin_wait_1();
  net.in(F(1, 2));
  net.expect(A(2, 2));
  EXPECT_EQ(net.state(), State::time_wait);
  net.expect_event(Event::peer_closed);
  net.expect_event(Event::closed, Event::finished);
}

// RFC9293-3.10.7.4f: with text before it
TEST(Close, TextFinAndAckInFinWait1) {
  Net net;
  net.fin_wait_1();
  net.in(PF(1, 2, 100));
  net.expect(A(2, 102));
  EXPECT_EQ(net.received, stream(1, 100));
  EXPECT_EQ(net.state(), State::time_wait);
  net.expect_event(Event::peer_closed);
  net.expect_event(Event::closed, Event::finished);
}

// RFC9293-3.10.7.4f: our text is not acknowledged, so neither is our FIN
TEST(Close, FinInFinWait1WithOurTextOutstandingLeadsToClosing) {
  Net net;
  net.established_passive();
  net.send(100);
  net.shutdown();
  net.drop_sent();
  net.in(F(1, 101));
  net.expect(A(102, 2));
  EXPECT_EQ(net.state(), State::closing);
  net.in(A(2, 102));
  EXPECT_EQ(net.state(), State::time_wait);
  net.drop_sent();
}

// RFC9293-3.10.4: what is queued goes first; the FIN rides on the last segment
TEST(Close, QueuedTextIsSentBeforeTheFin) {
  Net net;
  net.established_passive();
  net.queue(net.send_request(stream(1, 4000)));
  net.close();
  net.expect(A(1, 1, 1460));
  net.expect(A(1461, 1, 1460));
  net.expect(PF(2921, 1, 1080));
  net.in(A(1, 4002));
  EXPECT_EQ(net.state(), State::fin_wait_2);
}

// RFC9293-3.10.4: half close: we still receive
TEST(HalfClose, AfterShutdownTextIsReceived) {
  Net net;
  net.fin_wait_2();
  net.in(P(1, 2, 1000));
  EXPECT_EQ(net.received, stream(1, 1000));
  net.expect_after(milliseconds(40), A(2, 1001));
  net.silent_for(seconds(3600));  // as long as the peer likes
  EXPECT_EQ(net.state(), State::fin_wait_2);
}

// RFC9293-3.10.7.4f: half close of the peer: we still send, for as long as we like
TEST(HalfClose, InCloseWaitTextIsSent) {
  Net net;
  net.close_wait();
  net.silent_for(seconds(3600));
  EXPECT_EQ(net.state(), State::close_wait);
  net.send(1000);
  net.expect(P(1, 2, 1000));
  net.in(A(2, 1001));
  net.shutdown();
  net.expect(F(1001, 2));
  EXPECT_EQ(net.state(), State::last_ack);
}

// RFC 9293 3.10.2, RFC9293-3.10.4
TEST(HalfClose, AfterShutdownSendAndShutdownFail) {
  Net net;
  net.fin_wait_1();
  net.call(net.send_request("late"));
  net.expect_event(Event::failed, Event::closing);
  net.shutdown();
  net.expect_event(Event::failed, Event::closing);
  net.expect_none();
}

// RFC9293-3.10.7.4f: FIN behind a gap waits for what is before it
TEST(Close, FinBehindAGapWaits) {
  Net net;
  net.established_passive();
  net.in(F(101, 1));
  net.expect(A(1, 1));
  net.expect_no_event();
  EXPECT_EQ(net.state(), State::established);
  net.in(P(1, 1, 100));
  net.expect(A(1, 102));
  net.expect_event(Event::peer_closed);
  EXPECT_EQ(net.state(), State::close_wait);
}

// RFC9293-3.10.7.4f: a FIN that comes again changes nothing and is acknowledged
TEST(Close, ARepeatedFinIsAcknowledged) {
  for (State state : {State::close_wait, State::closing, State::last_ack}) {
    Net net;
    net.enter(state);
    net.in(F(1, 1));
    net.expect(A(state == State::close_wait ? 1 : 2, 2));
    EXPECT_EQ(net.state(), state);
    net.expect_no_event();
  }
}

// RFC6298-5.4: FIN is retransmitted like text
TEST(Close, TheFinIsRetransmitted) {
  for (State state : {State::fin_wait_1, State::closing, State::last_ack}) {
    Net net;
    net.enter(state);
    uint32_t next = state == State::fin_wait_1 ? 1 : 2;
    net.expect_after(milliseconds(200), F(1, next));
    net.expect_after(milliseconds(400), F(1, next));
    EXPECT_EQ(net.state(), state);
    net.in(A(next, 2));
    EXPECT_EQ(net.state(), state == State::fin_wait_1 ? State::fin_wait_2
                           : state == State::closing  ? State::time_wait
                                                      : State::closed);
    net.drop_sent();
  }
}

// RFC9293-SHLD-3: CLOSE with text that nobody has read
TEST(Close, WithUnreadTextItResets) {
  Net net{{}, 2};
  net.established_passive();
  net.reads = false;
  for (uint32_t at : {1, 11, 21}) net.in(P(at, 1, 10));  // two stand in the ring, the third with us
  net.close();
  net.expect(RA(1, 31));
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-SHLD-3, RFC9293-MAY-1: text after CLOSE, which has ended reading, too
TEST(Close, TextAfterwardsIsReset) {
  for (bool acknowledged : {false, true}) {
    Net net;
    net.established_passive();
    net.close();
    net.expect(F(1, 1));
    if (acknowledged) net.in(A(1, 2));
    net.in(P(1, acknowledged ? 2 : 1, 10));
    ASSERT_EQ(net.sent.size(), 1u);
    EXPECT_TRUE(net.sent[0].seg.flags & rst);
    // where the peer's ACK says that it will take it (RFC5961-3.2.1)
    EXPECT_EQ(net.sent[0].seg.seq, net.own_iss() + (acknowledged ? 2 : 1));
    net.drop_sent();
    EXPECT_EQ(net.state(), State::closed);
    net.expect_event(Event::closed, Event::reset);
  }
}

// RFC9293-SHLD-3: but not what is known already
TEST(Close, ADuplicateOfReadTextAfterwardsIsAcknowledged) {
  Net net;
  net.established_passive();
  net.in(P(1, 1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
  net.close();
  net.expect(F(1, 11));
  net.in(P(1, 1, 10));
  net.expect(A(2, 11));
  EXPECT_EQ(net.state(), State::fin_wait_1);
}

// FIN-WAIT-2 of a closed connection does not last for ever
TEST(Close, FinWait2EndsWhenNobodyReads) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  net.in(A(1, 2));
  net.silent_for(seconds(60) - milliseconds(1));
  EXPECT_EQ(net.state(), State::fin_wait_2);
  net.silent_for(milliseconds(2));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-3.10.4: closing twice is no mistake
TEST(Close, TwiceIsOnce) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  net.close();
  net.expect_none();
  net.expect_no_event();
}

// RFC9293-3.10.4: CLOSE after a half close
TEST(Close, AfterShutdownItOnlyEndsReading) {
  Net net;
  net.fin_wait_2();
  net.close();
  net.expect_none();
  net.in(P(1, 2, 10));
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_TRUE(net.sent[0].seg.flags & rst);
  net.drop_sent();
}

// RFC9293-3.10.5: what is queued is flushed, the RST stands at SND.NXT
TEST(Abort, WithTextInFlightTheRstStandsAtSndNxt) {
  Net net;
  net.established_passive();
  net.in(P(1, 1, 10));
  net.send(3000);
  net.drop_sent();
  net.abort();
  net.expect(RA(3001, 11));
  net.expect_event(Event::closed, Event::aborted);
  net.silent_for(seconds(10));
}

// RFC9293-3.10.5
TEST(Abort, OfWhatIsGoneIsNoMistake) {
  Net net;
  net.time_wait();
  net.abort();
  net.close();
  net.expect_none();
  net.expect_no_event();
  EXPECT_EQ(net.state(), State::time_wait);
}

// RFC9293-MUST-12: a RST is told as such even after CLOSE
TEST(Close, ARstInFinWait2IsToldAsReset) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  net.in(A(1, 2));
  net.in(R(1));
  net.expect_event(Event::closed, Event::reset);
  EXPECT_EQ(net.state(), State::closed);
}

}  // namespace
}  // namespace millrace::conformance
