// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES in CLOSED and LISTEN (RFC 9293 3.10.7.1, 3.10.7.2).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

// RFC9293-3.10.7.1
TEST(Closed, RstIsIgnored) {
  Net net;
  net.in(R(5));
  net.in(RA(5, 7));
  net.expect_none();
}

// RFC9293-3.10.7.1
TEST(Closed, SynIsAnsweredWithRstAck) {
  Net net;
  net.in(S(0).mss(1460));
  net.expect(RA(0, 1).win(0));
}

// RFC9293-3.10.7.1: <SEQ=0><ACK=SEG.SEQ+SEG.LEN>
TEST(Closed, TextSynAndFinCountInTheAckOfTheRst) {
  Net net;
  net.in(with(syn | fin, 10, 0, 100));
  net.expect(RA(0, 112));
  net.in(with(0, 10, 0, 100));
  net.expect(RA(0, 110));
}

// RFC9293-3.10.7.1: <SEQ=SEG.ACK><CTL=RST>, without ACK
TEST(Closed, AckIsAnsweredWithRstOfItsAck) {
  Net net;
  net.in(A(10, 0x12345678, 100));
  net.expect(R(0x12345678));
  net.in(SA(10, 77));
  net.expect(R(77));
  net.in(F(10, 78));
  net.expect(R(78));
}

// RFC9293-3.10.7.1
TEST(Closed, ARstGoesBackToWhereTheSegmentCameFrom) {
  Net net;
  Peer other = net.peer;
  other.ip = ipv4(192, 168, 7, 7);  // beyond a router that we do not route through
  other.mac = {{2, 0, 0, 0, 9, 9}};
  net.in(other, A(10, 5));
  net.expect(other, R(5));
}

// RFC9293-3.10.7.2: first, RST
TEST(Listen, RstIsIgnored) {
  Net net;
  net.listen();
  net.in(R(5));
  net.in(RA(5, 7));
  net.in(with(syn | rst, 0));
  net.expect_none();
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-3.10.7.2: second, ACK
TEST(Listen, AckIsAnsweredWithRst) {
  Net net;
  net.listen();
  net.in(A(10, 300, 5));
  net.expect(R(300));
  net.in(SA(10, 301));
  net.expect(R(301));
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-3.10.7.2: anything else
TEST(Listen, TextOrFinWithoutSynAndAckIsDropped) {
  Net net;
  net.listen();
  net.in(with(0, 10, 0, 5));
  net.in(with(fin, 10));
  net.in(with(psh | urg, 10, 0, 5));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_listen), 3u);
}

// RFC9293-3.10.7.2, RFC9293-MUST-14
TEST(Listen, SynIsAnsweredWithSynAck) {
  Net net;
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460).win(65535));
  EXPECT_EQ(net.state(), State::syn_received);
  net.expect_no_event();
}

// RFC9293-3.10.7.2: other control and text of the SYN is processed later; a peer that sends it sends it again
TEST(Listen, TextInASynIsNotAcknowledgedByTheSynAck) {
  Net net;
  net.listen();
  net.in(S(0).mss(1460).text("early"));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1).text("early"));
  net.expect_event(Event::accepted);
  EXPECT_EQ(net.received, "early");
  net.expect_after(milliseconds(40), A(1, 6));
}

// RFC9293-MUST-41: a passive open leaves what is there alone
TEST(Listen, ASecondListenIsInUseAndTheFirstGoesOn) {
  Net net;
  net.established_passive();
  OpenArguments open;
  open.local_port = 80;
  Request r;
  r.kind = Request::listen;
  r.token = 9;
  r.open = open;
  net.call(r);
  EXPECT_EQ(net.expect_event(Event::failed, Event::in_use).token, 9u);
  EXPECT_EQ(net.state(), State::established);
  net.in(P(1, 1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC9293-MUST-42
TEST(Listen, IsPossibleWhileAConnectionOfThatPortOpens) {
  Net net;
  net.peer.port = 80;
  net.connect({}, 7777);
  net.expect(S(0).mss(1460).sack_ok().wscale(0).ts());
  net.listen(7777);
  Peer other = net.peer;
  other.port = 6000;
  net.in(other, S(0).mss(1460));
  net.expect(other, SA(0, 1).mss(1460));
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
}

// RFC9293-MUST-42: and while one is in SYN-RECEIVED
TEST(Listen, IsPossibleWhileAConnectionOfThatPortIsInSynReceived) {
  Net net;
  net.syn_received_simultaneous();
  net.listen(net.peer.to);
  Peer other = net.peer;
  other.port = 6000;
  net.in(other, S(0).mss(1460));
  net.expect(other, SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::connected);
  net.in(other, A(1, 1));
  net.expect_event(Event::accepted);
}

// RFC9293-MUST-41: any port may be listened on, the first too; 0 is none
TEST(Listen, PortZeroIsInvalidAndPortOneIsNot) {
  Net net;
  Request r;
  r.kind = Request::listen;
  r.open = {};
  net.call(r);
  net.expect_event(Event::failed, Event::invalid);
  r.open.local_port = 1;
  net.call(r);
  net.expect_event(Event::listening);
}

// RFC9293-MUST-43: the local address of a listener is optional
TEST(Listen, AForeignLocalAddressIsInvalid) {
  Net net;
  OpenArguments open;
  open.local = ipv4(10, 0, 0, 77);
  open.local_port = 80;
  Request r;
  r.kind = Request::listen;
  r.open = open;
  net.call(r);
  net.expect_event(Event::failed, Event::invalid);
  open.local = Net::own;
  r.open = open;
  net.call(r);
  net.expect_event(Event::listening);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
}

// RFC9293-3.10.4
TEST(Listen, AfterUnlistenASynIsRefused) {
  Net net;
  net.established_passive();
  net.unlisten();
  Peer other = net.peer;
  other.port = 6000;
  net.in(other, S(0).mss(1460));
  net.expect(other, RA(0, 1));
  EXPECT_EQ(net.state(), State::established);
}

// RFC9293-MUST-57
TEST(Listen, SynToBroadcastOrMulticastIsDropped) {
  Net net;
  net.listen();
  IpHeader ip;
  ip.from = net.peer.mac;
  ip.source = net.peer.ip;
  for (Ipv4Address to : {ipv4(255, 255, 255, 255), ipv4(10, 0, 0, 255), ipv4(224, 0, 0, 1)}) {
    ip.destination = to;
    for (const wire::Mac& mac : {Net::own_mac, wire::Mac::broadcast()}) {
      ip.to = mac;
      net.frames({encode_tcp(ip, 5000, 80, S(1).mss(1460), "")});
    }
  }
  ip.to = wire::Mac::broadcast();  // our address, but to everybody by the frame
  ip.destination = Net::own;
  net.frames({encode_tcp(ip, 5000, 80, S(1).mss(1460), "")});
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_not_for_us), 7u);
}

// RFC9293-MUST-63, RFC1122-3.2.1.3a
TEST(Listen, SynFromAnInvalidSourceIsIgnored) {
  Net net;
  net.listen();
  for (Ipv4Address from : {ipv4(255, 255, 255, 255), ipv4(10, 0, 0, 255), ipv4(224, 0, 0, 1),
                           ipv4(127, 0, 0, 1), ipv4(0, 0, 0, 0), Net::own}) {
    Peer bad = net.peer;
    bad.ip = from;
    net.in(bad, S(0).mss(1460));
  }
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_ip_source), 6u);
}

}  // namespace
}  // namespace millrace::conformance
