// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES in SYN-SENT (RFC 9293 3.10.7.3), branch by branch, and the user calls there.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct SynSent : testing::Test {
  SynSent() { net.syn_sent(), net.id = ConnectionId::make(1, 0, 1); }
  Net net;
};

// RFC9293-3.10.7.3: first, SEG.ACK =< ISS or > SND.NXT
TEST_F(SynSent, UnacceptableAckIsReset) {
  net.in(A(100, 0));
  net.expect(R(0));
  net.in(SA(100, 2));
  net.expect(R(2));
  net.in(F(100, 0x80000000));
  net.expect(R(0x80000000));
  EXPECT_EQ(net.state(), State::syn_sent);
}

// RFC9293-3.10.7.3
TEST_F(SynSent, RstWithAnUnacceptableAckIsDropped) {
  net.in(RA(0, 0));
  net.in(RA(0, 2));
  net.expect_none();
  EXPECT_EQ(net.state(), State::syn_sent);
}

// RFC9293-3.10.7.3, RFC5961-3.2.4
TEST_F(SynSent, RstWithoutAckIsDropped) {
  net.in(R(0));
  net.in(R(1));
  net.expect_none();
  net.expect_no_event();
  EXPECT_EQ(net.state(), State::syn_sent);
}

// RFC9293-3.10.7.3, RFC9293-SHLD-2: a RST may carry text
TEST_F(SynSent, RstThatAcknowledgesTheSynIsRefused) {
  net.in(with(rst | ack_bit, 0, 1).text("no"));
  net.expect_event(Event::closed, Event::refused);
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-3.10.7.3: RST goes before SYN
TEST_F(SynSent, SynAckWithRstIsRefused) {
  net.in(with(syn | rst | ack_bit, 0, 1));
  net.expect_event(Event::closed, Event::refused);
}

// RFC9293-3.10.7.3: fifth, neither SYN nor RST
TEST_F(SynSent, NeitherSynNorRstIsDropped) {
  net.in(A(0, 1));
  net.in(P(1, 1, 10));
  net.in(F(1, 1));
  net.in(with(0, 1, 0, 10));
  net.expect_none();
  net.expect_no_event();
  EXPECT_EQ(net.state(), State::syn_sent);
  EXPECT_EQ(net.counter(Count::drop_no_ack), 4u);
}

// RFC9293-3.10.7.3: text of the SYN,ACK is taken
TEST_F(SynSent, TextWithTheSynAckIsTaken) {
  net.in(with(syn | ack_bit, 0, 1, 10).mss(1460));
  net.expect(A(1, 11));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.received, stream(1, 10));
}

// RFC9293-3.10.7.3, RFC9293-3.10.7.4f
TEST_F(SynSent, FinWithTheSynAckLeadsToCloseWait) {
  net.in(with(syn | fin | ack_bit, 0, 1).mss(1460));
  net.expect(A(1, 2));
  net.expect_event(Event::connected);
  net.expect_event(Event::peer_closed);
  EXPECT_EQ(net.state(), State::close_wait);
}

// RFC9293-3.10.7.3: SYN alone
TEST_F(SynSent, SynLeadsToSynReceived) {
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_EQ(net.state(), State::syn_received);
}

// RFC9293-3.10.7.3, RFC 9293 3.10.2: SEND queues; the text leaves with the ACK of the SYN
TEST_F(SynSent, QueuedTextLeavesWithTheLastAck) {
  net.send(10);
  net.expect_none();
  net.in(SA(0, 1).mss(1460));
  net.expect(P(1, 1, 10));
  net.expect_event(Event::connected);
}

// RFC9293-3.10.4: no segment, the TCB goes
TEST_F(SynSent, CloseDeletesTheTcbSilently) {
  net.close();
  net.expect_none();
  net.expect_event(Event::closed, Event::aborted);
  EXPECT_EQ(net.state(), State::closed);
  net.in(SA(0, 1).mss(1460));
  net.expect(R(1));
}

// RFC9293-3.10.5: no RST from SYN-SENT
TEST_F(SynSent, AbortDeletesTheTcbSilently) {
  net.abort();
  net.expect_none();
  net.expect_event(Event::closed, Event::aborted);
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-3.10.4: half closed before the handshake is over
TEST_F(SynSent, ShutdownSendsFinAfterTheHandshake) {
  net.send(10);
  net.shutdown();
  net.in(SA(0, 1).mss(1460));
  net.expect(PF(1, 1, 10));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.state(), State::fin_wait_1);
}

// RFC9293-MUST-15
TEST_F(SynSent, WithoutMssOptionSegmentsCarry536) {
  net.in(SA(0, 1));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.set(Setting::no_delay, 1);
  net.send(600);
  net.expect(A(1, 1, 536));
  net.expect(P(537, 1, 64));
}

// RFC9293-3.10.7.3: a SYN,ACK of another connection, then the real one
TEST_F(SynSent, OldSynAckIsResetAndTheRealOneEstablishes) {
  net.in(SA(9000, 0x40000000).mss(1460));
  net.expect(R(0x40000000));
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
}

// RFC9293-3.10.7.3: half-open at the other side (figure 10): its ACK is reset, our SYN comes again
TEST_F(SynSent, APeerThatThinksItIsConnectedIsReset) {
  net.in(A(300, 0x1000));
  net.expect(R(0x1000));
  net.expect_after(seconds(1), S(0).mss(1460).sack_ok().wscale(0).ts());
}

// The answer comes while a second SYN is due and finds no room: it must not leave after all.
TEST_F(SynSent, SynThatWaitsForRoomIsForgottenWithTheAnswer) {
  net.room = 0;
  net.advance(milliseconds(1100));
  EXPECT_TRUE(net.tcb().is(tcp::send_syn));
  net.in(SA(0, 1));
  net.expect_event(Event::connected);
  net.room = limits::tx_burst;
  net.advance(nanoseconds(1));
  net.expect(A(1, 1));
  net.silent_for(seconds(1));
}

}  // namespace
}  // namespace millrace::conformance
