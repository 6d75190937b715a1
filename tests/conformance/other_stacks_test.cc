// SPDX-License-Identifier: BSD-3-Clause
// Keys for what other stacks do otherwise: each is within the RFCs, or says what it gives up.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

Net::Change tcp(void (*change)(tcp::Params&)) {
  return [change](stack::Config& c) { change(c.tcp); };
}

// --- the handshake ---

// RFC 3168 6.1.1.1: how often a SYN asks for ECN
TEST(EcnSyns, AsManySynsAskAsAreConfigured) {
  Net net{tcp([](tcp::Params& p) { p.ecn = tcp::EcnMode::active, p.ecn_syns = 2; })};
  net.connect();
  for (bool asks : {true, true, false}) {
    ASSERT_EQ(net.sent.size(), 1u);
    EXPECT_EQ(net.sent.front().seg.flags & (ece_bit | cwr_bit), asks ? ece_bit | cwr_bit : 0);
    net.drop_sent();
    while (net.sent.empty()) net.advance(milliseconds(10));
  }
  net.drop_sent();
}

// RFC 3168 6.1.1: a SYN with both bits that crosses ours is agreed to, and text says so
TEST(EcnSyns, ASynThatCrossesOursIsAgreedTo) {
  Net net;
  net.syn_sent();
  net.in(S(0).mss(1460).ece().cwr());
  net.expect(SA(0, 1).mss(1460).ece());
  net.in(A(1, 1));
  net.expect_event(Event::connected);
  net.send(10);
  net.expect(P(1, 1, 10).ecn(2));
  net.in(A(1, 11));
}

// RFC9293-MUST-14: the MSS is offered in any case
TEST(SynOptions, LaterSynsHaveButTheMss) {
  Net net{tcp([](tcp::Params& p) { p.syns_with_options = 2; })};
  net.connect();
  net.expect(S(0).mss(1460).sack_ok().wscale(0).ts());
  net.expect_after(seconds(1), S(0).mss(1460).sack_ok().wscale(0).ts());
  net.expect_after(seconds(2), S(0).mss(1460));
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
}

// RFC9293-MUST-21: the user timeout is of the handshake, too
TEST(SynLimit, AnOpenEndsWithItsUserTimeout) {
  Net net;
  Options options = Net::newreno;
  options.user_timeout_s = 5;
  net.connect(options);
  net.drop_sent();
  net.advance(milliseconds(4999));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::syn_sent);
  net.advance(milliseconds(2));
  net.drop_sent();
  net.expect_event(Event::closed, Event::timed_out);
}

TEST(SynLimit, TheStacksHoldsWithoutOne) {
  Net net{tcp([](tcp::Params& p) { p.syn_limit = seconds(10); })};
  net.connect();
  net.drop_sent();
  net.advance(milliseconds(9999));
  net.drop_sent();
  net.events.clear();
  net.advance(milliseconds(2));
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-MUST-20: what the handshake had left does not count against text
TEST(SynLimit, ItEndsWithTheHandshake) {
  Net net{tcp([](tcp::Params& p) { p.syn_limit = seconds(10); })};
  net.syn_sent();
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.send(10);
  net.expect(P(1, 1, 10));
  net.advance(seconds(30));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::established);
}

// --- the RTO ---

// RFC6298-2.4, RFC6298-5.5: added once, after the backing off; the first RTO of all is as configured
TEST(RtoSlop, IsAddedToEachRtoButTheFirst) {
  Net net{tcp([](tcp::Params& p) { p.rto_slop = milliseconds(200); })};
  net.connect();
  net.drop_sent();
  for (uint64_t ms : {1000, 2200, 4200}) {
    net.silent_for(milliseconds(ms - 2));
    net.advance(milliseconds(3));
    EXPECT_EQ(net.sent.size(), 1u) << ms;
    net.drop_sent();
  }
}

// --- acknowledging ---

// RFC9293-SHLD-19: more often than every second full-sized segment
TEST(AckSecond, EverySecondSegmentIsAcknowledged) {
  Net net{tcp([](tcp::Params& p) { p.ack_second = true; })};
  net.established_passive();
  net.in(P(1, 1, 10));
  net.expect_none();
  net.in(P(11, 1, 10));
  net.expect(A(1, 21));
  net.in(P(21, 1, 10));
  net.expect_after(milliseconds(40), A(1, 31));
}

// RFC9293-SHLD-18, RFC9293-MUST-40: a FIN after text waits as the text does; one that is all was said does not
TEST(DelayFinAck, AFinAfterTextWaits) {
  Net net{tcp([](tcp::Params& p) { p.delay_fin_ack = true; })};
  net.established_passive();
  net.in(A(1, 1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
  net.in(F(11, 1));
  net.expect_event(Event::peer_closed);
  net.expect_after(milliseconds(40), A(1, 12));
}
TEST(DelayFinAck, AFinAloneDoesNot) {
  Net net{tcp([](tcp::Params& p) { p.delay_fin_ack = true; })};
  net.established_passive();
  net.in(F(1, 1));
  net.expect(A(1, 2));
}

// RFC 9293 figure 13: the ACK of a FIN that crossed ours, which then carries ours again
TEST(ClosingFin, TheAckOfACrossingFinCarriesOurs) {
  Net net{tcp([](tcp::Params& p) { p.closing_fin = true; })};
  net.fin_wait_1();
  net.in(F(1, 1));
  net.expect(F(1, 2));
  EXPECT_EQ(net.state(), State::closing);
  net.in(R(100));  // a challenge ACK is a bare one
  net.expect(A(2, 2));
}

// RFC9293-SHLD-14: nor does a FIN take the window back, whatever state it leads to
TEST(Window, AfterAFinItIsAsWideAsBefore) {
  Net net;
  net.established_passive();
  net.in(F(1, 1));
  net.expect(A(1, 2).win(65535));
}

// --- windows ---

// the buffer is whole segments, and all of it is taken
TEST(WholeSegments, TheBufferIsRoundedUp) {
  Net net{tcp([](tcp::Params& p) {
    p.whole_segments = true;
    p.receive_buffer = p.receive_buffer_max = 65536;
  })};
  net.established_passive();
  EXPECT_EQ(net.tcb().receive_buffer, 45u * 1460);
  net.in(P(1 + 65690, 1, 10));  // beyond what 16 bits can say
  net.expect(A(1, 1));
  EXPECT_EQ(net.tcb().out_count, 1u);
  net.in(P(1 + 65700, 1, 10));
  net.expect(A(1, 1));
  EXPECT_EQ(net.tcb().out_count, 1u);
}

TEST(WholeSegments, TheEdgeMovesWithWhatArrives) {
  Net net{tcp([](tcp::Params& p) {
    p.whole_segments = true;
    p.receive_buffer = p.receive_buffer_max = 65536;
  })};
  net.established_passive();
  net.in(A(1, 1, 1460));
  net.advance(milliseconds(50));
  net.drop_sent();
  net.in(P(1461 + 65690, 1, 10));
  net.expect(A(1, 1461));
  EXPECT_EQ(net.tcb().out_count, 1u);
  net.in(P(1461 + 65700, 1, 10));
  net.expect(A(1, 1461));
  EXPECT_EQ(net.tcb().out_count, 1u);
}

// A peer without window scaling is promised what the field can say, and the rest of that segment, however large the buffer
TEST(WholeSegments, ALargerBufferPromisesNoMore) {
  Net net{tcp([](tcp::Params& p) {
    p.whole_segments = true;
    p.receive_buffer = p.receive_buffer_max = 262144;
  })};
  net.established_passive();
  net.in(P(1 + 65700, 1, 10));
  net.expect(A(1, 1));
  EXPECT_EQ(net.tcb().out_count, 0u);
}

// --- RST and SYN in the window ---

// RFC 5961 3.2 off: as RFC 793 has it
TEST(InexactRst, ARstAnywhereInTheWindowResets) {
  auto inexact = tcp([](tcp::Params& p) { p.exact_rst = false; });
  for (State state : {State::established, State::fin_wait_2, State::last_ack}) {
    Net net{inexact};
    net.enter(state);
    net.events.clear();
    net.in(R(66000));
    net.expect_none();
    net.in(R(1000));
    net.expect_none();
    EXPECT_EQ(net.state(), State::closed);
  }
}
TEST(InexactRst, InSynReceivedToo) {
  Net net{tcp([](tcp::Params& p) { p.exact_rst = false; })};
  net.syn_received_passive();
  net.in(R(1000));
  net.expect_none();
  EXPECT_EQ(net.state(), State::closed);
}

// RFC5961-4.2 off: the connection is reset, and the peer's end of it
TEST(UnchallengedSyn, ASynInTheWindowResets) {
  Net net{tcp([](tcp::Params& p) { p.challenge_syn = false; })};
  net.established_passive();
  net.in(S(0));  // outside
  net.expect(A(1, 1));
  net.in(S(1));
  net.expect(RA(1, 1).win(0));
  net.expect_event(Event::closed, Event::reset);
}

// RFC9293-3.10.7.2: to whoever listens, and to a TIME-WAIT that a SYN could end
TEST(DropSynFin, ASynWithFinIsDropped) {
  auto drop = tcp([](tcp::Params& p) { p.drop_syn_fin = true; });
  {
    Net net{drop};
    net.listen();
    net.in(with(syn | fin, 0).mss(1460));
    net.expect_none();
  }
  {
    Net net{drop};
    net.syn_sent();
    net.in(with(syn | fin | ack_bit, 0, 1).mss(1460));
    net.expect_none();
    EXPECT_EQ(net.state(), State::syn_sent);
  }
  {
    Net net{drop};
    net.time_wait();
    net.in(with(syn | fin, 3).mss(1460));
    net.expect_none();
    EXPECT_EQ(net.state(), State::time_wait);
  }
}

// --- what is forgiven, and what is passed over ---

// RFC7323-3.2b is a SHOULD
TEST(MissingTimestamps, ASegmentWithoutIsTaken) {
  Net net{tcp([](tcp::Params& p) { p.require_timestamps = false; })};
  net.peer.ts = true;
  net.established_passive();
  uint32_t clock = net.tcb().rcv.ts_recent;
  net.in(P(1, 1, 10).no_ts());
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11).ecr(clock));
  EXPECT_EQ(net.tcb().rcv.ts_recent, clock);
}
TEST(MissingTimestamps, TheAckOfAHandshakeWithoutIsTaken) {
  Net net{tcp([](tcp::Params& p) { p.require_timestamps = false; })};
  net.peer.ts = true;
  net.syn_received_passive();
  net.in(A(1, 1).no_ts());
  net.expect_event(Event::accepted);
}

// RFC5961-5.2: what is dropped either way
TEST(EarlyAck, IsDroppedInSilence) {
  Net net{tcp([](tcp::Params& p) { p.answer_early_ack = false; })};
  net.established_passive();
  net.in(P(1, 2, 10));
  net.expect_none();
  EXPECT_EQ(net.received, "");
  net.in(P(1, 1u - 65536u, 10));  // one that is too old gets its answer
  net.expect(A(1, 1));
}

}  // namespace
}  // namespace millrace::conformance
