// SPDX-License-Identifier: BSD-3-Clause
// First check of RFC 9293 3.10.7.4: the sequence number; and before it, the timestamp (RFC 7323 5.3).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint32_t window = 65535;

// A connection whose receive window is shut: 65535 bytes have come and nobody has taken them. Next: 65536, 1.
void shut_window(Net& net) {
  net.established_passive();
  net.keep = true;
  for (uint32_t at = 1; at <= window; at += 1285) net.in(P(at, 1, 1285));
  net.drop_sent();
  net.in(P(1 + window, 1, 1));
  net.expect(A(1, 1 + window).win(0));
}

// RFC9293-3.10.7.4a: SEG.LEN = 0, RCV.WND > 0
TEST(Acceptability, WithoutTextTheSequenceNumberMustLieInTheWindow) {
  Net net;
  net.established_passive();
  net.send(10);
  net.expect(P(1, 1, 10));
  net.in(A(window, 1));  // the last octet of the window
  net.in(A(1, 1));
  net.expect_none();
  net.in(A(0, 11));  // left of it: an ACK says where we are, and its own ACK counts for nothing
  net.expect(A(11, 1));
  net.in(A(1 + window, 11));  // right of it
  net.expect(A(11, 1));
  EXPECT_EQ(net.tcb().snd.una, wire::Seq{net.own_iss() + 1});
  net.in(A(window, 11));
  EXPECT_EQ(net.tcb().snd.una, wire::Seq{net.own_iss() + 11});
}

// RFC9293-3.10.7.4a: SEG.LEN > 0, RCV.WND > 0: the first or the last octet lies inside
TEST(Acceptability, WithTextItsFirstOrLastOctetMustLieInTheWindow) {
  Net net;
  net.established_passive();
  net.in(P(window, 1, 1));  // the very last octet that fits
  net.expect(A(1, 1));
  net.in(P(1 + window, 1, 1));  // the one behind it
  net.expect(A(1, 1));
  EXPECT_EQ(net.counter(Count::drop_out_of_window), 1u);
  net.in(P(1u - 10, 1, 10).text("0123456789"));  // ends just before
  net.expect(A(1, 1));
  EXPECT_EQ(net.counter(Count::drop_out_of_window), 2u);
  EXPECT_EQ(net.received, "");
}

// RFC9293-3.10.7.4a, RFC9293-SHLD-31: trimmed at the front
TEST(Acceptability, TextThatBeginsBeforeTheWindowIsTrimmed) {
  Net net;
  net.established_passive();
  net.in(P(1, 1, 100));
  net.in(P(51, 1, 100));
  EXPECT_EQ(net.received, stream(1, 150));
  net.expect_after(milliseconds(40), A(1, 151));
}

// RFC9293-3.10.7.4a: trimmed at the end, FIN with it
TEST(Acceptability, TextThatRunsBeyondTheWindowIsTrimmed) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 3000; }};
  net.established_passive();
  net.keep = true;
  net.in(P(1, 1, 1400));
  net.in(P(1401, 1, 1400));
  net.drop_sent();
  net.in(PF(2801, 1, 400));
  net.expect(A(1, 3001).win(0));
  EXPECT_EQ(net.received, stream(1, 3000));
  EXPECT_EQ(net.state(), State::established);
  net.expect_no_event();
}

// RFC5681-4.2c: cut to the window and out of order at once
TEST(Acceptability, OneAckForASegmentThatIsCutAndOutOfOrder) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 3000; }};
  net.established_passive();
  net.in(P(2001, 1, 1400));
  net.expect(A(1, 1));
  net.expect_none();
}

// RFC9293-3.10.7.4a
TEST(Acceptability, ADuplicateIsAcknowledgedAndDropped) {
  Net net;
  net.established_passive();
  net.in(P(1, 1, 100));
  net.in(P(1, 1, 100));
  net.expect(A(1, 101));
  EXPECT_EQ(net.received, stream(1, 100));
  EXPECT_EQ(net.counter(Count::duplicate_text), 1u);
}

// RFC9293-3.10.7.4a: SEG.LEN = 0, RCV.WND = 0; RFC9293-MUST-66: ACKs count all the same
TEST(ZeroWindow, AnAckAtRcvNxtIsTaken) {
  Net net;
  shut_window(net);
  net.send(10);
  net.expect(P(1, 1 + window, 10).win(0));
  net.in(A(1 + window, 11));
  net.expect_none();
  EXPECT_EQ(net.tcb().snd.una, wire::Seq{net.own_iss() + 11});
  net.in(A(2 + window, 11));  // and nowhere else
  net.expect(A(11, 1 + window).win(0));
}

// RFC9293-3.10.7.4a: SEG.LEN > 0, RCV.WND = 0: not acceptable, but its ACK is processed (RFC9293-MUST-66)
TEST(ZeroWindow, TextIsRefusedButItsAckCounts) {
  Net net;
  shut_window(net);
  net.send(10);
  net.expect(P(1, 1 + window, 10));
  net.in(P(1 + window, 11, 1));
  net.expect(A(11, 1 + window).win(0));
  EXPECT_EQ(net.tcb().snd.una, wire::Seq{net.own_iss() + 11});
  EXPECT_EQ(net.received.size(), window);
}

// RFC9293-MUST-66
TEST(ZeroWindow, RstIsProcessed) {
  Net net;
  shut_window(net);
  net.in(R(1 + window));
  net.expect_event(Event::closed, Event::reset);
}

// RFC9293-MUST-66
TEST(ZeroWindow, UrgIsProcessed) {
  Net net;
  shut_window(net);
  net.in(P(1 + window, 1, 1).urgent(5));
  net.expect(A(1, 1 + window).win(0));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 5u);
}

// RFC7323-2.4.1: text that fits a window that was promised earlier
TEST(Acceptability, AnEarlierPromiseIsKept) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 4000; }};
  net.established_passive();
  net.keep = true;
  net.in(P(1, 1, 1000));
  net.expect_after(milliseconds(40), A(1, 1001).win(3000));
  net.in(P(1001, 1, 1460));
  net.in(P(2461, 1, 1460));
  net.expect(A(1, 3921).win(80));
  net.in(P(3921, 1, 80));
  net.advance(milliseconds(40));
  net.expect(A(1, 4001).win(0));
  EXPECT_EQ(net.received, stream(1, 4000));
}

// --- timestamps ---

struct Paws : testing::Test {
  Paws() {
    net.peer.ts = true;
    net.established_passive();
  }
  Net net;
  uint32_t clock = net.peer_clock();
};

// RFC7323-5.3R1
TEST_F(Paws, AnOlderTimestampIsAcknowledgedAndDropped) {
  net.in(P(1, 1, 100).ts(clock - 1, 0));
  net.expect(A(1, 1).ecr(clock));
  EXPECT_EQ(net.received, "");
  EXPECT_EQ(net.counter(Count::paws_rejected), 1u);
}

// RFC7323-5.3R1: the same one passes
TEST_F(Paws, AnEqualTimestampPasses) {
  net.in(P(1, 1, 100).ts(clock, 0));
  EXPECT_EQ(net.received, stream(1, 100));
  net.expect_after(milliseconds(40), A(1, 101).ecr(clock));
}

// RFC7323-5.3R1: before the window is looked at
TEST_F(Paws, ItComesBeforeTheWindow) {
  net.in(P(100000, 1, 100).ts(clock - 1, 0));
  net.expect(A(1, 1));
  EXPECT_EQ(net.counter(Count::paws_rejected), 1u);
  EXPECT_EQ(net.counter(Count::drop_out_of_window), 0u);
}

// RFC7323-5.2
TEST_F(Paws, ARstIsNotChecked) {
  net.in(R(1).ts(clock - 1000, 0));
  net.expect_event(Event::closed, Event::reset);
}

// RFC7323-5.2: an in-window RST's timestamp changes nothing
TEST_F(Paws, ARstDoesNotMoveTsRecent) {
  net.in(R(50).ts(clock + 1000, 0));
  net.expect(A(1, 1).ecr(clock));
  net.in(P(1, 1, 10).ts(clock, 0));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC5961-5.2: a segment with an unacceptable ACK is discarded: its timestamp must not shut out what the peer sends
TEST_F(Paws, AnUnacceptableAckDoesNotMoveTsRecent) {
  net.in(P(1, 10000, 10).ts(clock + 100'000, 0));
  net.expect(A(1, 1).ecr(clock));
  net.in(P(1, 1, 10).ts(clock + 1, 0));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11).ecr(clock + 1));
}

// RFC7323-5.2: a RST without one counts
TEST_F(Paws, ARstWithoutTimestampCounts) {
  net.in(R(1).no_ts());
  net.expect_event(Event::closed, Event::reset);
}

// RFC7323-3.2b: dropped in silence
TEST_F(Paws, ASegmentWithoutTimestampIsDropped) {
  net.in(P(1, 1, 10).no_ts());
  net.expect_none();
  EXPECT_EQ(net.received, "");
  EXPECT_EQ(net.counter(Count::drop_no_timestamp), 1u);
  EXPECT_EQ(net.state(), State::established);
}

// RFC7323-3.2c
TEST(Timestamps, WhenNotNegotiatedTheyAreIgnored) {
  Net net;
  net.established_passive();
  net.in(P(1, 1, 10).ts(5, 6));
  net.in(P(11, 1, 10).ts(4, 6));
  EXPECT_EQ(net.received, stream(1, 20));
  net.expect_after(milliseconds(40), A(1, 21));
}

// RFC7323-4.3: of two segments before an ACK the earlier one's timestamp is echoed
TEST_F(Paws, TheEarliestUnacknowledgedSegmentIsEchoed) {
  net.in(P(1, 1, 10).ts(clock + 1, 0));
  net.in(P(11, 1, 10).ts(clock + 2, 0));
  net.expect_after(milliseconds(40), A(1, 21).ecr(clock + 1));
}

// RFC7323-4.3: what fills the hole is echoed, what lies beyond it is not
TEST_F(Paws, TheSegmentThatFillsTheHoleIsEchoed) {
  net.in(P(1, 1, 10).ts(clock + 1, 0));
  net.expect_after(milliseconds(40), A(1, 11).ecr(clock + 1));
  net.in(P(21, 1, 10).ts(clock + 3, 0));
  net.expect(A(1, 11).ecr(clock + 1));
  net.in(P(11, 1, 10).ts(clock + 2, 0));
  net.expect(A(1, 31).ecr(clock + 2));
}

// RFC7323-5.3R3: a segment outside the window does not move TS.Recent
TEST_F(Paws, ASegmentOutsideTheWindowDoesNotMoveTsRecent) {
  net.in(P(100000, 1, 10).ts(clock + 1000, 0));
  net.expect(A(1, 1).ecr(clock));
  net.in(P(1, 1, 10).ts(clock, 0));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11).ecr(clock));
}

// RFC7323-4.3, RFC7323-5.3R3: an old duplicate that begins left of the window but reaches into it may
TEST_F(Paws, ARetransmissionThatReachesIntoTheWindowMovesTsRecent) {
  net.in(P(1, 1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
  net.in(P(1, 1, 20).ts(clock + 500, 0));
  net.expect_after(milliseconds(40), A(1, 21).ecr(clock + 500));
}

// RFC7323-5.3R1: the clock wraps
TEST_F(Paws, TimestampsAreComparedAroundTheirWrap) {
  net.in(P(1, 1, 10).ts(clock + 0x7fffffff, 0));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11).ecr(clock + 0x7fffffff));
  net.in(P(11, 1, 10).ts(clock + 0xfffffff0, 0));
  EXPECT_EQ(net.received, stream(1, 20));
  net.expect_after(milliseconds(40), A(1, 21).ecr(clock + 0xfffffff0));
}

// RFC7323-5.5: after 24 days without traffic TS.Recent says nothing any more
TEST_F(Paws, AfterTwentyFourDaysTsRecentIsInvalid) {
  net.advance(seconds(25 * 86400));
  net.in(P(1, 1, 10).ts(clock - 5, 0));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11).ecr(clock - 5));
}

// RFC7323-5.5: but traffic that comes in only keeps it valid
TEST_F(Paws, TrafficInOneDirectionKeepsTsRecentValid) {
  for (uint32_t day = 0; day < 30; ++day) {
    net.in(P(1 + day * 10, 1, 10).ts(clock + day, 0));
    net.expect_after(milliseconds(40), A(1, 11 + day * 10));
    net.advance(seconds(86400));
  }
  net.in(P(301, 1, 10).ts(clock + 5, 0));
  net.expect(A(1, 301));
  EXPECT_EQ(net.counter(Count::paws_rejected), 1u);
}

// RFC7323-4.1, RFC7323-5.4: a tick a millisecond, however long it is
TEST_F(Paws, OurClockTicksOnceAMillisecond) {
  auto shown = [&] {
    net.in(A(0, 1));  // a probe: answered with where we are
    uint32_t value = *net.sent.back().seg.ts_val;
    net.drop_sent();
    return value;
  };
  uint32_t first = shown();
  net.advance(microseconds(999));
  EXPECT_EQ(shown(), first);
  net.advance(microseconds(1));
  EXPECT_EQ(shown(), first + 1);
  net.advance(seconds(1000));
  EXPECT_EQ(shown(), first + 1'000'001);
}

// RFC7323-7.1: each connection's clock has an origin of its own
TEST(Timestamps, TheirOriginDependsOnTheConnection) {
  Net net;
  net.listen();
  net.in(S(0).mss(1460).ts(1, 0));
  net.peer.port = 5001;
  net.in(S(0).mss(1460).ts(1, 0));
  ASSERT_EQ(net.sent.size(), 2u);
  EXPECT_NE(net.sent[0].seg.ts_val, net.sent[1].seg.ts_val);
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
