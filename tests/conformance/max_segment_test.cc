// SPDX-License-Identifier: BSD-3-Clause
// A connection's own maximum segment size: what its SYN asks for, and what it sends.
#include "stack/diagnostics.h"
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

Request open(Request::Kind kind, uint16_t max_segment) {
  Request r;
  r.kind = kind;
  r.token = 0x1234;
  r.max_segment = max_segment;
  r.open = OpenArguments{};
  r.open.options = Net::newreno;
  if (kind == Request::listen) {
    r.backlog = 8;
    r.open.local_port = 80;
  } else {
    r.open.remote = Peer{}.ip;
    r.open.remote_port = Peer{}.port;
  }
  return r;
}

Seg full_syn(uint16_t mss) {
  return S(0).mss(mss).sack_ok().wscale(0).ts();
}

// RFC9293-MUST-14, -16: ours bounds both ways, the peer's only what we send
TEST(MaxSegment, OfAConnect) {
  Net net;
  net.call(open(Request::connect, 1100));
  net.expect(full_syn(1100));
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.send(2200);
  net.expect(A(1, 1, 1100));
  net.expect(P(1101, 1, 1100));
  Diagnostics d;
  ASSERT_TRUE(stack::diagnostics(*net.stack, net.id, net.now, d));
  EXPECT_EQ(d.receive_mss, 1100);
  EXPECT_EQ(d.send_mss, 1100);
}

// RFC9293-MUST-16: options go off it, and a peer that takes less gets less
TEST(MaxSegment, OptionsAndThePeersMss) {
  Net net;
  net.call(open(Request::connect, 1100));
  net.drop_sent();
  net.in(SA(0, 1).mss(1000).ts());
  net.expect(A(1, 1).ts());
  net.expect_event(Event::connected);
  net.send(988 + 5);
  net.expect(A(1, 1, 988).ts());
  net.expect(P(989, 1, 5).ts());
}

// RFC9293-MUST-14, -16: a listener's, and for as long as its connections live
TEST(MaxSegment, OfAListener) {
  Net net;
  net.call(open(Request::listen, 700));
  net.expect_event(Event::listening);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(700));
  Diagnostics d;
  net.expect_after(seconds(1), SA(0, 1).mss(700));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.unlisten();
  net.send(701);
  net.expect(A(1, 1, 700));
  net.expect(P(701, 1, 1));
  ASSERT_TRUE(stack::diagnostics(*net.stack, net.id, net.now, d));
  EXPECT_EQ(d.receive_mss, 700);
}

// RFC9293-MUST-67: no more than the link carries; RFC 791: and no crumbs
TEST(MaxSegment, IsBounded) {
  Net large;
  large.call(open(Request::connect, 9000));
  large.expect(full_syn(1460));
  Net small;
  small.call(open(Request::connect, 10));
  small.expect(full_syn(64));
}

// RFC9293-MUST-14: a cookie's SYN,ACK says it, too
TEST(MaxSegment, OfACookie) {
  Net net{[](stack::Config& c) { c.tcp.syn_cookies = tcp::SynCookies::always; }};
  net.call(open(Request::listen, 700));
  net.expect_event(Event::listening);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(700));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(701);
  net.expect(A(1, 1, 700));
  net.expect(P(701, 1, 1));
}

}  // namespace
}  // namespace millrace::conformance
