// SPDX-License-Identifier: BSD-3-Clause
// Around TCP: ARP, what IPv4 lets through, the route.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr wire::Mac everybody = wire::Mac::broadcast();
wire::Mac mac(uint8_t last) {
  return {{2, 0, 0, 0, 0, last}};
}

Request connect_to(Ipv4Address to, uint16_t port = 80) {
  Request r;
  r.kind = Request::connect;
  OpenArguments open;
  open.remote = to;
  open.remote_port = port;
  r.open = open;
  return r;
}

// --- ARP ---

// RFC5227: announced at start
TEST(Arp, OwnAddressIsAnnouncedAtStart) {
  Net net;
  auto announced = std::count_if(net.arp.begin(), net.arp.end(), [](const Sent& s) {
    return s.arp_request && s.to == everybody && s.source == Net::own && s.destination == Net::own;
  });
  EXPECT_EQ(announced, 1);
}

// RFC826-rx
TEST(Arp, ARequestForOurAddressIsAnswered) {
  Net net;
  net.arp.clear();
  net.frames({encode_arp(true, everybody, mac(7), ipv4(10, 0, 0, 7), Net::own)});
  ASSERT_EQ(net.arp.size(), 1u);
  EXPECT_FALSE(net.arp[0].arp_request);
  EXPECT_EQ(net.arp[0].to, mac(7));
  EXPECT_EQ(net.arp[0].source, Net::own);
  EXPECT_EQ(net.arp[0].destination, ipv4(10, 0, 0, 7));
}

// RFC826-rx
TEST(Arp, ARequestForSomebodyElseIsNotAnswered) {
  Net net;
  net.arp.clear();
  net.frames({encode_arp(true, everybody, mac(7), ipv4(10, 0, 0, 7), ipv4(10, 0, 0, 8))});
  EXPECT_TRUE(net.arp.empty());
}

// RFC826-rx: who asked us is known; who asked somebody else is not
TEST(Arp, OnlyWhoAskedForUsIsRemembered) {
  Net net;
  net.frames({encode_arp(true, everybody, mac(7), ipv4(10, 0, 0, 7), Net::own)});
  net.frames({encode_arp(true, everybody, mac(8), ipv4(10, 0, 0, 8), ipv4(10, 0, 0, 9))});
  net.arp.clear();
  net.call(connect_to(ipv4(10, 0, 0, 7)));
  EXPECT_TRUE(net.arp.empty());
  net.call(connect_to(ipv4(10, 0, 0, 8)));
  EXPECT_EQ(net.arp.size(), 1u);
  net.drop_sent();
}

// RFC1122-2.3.2.2: what waits for the address is sent once it is known, all of it
TEST(Arp, WhatWaitsIsSentWhenTheAnswerComes) {
  Net net;
  net.answer_arp = false;
  net.arp.clear();
  net.call(connect_to(ipv4(10, 0, 0, 9), 80));
  net.call(connect_to(ipv4(10, 0, 0, 9), 81));
  ASSERT_EQ(net.arp.size(), 1u);  // RFC1122-2.3.2.1b
  EXPECT_EQ(net.arp[0].to, everybody);
  EXPECT_EQ(net.arp[0].source, Net::own);
  EXPECT_EQ(net.arp[0].destination, ipv4(10, 0, 0, 9));
  net.silent_for(milliseconds(500));
  net.frames({encode_arp(false, Net::own_mac, mac(9), ipv4(10, 0, 0, 9), Net::own)});
  ASSERT_EQ(net.sent.size(), 2u);
  EXPECT_EQ(net.sent[0].to, mac(9));
  EXPECT_EQ(net.sent[0].destination_port, 80);
  EXPECT_EQ(net.sent[1].destination_port, 81);
  net.drop_sent();
}

// RFC1122-2.3.2.1b: at most one request a second
TEST(Arp, AtMostOneRequestASecond) {
  Net net;
  net.answer_arp = false;
  net.arp.clear();
  for (uint16_t i = 0; i < 5; ++i) {
    net.call(connect_to(ipv4(10, 0, 0, 9), static_cast<uint16_t>(80 + i)));
    net.advance(milliseconds(100));
  }
  EXPECT_EQ(net.arp.size(), 1u);
  net.advance(milliseconds(499));
  EXPECT_EQ(net.arp.size(), 1u);
  net.advance(milliseconds(2));
  EXPECT_EQ(net.arp.size(), 2u);
}

// RFC1122-2.3.2.1b: also after it was given up
TEST(Arp, AtMostOneRequestASecondAfterAFailure) {
  Net net;
  net.answer_arp = false;
  net.arp.clear();
  net.call(connect_to(ipv4(10, 0, 0, 9)));
  net.advance(seconds(3) + milliseconds(1));
  net.expect_event(Event::closed, Event::unreachable);
  size_t before = net.arp.size();
  for (int i = 0; i < 5; ++i) net.call(connect_to(ipv4(10, 0, 0, 9)));
  EXPECT_LE(net.arp.size(), before + 1);
}

// RFC1122-2.3.2.1a: an entry in use is asked again after a minute, by name; what is sent goes on
TEST(Arp, AnOldEntryIsProbedByName) {
  Net net;
  net.established_passive();
  net.answer_arp = false;
  net.arp.clear();
  net.advance(seconds(60) + milliseconds(1));
  ASSERT_EQ(net.arp.size(), 1u);
  EXPECT_EQ(net.arp[0].to, net.peer.mac);
  net.send(10);
  net.expect(P(1, 1, 10));
  net.in(A(1, 11));
}

// RFC1122-2.3.2.1a: one that does not answer is forgotten; a connection outlives that (RFC9293-MUST-56)
TEST(Arp, AnEntryThatDoesNotAnswerIsFlushed) {
  Net net;
  net.established_passive();
  net.answer_arp = false;
  net.advance(seconds(64));
  net.arp.clear();
  net.send(10);
  net.expect_none();
  ASSERT_EQ(net.arp.size(), 1u);
  EXPECT_EQ(net.arp[0].to, everybody);
  EXPECT_EQ(net.state(), State::established);
  net.frames({encode_arp(false, Net::own_mac, net.peer.mac, net.peer.ip, Net::own)});
  net.expect(P(1, 1, 10));
}

// RFC9293-MUST-56: a connection whose neighbour is away for a while goes on when it is back
TEST(Arp, AConnectionSurvivesItsNeighboursAbsence) {
  Net net;
  net.established_passive();
  net.answer_arp = false;
  net.advance(seconds(64));
  net.send(10);
  net.advance(seconds(10));
  net.expect_none();
  EXPECT_EQ(net.state(), State::established);
  net.answer_arp = true;
  net.advance(seconds(10));
  ASSERT_FALSE(net.sent.empty());
  net.expect(P(1, 1, 10));
  net.drop_sent();
}

// RFC826-rx, RFC5227: a neighbour that moved says so
TEST(Arp, AGratuitousRequestUpdatesWhatIsKnown) {
  Net net;
  net.established_passive();
  net.peer.mac = mac(0x77);
  net.frames({encode_arp(true, everybody, net.peer.mac, net.peer.ip, net.peer.ip)});
  net.send(10);
  net.expect(P(1, 1, 10));  // to the new address
}

// RFC5227: of somebody whom nobody has asked for it is no news
TEST(Arp, AGratuitousRequestOfAStrangerIsNotRemembered) {
  Net net;
  net.frames({encode_arp(true, everybody, mac(9), ipv4(10, 0, 0, 9), ipv4(10, 0, 0, 9))});
  net.arp.clear();
  net.call(connect_to(ipv4(10, 0, 0, 9)));
  ASSERT_EQ(net.arp.size(), 1u);
  EXPECT_EQ(net.arp[0].to, everybody);
  net.drop_sent();
}

// RFC826-rx: wrong types, short, or in our own name: no answer, no entry
TEST(Arp, MalformedPacketsAreDropped) {
  Net net;
  net.arp.clear();
  Bytes good = encode_arp(true, everybody, mac(7), ipv4(10, 0, 0, 7), Net::own);
  for (size_t at : {14u, 16u, 18u, 19u, 21u}) {  // hardware, protocol, both lengths, operation
    Bytes bad = good;
    bad[at] ^= 0x40;
    net.frames({bad});
  }
  Bytes cut = good;
  cut.resize(14 + 27);
  net.frames({cut});
  net.frames({encode_arp(true, everybody, mac(7), Net::own, Net::own)});
  EXPECT_TRUE(net.arp.empty());
  EXPECT_EQ(net.counter(Count::drop_arp), 7u);
}

// --- IPv4 ---

struct Ip : testing::Test {
  Ip() {
    net.listen();
    ip.to = Net::own_mac;
    ip.from = net.peer.mac;
    ip.source = net.peer.ip;
    ip.destination = Net::own;
  }
  Bytes syn_frame() { return encode_tcp(ip, 5000, 80, S(net.peer.iss).mss(1460), ""); }
  Net net;
  IpHeader ip;
};

// RFC1122-3.2.1.1
TEST_F(Ip, AnotherVersionIsDropped) {
  ip.version = 6;
  net.frames({syn_frame()});
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_ip_version), 1u);
}

// RFC1122-3.2.1.2
TEST_F(Ip, ABadHeaderChecksumIsDropped) {
  ip.bad_checksum = true;
  net.frames({syn_frame()});
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_ip_checksum), 1u);
}

// RFC1122-3.2.1.3a
TEST_F(Ip, WhatIsNotForUsIsDropped) {
  ip.destination = ipv4(10, 0, 0, 77);
  net.frames({syn_frame()});
  ip.destination = Net::own;
  ip.to = mac(0x55);
  net.frames({syn_frame()});
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_not_for_us), 2u);
}

// RFC1122-3.2.1.7: a small TTL is no reason
TEST_F(Ip, ATtlBelowTwoIsDelivered) {
  for (uint8_t ttl : {0, 1}) {
    ip.ttl = ttl;
    net.frames({syn_frame()});
    net.expect(SA(0, 1).mss(1460));
  }
}

// RFC1122-3.2.1.8, RFC9293-MUST-50
TEST_F(Ip, OptionsAreIgnored) {
  ip.options = std::string("\x01\x94\x04\x00\x00\x99\x04\x12\x34\x01\x01\x00", 12);
  net.frames({syn_frame()});
  net.expect(SA(0, 1).mss(1460));
}

// RFC9293-MUST-49, RFC1122-3.2.1.7, RFC1122-3.2.1.3b
TEST_F(Ip, OurOwnHeader) {
  net.frames({syn_frame()});
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].ttl, 64);
  EXPECT_EQ(net.sent[0].source, Net::own);
  EXPECT_TRUE(net.sent[0].dont_fragment);
  net.drop_sent();
}

// RFC1122-3.2.1.3a: a length that the frame does not have
TEST_F(Ip, ACutFrameIsDropped) {
  Bytes frame = syn_frame();
  for (size_t length : {13u, 14u, 33u, 34u, 53u, 57u}) {
    Bytes cut(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(length));
    net.frames({cut});
  }
  net.expect_none();
}

// Ethernet's padding belongs to nobody
TEST_F(Ip, PaddingIsNoText) {
  net.frames({syn_frame()});
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));  // 54 bytes in a frame of 60
  net.expect_event(Event::accepted);
  EXPECT_EQ(net.received, "");
  net.silent_for(milliseconds(100));
}

// --- the route ---

// RFC1122-3.3.1.1: not on our link: to the gateway
TEST(Route, AForeignAddressGoesToTheGateway) {
  Net net;
  net.arp.clear();
  net.call(connect_to(ipv4(192, 168, 7, 7)));
  ASSERT_EQ(net.arp.size(), 1u);
  EXPECT_EQ(net.arp[0].destination, ipv4(10, 0, 0, 254));
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].to, mac(254));
  EXPECT_EQ(net.sent[0].destination, ipv4(192, 168, 7, 7));
  net.drop_sent();
}

// RFC1122-3.3.1.1: a passive open answers over the gateway, too
TEST(Route, ASynFromAfarIsAnsweredOverTheGateway) {
  Net net;
  net.listen();
  net.peer.ip = ipv4(192, 168, 7, 7);
  net.peer.mac = mac(254);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(10);
  net.expect(P(1, 1, 10));
}

// A network of one address: the gateway is outside of it, and on the link all the same.
struct Alone : testing::Test {
  static constexpr Ipv4Address gateway = ipv4(172, 31, 1, 1);
  Net net{[](stack::Config& c) {
    c.local = {Net::own, 1, 32};
    c.gateway = gateway;
  }};
};

TEST_F(Alone, EveryAddressGoesToTheGateway) {
  net.arp.clear();
  net.call(connect_to(ipv4(192, 168, 7, 7)));
  ASSERT_EQ(net.arp.size(), 1u);
  EXPECT_EQ(net.arp[0].destination, gateway);
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].destination, ipv4(192, 168, 7, 7));
  net.drop_sent();
}

// Its question is answered, and its address learned from it: nobody needs to ask.
TEST_F(Alone, TheGatewayIsLearnedFromItsQuestion) {
  net.arp.clear();
  net.frames({encode_arp(true, wire::Mac::broadcast(), mac(77), gateway, Net::own)});
  ASSERT_EQ(net.arp.size(), 1u);  // the answer
  EXPECT_EQ(net.arp[0].destination, gateway);
  net.arp.clear();
  net.call(connect_to(gateway));
  EXPECT_EQ(net.arp.size(), 0u);
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].to, mac(77));
  net.drop_sent();
  net.frames({encode_arp(true, wire::Mac::broadcast(), mac(78), ipv4(172, 31, 1, 2), Net::own)});
  EXPECT_EQ(net.arp.size(), 1u);  // answered, too
  net.arp.clear();
  net.call(connect_to(ipv4(172, 31, 1, 2)));  // but it is no neighbour: by the gateway
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].to, mac(77));
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
