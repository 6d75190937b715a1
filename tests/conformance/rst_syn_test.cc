// SPDX-License-Identifier: BSD-3-Clause
// Second and fourth check of RFC 9293 3.10.7.4 in each synchronized state: RST and SYN, with RFC 5961's
// challenge ACKs.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

// A state, and where the conversation then stands.
struct At {
  State state;
  uint32_t seq;  // RCV.NXT
  uint32_t ack;  // SND.NXT
};

void PrintTo(const At& at, std::ostream* os) {
  *os << name(at.state);
}

class Synchronized : public testing::TestWithParam<At> {
 protected:
  Synchronized() {
    net.enter(at.state);
    net.events.clear();
  }
  At at = GetParam();
  Net net;
};

std::string state_of(const testing::TestParamInfo<At>& at) {
  std::string s = name(at.param.state);
  std::erase(s, '-');
  return s;
}

INSTANTIATE_TEST_SUITE_P(, Synchronized,
                         testing::Values(At{State::established, 1, 1}, At{State::fin_wait_1, 1, 2},
                                         At{State::fin_wait_2, 1, 2}, At{State::close_wait, 2, 1},
                                         At{State::closing, 2, 2}, At{State::last_ack, 2, 2}),
                         state_of);

// RFC5961-3.2.1, RFC9293-3.10.7.4b
TEST_P(Synchronized, RstAtRcvNxtResets) {
  net.in(R(at.seq));
  net.expect_none();
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::reset);  // RFC9293-MUST-12
  net.expect_no_event();
}

// RFC9293-SHLD-2
TEST_P(Synchronized, RstWithTextResets) {
  net.in(with(rst | ack_bit, at.seq, at.ack).text("why"));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::reset);
}

// RFC5961-3.2.2, RFC9293-3.10.7.4b
TEST_P(Synchronized, RstElsewhereInTheWindowIsChallenged) {
  net.in(R(at.seq + 1));
  net.expect(A(at.ack, at.seq));
  net.in(RA(at.seq + 65533, at.ack));
  net.expect(A(at.ack, at.seq));
  EXPECT_EQ(net.state(), at.state);
  net.expect_no_event();
}

// RFC5961-3.2.3
TEST_P(Synchronized, RstOutsideTheWindowIsDropped) {
  net.in(R(at.seq - 1));
  net.in(R(at.seq + 65535));
  net.in(R(at.seq + 0x80000000));
  net.expect_none();
  EXPECT_EQ(net.state(), at.state);
  EXPECT_EQ(net.counter(Count::drop_out_of_window), 3u);
}

// RFC5961-4.2, RFC9293-3.10.7.4c: whatever its sequence number
TEST_P(Synchronized, SynIsChallenged) {
  for (uint32_t seq : {at.seq, at.seq + 100, at.seq - 1, at.seq + 0x80000000}) {
    net.in(S(seq).mss(1460));
    net.expect(A(at.ack, at.seq));
  }
  EXPECT_EQ(net.state(), at.state);
  net.expect_no_event();
}

// RFC5961-4.2: a SYN,ACK too; its ACK counts for nothing
TEST_P(Synchronized, SynAckIsChallenged) {
  net.in(SA(at.seq, at.ack).mss(1460));
  net.expect(A(at.ack, at.seq));
  EXPECT_EQ(net.state(), at.state);
}

// RFC9293-3.10.7.4d
TEST_P(Synchronized, WithoutAckASegmentIsDropped) {
  net.in(with(0, at.seq, 0, 10));
  net.in(with(fin, at.seq));
  net.expect_none();
  EXPECT_EQ(net.state(), at.state);
  EXPECT_EQ(net.received, "");
}

// RFC9293-3.10.7.4d: ACK of something not sent yet
TEST_P(Synchronized, AckBeyondSndNxtIsAnsweredAndDropped) {
  net.in(P(at.seq, at.ack + 1, 10));
  net.expect(A(at.ack, at.seq));
  EXPECT_EQ(net.state(), at.state);
  EXPECT_EQ(net.received, "");
}

// RFC5961-5.2, RFC9293-MAY-12: older than a window
TEST_P(Synchronized, AckOlderThanAWindowIsAnsweredAndDropped) {
  net.in(P(at.seq, 1u - 65536u, 10));
  net.expect(A(at.ack, at.seq));
  EXPECT_EQ(net.received, "");
}

// RFC9293-3.10.7.4a
TEST_P(Synchronized, OutsideTheWindowASegmentGetsAnAck) {
  net.in(P(at.seq + 65535, at.ack, 10));
  net.expect(A(at.ack, at.seq));
  net.in(A(at.seq - 1, at.ack));
  net.expect(A(at.ack, at.seq));
  EXPECT_EQ(net.state(), at.state);
}

// RFC9293-3.10.5: ABORT sends RST from where we are
TEST_P(Synchronized, AbortSendsRst) {
  net.abort();
  net.expect(RA(at.ack, at.seq).win(0));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::aborted);
  net.expect_no_event();
}

// RFC5961-7: ten in five seconds, per connection
TEST(ChallengeAck, AtMostTenInFiveSeconds) {
  Net net;
  net.established_passive();
  for (int i = 0; i < 10; ++i) {
    net.in(R(100));
    net.expect(A(1, 1));
  }
  net.in(R(100));
  net.in(S(100).mss(1460));
  net.silent_for(milliseconds(4999));
  net.in(R(100));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::challenge_acks_suppressed), 3u);
  net.advance(milliseconds(1));
  net.in(R(100));
  net.expect(A(1, 1));
}

// RFC5961-7, RFC5961-4.2: a SYN outside the window is challenged like one inside, within the same limit
TEST(ChallengeAck, ASynOutsideTheWindowIsLimitedToo) {
  Net net;
  net.established_passive();
  for (int i = 0; i < 10; ++i) {
    net.in(S(0x50000000).mss(1460));
    net.expect(A(1, 1));
  }
  net.in(S(0x50000000).mss(1460));
  net.expect_none();
}

// RFC5961-7: no side channel: another connection has its own limit
TEST(ChallengeAck, TheLimitIsOfOneConnection) {
  Net net;
  net.established_passive();
  for (int i = 0; i < 20; ++i) net.in(R(100));
  net.drop_sent();
  net.peer.port = 5001;
  net.established_passive();
  net.in(R(100));
  net.expect(A(1, 1));
}

// RFC5961-7: the limit is tunable
TEST(ChallengeAck, TheLimitIsTunable) {
  Net net{[](stack::Config& c) { c.tcp.challenge_limit = 2, c.tcp.challenge_period = seconds(1); }};
  net.established_passive();
  for (int i = 0; i < 3; ++i) net.in(R(100));
  net.expect(A(1, 1));
  net.expect(A(1, 1));
  net.advance(seconds(1));
  net.in(R(100));
  net.expect(A(1, 1));
}

// RFC5961-4.2: the peer has restarted (figure 11 of RFC 9293): our challenge makes it reset us
TEST(ChallengeAck, APeerThatRestartedResetsTheOldConnection) {
  Net net;
  net.established_passive();
  net.send(10);
  net.expect(P(1, 1, 10));
  net.in(S(0x50000000).mss(1460));
  net.expect(A(11, 1));
  net.in(R(1));  // <SEQ=SEG.ACK>
  net.expect_event(Event::closed, Event::reset);
  net.in(S(0x50000000).mss(1460));
  net.expect(SA(0, 0x50000001).mss(1460));
}

}  // namespace
}  // namespace millrace::conformance
