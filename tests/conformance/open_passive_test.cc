// SPDX-License-Identifier: BSD-3-Clause
// Passive opens: the half-open record, what is agreed on, backlog and limits.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

// RFC9293-3.10.7.4d
TEST(PassiveOpen, ThreeWayHandshake) {
  Net net;
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460).win(65535));
  EXPECT_EQ(net.state(), State::syn_received);
  net.in(A(1, 1));
  EXPECT_EQ(net.expect_event(Event::accepted).token, 0x1234u);
  EXPECT_EQ(net.state(), State::established);
  net.expect_none();
}

// RFC7323-2.2a, RFC7323-2.2b, RFC7323-3.2d, RFC2018-2, RFC9293-SHLD-5
TEST(PassiveOpen, AllOptionsAreAgreedOn) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 256 * 1024; }};
  net.listen();
  net.peer.ts = true;
  net.in(S(0).mss(1400).sack_ok().wscale(7).ts(4711, 0));
  net.expect(SA(0, 1).mss(1460).sack_ok().wscale(3).ecr(4711).win(65535));  // not scaled in a SYN
}

// RFC7323-2.2a, RFC7323-3.2a, RFC2018-2: nothing that the SYN did not offer
TEST(PassiveOpen, NothingIsAgreedOnThatWasNotOffered) {
  Net net;
  net.listen();
  net.in(S(0).mss(1460).wscale(2));
  net.expect(SA(0, 1).mss(1460).wscale(0));
  net.peer.port = 5001;
  net.in(S(0).mss(1460).sack_ok());
  net.expect(SA(0, 1).mss(1460).sack_ok());
  net.peer.port = 5002;
  net.peer.ts = true;
  net.in(S(0).mss(1460).ts());
  net.expect(SA(0, 1).mss(1460).ts());
}

// RFC9293-3.10.7.2
TEST(PassiveOpen, OptionsThatAreSwitchedOffAreNotAgreedOn) {
  Net net{[](stack::Config& c) { c.tcp.timestamps = c.tcp.sack = c.tcp.window_scaling = false; }};
  net.listen();
  net.in(S(0).mss(1460).sack_ok().wscale(7).ts());
  net.expect(SA(0, 1).mss(1460));
}

// RFC9293-MUST-67, RFC6691-2
TEST(PassiveOpen, TheOfferedMssFollowsTheMtu) {
  Net net{[](stack::Config& c) { c.mtu = 1400; }};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1360));
}

// RFC9293-MUST-67: options of the segments to come are the sender's to deduct: with timestamps it is the same number
TEST(PassiveOpen, TheOfferedMssKnowsNoOptions) {
  for (bool active : {false, true}) {
    Net net{[](stack::Config& c) { c.mtu = 1400; }};
    net.peer.ts = net.peer.sack = true;
    active ? net.syn_sent() : net.listen();
    if (active) net.in(SA(0, 1).mss(1460).ts());
    else net.in(S(0).mss(1460).ts());
    net.expect(active ? A(1, 1) : SA(0, 1).mss(1360).ts());
    net.events.clear();
  }
}

// RFC9293-MUST-14: the peer's MSS is what segments carry, after either open
TEST(PassiveOpen, ThePeersMssIsUnderstood) {
  for (bool active : {false, true}) {
    Net net;
    net.peer.mss = 700;
    active ? net.established_active() : net.established_passive();
    net.send(1400);
    net.expect(A(1, 1, 700));
    net.expect(P(701, 1, 700));
  }
}

// RFC9293-MAY-3: offered even where it is what a peer would assume
TEST(PassiveOpen, TheMssIsOfferedAlways) {
  Net net{[](stack::Config& c) { c.mtu = 576; }};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(536));
}

// RFC9293-MUST-15
TEST(PassiveOpen, WithoutMssOptionSegmentsCarry536) {
  Net net;
  net.listen(80, {.no_delay = 1});
  net.in(S(0));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(1000);
  net.expect(A(1, 1, 536));
  net.expect(P(537, 1, 464));
}

// RFC9293-MUST-16
TEST(PassiveOpen, TimestampsCostTwelveBytesOfEachSegment) {
  Net net;
  net.peer.ts = true;
  net.peer.mss = 1000;
  net.established_passive();
  net.send(988);
  net.expect(P(1, 1, 988));
  net.in(A(1, 989));
  net.send(1976);
  net.expect(A(989, 1, 988));
  net.expect(P(1977, 1, 988));
}

// RFC9293-MUST-16
TEST(PassiveOpen, APeersLargeMssIsCutToOurLink) {
  Net net;
  net.peer.mss = 8960;
  net.established_passive();
  net.send(2920);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 1460));
}

// RFC9293-MUST-45: all leaves from the address that the SYN came to, which is not the first (expect() looks)
TEST(PassiveOpen, TheLocalAddressStays) {
  Net net{[](stack::Config& c) { c.local.first = ipv4(10, 0, 0, 0), c.local.count = 2; }};
  net.syn_received_passive();
  net.expect_after(seconds(1), SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(10);
  net.expect(P(1, 1, 10));
  net.in(P(1, 11, 10));
  net.expect_after(milliseconds(40), A(11, 11));
  net.abort();
  net.expect(RA(11, 11));
}

// RFC9293-MUST-22: SYN,ACKs at 0, 1, 3, 7, 15 and 31 s; the record lives for 63 s
TEST(PassiveOpen, SynAckIsRetransmittedAndTheRecordEnds) {
  Net net;
  net.syn_received_passive();
  for (uint64_t wait : {1, 2, 4, 8, 16}) net.expect_after(seconds(wait), SA(0, 1).mss(1460));
  net.silent_for(seconds(32) - milliseconds(1));
  EXPECT_EQ(net.state(), State::syn_received);
  net.silent_for(milliseconds(2));
  EXPECT_EQ(net.state(), State::closed);
  EXPECT_EQ(net.counter(Count::half_open_expired), 1u);
  net.expect_no_event();
  net.in(A(1, 1));
  net.expect(R(1));
}

// The peer has not seen our SYN,ACK. RFC 9293 3.10.7.4 has a bare ACK here, which would tell it less.
TEST(PassiveOpen, ARepeatedSynGetsTheSynAckAgain) {
  Net net;
  net.syn_received_passive();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
}

// RFC9293-MUST-11: back to LISTEN, and nobody is told
TEST(PassiveOpen, RstInSynReceivedIsBackToListen) {
  Net net;
  net.syn_received_passive();
  net.in(R(1));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_none();
  net.expect_no_event();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
}

// RFC5961-3.2.2, RFC5961-3.2.3
TEST(PassiveOpen, RstInSynReceivedMustBeExact) {
  Net net;
  net.syn_received_passive();
  net.in(R(100));
  net.expect(A(1, 1));  // challenge
  net.in(R(0));
  net.in(R(1 + 65535));
  net.expect_none();
  EXPECT_EQ(net.state(), State::syn_received);
}

// RFC5961-7: what is empty may be such an answer itself
TEST(PassiveOpen, AnAckOutsideTheWindowInSynReceivedIsAnsweredTwiceASecond) {
  Net net;
  net.syn_received_passive();
  net.in(A(0, 1));
  net.expect(A(1, 1));
  net.in(A(0, 1));
  net.expect_none();
  net.in(A(70000, 1, 10));  // text is no answer
  net.expect(A(1, 1));
  net.advance(milliseconds(500));
  net.in(A(0, 1));
  net.expect(A(1, 1));
  EXPECT_EQ(net.counter(Count::challenge_acks_suppressed), 1u);
}

// RFC9293-3.10.7.4c: in SYN-RECEIVED of a passive open a SYN in the window is back to LISTEN
TEST(PassiveOpen, SynInTheWindowInSynReceivedIsBackToListen) {
  Net net;
  net.syn_received_passive();
  net.in(S(5).mss(1460));
  EXPECT_EQ(net.state(), State::closed);
  net.expect_no_event();
}

// RFC9293-3.10.7.4d
TEST(PassiveOpen, UnacceptableAckInSynReceivedIsReset) {
  Net net;
  net.syn_received_passive();
  net.in(A(1, 2));
  net.expect(R(2));
  net.in(A(1, 0));
  net.expect(R(0));
  EXPECT_EQ(net.state(), State::syn_received);
  net.in(with(0, 1, 0, 5));  // no ACK bit: dropped
  net.expect_none();
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
}

// RFC9293-3.10.7.4a
TEST(PassiveOpen, ASegmentOutsideTheWindowInSynReceivedGetsAnAck) {
  Net net;
  net.syn_received_passive();
  net.in(A(1 + 65535, 1, 5));
  net.expect(A(1, 1));
  EXPECT_EQ(net.state(), State::syn_received);
}

// RFC9293-3.10.7.4f: the last ACK of the handshake with text and FIN
TEST(PassiveOpen, TextAndFinWithTheLastAckOfTheHandshake) {
  Net net;
  net.syn_received_passive();
  net.in(PF(1, 1, 10));
  net.expect(A(1, 12));
  net.expect_event(Event::accepted);
  net.expect_event(Event::peer_closed);
  EXPECT_EQ(net.received, stream(1, 10));
  EXPECT_EQ(net.state(), State::close_wait);
}

// RFC9293-3.10.7.4d: the last ACK was lost, the text that follows does as well
TEST(PassiveOpen, TextCompletesTheHandshakeWhenTheAckWasLost) {
  Net net;
  net.syn_received_passive();
  net.in(P(1, 1, 10));
  net.expect_event(Event::accepted);
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC 9293 3.10.7.4: all the same if it comes out of order
TEST(PassiveOpen, TextBehindAGapCompletesTheHandshakeToo) {
  Net net;
  net.syn_received_passive();
  net.in(P(11, 1, 10));
  net.expect(A(1, 1));
  net.expect_event(Event::accepted);
  net.in(P(1, 1, 10));
  net.expect(A(1, 21));
  EXPECT_EQ(net.received, stream(1, 20));
}

// RFC9293-MUST-41: without cookies a full half-open queue drops SYNs; what is established goes on
TEST(PassiveOpen, WhenTheHalfOpenQueueIsFullSynsAreDropped) {
  Net net{[](stack::Config& c) { c.tcp.syn_cookies = tcp::SynCookies::off; }};
  net.established_passive();
  Peer other = net.peer;
  for (uint16_t i = 0; i < 6; ++i) {  // the listener's share of eight
    other.port = static_cast<uint16_t>(6000 + i);
    net.in(other, S(0).mss(1460));
    net.expect(other, SA(0, 1).mss(1460));
  }
  other.port = 6100;
  net.in(other, S(0).mss(1460));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::listen_overflow), 1u);
  net.in(P(1, 1, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.send(5);
  net.expect(P(1, 11, 5));
  other.port = 6000;  // one of the queue is completed: there is room again
  net.in(other, A(1, 1));
  net.expect_event(Event::accepted);
  other.port = 6100;
  net.in(other, S(0).mss(1460));
  net.expect(other, SA(0, 1).mss(1460));
}

// RFC 9293 3.10.1: no more untold connections than the backlog
TEST(PassiveOpen, TheBacklogBoundsWhatTheApplicationHasNotSeen) {
  Net net{{}, 2};
  net.listen(80, {}, 1);
  net.reads = false;
  for (uint16_t port : {5000, 5001, 5002}) {  // two fill the ring, the third is the backlog
    net.peer.port = port;
    net.in(S(0).mss(1460));
    net.expect(SA(0, 1).mss(1460));
    net.in(A(1, 1));
    EXPECT_EQ(net.state(), State::established);
  }
  net.peer.port = 5003;
  net.in(S(0).mss(1460));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::listen_overflow), 1u);
  net.read_on();
  for (int i = 0; i < 3; ++i) net.expect_event(Event::accepted);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
}

// RFC 9293 3.10.1: a handshake that ends while the backlog is full waits, and is not lost
TEST(PassiveOpen, AHandshakeThatFindsTheBacklogFullIsTakenLater) {
  Net net{{}, 2};
  net.listen(80, {}, 1);
  net.reads = false;
  for (uint16_t port : {5000, 5001, 5002, 5003}) {
    net.peer.port = port;
    net.in(S(0).mss(1460));
    net.expect(SA(0, 1).mss(1460));
  }
  for (uint16_t port : {5000, 5001, 5002, 5003}) {
    net.peer.port = port;
    net.in(A(1, 1));
  }
  EXPECT_EQ(net.state(), State::syn_received);
  net.read_on();
  net.expect_after(seconds(1), SA(0, 1).mss(1460));
  net.in(A(1, 1));
  EXPECT_EQ(net.state(), State::established);
  EXPECT_EQ(net.events.size(), 4u);
}

// RFC 9293 3.10.1: what the last listener of a port has accepted does not count against the next one's backlog
TEST(PassiveOpen, ABacklogBeginsAnewWithItsListener) {
  Net net{{}, 2};
  net.listen(80, {}, 1);
  net.reads = false;
  for (uint16_t port : {5000, 5001, 5002}) {
    net.peer.port = port;
    net.in(S(0).mss(1460));
    net.expect(SA(0, 1).mss(1460));
    net.in(A(1, 1));
  }
  net.unlisten();
  net.reads = true;
  for (int i = 0; i < 2; ++i) net.advance(milliseconds(1));
  for (int i = 0; i < 3; ++i) net.expect_event(Event::accepted);
  net.listen(80, {}, 1);
  net.peer.port = 5003;
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));
  EXPECT_EQ(net.expect_event(Event::accepted).kind, Event::accepted);
}

// RFC9293-MUST-8, RFC9293-SHLD-1, RFC6528-3: a clock of 4 us and an offset of the 4-tuple's own
TEST(PassiveOpen, InitialSequenceNumbersFollowTheClockAndTheTuple) {
  Net net;
  net.syn_received_passive();
  uint32_t first = net.own_iss();
  net.in(R(1));
  net.advance(seconds(1));
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_NEAR(net.own_iss() - first, 1'000'000'000 >> 12, 1);
  uint32_t second = net.own_iss();
  net.peer.port = 5001;
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_GT(net.own_iss() - second, 1000u);
}

// RFC9293-MUST-9: another secret, other numbers; and what one connection's number tells of another's is another thing,
// too: the secret is not just added
TEST(PassiveOpen, InitialSequenceNumbersDependOnTheSecret) {
  Net one, two{[](stack::Config& c) { c.secret = {3, 4}; }};
  uint32_t first[2], step[2];
  for (Net* net : {&one, &two}) {
    net->syn_received_passive();
    first[net == &two] = net->own_iss();
    net->peer.port = 5001;
    net->syn_received_passive();
    step[net == &two] = net->own_iss() - first[net == &two];
  }
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(step[0], step[1]);
}

// RFC9293-MUST-5, RFC9293-MUST-6, RFC9293-MUST-64: unknown options, unaligned, before and after MSS
TEST(PassiveOpen, UnknownOptionsOfASynAreSkipped) {
  Net net;
  net.listen(80, {.no_delay = 1});
  net.in(S(0).options(std::string("\xfd\x05\x01\x02\x03\x02\x04\x03\xe8\xfe\x03\x07", 12)));  // MSS 1000
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1).options(std::string("\x01\xfd\x03\x09\x00", 5)));
  net.expect_event(Event::accepted);
  net.send(1500);
  net.expect(A(1, 1, 1000));
  net.expect(P(1001, 1, 500));
}

// RFC9293-MUST-7: illegal lengths break nothing
TEST(PassiveOpen, IllegalOptionLengthsAreDropped) {
  Net net;
  net.listen();
  net.in(S(0).options(std::string("\x02\x00\x05\xb4", 4)));
  net.in(S(0).options(std::string("\x02\x01\x05\xb4", 4)));
  net.in(S(0).options(std::string("\x02\x28\x05\xb4", 4)));
  net.in(S(0).options(std::string("\x01\x01\x01\x02", 4)));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_tcp_options), 4u);
}

// RFC7323-2.3a
TEST(PassiveOpen, AShiftBeyondFourteenCountsAsFourteen) {
  Net net;
  net.listen();
  net.in(S(0).mss(1460).wscale(15));
  net.expect(SA(0, 1).mss(1460).wscale(0));
  net.in(A(1, 1).win(1));
  net.expect_event(Event::accepted);
  EXPECT_EQ(net.tcb().snd.wnd, 1u << 14);
}

// RFC9293-MUST-49, RFC9293-MUST-48, RFC9293-SHLD-22
TEST(PassiveOpen, TtlAndDscpAreTheListeners) {
  Net net;
  net.listen(80, {.ttl = 17, .dscp = 46});
  auto expect_marked = [&](const char* what) {
    ASSERT_EQ(net.sent.size(), 1u) << what;
    EXPECT_EQ(net.sent[0].ttl, 17) << what;
    EXPECT_EQ(net.sent[0].tos, 46 << 2) << what;
    EXPECT_TRUE(net.sent[0].dont_fragment) << what;  // RFC7323-5.7
    net.drop_sent();
  };
  net.in(S(0).mss(1460));
  expect_marked("SYN,ACK");
  net.in(A(100000, 1));
  expect_marked("an ACK before the handshake is over");
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(10);
  expect_marked("text");
  net.advance(milliseconds(201));
  expect_marked("text again");
  net.in(P(1, 11, 10));
  net.advance(milliseconds(40));
  expect_marked("ACK");
  net.abort();
  expect_marked("RST");
}

// RFC9293-MUST-48, RFC9293-MUST-49: a cookie is a SYN,ACK like others
TEST(PassiveOpen, ACookieHasTheListenersTtlAndDscp) {
  Net net{[](stack::Config& c) { c.tcp.syn_cookies = tcp::SynCookies::always; }};
  net.listen(80, {.ttl = 17, .dscp = 46});
  net.in(S(0).mss(1460));
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].ttl, 17);
  EXPECT_EQ(net.sent[0].tos, 46 << 2);
  net.drop_sent();
}

// RFC9293-MUST-49: the endpoint's own, for what belongs to nobody, too
TEST(PassiveOpen, TheTtlIsConfigurable) {
  Net net{[](stack::Config& c) { c.tcp.ttl = 9; }};
  net.listen();
  net.in(S(0).mss(1460));
  net.peer.to = 81;
  net.in(S(0).mss(1460));
  ASSERT_EQ(net.sent.size(), 2u);
  EXPECT_EQ(net.sent[0].ttl, 9);
  EXPECT_EQ(net.sent[1].seg.flags, rst | ack_bit);
  EXPECT_EQ(net.sent[1].ttl, 9);
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
