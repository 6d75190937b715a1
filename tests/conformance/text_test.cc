// SPDX-License-Identifier: BSD-3-Clause
// Seventh step of RFC 9293 3.10.7.4: the text; when it is acknowledged, and how it is put in order.
#include <algorithm>

#include "base/siphash.h"
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct Text : testing::Test {
  Text() { net.established_passive(); }
  Net net;
};

// RFC9293-SHLD-18, RFC9293-MUST-40, RFC5681-4.2b
TEST_F(Text, ASegmentIsAcknowledgedAfterFortyMilliseconds) {
  net.in(P(1, 1, 100));
  EXPECT_EQ(net.received, stream(1, 100));
  net.expect_after(milliseconds(40), A(1, 101).win(65535));
  net.silent_for(seconds(1));
}

// RFC9293-SHLD-19, RFC5681-4.2a
TEST_F(Text, EverySecondFullSegmentIsAcknowledgedAtOnce) {
  net.in(A(1, 1, 1460));
  net.expect_none();
  net.in(A(1461, 1, 1460));
  net.expect(A(1, 2921));
  net.in(A(2921, 1, 1460));
  net.expect_none();
  net.in(A(4381, 1, 1460));
  net.expect(A(1, 5841));
  net.silent_for(milliseconds(100));
}

// RFC9293-MUST-58: text carries the ACK
TEST_F(Text, AnswerCarriesTheAck) {
  net.in(P(1, 1, 100));
  net.advance(milliseconds(10));
  net.send(10);
  net.expect(P(1, 101, 10));
  net.in(A(101, 11));
  net.silent_for(milliseconds(100));
}

// RFC9293-MUST-40: each delay begins with its own segment
TEST_F(Text, TheDelayBeginsAnewAfterAnAckThatWasCarried) {
  net.in(P(1, 1, 100));
  net.advance(milliseconds(30));
  net.send(10);
  net.expect(P(1, 101, 10));
  net.in(P(101, 11, 100));
  net.expect_after(milliseconds(40), A(11, 201));
}

// RFC9293-MUST-58, RFC9293-MUST-59, RFC5681-4.2c: all of a burst, then one ACK
TEST_F(Text, ABurstGetsOneAck) {
  net.burst({A(1, 1, 1460), A(1461, 1, 1460), A(2921, 1, 1460), A(4381, 1, 1460), A(5841, 1, 1460),
             P(7301, 1, 700)});
  net.expect(A(1, 8001));
  EXPECT_EQ(net.received, stream(1, 8000));
  net.silent_for(milliseconds(100));
}

// RFC9293-MUST-59: a burst of two connections: one each
TEST_F(Text, ABurstOfTwoConnectionsGetsOneAckEach) {
  Peer one = net.peer;
  Peer two = net.peer;
  two.port = 5001;
  net.in(two, S(0).mss(1460));
  net.expect(two, SA(0, 1).mss(1460));
  net.in(two, A(1, 1));
  net.expect_event(Event::accepted);
  net.frames({net.frame(one, A(1, 1, 1460)), net.frame(two, A(1, 1, 1460)), net.frame(one, A(1461, 1, 1460)),
              net.frame(two, A(1461, 1, 1460)), net.frame(one, A(2921, 1, 1460))});
  net.expect(one, A(1, 4381));
  net.expect(two, A(1, 2921));
}

// RFC9293-SHLD-18: can be switched off, per connection
TEST_F(Text, ImmediateAckAcknowledgesEachTurn) {
  net.set(Setting::immediate_ack, 1);
  net.in(P(1, 1, 1));
  net.expect(A(1, 2));
  net.burst({P(2, 1, 1), P(3, 1, 1)});
  net.expect(A(1, 4));
}

// the reply leaves in the turn in which the request came, with its ACK
TEST_F(Text, AnEchoIsOnePacketInTheSameTurn) {
  net.on_event = [&](const Event& e) {
    if (e.kind == Event::received)
      net.queue(net.send_request(std::string(reinterpret_cast<const char*>(e.data()), e.length)));
  };
  for (uint32_t at = 1; at < 100; at += 10) {
    uint32_t before = net.turns;
    net.in(P(at, at, 10));
    ASSERT_EQ(net.sent.size(), 1u);
    EXPECT_EQ(net.sent[0].turn, before + 1);
    net.expect(P(at, at + 10, 10));
  }
  net.in(A(101, 101));
  net.silent_for(seconds(1));
  EXPECT_EQ(net.counter(Count::pure_acks_sent), 0u);
}

// RFC5681-3.2a, RFC9293-SHLD-31, RFC9293-MAY-13
TEST_F(Text, AGapIsToldAtOnceAndSoIsItsFilling) {
  net.in(P(101, 1, 100));
  net.expect(A(1, 1).win(65535));
  net.in(P(201, 1, 100));
  net.expect(A(1, 1).win(65535));
  net.in(P(1, 1, 50));
  net.expect(A(1, 51));
  net.in(P(51, 1, 50));
  net.expect(A(1, 301));
  EXPECT_EQ(net.received, stream(1, 300));
  net.silent_for(milliseconds(100));
}

// RFC5681-3.2a: without SACK the peer counts duplicates: each out-of-order segment of a burst gets its own
TEST_F(Text, EachSegmentBehindAGapGetsItsOwnDuplicateAck) {
  net.burst({P(101, 1, 100), P(201, 1, 100), P(301, 1, 100)});
  for (int i = 0; i < 3; ++i) net.expect(A(1, 1).win(65535));
}

// RFC9293-SHLD-31: any order of five segments
TEST(Reassembly, AllOrdersOfFiveSegments) {
  int order[] = {0, 1, 2, 3, 4};
  do {
    Net net;
    net.established_passive();
    bool have[6] = {};
    uint32_t next = 0;
    for (int i : order) {
      bool gap_before = std::any_of(have + next, have + 6, [](bool h) { return h; });
      have[i] = true;
      bool in_order = static_cast<uint32_t>(i) == next;
      while (have[next]) ++next;
      net.in(P(1 + static_cast<uint32_t>(i) * 100, 1, 100));
      if (!in_order || gap_before) net.expect(A(1, 1 + next * 100));
      net.expect_none();
      EXPECT_EQ(net.received.size(), next * 100);
    }
    EXPECT_EQ(net.received, stream(1, 500));
    net.advance(milliseconds(41));
    net.drop_sent();
    net.send(1);
    net.expect(P(1, 501, 1));
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

// RFC9293-SHLD-31: any overlap
TEST(Reassembly, RandomOverlapsGiveTheStream) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Net net;
    net.peer.sack = seed % 2 == 0;
    net.established_passive();
    Random random(seed);
    for (int i = 0; i < 60; ++i)
      net.in(
          A(1 + static_cast<uint32_t>(random.below(2000)), 1, 1 + static_cast<uint32_t>(random.below(300))));
    EXPECT_EQ(net.received, stream(1, static_cast<uint32_t>(net.received.size())));
    for (uint32_t at = 1; at < 2301; at += 100) net.in(A(at, 1, 100));
    EXPECT_EQ(net.received, stream(1, 2300)) << "seed " << seed;
    net.drop_sent();
  }
}

// RFC9293-SHLD-31: a segment that covers what is held
TEST_F(Text, ASegmentThatCoversWhatIsHeldReplacesIt) {
  net.in(P(101, 1, 50));
  net.in(P(201, 1, 50));
  net.in(P(51, 1, 300));
  for (int i = 0; i < 3; ++i) net.expect(A(1, 1));
  net.in(P(1, 1, 60));
  net.expect(A(1, 351));
  EXPECT_EQ(net.received, stream(1, 350));
}

// what is held out of order is bounded
TEST(Reassembly, TheNumberOfSegmentsHeldIsBounded) {
  Net net{[](stack::Config& c) { c.tcp.out_of_order_limit = 3; }};
  net.established_passive();
  for (uint32_t at : {101, 201, 301, 401}) {
    net.in(P(at, 1, 100));
    net.expect(A(1, 1));
  }
  EXPECT_EQ(net.counter(Count::drop_out_of_order_limit), 1u);
  net.in(P(1, 1, 100));
  net.expect(A(1, 401));
  EXPECT_EQ(net.received, stream(1, 400));
}

// RFC9293-SHLD-31: one loss in a wide window costs one retransmission, not all that lies behind it
TEST(Reassembly, AWideWindowBehindAGapIsHeldWhole) {
  Net net{[](stack::Config& c) {
    c.tcp.receive_buffer = 1 << 20;
    c.held_limit = 4096;
  }};
  net.peer.wscale = 7;
  net.established_passive();
  for (uint32_t i = 1; i <= 700; ++i) {
    net.in(A(1 + 1460 * i, 1, 1460));
    net.expect(A(1, 1));
  }
  EXPECT_EQ(net.counter(Count::drop_out_of_order_limit), 0u);
  net.in(A(1, 1, 1460));
  net.expect(A(1, 1 + 1460 * 701));
  EXPECT_TRUE(net.received == stream(1, 1460 * 701));
}

// at the limit new text is lost, ACKs and RSTs go on
TEST(Held, BeyondTheLimitTextIsDroppedAsLost) {
  Net net{[](stack::Config& c) { c.held_limit = 16; }};
  net.established_passive();
  net.keep = true;
  for (uint32_t i = 0; i < 9; ++i) net.in(P(1 + i * 10, 1, 10));
  EXPECT_EQ(net.received, stream(1, 80));
  EXPECT_EQ(net.counter(Count::drop_no_memory), 1u);
  net.expect_after(milliseconds(40), A(1, 81));
  net.send(5);
  net.expect(P(1, 81, 5));
  net.in(P(91, 6, 10));  // its text is dropped, its ACK counts
  EXPECT_EQ(net.tcb().snd.una, wire::Seq{net.own_iss() + 6});
  net.drop_sent();
  net.recycle_all();
  net.drop_sent();
  net.in(P(81, 6, 10));
  EXPECT_EQ(net.received, stream(1, 90));
  net.in(R(91));
  net.expect_event(Event::closed, Event::reset);
}

// RFC 9293 3.10.7.4: after the peer's FIN its text is ignored
TEST(TextAfterFin, IsIgnored) {
  for (State state : {State::close_wait, State::closing, State::last_ack}) {
    Net net;
    net.enter(state);
    net.in(P(2, state == State::close_wait ? 1 : state == State::closing ? 1 : 1, 10));
    EXPECT_EQ(net.received, "");
    EXPECT_EQ(net.state(), state);
    net.expect_none();
  }
}

// RFC 9293 3.10.7.4: FIN-WAIT-1 and FIN-WAIT-2 take text
TEST(TextInFinWait, IsTaken) {
  for (State state : {State::fin_wait_1, State::fin_wait_2}) {
    Net net;
    net.enter(state);
    net.in(P(1, state == State::fin_wait_1 ? 1 : 2, 10));
    EXPECT_EQ(net.received, stream(1, 10));
    EXPECT_EQ(net.state(), state);
    net.expect_after(milliseconds(40), A(2, 11));
  }
}

// RFC9293-3.10.7.4d: text in order with an ACK for new data, the usual case on both paths
TEST_F(Text, TextAndAckOfOneSegmentAreBothTaken) {
  net.send(100);
  net.expect(P(1, 1, 100));
  net.in(P(1, 101, 50));
  EXPECT_EQ(net.received, stream(1, 50));
  net.expect_after(milliseconds(40), A(101, 51));
  net.silent_for(seconds(1));
}

}  // namespace
}  // namespace millrace::conformance
