// SPDX-License-Identifier: BSD-3-Clause
// The retransmission timer: its arithmetic and rules (RFC 6298), R1 and R2 (RFC 9293 3.8.3).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

void fine_rto(stack::Config& c) {
  c.tcp.rto_min = milliseconds(1);
}

// Established after a handshake that took `rtt`.
void established_after(Net& net, Duration rtt) {
  net.syn_received_passive();
  net.advance(rtt);
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
}

// RFC6298-2.2: SRTT = R, RTTVAR = R/2: RTO = R + 4 * R/2
TEST(Rto, TheFirstSampleGivesThreeTimesR) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(milliseconds(300), P(1, 1, 100));
}

// RFC6298-2.3: RTTVAR = 3/4 * 50 + 1/4 * |100 - 60| = 47.5; SRTT = 7/8 * 100 + 1/8 * 60 = 95; RTO = 285 ms
TEST(Rto, TheSecondSampleUpdatesVarianceBeforeMean) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  net.send(100);
  net.expect(P(1, 1, 100));
  net.advance(milliseconds(60));
  net.in(A(1, 101));
  net.send(100);
  net.expect(P(101, 1, 100));
  net.expect_after(milliseconds(285), P(101, 1, 100));
}

// RFC6298-2.3: and a third, of 200 ms: RTTVAR = 35.625 + 26.25 = 61.875; SRTT = 83.125 + 25 = 108.125; RTO =
// 355.625 ms
TEST(Rto, TheThirdSample) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  for (auto [rtt, at] : {std::pair{60, 1u}, std::pair{200, 101u}}) {
    net.send(100);
    net.expect(P(at, 1, 100));
    net.advance(milliseconds(static_cast<uint64_t>(rtt)));
    net.in(A(1, at + 100));
  }
  net.send(100);
  net.expect(P(201, 1, 100));
  net.expect_after(microseconds(355625), P(201, 1, 100));
}

// RFC6298-4: the variance term is never below the clock's granularity
TEST(Rto, TheVarianceIsAtLeastTheGranularity) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  uint32_t at = 1;
  for (int i = 0; i < 60; ++i, at += 10) {
    net.send(10);
    net.expect(P(at, 1, 10));
    net.advance(milliseconds(100));
    net.in(A(1, at + 10));
  }
  net.send(10);
  net.expect(P(at, 1, 10));
  net.expect_after(milliseconds(101), P(at, 1, 10));
}

// RFC6298-2.4: a floor, here Linux's 200 ms
TEST(Rto, HasAFloor) {
  Net net;
  established_after(net, milliseconds(1));
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(milliseconds(200), P(1, 1, 100));
}

// RFC6298-2.1: without a sample one second
TEST(Rto, WithoutASampleItIsASecond) {
  Net net;
  net.syn_received_passive();
  net.in(S(0).mss(1460));  // a second SYN,ACK: no sample (RFC6298-3a)
  net.expect(SA(0, 1).mss(1460));
  net.advance(milliseconds(10));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(100);
  net.expect(P(1, 1, 100));
  net.advance(milliseconds(900));
  net.expect_none();
  net.advance(milliseconds(2101));
  net.expect(P(1, 1, 100));
  net.drop_sent();
}

// RFC6298-5.7: the SYN timer expired: 3 s once data flows
TEST(Rto, AfterALostSynItIsThreeSeconds) {
  Net net;
  net.syn_sent();
  net.expect_after(seconds(1), S(0).mss(1460).sack_ok().wscale(0).ts());
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(seconds(3), P(1, 1, 100));
}

// RFC6298-5.7: and after a lost SYN,ACK
TEST(Rto, AfterALostSynAckItIsThreeSeconds) {
  Net net;
  net.syn_received_passive();
  net.expect_after(seconds(1), SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(seconds(3), P(1, 1, 100));
}

// RFC6298-5.4, RFC6298-5.5, RFC6298-5.6, RFC9293-MUST-19: doubled at each expiry
TEST(Rto, DoublesAtEachExpiry) {
  Net net;
  net.established_passive();
  net.send(100);
  net.expect(P(1, 1, 100));
  for (uint64_t wait : {200, 400, 800, 1600, 3200, 6400}) net.expect_after(milliseconds(wait), P(1, 1, 100));
}

// RFC6298-2.5, RFC9293-SHLD-11, RFC9293-MUST-20: at most 120 s; R2 is 924 s by default
TEST(Rto, HasACapAndR2EndsIt) {
  Net net;
  net.established_passive();
  net.send(100);
  net.expect(P(1, 1, 100));
  for (uint64_t wait = 200; wait <= 102400; wait *= 2) net.expect_after(milliseconds(wait), P(1, 1, 100));
  for (int i = 0; i < 5; ++i) net.expect_after(seconds(120), P(1, 1, 100));
  net.expect_event(Event::slow);
  net.silent_for(milliseconds(924'000 - 804'600 - 1));
  net.expect_no_event();
  net.silent_for(milliseconds(2));
  net.expect_event(Event::closed, Event::timed_out);
  EXPECT_EQ(net.state(), State::closed);
}

// RFC6298-5.2
TEST(Rto, StopsWhenEverythingIsAcknowledged) {
  Net net;
  net.established_passive();
  net.send(100);
  net.expect(P(1, 1, 100));
  net.advance(milliseconds(199));
  net.in(A(1, 101));
  net.silent_for(seconds(100));
}

// RFC6298-5.1, RFC6298-5.3: begins with the first segment, begins anew with each ACK of new data
TEST(Rto, BeginsAnewWithAnAckOfNewData) {
  Net net;
  net.established_passive();
  net.set(Setting::no_delay, 1);
  net.send(100);
  net.expect(P(1, 1, 100));
  net.advance(milliseconds(50));
  net.send(100);
  net.expect(P(101, 1, 100));
  net.advance(milliseconds(100));
  net.in(A(1, 101));  // 150 ms after the first, and a sample of 150 ms
  net.advance(milliseconds(150));
  net.expect_none();
  net.in(A(1, 201));
  net.silent_for(seconds(10));
}

// RFC6298-5.3: exactly one RTO after that ACK
TEST(Rto, IsMeasuredFromThatAck) {
  Net net;
  net.established_passive();
  net.send(2920);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 1460));
  net.in(A(1, 1461));  // at once: the RTO stays at its floor
  net.advance(milliseconds(0));
  net.expect_after(milliseconds(200), P(1461, 1, 1460));
}

// RFC6298-3a, RFC9293-MUST-18: Karn: an ACK of what was sent twice gives no sample
TEST(Karn, ARetransmissionGivesNoSample) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(milliseconds(300), P(1, 1, 100));
  uint32_t rto = net.tcb().rtt.rto;
  net.advance(milliseconds(5));
  net.in(A(1, 101));
  EXPECT_EQ(net.tcb().rtt.rto, rto);
  EXPECT_EQ(net.tcb().rtt.srtt, 800000u);
}

// RFC6298-5.5, RFC9293-MUST-18: Karn's other half: the RTO stays backed off until there is a new sample
TEST(Karn, TheBackedOffRtoIsKeptUntilANewSample) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(milliseconds(300), P(1, 1, 100));
  net.in(A(1, 101));  // of a retransmission
  net.send(100);
  net.expect(P(101, 1, 100));
  net.expect_after(milliseconds(600), P(101, 1, 100));
}

// RFC6298-5.5: with a new sample it collapses
TEST(Karn, ANewSampleEndsTheBackoff) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(milliseconds(300), P(1, 1, 100));
  net.in(A(1, 101));
  net.send(100);
  net.expect(P(101, 1, 100));
  net.advance(milliseconds(100));
  net.in(A(1, 201));
  net.send(100);
  net.expect(P(201, 1, 100));
  net.expect_after(milliseconds(250), P(201, 1, 100));  // 100 + 4 * 37.5
}

// RFC6298-5.5: a path that became slower than the RTO is found out in the end
TEST(Karn, APathThatBecameSlowIsMeasured) {
  Net net;
  net.established_passive();
  uint32_t at = 1;
  uint64_t timeouts_late = 0;
  for (int i = 0; i < 12; ++i, at += 100) {
    net.send(100);
    uint64_t before = net.counter(Count::retransmission_timeouts);
    net.advance(milliseconds(700));  // the path takes this long
    net.drop_sent();
    net.in(A(1, at + 100));
    if (i >= 8) timeouts_late += net.counter(Count::retransmission_timeouts) - before;
  }
  EXPECT_EQ(timeouts_late, 0u);
}

// RFC6298-3b: one sample a round trip: of two segments in flight one is timed
TEST(Rto, OneSegmentIsTimedAtATime) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  net.set(Setting::no_delay, 1);
  net.send(100);
  net.advance(milliseconds(50));
  net.send(100);
  net.drop_sent();
  net.advance(milliseconds(50));
  net.in(A(1, 101));  // 100 ms: RTTVAR 37.5
  EXPECT_EQ(net.tcb().rtt.rto, 250000u);
  net.advance(milliseconds(50));
  net.in(A(1, 201));
  EXPECT_EQ(net.tcb().rtt.rto, 250000u);
}

// RFC6298-3b: nor when more is in flight by then
TEST(Rto, WhatWasInFlightAtASampleGivesNoOther) {
  Net net{fine_rto};
  established_after(net, milliseconds(100));
  net.set(Setting::no_delay, 1);
  net.send(100);
  net.advance(milliseconds(50));
  net.send(100);
  net.advance(milliseconds(50));
  net.in(A(1, 101));
  net.send(100);
  net.drop_sent();
  net.advance(milliseconds(50));
  net.in(A(1, 201));
  EXPECT_EQ(net.tcb().rtt.rto, 250000u);
}

// RFC7323-4.2: with timestamps as well, so that the history is as long as RFC 6298 means it to be
TEST(Rto, TimestampsMakeNoMoreSamples) {
  Net net{fine_rto};
  net.peer.ts = true;
  established_after(net, milliseconds(100));
  net.set(Setting::no_delay, 1);
  net.send(100);
  net.advance(milliseconds(50));
  net.send(100);
  net.drop_sent();
  net.advance(milliseconds(50));
  net.in(A(1, 101));
  EXPECT_EQ(net.tcb().rtt.rto, 250000u);
  net.advance(milliseconds(50));
  net.in(A(1, 201));
  EXPECT_EQ(net.tcb().rtt.rto, 250000u);
}

// RFC9293-SHLD-10, RFC9293-SHLD-9, RFC9293-MUST-47: told at the third retransmission
TEST(R1, TheApplicationIsToldAfterThreeRetransmissions) {
  Net net;
  net.established_passive();
  net.send(100);
  net.expect(P(1, 1, 100));
  net.expect_after(milliseconds(200), P(1, 1, 100));
  net.expect_after(milliseconds(400), P(1, 1, 100));
  net.expect_no_event();
  net.expect_after(milliseconds(800), P(1, 1, 100));
  net.expect_event(Event::slow);
  net.expect_after(milliseconds(1600), P(1, 1, 100));
  net.expect_no_event();
}

// RFC9293-MUST-20: at R1 IP is advised: the neighbour is asked whether it is still there
TEST(R1, TheNeighbourIsDoubted) {
  Net net;
  net.established_passive();
  net.send(100);
  net.arp.clear();
  net.advance(milliseconds(1500));
  net.drop_sent();
  ASSERT_EQ(net.arp.size(), 1u);
  EXPECT_TRUE(net.arp[0].arp_request);
  EXPECT_EQ(net.arp[0].destination, net.peer.ip);
  EXPECT_EQ(net.arp[0].to, net.peer.mac);  // by name (RFC1122-2.3.2.1a)
}

// RFC9293-MUST-21: R2 of one connection
TEST(R2, TheUserTimeoutIsOfTheConnection) {
  Net net;
  net.established_passive();
  net.set(Setting::user_timeout_s, 10);
  net.send(100);
  net.advance(seconds(10) - milliseconds(1));
  EXPECT_EQ(net.state(), State::established);
  net.advance(milliseconds(2));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::slow);
  net.expect_event(Event::closed, Event::timed_out);
  net.drop_sent();
}

// RFC9293-MUST-21: given with the listener
TEST(R2, TheUserTimeoutMayBeAnOption) {
  Net net;
  net.listen(80, {.user_timeout_s = 1});
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(100);
  net.advance(seconds(2));
  EXPECT_EQ(net.state(), State::closed);
  net.drop_sent();
}

// RFC9293-MUST-20: R2 begins with what is not acknowledged, not with the connection
TEST(R2, BeginsAnewWithEachAck) {
  Net net;
  net.established_passive();
  net.set(Setting::user_timeout_s, 2);
  for (uint32_t at = 1; at <= 501; at += 100) {
    net.send(100);
    net.advance(milliseconds(1000));
    net.in(A(1, at + 100));
  }
  EXPECT_EQ(net.state(), State::established);
  net.drop_sent();
}

// RFC 6298 5: go back: the whole flight is sent again, in slow start
TEST(Rto, EverythingUnacknowledgedIsSentAgain) {
  Net net;
  net.established_passive();
  net.send(4380);
  net.expect(A(1, 1, 1460));
  net.expect(A(1461, 1, 1460));
  net.expect(P(2921, 1, 1460));
  net.expect_after(milliseconds(200), A(1, 1, 1460));
  net.in(A(1, 1461));
  net.expect(A(1461, 1, 1460));
  net.expect(P(2921, 1, 1460));
  net.in(A(1, 4381));
  net.silent_for(seconds(10));
}

// RFC6298-5.4: what had arrived all the same is not sent again
TEST(Rto, AnAckOfEverythingEndsTheRetransmission) {
  Net net;
  net.established_passive();
  net.send(4380);
  net.drop_sent();
  net.expect_after(milliseconds(200), A(1, 1, 1460));
  net.in(A(1, 4381));
  net.silent_for(seconds(10));
}

// RFC 9293 3.8.1: a retransmission acknowledges what has come since
TEST(Rto, ARetransmissionCarriesTheLatestAck) {
  Net net;
  net.established_passive();
  net.send(100);
  net.expect(P(1, 1, 100));
  net.advance(milliseconds(190));
  net.in(P(1, 1, 10));
  net.expect_after(milliseconds(10), P(1, 11, 100));
}

}  // namespace
}  // namespace millrace::conformance
