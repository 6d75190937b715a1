// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification (RFC 3168), DCTCP (RFC 8257).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint32_t mss = 1460;

// A passive open by a peer that asks for ECN.
struct Ecn : testing::Test {
  explicit Ecn(const Options& options = Net::newreno) {
    net.listen(80, options);
    net.in(S(0).ece().cwr().mss(1460).wscale(4));
    EXPECT_EQ(net.sent.front().seg.flags, syn | ack_bit | ece_bit);
    EXPECT_EQ(net.sent.front().seg.ecn_bits, 0);
    net.drop_sent();
    net.in(A(1, 1).win(60000));
    net.expect_event(Event::accepted);
    net.drop_sent();
  }
  Net net;
};

// RFC 3168 6.1.1: a SYN that does not ask gets none
TEST(EcnSetup, ASynThatDoesNotAskIsNotOffered) {
  Net net;
  net.established_passive();
  net.send(10);
  net.expect(P(1, 1, 10).ecn(0));
}

// RFC 3168 6.1.1: asked for by configuration; agreed to by ECE alone
TEST(EcnSetup, AnActiveOpenAsksAndTheSynAckAgrees) {
  Net net{[](stack::Config& c) { c.tcp.ecn = tcp::EcnMode::active; }};
  net.connect();
  EXPECT_EQ(net.sent.front().seg.flags, syn | ece_bit | cwr_bit);
  EXPECT_EQ(net.sent.front().seg.ecn_bits, 0);
  net.drop_sent();
  net.in(SA(0, 1).ece().mss(1460));
  net.expect(A(1, 1).ecn(0));
  net.expect_event(Event::connected);
  net.send(10);
  net.expect(P(1, 1, 10).ecn(2));
}

// RFC 3168 6.1.1.1: the next SYN does not ask: something on the way may not like it
TEST(EcnSetup, ARetransmittedSynDoesNotAsk) {
  Net net{[](stack::Config& c) { c.tcp.ecn = tcp::EcnMode::active; }};
  net.connect();
  net.drop_sent();
  net.advance(milliseconds(1001));
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent.front().seg.flags, syn);
  net.drop_sent();
}

// RFC 3168 6.1.1: a SYN,ACK that reflects both bits is no agreement
TEST(EcnSetup, ASynAckThatReflectsBothBitsIsNoAgreement) {
  Net net{[](stack::Config& c) { c.tcp.ecn = tcp::EcnMode::active; }};
  net.connect();
  net.drop_sent();
  net.in(SA(0, 1).ece().cwr().mss(1460));
  net.drop_sent();
  net.expect_event(Event::connected);
  net.send(10);
  net.expect(P(1, 1, 10).ecn(0));
}

// RFC 3168 6.1.2, 6.1.4, 6.1.5: new text is ECT(0); ACKs and retransmissions are not
TEST_F(Ecn, NewTextIsMarkedRetransmissionsAndAcksAreNot) {
  net.send(10);
  net.expect(P(1, 1, 10).ecn(2));
  net.expect_after(milliseconds(200), P(1, 1, 10).ecn(0));
  net.in(A(1, 11).win(60000));
  net.in(P(1, 11, 10).win(60000));
  net.expect_after(milliseconds(40), A(11, 11).ecn(0));
}

// RFC 3168 6.1.3: CE is echoed until CWR
TEST_F(Ecn, CeIsEchoedUntilTheSenderHasReduced) {
  net.in(P(1, 1, 10).ecn(3));
  net.expect(A(1, 11).ece());
  net.in(P(11, 1, 10).ecn(2));
  net.expect_after(milliseconds(40), A(1, 21).ece());
  net.in(P(21, 1, 10).cwr().ecn(2));
  net.expect_after(milliseconds(40), A(1, 31));
}

// RFC9293-SHLD-8, RFC 3168 6.1.2: ECE halves cwnd once a round trip, and CWR says so
TEST_F(Ecn, EceReducesOnceARoundTrip) {
  net.send(30 * mss);
  EXPECT_EQ(net.sent.size(), 10u);
  net.drop_sent();
  net.in(A(1, 1 + mss).ece().win(60000));
  EXPECT_LE(net.tcb().cwnd, 6 * mss);
  uint32_t reduced = net.tcb().cwnd;
  net.in(A(1, 1 + 2 * mss).ece().win(60000));
  EXPECT_GE(net.tcb().cwnd, reduced);
  EXPECT_EQ(net.counter(Count::ecn_reductions), 1u);
  net.drop_sent();
  net.in(A(1, 1 + 9 * mss).win(60000));
  ASSERT_FALSE(net.sent.empty());
  EXPECT_TRUE(net.sent.front().seg.flags & cwr_bit);
  for (size_t i = 1; i < net.sent.size(); ++i) EXPECT_FALSE(net.sent[i].seg.flags & cwr_bit);
  net.drop_sent();
}

struct Dctcp : Ecn {
  Dctcp() : Ecn({.congestion = millrace::Congestion::dctcp}) {}
};

// RFC 8257 3.2: the echo follows the marks
TEST_F(Dctcp, TheEchoFollowsTheMarks) {
  net.in(P(1, 1, 10).ecn(3));
  net.expect(A(1, 11).ece());
  net.in(P(11, 1, 10).ecn(2));
  net.expect(A(1, 21));
}

// RFC 8257 3.3: cwnd falls by alpha / 2, and alpha follows the share of marked bytes
TEST_F(Dctcp, FewMarksReduceALittle) {
  net.tcb().dctcp.alpha = 0;
  net.tcb().ssthresh = net.tcb().cwnd;
  for (int round = 0; round < 20; ++round) {
    net.send(10 * mss);
    net.drop_sent();
    uint32_t una = net.tcb().snd.nxt.value - net.own_iss();
    net.in(round % 10 == 9 ? A(1, una).ece().win(60000) : A(1, una).win(60000));
  }
  EXPECT_GT(net.tcb().dctcp.alpha, 0u);
  EXPECT_LT(net.tcb().dctcp.alpha, 256u);
  EXPECT_GT(net.tcb().cwnd, 8 * mss);
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
