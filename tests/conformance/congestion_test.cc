// SPDX-License-Identifier: BSD-3-Clause
// Slow start, congestion avoidance, fast retransmit and NewReno, seen from the peer (RFC 5681, 6582, 3042,
// 6928).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint32_t mss = 1460;
constexpr uint32_t at(uint32_t segment) {
  return 1 + segment * mss;
}  // where the n-th segment begins

struct Congestion : testing::Test {
  Congestion() {
    net.peer.wscale = 4;
    net.established_passive();
    net.in(A(1, 1).win(60000));  // 960 KB
    net.drop_sent();
  }
  // Full segments from the n-th on, and nothing else.
  void expect_segments(uint32_t first, uint32_t count, Where where = Where::here()) {
    for (uint32_t i = first; i < first + count; ++i) net.expect(A(at(i), 1, mss), where);
    net.expect_none(where);
  }
  void ack(uint32_t segments) { net.in(A(1, at(segments)).win(60000)); }
  Net net;
};

// RFC6928-2
TEST_F(Congestion, TheInitialWindowIsTenSegments) {
  net.send(30 * mss);
  expect_segments(0, 10);
}

// RFC5681-3.1a: the peer's window is the other bound
TEST(SendWindow, NothingBeyondThePeersWindow) {
  Net net;
  net.peer.window = 4000;
  net.established_passive();
  net.send(10 * mss);
  net.expect(A(1, 1, mss));
  net.expect(A(at(1), 1, mss));
  net.expect_none();  // 1080 more would fit: not worth a segment (RFC9293-MUST-38)
}

// RFC5681-3.1c: the handshake has grown nothing
TEST(InitialWindow, IsTheSameAfterAnActiveOpen) {
  Net net;
  net.established_active();
  net.send(30 * mss);
  EXPECT_EQ(net.sent.size(), 10u);
  net.drop_sent();
}

// RFC5681-3.1d, RFC6928-2: a SYN lost more than once: one segment
TEST(InitialWindow, IsOneSegmentAfterTwoLostSyns) {
  Net net;
  net.syn_sent();
  net.advance(seconds(4));
  net.drop_sent();
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.send(10 * mss);
  net.expect(A(1, 1, mss));
}

// RFC5681-3.1g, RFC9293-MUST-19: one segment more for each segment acknowledged
TEST_F(Congestion, SlowStartGrowsByWhatIsAcknowledged) {
  net.send(40 * mss);
  expect_segments(0, 10);
  ack(1);
  expect_segments(10, 2);
  ack(2);
  expect_segments(12, 2);
}

// RFC5681-3.1g: ACK division wins nothing
TEST_F(Congestion, DividedAcksGrowNoFasterThanTheirBytes) {
  net.send(40 * mss);
  expect_segments(0, 10);
  for (uint32_t i = 1; i <= 10; ++i) net.in(A(1, 1 + i * mss / 10).win(60000));
  expect_segments(10, 2);
}

// RFC5681-3.1g, RFC 3465 2.2: a stretch ACK grows by two segments at most
TEST_F(Congestion, AStretchAckGrowsByTwoSegments) {
  net.send(40 * mss);
  expect_segments(0, 10);
  ack(10);
  expect_segments(10, 12);
}

// RFC5681-3.1h, RFC9293-MUST-19: congestion avoidance: one segment a round trip
TEST_F(Congestion, AvoidanceGrowsByOneSegmentARoundTrip) {
  net.send(80 * mss);
  expect_segments(0, 10);
  net.tcb().ssthresh = 10 * mss;
  for (uint32_t i = 1; i <= 9; ++i) {
    ack(i);
    expect_segments(9 + i, 1);
  }
  ack(10);  // the tenth of ten
  expect_segments(19, 2);
  for (uint32_t i = 11; i <= 20; ++i) {
    ack(i);
    expect_segments(10 + i, 1);
  }
  ack(21);  // the eleventh of eleven
  expect_segments(31, 2);
}

// RFC5681-3.1i, RFC5681-3.1j: after a timeout one segment, and half of what was in flight
TEST_F(Congestion, ATimeoutLeavesOneSegment) {
  net.send(30 * mss);
  expect_segments(0, 10);
  net.expect_after(milliseconds(200), A(1, 1, mss));
  EXPECT_EQ(net.tcb().ssthresh, 5 * mss);
  EXPECT_EQ(net.tcb().cwnd, mss);
  net.expect_after(milliseconds(400), A(1, 1, mss));
  EXPECT_EQ(net.tcb().ssthresh, 5 * mss);  // not again for the same segment
  ack(1);
  expect_segments(1, 2);
}

// RFC5681-3.1i: at least two segments
TEST_F(Congestion, SsthreshIsAtLeastTwoSegments) {
  net.send(mss);
  net.expect(P(1, 1, mss));
  net.expect_after(milliseconds(200), P(1, 1, mss));
  EXPECT_EQ(net.tcb().ssthresh, 2 * mss);
}

// RFC 3465 2.3, RFC5681-3.1g: after a timeout a stretch ACK counts as one segment: it may be for what was not
// resent
TEST_F(Congestion, AfterATimeoutAStretchAckGrowsByOneSegment) {
  net.stack->cx.params.frto = false;
  net.send(30 * mss);
  expect_segments(0, 10);
  net.expect_after(milliseconds(200), A(1, 1, mss));
  ack(4);
  EXPECT_EQ(net.tcb().cwnd, 2 * mss);
  expect_segments(4, 2);
}

// RFC5681-3.1j, RFC5681-3.1h: slow start up to ssthresh after a timeout
TEST_F(Congestion, SlowStartEndsAtSsthresh) {
  net.stack->cx.params.frto = false;
  net.send(60 * mss);
  expect_segments(0, 10);
  net.expect_after(milliseconds(200), A(1, 1, mss));
  for (uint32_t i = 1; i <= 4; ++i) ack(i);
  net.drop_sent();
  EXPECT_EQ(net.tcb().cwnd, 5 * mss);
  ack(5);
  ack(6);
  EXPECT_EQ(net.tcb().cwnd, 5 * mss);
  net.drop_sent();
}

// RFC6582-3.2.1: the first segment of all was lost: it lies above `recover`, which is ISS.
// RFC5681-3.2.1, RFC5681-3.2.2: two duplicates let one new segment each out, the third brings the first back
TEST_F(Congestion, ThreeDuplicatesAreALoss) {
  net.send(40 * mss);
  expect_segments(0, 10);
  ack(0);
  expect_segments(10, 1);
  ack(0);
  expect_segments(11, 1);
  EXPECT_EQ(net.tcb().cwnd, 10 * mss);
  ack(0);
  expect_segments(0, 1);
  EXPECT_EQ(net.counter(Count::fast_retransmits), 1u);
}

// RFC5681-3.1f: no bound at first; a loss brings it down
TEST_F(Congestion, SsthreshBeginsHighAndFallsWithALoss) {
  EXPECT_GE(net.tcb().ssthresh, 65535u << 14);
  net.send(40 * mss);
  expect_segments(0, 10);
  for (int i = 0; i < 3; ++i) ack(0);
  net.drop_sent();
  EXPECT_EQ(net.tcb().ssthresh, 5 * mss);
}

// RFC6675-5.0: an ACK of new data begins the count anew
TEST_F(Congestion, ANewAckForgetsTheDuplicates) {
  net.send(40 * mss);
  for (int i = 0; i < 2; ++i) ack(0);
  for (int i = 0; i < 3; ++i) ack(1);  // the first one is new
  net.drop_sent();
  EXPECT_EQ(net.counter(Count::fast_retransmits), 0u);
  ack(1);
  net.drop_sent();
  EXPECT_EQ(net.counter(Count::fast_retransmits), 1u);
}

// RFC5681-3.2.2: what limited transmit has added is not counted
TEST_F(Congestion, LimitedTransmitDoesNotRaiseSsthresh) {
  net.send(40 * mss);
  expect_segments(0, 10);
  for (int i = 0; i < 3; ++i) ack(0);
  net.drop_sent();
  EXPECT_EQ(net.tcb().ssthresh, 5 * mss);
}

// RFC6582-3.2.2: `recover` of old does not stand ahead of SND.UNA again once 2 GB were sent
TEST_F(Congestion, RecoverStaysCloseBehind) {
  net.send(20 * mss);
  expect_segments(0, 10);
  ack(10);
  net.drop_sent();
  EXPECT_EQ(net.tcb().recover + 1, net.tcb().snd.una);
}

// RFC6298-3a: the echo tells that the retransmission was answered, so the backing off ends at once
TEST(Karn, WithTimestampsTheAckOfARetransmissionIsASample) {
  Net net;
  net.peer.ts = true;
  net.established_passive();
  net.send(100);
  net.drop_sent();
  net.advance(milliseconds(650));  // resent at 200 and 600 ms
  net.drop_sent();
  EXPECT_EQ(net.tcb().backoff, 2u);
  net.in(A(1, 101));
  EXPECT_EQ(net.tcb().backoff, 0u);
}

// RFC7323-4.2: the ACK of the second sending was lost; the third arrived as a duplicate, which moves TS.Recent no more
// (RFC7323-5.3R3), so its ACK echoes the second. The D-SACK says so: 6 s of waiting are no round trip.
TEST(Karn, TheAckOfADuplicateMeasuresTheLatestSending) {
  Net net;
  net.peer.ts = net.peer.sack = true;
  net.established_passive();
  net.send(100);
  net.drop_sent();
  net.advance(milliseconds(250));
  ASSERT_EQ(net.sent.size(), 1u);
  uint32_t second = *net.sent.back().seg.ts_val;
  net.drop_sent();
  net.advance(seconds(6));
  net.drop_sent();
  EXPECT_GE(net.tcb().backoff, 4u);
  uint32_t since = net.tcb().rtt.rto;
  net.advance(net.tcb().timer_at - net.now + milliseconds(2));
  net.drop_sent();
  net.in(A(1, 101).ecr(second).sack(1, 101));
  EXPECT_EQ(net.tcb().backoff, 0u);
  EXPECT_LE(net.tcb().rtt.rto, since);
  EXPECT_LT(net.tcb().rtt.srtt >> 3, 10'000u);
}

// Without a D-SACK the echo is all there is: the first sending's ACK may have come late (RFC 3522).
TEST(Karn, AnEarlierEchoAloneIsTheRoundTrip) {
  Net net;
  net.peer.ts = net.peer.sack = true;
  net.established_passive();
  net.send(100);
  uint32_t first = *net.sent.back().seg.ts_val;
  net.drop_sent();
  net.advance(seconds(2));
  net.drop_sent();
  net.in(A(1, 101).ecr(first));
  EXPECT_EQ(net.tcb().backoff, 0u);
  EXPECT_GT(net.tcb().rtt.rto, 2'000'000u);
}

// RFC5681-3.2.3, RFC5681-3.2.4, RFC5681-3.2.5: inflated by each duplicate; new segments once that is enough
TEST_F(Congestion, FurtherDuplicatesInflateTheWindow) {
  net.send(40 * mss);
  expect_segments(0, 10);
  net.tcb().dup_acks = 0;
  for (int i = 0; i < 3; ++i) ack(0);
  net.drop_sent();
  uint32_t base = net.tcb().ssthresh + 3 * mss;
  EXPECT_EQ(net.tcb().cwnd, base);
  uint32_t next = 12;
  for (uint32_t d = 1; d <= 7; ++d) {
    ack(0);
    EXPECT_EQ(net.tcb().cwnd, base + d * mss);
    uint32_t allowed = (base + d * mss) / mss;
    if (allowed > next) {
      expect_segments(next, allowed - next);
      next = allowed;
    }
    net.expect_none();
  }
}

// RFC5681-3.2.6, RFC6582-3.2.3F: the full ACK deflates the window
TEST_F(Congestion, AFullAckEndsRecovery) {
  net.send(40 * mss);
  expect_segments(0, 10);
  for (int i = 0; i < 8; ++i) ack(0);
  net.drop_sent();
  uint32_t ssthresh = net.tcb().ssthresh;
  uint32_t sent = (net.tcb().snd.max.value - net.own_iss() - 1) / mss;
  ack(sent);  // all that was in flight
  EXPECT_EQ(net.tcb().cwnd, std::min(ssthresh, 2 * mss));
  expect_segments(sent, 2);
}

// RFC6582-3.2.3P: a partial ACK brings the next hole at once, without three duplicates
TEST_F(Congestion, APartialAckResendsTheNextHole) {
  net.send(12 * mss);
  expect_segments(0, 10);
  for (int i = 0; i < 3; ++i) ack(0);
  net.drop_sent();
  ack(4);  // the fifth was lost, too
  ASSERT_FALSE(net.sent.empty());
  net.expect(A(at(4), 1, mss));
  net.drop_sent();
  ack(7);
  ASSERT_FALSE(net.sent.empty());
  net.expect(A(at(7), 1, mss));
  net.drop_sent();
  EXPECT_EQ(net.counter(Count::fast_retransmits), 1u);
  ack(12);
  net.silent_for(seconds(5));
}

// RFC6582-3.2.3P: the window deflates by what was acknowledged and gets one segment back
TEST_F(Congestion, APartialAckDeflatesTheWindow) {
  net.send(40 * mss);
  expect_segments(0, 10);
  for (int i = 0; i < 5; ++i) ack(0);
  net.drop_sent();
  uint32_t cwnd = net.tcb().cwnd;
  ack(3);
  net.drop_sent();
  EXPECT_EQ(net.tcb().cwnd, cwnd - 3 * mss + mss);
}

// RFC6582-3.2.2, RFC6582-3.2.4: duplicates for what was in flight at a timeout start no fast retransmit
TEST_F(Congestion, NoFastRetransmitBelowRecover) {
  net.send(10 * mss);
  for (uint32_t i = 0; i < 9; ++i) net.expect(A(at(i), 1, mss));
  net.expect(P(at(9), 1, mss));
  net.expect_after(milliseconds(200), A(1, 1, mss));
  ack(1);
  net.drop_sent();
  for (int i = 0; i < 5; ++i) ack(1);
  net.drop_sent();
  EXPECT_EQ(net.counter(Count::fast_retransmits), 0u);
}

// RFC5681-2: what is no duplicate ACK: with text, with another window, with nothing in flight
TEST_F(Congestion, WhatIsNoDuplicateAckIsNotCounted) {
  for (int i = 0; i < 5; ++i) ack(0);
  net.expect_none();
  net.send(12 * mss);
  expect_segments(0, 10);
  for (uint32_t i = 0; i < 5; ++i) net.in(P(1 + i * 10, 1, 10).win(60000));
  net.advance(milliseconds(40));
  EXPECT_EQ(net.tcb().dup_acks, 0);
  for (uint32_t i = 0; i < 5; ++i) net.in(A(51, 1).win(59999 - i));
  EXPECT_EQ(net.tcb().dup_acks, 0);
  EXPECT_EQ(net.counter(Count::fast_retransmits), 0u);
  net.drop_sent();
}

// RFC5681-3.2.1: duplicates of one burst are counted one by one
TEST_F(Congestion, DuplicatesOfOneBurstAreCountedOneByOne) {
  net.send(10 * mss);
  net.drop_sent();
  Seg duplicate = A(1, 1).win(60000);
  net.burst({duplicate, duplicate, duplicate});
  ASSERT_FALSE(net.sent.empty());
  net.expect(A(1, 1, mss));
  net.expect_none();
}

// RFC5681-4.3b: the loss of a retransmission lowers once more
TEST_F(Congestion, ALostRetransmissionLowersAgain) {
  net.send(40 * mss);
  for (int i = 0; i < 3; ++i) ack(0);
  uint32_t first = net.tcb().ssthresh;
  net.advance(milliseconds(201));
  net.drop_sent();
  EXPECT_LT(net.tcb().ssthresh, first);
}

// RFC5681-4.1: restart after idle
TEST_F(Congestion, AfterIdleTheWindowIsTheInitialOneAgain) {
  net.send(20 * mss);
  net.drop_sent();
  for (uint32_t i = 1; i <= 20; ++i) ack(i);
  net.drop_sent();
  EXPECT_GT(net.tcb().cwnd, 15 * mss);
  net.advance(milliseconds(201));
  net.send(30 * mss);
  expect_segments(20, 10);
}

// RFC5681-4.1: a short pause is no idleness
TEST_F(Congestion, AfterAPauseBelowTheRtoTheWindowStays) {
  net.send(20 * mss);
  net.drop_sent();
  for (uint32_t i = 1; i <= 20; ++i) ack(i);
  net.drop_sent();
  uint32_t cwnd = net.tcb().cwnd / mss;
  net.advance(milliseconds(199));
  net.send(40 * mss);
  expect_segments(20, cwnd);
}

// A fixed window for load generation
TEST(FixedWindow, SendsAllThePeerTakes) {
  Net net;
  net.listen(80, {.congestion = millrace::Congestion::none});
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(60 * mss);
  EXPECT_EQ(net.sent.size(), 44u);
  net.drop_sent();
}

// RFC 5681 4.3: a second loss in the next window halves again
TEST_F(Congestion, ALossInTheNextWindowHalvesAgain) {
  net.send(60 * mss);
  net.drop_sent();
  for (int i = 0; i < 3; ++i) ack(0);
  net.drop_sent();
  uint32_t first = net.tcb().ssthresh;
  ack(12);
  net.drop_sent();
  for (uint32_t i = 13; i <= 16; ++i) ack(i);
  net.drop_sent();
  for (int i = 0; i < 3; ++i) ack(16);
  net.drop_sent();
  EXPECT_EQ(net.counter(Count::fast_retransmits), 2u);
  EXPECT_LT(net.tcb().ssthresh, first);
}

// RFC5681-3.1g, RFC 7661: what the application did send in a round trip was used, though it had no more
TEST_F(Congestion, TheWholeFlightOfARoundTripCounts) {
  net.send(10 * mss);
  net.drop_sent();
  for (uint32_t i = 2; i <= 10; i += 2) ack(i);
  EXPECT_EQ(net.tcb().cwnd, 20 * mss);
}

// RFC 7661: half a window is not enough to learn from
TEST_F(Congestion, HalfAWindowGrowsNothing) {
  net.send(5 * mss);
  net.drop_sent();
  for (uint32_t i = 1; i <= 5; ++i) ack(i);
  EXPECT_EQ(net.tcb().cwnd, 10 * mss);
}

// RFC5681-3.2.1: duplicates have let out new segments; the ACK that shows them to be reordering does not do so again
TEST_F(Congestion, ReorderingIsNotCountedTwice) {
  net.send(30 * mss);
  expect_segments(0, 10);
  ack(0);
  expect_segments(10, 1);
  ack(0);
  expect_segments(11, 1);
  ack(3);
  EXPECT_EQ(net.tcb().cwnd, 11 * mss);
  expect_segments(12, 2);
}

// RFC 9406 4.2: L
TEST(SlowStart, OneAckOpensTheWindowByNoMoreThanItMay) {
  for (uint8_t most : {8, 255}) {
    Net net{[=](stack::Config& c) { c.tcp.slow_start_stretch = most; }};
    net.listen(80, {.congestion = millrace::Congestion::cubic});
    net.in(S(0).mss(1460));
    net.drop_sent();
    net.in(A(1, 1));
    net.expect_event(Event::accepted);
    net.send(10 * mss);
    net.drop_sent();
    net.in(A(1, at(10)));
    EXPECT_EQ(net.tcb().cwnd, (10u + std::min<uint32_t>(most, 10)) * mss);
  }
}

// RFC9293-MUST-61: PSH inside a long send is our own choice
TEST(PushEvery, MarksTheEndOfEachGroup) {
  Net net{[](stack::Config& c) { c.tcp.push_every = 2; }};
  net.established_passive();
  net.send(5 * mss + 100);
  for (uint32_t i = 0; i < 5; ++i) net.expect(i % 2 == 1 ? P(at(i), 1, mss) : A(at(i), 1, mss));
  net.in(A(1, at(5)));
  net.expect(P(at(5), 1, 100));
}

// What a turn has room for is not cut at the quantum of a flow that is alone: a driver has its burst.
TEST(Turn, AFlowThatIsAloneHasAllOfTheRoom) {
  Net net;
  net.established_passive();
  net.send(10 * 1460);
  ASSERT_EQ(net.sent.size(), 10u);
  for (const Sent& packet : net.sent) EXPECT_EQ(packet.turn, net.sent.front().turn);
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
