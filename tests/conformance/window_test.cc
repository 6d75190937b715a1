// SPDX-License-Identifier: BSD-3-Clause
// Nagle, silly windows on both sides, PSH, zero windows and their probes (RFC 9293 3.7.4, 3.8.6, 3.9.1.2).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct Nagle : testing::Test {
  Nagle() { net.established_passive(); }
  Net net;
};

// RFC9293-SHLD-7, RFC9293-MAY-16: one small segment in flight at a time, the others are collected
TEST_F(Nagle, ASecondSmallSegmentWaitsForTheAck) {
  net.send(10);
  net.expect(P(1, 1, 10));
  net.send(10);
  net.send(10);
  net.expect_none();
  net.in(A(1, 11));
  net.expect(P(11, 1, 20));  // RFC9293-SHLD-27: together
}

// RFC9293-SHLD-7, RFC9293-SHLD-28: a full segment does not wait
TEST_F(Nagle, AFullSegmentDoesNotWait) {
  net.send(10);
  net.expect(P(1, 1, 10));
  net.send(1460);
  net.expect(P(11, 1, 1460));
  net.send(1461);
  net.expect(A(1471, 1, 1460));
  net.expect_none();
}

// RFC9293-MUST-17
TEST_F(Nagle, CanBeSwitchedOff) {
  net.send(10);
  net.expect(P(1, 1, 10));
  net.send(10);
  net.set(Setting::no_delay, 1);
  net.expect(P(11, 1, 10));
  net.send(10);
  net.expect(P(21, 1, 10));
  net.set(Setting::no_delay, 0);
  net.send(10);
  net.expect_none();
}

// RFC9293-SHLD-7: the FIN is never held back
TEST_F(Nagle, TheLastSmallSegmentLeavesWithTheFin) {
  net.send(10);
  net.expect(P(1, 1, 10));
  net.send(10);
  net.expect_none();
  net.shutdown();
  net.expect(PF(11, 1, 10));
}

// RFC9293-MUST-61, RFC9293-MUST-60: PSH on what empties the queue, and only there
TEST_F(Nagle, PshIsOnTheSegmentThatEmptiesTheQueue) {
  net.send(3000);
  net.expect(A(1, 1, 1460));
  net.expect(A(1461, 1, 1460));
  net.expect(P(2921, 1, 80));
}

// RFC 9293 A.3, Minshall: the tail of a long send waits for no ACK, for no small segment is on its way
TEST_F(Nagle, TheTailOfALongSendLeavesAtOnce) {
  net.send(2000);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 540));
  net.send(2000);  // its full segment leaves; its tail waits for the one before
  net.expect(A(2001, 1, 1460));
  net.expect_none();
  net.in(A(1, 1461));  // not for that one
  net.expect_none();
  net.in(A(1, 2001));
  net.expect(P(3461, 1, 540));
}

// RFC 9293 A.3: what was sent again counts as small for as long as it is on its way
TEST_F(Nagle, ASmallSegmentThatIsLostHoldsTheNextBack) {
  net.send(10);
  net.expect(P(1, 1, 10));
  net.expect_after(milliseconds(200), P(1, 1, 10));
  net.send(10);
  net.expect_none();
  net.in(A(1, 11));
  net.expect(P(11, 1, 10));
}

// RFC 9293 A.3: numbers that wrap, and a small segment of two gigabytes ago
TEST(NagleWraps, AnOldSmallSegmentHoldsNothingBack) {
  Net net{[](stack::Config& c) { c.tcp.send_limit = 1 << 20; }};
  net.established_passive();
  net.send(10);
  net.expect(P(1, 1, 10));
  net.in(A(1, 11));
  net.tcb().small_end = net.tcb().snd.una + 0x40000000;  // as if it had wrapped: ahead of SND.UNA, and never sent
  net.send(1470);
  net.expect(A(11, 1, 1460));
  net.expect(P(1471, 1, 10));
}

// RFC9293-MAY-15: `more` means no PSH yet
TEST_F(Nagle, MoreTakesThePshAway) {
  net.send(1460, true);
  net.expect(A(1, 1, 1460));
  net.send(10, false);
  net.in(A(1, 1461));
  net.expect(P(1461, 1, 10));
}

// RFC9293-MUST-60: what was sent with `more` is not held for ever
TEST_F(Nagle, MoreDoesNotHoldForEver) {
  net.send(10, true);
  net.expect(A(1, 1, 10));
  net.send(10, true);
  net.expect_none();  // Nagle
  net.in(A(1, 11));
  net.expect(A(11, 1, 10));
}

// RFC7323-2.2a: a peer without window scaling keeps all the window that its header can say for as long as the buffer, which
// may be larger, has room
TEST(UnscaledWindow, TheBufferMayExceedIt) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 256 * 1024; }};
  net.established_passive();
  net.keep = true;
  for (uint32_t at = 1; at < 65'000; at += 1000) net.in(A(at, 1, 1000));
  net.advance(milliseconds(50));
  ASSERT_FALSE(net.sent.empty());
  EXPECT_EQ(net.sent.back().seg.window, 65535);
  net.drop_sent();
  for (uint32_t at = 65'001; at < 250'000; at += 1000) net.in(A(at, 1, 1000));
  net.advance(milliseconds(50));
  EXPECT_LT(net.sent.back().seg.window.value_or(0), 256 * 1024 - 249'000);
  net.drop_sent();
  net.recycle_all();
  ASSERT_FALSE(net.sent.empty());  // and opens again
  EXPECT_EQ(net.sent.back().seg.window, 65535);
  net.drop_sent();
}

// --- sender's silly window avoidance ---

// RFC9293-MUST-38: less than a segment and less than half the largest window: wait
TEST(SenderSws, ASmallUsableWindowIsNotFilled) {
  Net net;
  net.established_passive();
  net.in(A(1, 1).win(1000));
  net.send(5000);
  net.expect_none();
  net.in(A(1, 1).win(1460));
  net.expect(A(1, 1, 1460));
}

// RFC9293-MUST-38: all that is queued fits: it need not be more
TEST(SenderSws, WhatFitsWhollyLeaves) {
  Net net;
  net.established_passive();
  net.in(A(1, 1).win(300));
  net.send(300);
  net.expect(P(1, 1, 300));
}

// RFC9293-MUST-38: half of the largest window the peer ever had is enough
TEST(SenderSws, HalfTheLargestWindowIsEnough) {
  Net net;
  net.peer.window = 1000;
  net.established_passive();
  net.send(5000);
  net.expect(A(1, 1, 1000));
  net.in(A(1, 1001).win(499));
  net.expect_none();
  net.in(A(1, 1001).win(500));
  net.expect(A(1001, 1, 500));
}

// RFC9293-MUST-38: the override: in the end even a silly window is used
TEST(SenderSws, AfterATimeASillyWindowIsUsed) {
  Net net;
  net.established_passive();
  net.in(A(1, 1).win(1000));
  net.send(5000);
  net.expect_after(milliseconds(200), A(1, 1, 1000));
}

// --- receiver's silly window avoidance ---

// RFC9293-MUST-39: a shut window opens by a segment or half the buffer, not by a little
TEST(ReceiverSws, AShutWindowOpensByASegment) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 4000; }};
  net.established_passive();
  net.keep = true;
  for (uint32_t at = 1; at <= 4000; at += 500) net.in(A(at, 1, 500));
  net.advance(milliseconds(40));
  ASSERT_FALSE(net.sent.empty());
  EXPECT_EQ(net.sent.back().seg.window, 0);
  net.drop_sent();
  for (int i = 0; !net.kept.empty(); ++i) {
    Request r;
    r.kind = Request::recycle;
    r.slice_count = 1;
    r.slices[0] = net.kept.front();
    net.kept.erase(net.kept.begin());
    net.call(r);
    if (i == 2) net.expect(A(1, 4001).win(1500));  // a segment fits
    if (i == 5) net.expect(A(1, 4001).win(3000));
    net.expect_none();
  }
}

// RFC9293-SHLD-14, RFC9293-MAY-8: the right edge never moves left while the window fills
TEST(ReceiverSws, TheRightEdgeNeverMovesLeft) {
  for (uint32_t buffer : {3000u, 10000u, 65535u, 300000u, 1000003u}) {
    Net net{[&](stack::Config& c) { c.tcp.receive_buffer = buffer; }};
    net.peer.wscale = 0;
    net.established_passive();
    net.keep = true;
    uint32_t scale = net.tcb().rcv_wscale;
    uint32_t edge = 1 + std::min(buffer, 65535u);
    uint32_t at = 1;
    for (int i = 0; i < 200; ++i) {
      net.in(A(at, 1, 1 + static_cast<uint32_t>(i * 37 % 1400)));
      net.advance(milliseconds(40));
      if (i % 7 == 6) net.recycle_all();
      for (const Sent& s : net.sent) {
        uint32_t now_edge = s.seg.ack - net.peer.iss + (uint32_t{*s.seg.window} << scale);
        // RFC 7323 2.4: by less than a unit it may, when the field cannot say it
        EXPECT_GE(now_edge + (1u << scale), edge + 1) << "buffer " << buffer;
        edge = std::max(edge, now_edge);
        at = s.seg.ack - net.peer.iss;
      }
      net.drop_sent();
    }
    net.recycle_all();
    net.drop_sent();
  }
}

// RFC7323-2.4.2: a scaled field rounds down; text up to the edge that was shown before is taken all the same
TEST(ReceiverSws, TheFarthestEdgeEverShownCounts) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 70000; }};
  net.peer.wscale = 0;
  net.established_passive();
  net.keep = true;
  ASSERT_EQ(net.tcb().rcv_wscale, 1);
  uint32_t at = 1;
  uint32_t edge = 0;
  auto take = [&](uint32_t n) {
    net.in(A(at, 1, n));
    at += n;
    net.advance(milliseconds(40));
    edge = at + (uint32_t{*net.sent.back().seg.window} << 1);
    net.drop_sent();
  };
  for (int i = 0; i < 47; ++i) take(1459);
  take(1);
  EXPECT_EQ(edge, 70001u);
  take(1);
  EXPECT_EQ(edge, 70000u);  // the odd byte cannot be said
  take(70001 - at);
  EXPECT_EQ(net.received, stream(1, 70000));
  EXPECT_EQ(edge, 70001u);
}

// RFC9293-MUST-39: the application gives back what a shut window holds: the peer is told at once
TEST(ReceiverSws, GivingEverythingBackOpensTheWindowAtOnce) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 5840; }};
  net.established_passive();
  net.keep = true;
  for (uint32_t at = 1; at <= 5840; at += 1460) net.in(A(at, 1, 1460));
  EXPECT_EQ(net.sent.back().seg.window, 0);
  net.drop_sent();
  net.recycle_all();
  ASSERT_FALSE(net.sent.empty());
  net.sent.erase(net.sent.begin(), net.sent.end() - 1);
  net.expect(A(1, 5841).win(5840));
}

// received bytes count against the window until they go back
TEST(ReceiverSws, KeptTextShutsTheWindowAndReadTextDoesNot) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 10000; }};
  net.established_passive();
  net.in(P(1, 1, 1000));
  net.expect_after(milliseconds(40), A(1, 1001).win(10000));
  net.keep = true;
  net.in(P(1001, 1, 1000));
  net.expect_after(milliseconds(40), A(1, 2001).win(9000));
}

// RFC7323-2.3b: the window is rounded to its unit, never beyond the buffer
TEST(WindowScale, OurWindowIsScaled) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 1 << 20; }};
  net.peer.wscale = 0;
  net.established_passive();
  EXPECT_EQ(net.tcb().rcv_wscale, 5);
  net.in(P(1, 1, 1000));
  net.expect(A(1, 1001).win((1 << 20) >> 5));  // the SYN,ACK could only say 65535
  net.in(P(1001, 1, 1000));
  net.expect_after(milliseconds(40), A(1, 2001).win((1 << 20) >> 5));
}

// RFC7323-2.2a, RFC9293-SHLD-18: without the peer's option ours is off, the window is at most 65535: no news
// to tell
TEST(WindowScale, WithoutThePeersOptionNothingIsScaled) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 1 << 20; }};
  net.established_passive();
  net.in(P(1, 1, 1000));
  net.expect_after(milliseconds(40), A(1, 1001).win(65535));
}

// --- zero windows ---

struct Persist : testing::Test {
  Persist() {
    net.established_passive();
    net.in(A(1, 1).win(0));
    net.drop_sent();
  }
  Net net;
};

// RFC9293-MUST-36, RFC9293-SHLD-29, RFC9293-SHLD-30: one octet after one RTO, then at growing intervals
TEST_F(Persist, ProbesComeAtGrowingIntervals) {
  net.send(100);
  net.expect_none();
  for (uint64_t wait : {200, 400, 800, 1600, 3200}) {
    net.expect_after(milliseconds(wait), A(1, 1, 1));
    net.in(A(1, 1).win(0));
  }
  net.in(A(1, 1));
  net.expect(P(1, 1, 100));
}

// RFC9293-MUST-37: as long as it is answered, for ever
TEST_F(Persist, NeverGivesUpWhileProbesAreAnswered) {
  net.send(100);
  int probes = 0;
  for (Instant end = net.now + seconds(7200); net.now < end;) {
    net.advance(seconds(1));
    for (; !net.sent.empty(); ++probes) {
      net.expect(A(1, 1, 1));
      net.in(A(1, 1).win(0));
    }
  }
  EXPECT_EQ(net.state(), State::established);
  EXPECT_GT(probes, 60);  // at most 120 s apart
  net.in(A(1, 1));
  net.expect(P(1, 1, 100));
}

// RFC9293-MUST-20, RFC9293-MUST-37: unanswered, R2 ends it
TEST_F(Persist, UnansweredProbesTimeOut) {
  net.set(Setting::user_timeout_s, 10);
  net.send(100);
  net.advance(seconds(30));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-MUST-36: the peer takes the probe's octet: it is not sent again
TEST_F(Persist, AProbeThatIsTakenCounts) {
  net.send(100);
  net.expect_after(milliseconds(200), A(1, 1, 1));
  net.in(A(1, 2).win(0));
  net.expect_none();
  net.in(A(1, 2).win(65535));
  net.expect(P(2, 1, 99));
}

// RFC 9293 3.8.6.1: the probe's octet was not taken: an ACK lies where the peer looks, not behind it, which is beyond a
// window that is shut
TEST_F(Persist, AcksDoNotCountAProbeThatWasRefused) {
  net.send(100);
  net.expect_after(milliseconds(200), A(1, 1, 1));
  net.in(A(1, 1).win(0));
  net.in(P(1, 1, 100).win(0));
  net.expect_after(milliseconds(40), A(1, 101));
}

// RFC9293-MUST-36: a window update ends the probing
TEST_F(Persist, AWindowUpdateEndsIt) {
  net.send(100);
  net.advance(milliseconds(100));
  net.in(A(1, 1));
  net.expect(P(1, 1, 100));
  net.in(A(1, 101));
  net.silent_for(seconds(100));
}

// RFC9293-MUST-36: a FIN that is all that is left probes, too
TEST_F(Persist, AFinIsSentIntoAZeroWindowAsAProbe) {
  net.shutdown();
  net.expect_after(milliseconds(200), F(1, 1));
  net.in(A(1, 2).win(0));
  EXPECT_EQ(net.state(), State::fin_wait_2);
}

// RFC9293-MUST-36: text and FIN behind a zero window
TEST_F(Persist, TextAndFinWaitForTheWindow) {
  net.send(10);
  net.shutdown();
  net.expect_after(milliseconds(200), A(1, 1, 1));
  net.in(A(1, 1).win(0));
  net.in(A(1, 1));
  net.expect(PF(1, 1, 10));
  net.in(A(1, 12));
  EXPECT_EQ(net.state(), State::fin_wait_2);
}

// RFC9293-MAY-8: our own window may stay shut for long; probes are answered
TEST(ZeroWindowOfOurs, ProbesAreAnswered) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 2920; }};
  net.established_passive();
  net.keep = true;
  net.in(A(1, 1, 1460));
  net.in(A(1461, 1, 1460));
  net.expect(A(1, 2921).win(0));
  for (int i = 0; i < 20; ++i) {
    net.advance(seconds(60));
    net.in(A(2921, 1, 1));
    net.expect(A(1, 2921).win(0));
  }
  EXPECT_EQ(net.received, stream(1, 2920));
}

// RFC9293-MUST-66, RFC 9293 3.10.7.4: "special allowance should be made to accept valid ACKs". We have taken the octet of
// the peer's probe, and our ACK of it was lost: the peer's ACKs have the number below. Were they not looked at, two ends
// with shut windows would never hear each other again.
TEST(ZeroWindowOfOurs, TakesTheAckOfAPeerThatIsOneOff) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 2920; }};
  net.established_passive();
  net.keep = true;
  net.in(A(1, 1, 1460));
  net.in(A(1461, 1, 1460));
  net.expect(A(1, 2921).win(0));
  net.send(100);
  net.expect(P(1, 2921, 100).win(0));
  net.in(A(2920, 101));
  net.expect(A(101, 2921).win(0));  // the answer that tells it
  EXPECT_EQ(net.tcb().snd.una, net.tcb().snd.nxt);
  net.send(100);
  net.expect(P(101, 2921, 100).win(0));
  net.in(A(2922, 201));  // the octet of its probe was not taken
  net.expect(A(201, 2921).win(0));
  EXPECT_EQ(net.tcb().snd.una, net.tcb().snd.nxt);
  net.in(R(2920));  // nothing else is taken there
  EXPECT_EQ(net.state(), State::established);
}

}  // namespace
}  // namespace millrace::conformance
