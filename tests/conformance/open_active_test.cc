// SPDX-License-Identifier: BSD-3-Clause
// Active and simultaneous opens: the SYN, its retransmission, ends before the beginning, local ports.
#include <set>

#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

Request connect_to(Ipv4Address to, uint16_t port = 80, uint16_t local_port = 0) {
  Request r;
  r.kind = Request::connect;
  r.token = 5;
  OpenArguments open;
  open.remote = to;
  open.remote_port = port;
  open.local_port = local_port;
  r.open = open;
  return r;
}

void two_addresses(stack::Config& c) {
  c.local.first = ipv4(10, 0, 0, 0);
  c.local.count = 2;
}

Seg full_syn() {
  return S(0).mss(1460).sack_ok().wscale(0).ts();
}

// RFC9293-MUST-14, RFC9293-SHLD-5, RFC7323-2.2a, RFC7323-2.2b, RFC7323-3.2d, RFC2018-2
TEST(ActiveOpen, TheSynOffersMssSackTimestampsAndWindowScale) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 1 << 20; }};
  net.peer.port = 80;
  net.connect();
  net.expect(S(0).mss(1460).sack_ok().wscale(5).ecr(0).win(65535));
}

// RFC9293-3.10.7.3
TEST(ActiveOpen, ThreeWayHandshake) {
  Net net;
  net.syn_sent();
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1).win(65535));
  EXPECT_EQ(net.expect_event(Event::connected).token, 0x1234u);
  EXPECT_EQ(net.state(), State::established);
}

// RFC7323-2.2a, RFC7323-3.2a, RFC2018-2: what the SYN,ACK does not carry is off
TEST(ActiveOpen, OptionsThatAreNotAnsweredAreOff) {
  Net net;
  net.established_active();
  net.in(A(1461, 1, 100));
  net.expect(A(1, 1));  // no timestamp, no SACK
}

// RFC7323-2.2a, RFC7323-2.3b: both windows are scaled
TEST(ActiveOpen, BothWindowsAreScaledOnceBothSynsSaySo) {
  Net net{[](stack::Config& c) { c.tcp.receive_buffer = 1 << 20; }};
  net.peer.wscale = 2;
  net.syn_sent();
  net.in(net.offer(SA(0, 1)).win(1000));
  net.expect(A(1, 1).win((1 << 20) >> 5));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.tcb().snd.wnd, 1000u);  // not scaled in a SYN
  net.in(P(1, 1, 10).win(1000));
  EXPECT_EQ(net.tcb().snd.wnd, 4000u);
  net.expect_after(milliseconds(40), A(1, 11).win((1 << 20) >> 5));
}

// RFC9293-MUST-22, RFC9293-MUST-23: with five retries SYNs leave at 0, 1, 3, 7, 15 and 31 s, the end is at 63
// s
TEST(ActiveOpen, SynIsRetransmittedFiveTimesAndTimesOut) {
  Net net{[](stack::Config& c) { c.tcp.syn_retries = 5; }};
  net.syn_sent();
  for (uint64_t wait : {1, 2, 4, 8, 16}) net.expect_after(seconds(wait), full_syn());
  net.expect_event(Event::slow);
  net.silent_for(seconds(32) - milliseconds(1));
  net.expect_no_event();
  net.silent_for(milliseconds(2));
  net.expect_event(Event::closed, Event::timed_out);
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-MUST-23: by default 247 s, which is more than three minutes
TEST(ActiveOpen, ByDefaultTheSynTimesOutAfter247Seconds) {
  Net net;
  net.syn_sent();
  for (uint64_t wait : {1, 2, 4, 8, 16, 32, 64}) net.expect_after(seconds(wait), full_syn());
  net.expect_event(Event::slow);
  net.silent_for(seconds(120) - milliseconds(1));  // the RTO has a maximum
  net.expect_no_event();
  net.silent_for(milliseconds(2));
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-SHLD-9, RFC9293-MUST-22: the application is told at R1 for a SYN too
TEST(ActiveOpen, AtR1TheApplicationIsTold) {
  Net net;
  net.syn_sent();
  for (uint64_t wait : {1, 2}) net.expect_after(seconds(wait), full_syn());
  net.expect_no_event();
  net.expect_after(seconds(4), full_syn());
  net.expect_event(Event::slow);
}

// RFC9293-3.10.7.3, RFC5961-3.2.4: refused at once
TEST(ActiveOpen, AClosedPortRefusesAtOnce) {
  Net net;
  net.syn_sent();
  net.in(RA(0, 1));
  net.expect_event(Event::closed, Event::refused);
  EXPECT_EQ(net.state(), State::closed);
  net.expect_none();
}

// RFC1122-2.3.2.1b: three requests a second apart; then unreachable
TEST(ActiveOpen, AnAddressThatAnswersNoArpIsUnreachable) {
  Net net;
  net.answer_arp = false;
  net.arp.clear();
  net.call(connect_to(ipv4(10, 0, 0, 9)));
  net.silent_for(seconds(3) - milliseconds(1));
  net.expect_no_event();
  EXPECT_EQ(net.arp.size(), 3u);
  net.silent_for(milliseconds(2));
  EXPECT_EQ(net.expect_event(Event::closed, Event::unreachable).token, 5u);
}

// RFC9293-MUST-46
TEST(ActiveOpen, ToWhatIsNoHostItIsInvalid) {
  Net net;
  for (Ipv4Address to : {ipv4(255, 255, 255, 255), ipv4(10, 0, 0, 255), ipv4(224, 0, 0, 1), ipv4(0, 0, 0, 0),
                         ipv4(127, 0, 0, 1), Net::own}) {
    net.call(connect_to(to));
    EXPECT_EQ(net.expect_event(Event::failed, Event::invalid).token, 5u);
  }
  net.call(connect_to(net.peer.ip, 0));
  net.expect_event(Event::failed, Event::invalid);
  net.expect_none();
}

// RFC1122-3.3.1.1
TEST(ActiveOpen, WithoutAGatewayAForeignNetworkIsUnreachable) {
  Net net{[](stack::Config& c) { c.gateway = {}; }};
  net.call(connect_to(ipv4(192, 168, 0, 1)));
  net.expect_event(Event::failed, Event::unreachable);
}

// RFC9293-MUST-43, RFC9293-MUST-44
TEST(ActiveOpen, TheLocalAddressMayBeGivenAndMustBeOurs) {
  Net net{two_addresses};
  Request r = connect_to(net.peer.ip, net.peer.port);
  r.open.local = Net::own;  // not the first
  net.call(r);
  net.expect(full_syn());
  r.open.local = ipv4(10, 0, 0, 3);
  net.call(r);
  net.expect_event(Event::failed, Event::invalid);
  r.open.local = Ipv4Address{};
  net.call(r);
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].source, ipv4(10, 0, 0, 0));
  net.drop_sent();
}

// RFC9293-MUST-45: from the SYN to the last ACK of TIME-WAIT all leaves from that address (expect() looks)
TEST(ActiveOpen, TheLocalAddressStays) {
  Net net{two_addresses};
  Request r = connect_to(net.peer.ip, net.peer.port);
  r.open.local = Net::own;  // not the first
  net.call(r);
  net.expect(full_syn());
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.send(10);
  net.expect(P(1, 1, 10));
  net.expect_after(milliseconds(200), P(1, 1, 10));
  net.in(A(1, 11));
  net.in(R(5));
  net.expect(A(11, 1));  // a challenge
  net.shutdown();
  net.expect(F(11, 1));
  for (int i = 0; i < 2; ++i) {
    net.in(F(1, 12));
    net.expect(A(12, 2));
  }
  EXPECT_EQ(net.state(), State::time_wait);
}

// RFC6056-2.2
TEST(ActiveOpen, ATupleInUseIsRefused) {
  Net net;
  net.call(connect_to(net.peer.ip, net.peer.port, 7777));
  net.expect(full_syn());
  net.call(connect_to(net.peer.ip, net.peer.port, 7777));
  net.expect_event(Event::failed, Event::in_use);
}

// RFC6056-3.2a, RFC6056-3.3: every port but the listener's, once, and not in order; then none
TEST(ActiveOpen, PortsAreDrawnInNoOrderAndLeaveListenersOut) {
  Net net{[](stack::Config& c) { c.first_port = 40000, c.last_port = 40015; }};
  net.listen(40003);
  std::vector<uint16_t> ports;
  for (int i = 0; i < 15; ++i) {
    net.call(connect_to(net.peer.ip));
    ASSERT_EQ(net.sent.size(), 1u);
    ports.push_back(net.sent[0].source_port);
    net.drop_sent();
  }
  std::set<uint16_t> distinct(ports.begin(), ports.end());
  EXPECT_EQ(distinct.size(), 15u);
  EXPECT_FALSE(distinct.contains(40003));
  EXPECT_GE(*distinct.begin(), 40000);
  EXPECT_LE(*distinct.rbegin(), 40015);
  EXPECT_FALSE(std::is_sorted(ports.begin(), ports.end()));
  net.call(connect_to(net.peer.ip));
  net.expect_event(Event::failed, Event::no_port);
  net.call(connect_to(net.peer.ip, 81));  // another destination has all of them
  ASSERT_EQ(net.sent.size(), 1u);
  net.drop_sent();
}

// What a request gives back is there for the one behind it, also in one burst.
TEST(ActiveOpen, APortThatWasJustGivenBackIsFree) {
  Net net{[](stack::Config& c) { c.first_port = c.last_port = 40000; }};
  net.call(connect_to(net.peer.ip));
  net.drop_sent();
  net.id = ConnectionId::make(1, 0, 1);
  net.queue(net.on_connection(Request::abort));
  net.call(connect_to(net.peer.ip));
  net.expect_event(Event::closed, Event::aborted);
  net.expect_no_event();
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].source_port, 40000);
  net.drop_sent();
}

// RFC6056-3.2b
TEST(ActiveOpen, ByDefaultAllPortsFrom1024OnAreUsed) {
  EXPECT_EQ(stack::Config{}.first_port, 1024);
  EXPECT_EQ(stack::Config{}.last_port, 65535);
}

// RFC 9293 3.10.1
TEST(ActiveOpen, WithoutAFreeConnectionThereIsNoMemory) {
  Net net{[](stack::Config& c) { c.max_connections = 1; }};
  net.established_passive();
  net.call(connect_to(net.peer.ip));
  net.expect_event(Event::failed, Event::no_memory);
}

// RFC9293-MUST-8, RFC6528-3
TEST(ActiveOpen, InitialSequenceNumbersFollowTheClock) {
  Net net;
  net.peer.port = 80;
  net.connect({}, 7777);
  net.expect(full_syn());
  uint32_t first = net.own_iss();
  net.in(RA(0, 1));
  net.advance(milliseconds(10));
  net.connect({}, 7777);
  net.expect(full_syn());
  EXPECT_NEAR(net.own_iss() - first, 10'000'000 >> 12, 1);
}

// RFC9293-MUST-10 (figure 8): SYNs cross, then SYN,ACKs cross
TEST(SimultaneousOpen, CrossingSynAcksEstablish) {
  Net net;
  net.syn_received_simultaneous();
  net.in(SA(0, 1).mss(1460));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.state(), State::established);
  net.drop_sent();  // an ACK of what is known already does no harm
  net.send(10);
  net.expect(P(1, 1, 10));
}

// RFC9293-MUST-62: the pointer counts from the SYN, also where that SYN is known already: this one points at nothing ahead
TEST(SimultaneousOpen, TheUrgentPointerOfACrossingSynAckCountsFromItsSyn) {
  Net net;
  net.syn_received_simultaneous();
  net.in(SA(0, 1).mss(1460).urgent(1));
  net.expect_event(Event::connected);
  net.expect_no_event();
  net.drop_sent();
}

// RFC9293-MUST-10
TEST(SimultaneousOpen, AnAckEstablishesToo) {
  Net net;
  net.syn_received_simultaneous();
  net.in(A(1, 1));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.state(), State::established);
  net.in(P(1, 1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC9293-MUST-10: with all options
TEST(SimultaneousOpen, OptionsAreAgreedOn) {
  Net net;
  net.peer.wscale = 3;
  net.peer.sack = net.peer.ts = true;
  net.syn_received_simultaneous();
  net.in(A(1, 1).win(100));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.tcb().snd.wnd, 800u);
  net.in(P(11, 1, 10));
  net.expect(A(1, 1).sack(11, 21));
}

// RFC9293-MUST-22
TEST(SimultaneousOpen, SynAckIsRetransmitted) {
  Net net;
  net.syn_received_simultaneous();
  net.expect_after(seconds(1), SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::connected);
}

// RFC9293-MUST-11: after an active open a RST is the end, and the application is told
TEST(SimultaneousOpen, RstInSynReceivedIsRefused) {
  Net net;
  net.syn_received_simultaneous();
  net.in(R(1));
  net.expect_event(Event::closed, Event::refused);
  EXPECT_EQ(net.state(), State::closed);
  net.expect_none();
}

// RFC9293-3.10.7.4c, RFC5961-4.2: as in the synchronized states
TEST(SimultaneousOpen, SynInTheWindowIsChallenged) {
  Net net;
  net.syn_received_simultaneous();
  net.in(S(5).mss(1460));
  net.expect(A(1, 1));
  EXPECT_EQ(net.state(), State::syn_received);
}

// RFC9293-3.10.7.4d
TEST(SimultaneousOpen, UnacceptableAckIsReset) {
  Net net;
  net.syn_received_simultaneous();
  net.in(A(1, 2));
  net.expect(R(2));
  EXPECT_EQ(net.state(), State::syn_received);
}

// RFC9293-3.10.4: closed before the handshake is over: FIN follows it
TEST(SimultaneousOpen, CloseInSynReceivedSendsFinAfterTheHandshake) {
  Net net;
  net.syn_received_simultaneous();
  net.id = ConnectionId::make(1, 0, 1);
  net.close();
  net.expect_none();
  net.in(A(1, 1));
  net.expect(F(1, 1));
  EXPECT_EQ(net.state(), State::fin_wait_1);
}

// RFC9293-3.10.7.3: text that comes with a SYN which crosses ours waits for the connection, and is not acknowledged before
TEST(SynWithText, IsQueuedUntilTheConnectionIsEstablished) {
  Net net;
  net.syn_sent();
  Seg syn = S(0).mss(1460);
  syn.length = 100;
  net.in(syn);
  net.expect(SA(0, 1).mss(1460));
  EXPECT_EQ(net.state(), State::syn_received);
  EXPECT_EQ(net.received, "");
  net.expect_no_event();
  net.in(A(101, 1));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.received, stream(1, 100));
  net.expect(A(1, 101));
  net.in(P(101, 1, 10));
  EXPECT_EQ(net.received, stream(1, 110));
  net.drop_sent();
}

// RFC9293-3.10.7.3: ... also when the answer is the peer's SYN,ACK, with the same text once more
TEST(SynWithText, IsTakenOnceThoughItComesTwice) {
  Net net;
  net.syn_sent();
  Seg syn = S(0).mss(1460);
  syn.length = 100;
  net.in(syn);
  net.drop_sent();
  Seg syn_ack = SA(0, 1).mss(1460);
  syn_ack.length = 100;
  net.in(syn_ack);
  net.expect_event(Event::connected);
  EXPECT_EQ(net.received, stream(1, 100));
  net.expect(A(1, 101));
}

// RFC9293-3.10.7.3: other controls wait, too
TEST(SynWithText, SoDoesAFin) {
  Net net{[](stack::Config& c) { c.tcp.drop_syn_fin = false; }};
  net.syn_sent();
  Seg syn = S(0).mss(1460);
  syn.flags |= fin;
  syn.length = 100;
  net.in(syn);
  net.expect(SA(0, 1).mss(1460));
  net.in(A(102, 1));
  net.expect_event(Event::connected);
  net.expect_event(Event::peer_closed);
  EXPECT_EQ(net.received, stream(1, 100));
  EXPECT_EQ(net.state(), State::close_wait);
  net.expect(A(1, 102));
}

// Nothing of it is left when nothing comes of the connection
TEST(SynWithText, IsGivenBackWhenTheOpenFails) {
  Net net;
  net.syn_sent();
  Seg syn = S(0).mss(1460);
  syn.length = 100;
  net.in(syn);
  net.drop_sent();
  net.in(R(1));
  net.expect_event(Event::closed, Event::refused);
  EXPECT_EQ(stack::gauges(*net.stack).held, 0u);
  EXPECT_EQ(net.received, "");
}

}  // namespace
}  // namespace millrace::conformance
