// SPDX-License-Identifier: BSD-3-Clause
// Keep-alive (RFC 9293 3.8.4) and urgent data (3.8.5).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct KeepAlive : testing::Test {
  KeepAlive() {
    net.listen(80, {.keepalive = 1});
    net.established_passive();
  }
  Net net;
};

// RFC9293-MUST-25
TEST(KeepAliveDefault, IsOff) {
  Net net;
  net.established_passive();
  net.silent_for(seconds(7200) * 10);
  EXPECT_EQ(net.state(), State::established);
}

// RFC9293-MAY-5, RFC9293-MUST-24, RFC9293-MUST-28, RFC9293-SHLD-12
TEST_F(KeepAlive, TheFirstProbeComesAfterTwoHoursAndCarriesNothing) {
  net.expect_after(seconds(7200), A(0, 1));
  net.in(A(1, 1));
  net.expect_after(seconds(7200), A(0, 1));
}

// RFC9293-MUST-24: off again
TEST_F(KeepAlive, CanBeSwitchedOffAgain) {
  net.set(Setting::keepalive, 0);
  net.silent_for(seconds(7200) * 10);
}

// RFC9293-MUST-24, RFC9293-MUST-27: switched on later, with an interval of its own
TEST(KeepAliveSetting, TheIntervalIsOfTheConnection) {
  Net net;
  net.established_passive();
  net.set(Setting::keepalive, 60);
  net.expect_after(seconds(60), A(0, 1));
  net.in(A(1, 1));
  net.expect_after(seconds(60), A(0, 1));
  net.expect_after(seconds(75), A(0, 1));
}

// RFC9293-MUST-29: one unanswered probe is no proof: nine are
TEST_F(KeepAlive, NineUnansweredProbesEndTheConnection) {
  net.expect_after(seconds(7200), A(0, 1));
  for (int i = 1; i < 9; ++i) net.expect_after(seconds(75), A(0, 1));
  net.silent_for(seconds(75) - milliseconds(1));
  EXPECT_EQ(net.state(), State::established);
  net.advance(milliseconds(2));
  net.expect(RA(1, 1).win(0));  // a peer that lives and was not heard learns of it
  EXPECT_EQ(net.state(), State::closed);
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC9293-MUST-29: an answer to the last of them is in time
TEST_F(KeepAlive, AnAnswerBeginsTheCountAnew) {
  net.expect_after(seconds(7200), A(0, 1));
  for (int i = 1; i < 9; ++i) net.expect_after(seconds(75), A(0, 1));
  net.in(A(1, 1));
  net.expect_after(seconds(7200), A(0, 1));
  net.expect_after(seconds(75), A(0, 1));
}

// RFC9293-MUST-26: what comes in puts it off
TEST_F(KeepAlive, ReceivedTextPutsItOff) {
  net.advance(seconds(7000));
  net.in(P(1, 1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
  net.expect_after(seconds(7200) - milliseconds(40), A(0, 11));
}

// RFC9293-MUST-26: nothing while text is outstanding
TEST_F(KeepAlive, NoneWhileTextIsOutstanding) {
  net.advance(seconds(7199));
  net.send(10);
  net.expect(P(1, 1, 10));
  net.advance(seconds(60));
  for (const Sent& s : net.sent) EXPECT_EQ(s.seg.seq, net.own_iss() + 1);
  net.drop_sent();
}

// RFC9293-MUST-27
TEST(KeepAliveInterval, IsConfigurable) {
  Net net{[](stack::Config& c) {
    c.tcp.keepalive_time = seconds(10);
    c.tcp.keepalive_interval = seconds(2);
    c.tcp.keepalive_probes = 2;
  }};
  net.listen(80, {.keepalive = 1});
  net.established_passive();
  net.expect_after(seconds(10), A(0, 1));
  net.expect_after(seconds(2), A(0, 1));
  net.advance(seconds(2) + milliseconds(1));
  net.expect(RA(1, 1).win(0));
  net.expect_event(Event::closed, Event::timed_out);
}

// RFC 9293 3.8.4: the peer's probes, with and without an octet, are answered
TEST(KeepAlivePeer, ItsProbesAreAnswered) {
  Net net;
  net.established_passive();
  net.in(A(0, 1));
  net.expect(A(1, 1));
  net.in(A(0, 1, 1));
  net.expect(A(1, 1));
}

struct Urgent : testing::Test {
  Urgent() { net.established_passive(); }
  Net net;
};

// RFC9293-MUST-30, RFC9293-MUST-62: the pointer names the octet behind the urgent data
TEST_F(Urgent, ThePointerNamesTheOctetBehind) {
  net.send(10, false, true);
  net.expect(P(1, 1, 10).urgent(10));
  net.in(A(1, 11));
  net.send(10);
  net.expect(P(11, 1, 10));
}

// RFC9293-MUST-31: over several segments
TEST_F(Urgent, SpansSegments) {
  net.send(3000, false, true);
  net.expect(A(1, 1, 1460).urgent(3000));
  net.expect(A(1461, 1, 1460).urgent(1540));
  net.in(A(1, 2921));
  net.expect(P(2921, 1, 80).urgent(80));
}

// RFC9293-MUST-31: farther ahead than the field can say
TEST(UrgentFar, ThePointerIsAsFarAsTheFieldGoes) {
  Net net;
  net.peer.wscale = 4;
  net.established_passive();
  net.send(70000, false, true);
  uint32_t end = 1;
  while (!net.sent.empty() && end < 70001) {
    const Seg& seg = net.sent.front().seg;
    ASSERT_EQ(seg.seq - net.own_iss(), end);
    EXPECT_EQ(seg.flags & urg, urg);
    EXPECT_EQ(seg.pointer, std::min(70001 - end, 65535u));
    end += seg.length;
    net.sent.pop_front();
    if (net.sent.empty()) net.in(A(1, end));
  }
  EXPECT_EQ(end, 70001u);
  net.send(10);
  net.expect(P(70001, 1, 10));  // not urgent any more
}

// RFC9293-MUST-31, RFC9293-MUST-32: a run that no field could name at once comes with a pointer that moves along
TEST_F(Urgent, ALongRunIsToldAsItGoes) {
  uint32_t at = 1;
  for (uint32_t up : {60001u, 120001u, 140001u}) {
    net.in(P(at, 1, 1000).urgent(static_cast<uint16_t>(std::min(up - at, 65535u))));
    EXPECT_EQ(net.expect_event(Event::urgent).length, std::min(up - at, 65535u));
    for (at += 1000; at + 1000 <= up; at += 1000) net.in(P(at, 1, 1000));
    net.expect_no_event();
  }
  net.advance(milliseconds(50));
  net.drop_sent();
  EXPECT_EQ(net.received.size(), 140000u);
}

// RFC9293-MUST-30: sent again with the text
TEST_F(Urgent, ARetransmissionCarriesThePointer) {
  net.send(10, false, true);
  net.expect(P(1, 1, 10).urgent(10));
  net.expect_after(milliseconds(200), P(1, 1, 10).urgent(10));
}

// RFC9293-MUST-32, RFC9293-MUST-33: told before the text, with how far it goes
TEST_F(Urgent, TheApplicationIsToldBeforeTheText) {
  std::vector<Event::Kind> order;
  net.on_event = [&](const Event& e) { order.push_back(e.kind); };
  net.in(P(1, 1, 10).urgent(5));
  EXPECT_EQ(order, (std::vector{Event::urgent, Event::received}));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 5u);
  EXPECT_EQ(net.received, stream(1, 10));  // in line
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC9293-MUST-31, RFC9293-MUST-33: beyond what has come
TEST_F(Urgent, ThePointerMayLieBeyondTheText) {
  net.in(P(1, 1, 10).urgent(100));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 100u);
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC9293-MUST-32: told again when the pointer advances
TEST_F(Urgent, AnAdvancingPointerIsToldAgain) {
  net.in(P(1, 1, 10).urgent(10));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 10u);
  net.in(P(11, 1, 10).urgent(20));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 20u);
  net.drop_sent();
  net.advance(milliseconds(50));
  net.drop_sent();
}

// RFC9293-MUST-32, RFC 9293 3.10.7.4: not again for the same run, whoever sends it again or says less of it
TEST_F(Urgent, TheSamePointerIsToldOnce) {
  net.in(P(1, 1, 10).urgent(100));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 100u);
  net.in(P(11, 1, 10).urgent(90));
  net.in(P(21, 1, 10).urgent(50));
  net.in(A(31, 1).urgent(70));
  net.expect_no_event();
  net.in(P(31, 1, 70));  // all of it is here: what comes now is another run
  net.in(P(101, 1, 10).urgent(1));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 1u);
  net.drop_sent();
}

// RFC9293-MUST-33: a FIN behind the text is no text
TEST_F(Urgent, AFinDoesNotCount) {
  net.in(F(1, 1, 10).urgent(5));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 5u);
  net.expect_event(Event::peer_closed);
  net.expect(A(1, 12));
}

// RFC9293-MUST-32: a pointer to what has been read is no news
TEST_F(Urgent, AnOldPointerIsIgnored) {
  net.in(P(1, 1, 10));
  net.in(P(11, 1, 10).urgent(0));
  net.expect_no_event();
  EXPECT_EQ(net.received, stream(1, 20));
  net.expect_after(milliseconds(40), A(1, 21));
}

// RFC9293-MUST-30: without text
TEST_F(Urgent, APointerWithoutTextIsTold) {
  net.in(A(1, 1).urgent(7));
  EXPECT_EQ(net.expect_event(Event::urgent).length, 7u);
  net.expect_none();
}

// RFC 9293 3.10.7.4: after the peer's FIN it is ignored
TEST(UrgentAfterFin, IsIgnored) {
  Net net;
  net.close_wait();
  net.in(A(2, 1).urgent(7));
  net.expect_no_event();
}

}  // namespace
}  // namespace millrace::conformance
