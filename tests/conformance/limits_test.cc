// SPDX-License-Identifier: BSD-3-Clause
// Timers and limits that a user may choose: each is honoured, and what its end is.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

// RFC9293-SHLD-19: every second full segment by default, every n-th where it is asked for
TEST(AckEvery, IsAnOption) {
  Net net{[](stack::Config& c) { c.tcp.ack_every = 4; }};
  net.established_passive();
  for (uint32_t at = 1; at <= 2921; at += 1460) net.in(A(at, 1, 1460));
  net.expect_none();
  net.in(A(4381, 1, 1460));
  net.expect(A(1, 5841));
}

// RFC9293-SHLD-30: the least and the most time between probes
TEST(PersistBounds, AreOptions) {
  Net net{[](stack::Config& c) {
    c.tcp.persist_min = seconds(1);
    c.tcp.persist_max = seconds(5);
  }};
  net.established_passive();
  net.in(A(1, 1).win(0));
  net.send(100);
  for (uint64_t wait : {1000, 1000, 1000, 1600, 3200, 5000, 5000}) {
    net.expect_after(milliseconds(wait), A(1, 1, 1));
    net.in(A(1, 1).win(0));
  }
}

// RFC6298-2.5: a SYN,ACK's wait is bounded, too
TEST(RtoMax, BoundsTheWaitForASynAcksAck) {
  Net net{[](stack::Config& c) {
    c.tcp.rto_max = seconds(2);
    c.tcp.syn_ack_retries = 4;
  }};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  for (uint64_t wait : {1, 2, 2, 2}) net.expect_after(seconds(wait), SA(0, 1).mss(1460));
  net.silent_for(seconds(10));
  EXPECT_EQ(net.counter(Count::half_open_expired), 1u);
}

// RFC9293-MUST-21: to the millisecond, not at the next doubled RTO
TEST(UserTimeout, EndsTheWaitWhereItEnds) {
  Net net;
  net.established_passive();
  net.set(Setting::user_timeout_s, 5);
  net.send(100);
  net.advance(seconds(5) - milliseconds(1));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::established);
  net.advance(milliseconds(2));
  net.expect_event(Event::slow);
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-MUST-21: holds for the handshake of a connect, too
TEST(UserTimeout, HoldsInSynSent) {
  Net net;
  net.peer.port = 80;
  net.connect({.user_timeout_s = 5});
  net.advance(seconds(5) - milliseconds(1));
  EXPECT_EQ(net.sent.size(), 3u);  // at 0, 1 and 3 s
  net.drop_sent();
  net.expect_no_event();
  net.silent_for(milliseconds(2));
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-MUST-21, RFC9293-MUST-37: a closed window whose probes nobody answers
TEST(UserTimeout, EndsUnansweredProbes) {
  Net net;
  net.established_passive();
  net.set(Setting::user_timeout_s, 5);
  net.in(A(1, 1).win(0));
  net.send(100);
  net.expect_after(milliseconds(200), A(1, 1, 1));  // from here on
  net.advance(seconds(5) - milliseconds(1));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::established);
  net.advance(milliseconds(2));
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-SHLD-30: answered, they come at growing intervals all the same
TEST(UserTimeout, DoesNotSpeedUpAnsweredProbes) {
  Net net;
  net.established_passive();
  net.set(Setting::user_timeout_s, 1);
  net.in(A(1, 1).win(0));
  net.send(100);
  for (uint64_t wait : {200, 400, 800, 1600, 3200, 6400}) {
    net.expect_after(milliseconds(wait), A(1, 1, 1));
    net.in(A(1, 1).win(0));
  }
}

// RFC9293-MUST-21: in the place of the count of keep-alive probes
TEST(UserTimeout, EndsAnIdleConnectionThatKeepsAlive) {
  Net net{[](stack::Config& c) { c.tcp.keepalive_time = seconds(10); }};
  net.listen(80, {.keepalive = 1, .user_timeout_s = 30});
  net.established_passive();
  net.expect_after(seconds(10), A(0, 1));
  net.silent_for(seconds(20) - milliseconds(1));
  net.expect_no_event();
  net.advance(milliseconds(2));
  net.expect(RA(1, 1).win(0));
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-MUST-27, RFC9293-MUST-29: interval and count of one connection
TEST(KeepAliveOfAConnection, HasAnIntervalAndACount) {
  Net net;
  net.established_passive();
  net.set(Setting::keepalive_interval, 3);
  net.set(Setting::keepalive_probes, 2);
  net.set(Setting::keepalive, 60);
  net.expect_after(seconds(60), A(0, 1));
  net.expect_after(seconds(3), A(0, 1));
  net.silent_for(seconds(3) - milliseconds(1));
  net.expect_no_event();
  net.advance(milliseconds(2));
  net.expect(RA(1, 1).win(0));
  net.expect_event(Event::closed, Event::timed_out);
  net.peer.port = 5001;
  net.established_passive();
  net.set(Setting::keepalive_interval, 0);
  net.expect_event(Event::failed, Event::invalid);
  net.set(Setting::keepalive_probes, 256);
  net.expect_event(Event::failed, Event::invalid);
}

// RFC9293-MUST-20: what its application has closed has an R2 of its own
TEST(Orphan, IsGivenUpSooner) {
  Net net;
  net.established_passive();
  net.send(100);
  net.close();
  net.advance(seconds(102) - milliseconds(1));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::fin_wait_1);
  net.advance(milliseconds(2));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::timed_out);
  net.drop_sent();
}

// A window that stays shut holds an orphan only so long, though the peer answers; that peer is told (RFC 6429)
TEST(Orphan, IsNotHeldForEverByAClosedWindow) {
  Net net{[](stack::Config& c) { c.tcp.orphan_timeout = seconds(10); }};
  net.established_passive();
  net.in(A(1, 1).win(0));
  net.send(100);
  net.close();
  Instant first = net.now + milliseconds(200);
  while (net.now < first + seconds(10) - milliseconds(200)) {
    net.advance(milliseconds(100));
    for (; !net.sent.empty(); net.in(A(1, 1).win(0))) net.expect(A(1, 1, 1));
  }
  EXPECT_EQ(net.state(), State::fin_wait_1);
  net.advance(milliseconds(201));
  net.expect(RA(1, 1).win(0));
  net.expect_event(Event::closed, Event::timed_out);
}

TEST(Orphan, LivesAsLongAsItsPeerTakesText) {
  Net net{[](stack::Config& c) { c.tcp.orphan_timeout = seconds(2); }};
  net.established_passive();
  net.in(A(1, 1).win(0));
  net.send(10);
  net.close();
  for (uint32_t at = 1; at <= 9; ++at) {
    net.advance(milliseconds(1500));
    net.drop_sent();
    net.in(A(1, at + 1).win(1));
    net.advance(milliseconds(1));
    net.drop_sent();
    net.in(A(1, at + 1).win(0));
  }
  EXPECT_EQ(net.state(), State::fin_wait_1);
  net.in(A(1, 10));
  net.drop_sent();
  net.in(A(1, 12));
  EXPECT_EQ(net.state(), State::fin_wait_2);
}

// More than so many at a time are reset as they come.
TEST(Orphan, MayBeLimited) {
  Net net{[](stack::Config& c) { c.tcp.orphan_limit = 1; }};
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  Peer first = net.peer;
  net.peer.port = 5001;
  net.established_passive();
  net.close();
  net.expect(RA(1, 1).win(0));
  net.expect_event(Event::closed, Event::aborted);
  EXPECT_EQ(net.counter(Count::orphans_reset), 1u);
  net.in(first, A(1, 2));  // the first one goes on, and makes room when it is over
  net.in(first, F(1, 2));
  net.expect(first, A(2, 2));
  net.expect_event(Event::closed, Event::finished);
  net.peer.port = 5002;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
}

// RFC9293-MUST-20: R2 counts from the text that is lost now, not from a loss that was over
TEST(R2, BeginsAnewAfterALossThatWasRepaired) {
  Net net;
  net.established_passive();
  net.send(1460);
  net.expect(P(1, 1, 1460));
  net.advance(milliseconds(190));
  net.send(1460);
  net.expect(P(1461, 1, 1460));
  net.expect_after(milliseconds(10), A(1, 1, 1460));
  net.in(A(1, 2921));  // a sample from the second one
  net.advance(seconds(1000));
  net.send(100);
  net.expect(P(2921, 1, 100));
  net.advance(seconds(3));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::established);
}

}  // namespace
}  // namespace millrace::conformance
