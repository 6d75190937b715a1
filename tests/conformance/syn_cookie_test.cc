// SPDX-License-Identifier: BSD-3-Clause
// LISTEN under a flood (RFC 4987 3.6): shares of the half-open queue, and SYN cookies when they are used up.
#include "tcp/syn_cookie.h"

#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

void always(stack::Config& c) {
  c.tcp.syn_cookies = tcp::SynCookies::always;
}

// Fills the listener's share: six of eight records.
void fill(Net& net, uint16_t from = 6000) {
  Peer other = net.peer;
  for (uint16_t i = 0; i < 6; ++i) {
    other.port = static_cast<uint16_t>(from + i);
    net.in(other, S(0).mss(1460));
    net.expect(other, SA(0, 1).mss(1460));
  }
}

uint32_t half_open(const Net& net) {
  return stack::gauges(*net.stack).half_open;
}

// RFC 4987 3.6: nothing is kept of a SYN, and the ACK makes the connection
TEST(SynCookie, ListenSynGetsACookieAndItsAckIsEstablished) {
  Net net{always};
  net.listen(80, {.no_delay = 1});
  Instant deadline = next_deadline(*net.stack);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460).win(65535));
  EXPECT_EQ(net.state(), State::closed);
  EXPECT_EQ(half_open(net), 0u);
  EXPECT_EQ(next_deadline(*net.stack), deadline);  // no timer
  net.in(A(1, 1));
  EXPECT_EQ(net.expect_event(Event::accepted).token, 0x1234u);
  EXPECT_EQ(net.state(), State::established);
  net.send(2000);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 540));
  net.in(P(1, 2001, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(2001, 11));
  EXPECT_EQ(net.counter(Count::syn_cookies_sent), 1u);
  EXPECT_EQ(net.counter(Count::syn_cookies_accepted), 1u);
}

// RFC 7323 2.2, 2.3, 3.2 and RFC 2018 2, as from a record
TEST(SynCookie, ListenSynWithTimestampsKeepsAllItsOptions) {
  Net net{[](stack::Config& c) { always(c), c.tcp.receive_buffer = 256 * 1024; }};
  net.listen(80, {.no_delay = 1});
  net.peer.ts = true;
  net.in(S(0).mss(1400).sack_ok().wscale(7).ts(4711, 0));
  ASSERT_FALSE(net.sent.empty());
  uint32_t ts_val = net.sent.front().seg.ts_val.value_or(0);
  net.expect(SA(0, 1).mss(1460).sack_ok().wscale(3).ecr(4711).win(65535));
  Seg ack = A(1, 1).win(100);
  ack.ts_val = 4712;
  net.in(ack);
  net.expect_event(Event::accepted);
  const tcp::Tcb& tcb = net.tcb();
  EXPECT_EQ(tcb.snd_wscale, 7);
  EXPECT_EQ(tcb.rcv_wscale, 3);
  EXPECT_EQ(tcb.snd.wnd, 100u << 7);
  EXPECT_EQ(tcb.rcv.ts_recent, 4712u);
  EXPECT_LT(net.stack->cx.ts_now(tcb) - ts_val, 64u);  // the clock goes on from there (RFC 7323 4.1)
  EXPECT_TRUE(tcb.is(tcp::sack_ok));
  EXPECT_EQ(tcb.receive_buffer, 256u * 1024);
  net.send(1500);
  net.expect(A(1, 1, 1388).ecr(4712));
  net.expect(P(1389, 1, 112).ecr(4712));
}

// RFC 7323 2.2, RFC 2018 2: what there is no place for is not agreed on
TEST(SynCookie, ListenSynWithoutTimestampsKeepsItsMssAlone) {
  Net net{[](stack::Config& c) { always(c), c.tcp.receive_buffer = 256 * 1024; }};
  net.listen(80, {.no_delay = 1});
  net.in(S(0).mss(1300).sack_ok().wscale(7));
  net.expect(SA(0, 1).mss(1460).win(65535));
  net.in(A(1, 1).win(5000));
  net.expect_event(Event::accepted);
  EXPECT_EQ(net.tcb().snd.wnd, 5000u);
  EXPECT_FALSE(net.tcb().is(tcp::sack_ok | tcp::ts_ok | tcp::ws_ok));
  EXPECT_EQ(net.tcb().receive_buffer, 256u * 1024);  // the window is what its field can say
  EXPECT_EQ(net.tcb().rcv.adv, net.tcb().rcv.nxt + 65535);
  net.send(1500);
  net.expect(A(1, 1, 1220));  // the next lower of the table
  net.expect(P(1221, 1, 280));
}

// RFC 9293 3.7.1: no option counts as 536
TEST(SynCookie, ListenSynWithoutMssOptionGetsSegmentsOf536) {
  Net net{always};
  net.listen(80, {.no_delay = 1});
  net.in(S(0));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(600);
  net.expect(A(1, 1, 536));
  net.expect(P(537, 1, 64));
}

TEST(SynCookie, ListenOptionsThatAreSwitchedOffAreNotAgreedOn) {
  Net net{[](stack::Config& c) { always(c), c.tcp.sack = c.tcp.window_scaling = false; }};
  net.listen();
  net.peer.ts = true;
  net.in(S(0).mss(1460).sack_ok().wscale(7).ts());
  net.expect(SA(0, 1).mss(1460).ts());
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  EXPECT_FALSE(net.tcb().is(tcp::sack_ok | tcp::ws_ok));
}

// RFC 9293 3.10.7.4: the ACK was lost, or carries more; its packet is not lost
TEST(SynCookie, ListenTextAndFinWithTheCookieAreTaken) {
  Net net{always};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.keep = true;
  net.in(PF(1, 1, 10));
  net.expect(A(1, 12));
  net.expect_event(Event::accepted);
  net.expect_event(Event::peer_closed);
  EXPECT_EQ(net.received, stream(1, 10));
  EXPECT_EQ(net.state(), State::close_wait);
  net.recycle_all();
}

// The ACK and the first text were lost. What comes behind them proves nothing yet, and a reset would end it all.
TEST(SynCookie, ListenTextBehindAGapIsDroppedUntilItsBeginningComes) {
  Net net{always};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.in(P(11, 1, 10));
  net.expect_none();
  EXPECT_EQ(net.state(), State::closed);
  net.in(P(1, 1, 10));
  net.expect_event(Event::accepted);
  net.in(P(11, 1, 10));
  EXPECT_EQ(net.received, stream(1, 20));
  net.expect_after(milliseconds(40), A(1, 21));
}

TEST(SynCookie, ListenARepeatedSynGetsTheSameCookie) {
  Net net{always};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  uint32_t first = net.own_iss();
  net.advance(seconds(1));
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_EQ(net.own_iss(), first);
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.in(S(0).mss(1460));  // RFC5961-4.2
  net.expect(A(1, 1));
}

// RFC9293-3.10.7.2: what is no cookie is answered as ever
TEST(SynCookie, ListenAForgedAckIsReset) {
  Net net{always};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 2));
  net.expect(R(2));
  net.in(A(2, 1));
  net.expect(R(1));
  net.in(R(1));  // ignored: there is nothing to reset
  net.in(with(0, 1));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::syn_cookies_failed), 2u);
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
}

TEST(SynCookie, ListenAnAckWithoutTheAgreedTimestampsIsReset) {
  Net net{always};
  net.listen();
  net.peer.ts = true;
  net.in(S(0).mss(1460).ts());
  net.expect(SA(0, 1).mss(1460).ts());
  net.in(A(1, 1).no_ts());
  net.expect(R(1).no_ts());
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
}

TEST(SynCookie, ListenAnOldCookieIsReset) {
  Net net{always};
  net.listen();
  Peer other = net.peer;
  other.port = 6000;
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.advance(tcp::cookie_life - seconds(1));
  net.in(other, S(0).mss(1460));  // so that cookies are still looked at
  net.expect(other, SA(0, 1).mss(1460));
  net.advance(seconds(2));
  net.in(A(1, 1));
  net.expect(R(1));
  EXPECT_EQ(net.counter(Count::syn_cookies_failed), 1u);
  net.in(other, A(1, 1));
  net.expect_event(Event::accepted);
}

// RFC9293-3.10.7.2: in normal times not even a right one makes a connection
TEST(SynCookie, ListenACookieThatNobodyWasSentIsReset) {
  Net net;
  net.listen();
  wire::FlowKey key{Net::own, net.peer.ip, 80, net.peer.port, 4};
  tcp::CookieFlow flow{key, {net.peer.iss}, net.stack->handle_of(0)};
  uint32_t iss = tcp::cookie_iss(net.stack->cookie_secret, flow, {}, net.now).value;
  net.in(A(1, iss + 1));  // nothing is learned of the peer yet: the number on the wire
  net.expect(R(iss + 1));
  EXPECT_EQ(net.counter(Count::syn_cookies_failed), 0u);
  fill(net);
  net.in(S(0).mss(536));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_EQ(net.own_iss(), iss);
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
}

// RFC 4987 3.2: one listener's flood leaves records for the others
TEST(SynCookie, ListenSynBeyondTheListenersShareGetsACookie) {
  Net net;
  net.established_passive();
  net.listen(81);
  fill(net);
  Peer more = net.peer, other = net.peer;
  more.port = 6100;
  other.to = 81;
  net.in(more, S(0).mss(1460));
  net.expect(more, SA(0, 1).mss(1460));
  EXPECT_EQ(net.counter(Count::syn_cookies_sent), 1u);
  EXPECT_EQ(half_open(net), 6u);
  net.in(other, S(0).mss(1460));
  net.expect(other, SA(0, 1).mss(1460));
  EXPECT_EQ(half_open(net), 7u);
  net.in(P(1, 1, 10));  // what is established does not see it
  EXPECT_EQ(net.received, stream(1, 10));
  net.in(more, A(1, 1));
  net.expect_event(Event::accepted);
  EXPECT_EQ(net.counter(Count::listen_overflow), 0u);
  net.expect_after(milliseconds(40), A(1, 11));
}

// The share comes back, whatever becomes of its records.
TEST(SynCookie, ListenRecordsThatEndMakeRoom) {
  Net net;
  net.listen();
  fill(net);
  Peer other = net.peer;
  other.port = 6000;
  net.in(other, A(1, 1));
  net.expect_event(Event::accepted);
  other.port = 6001;
  net.in(other, R(1));
  for (uint16_t port : {6100, 6101}) {
    other.port = port;
    net.in(other, S(0).mss(1460));
    net.expect(other, SA(0, 1).mss(1460));
  }
  EXPECT_EQ(net.counter(Count::syn_cookies_sent), 0u);
  net.advance(seconds(70));
  net.drop_sent();
  EXPECT_EQ(half_open(net), 0u);
  fill(net, 7000);
  EXPECT_EQ(net.counter(Count::syn_cookies_sent), 0u);
}

TEST(SynCookie, ListenWhenThePoolIsEmptySynGetsACookie) {
  Net net{[](stack::Config& c) { c.listener_half_open = 8, c.max_half_open = 6; }};
  net.listen();
  fill(net);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_EQ(net.counter(Count::syn_cookies_sent), 1u);
  EXPECT_EQ(net.state(), State::closed);
}

// A cookie was sent, then there was room for a record, and the peer's second SYN crossed the cookie.
TEST(SynCookie, SynReceivedTakesTheAckOfAnEarlierCookie) {
  Net net;
  net.listen();
  fill(net);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  uint32_t cookie = net.own_iss();
  Peer other = net.peer;
  other.port = 6000;
  net.in(other, R(1));
  net.advance(milliseconds(500));
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_EQ(net.state(), State::syn_received);
  ASSERT_NE(net.own_iss(), cookie);
  net.in(A(1, cookie + 1 - net.own_iss()));
  net.expect_event(Event::accepted);
  EXPECT_EQ(net.state(), State::established);
  EXPECT_EQ(half_open(net), 5u);
}

// RFC9293-3.10.7.4d: an ACK that is neither the record's nor a cookie's
TEST(SynCookie, SynReceivedResetsAForgedCookie) {
  Net net;
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  fill(net);  // the last of them is one too many
  net.in(A(1, 77));
  net.expect(R(77));
  EXPECT_EQ(net.counter(Count::syn_cookies_failed), 1u);
  EXPECT_EQ(net.state(), State::syn_received);
}

// RFC 9293 3.10.1: where the ACK could not be taken there is no cookie; and one that comes then is taken later
TEST(SynCookie, ListenAFullBacklogTakesNoCookie) {
  Net net{always, 2};
  net.listen(80, {}, 1);
  net.reads = false;
  for (uint16_t port : {5000, 5001, 5002, 5003}) {
    net.peer.port = port;
    net.in(S(0).mss(1460));
    net.expect(SA(0, 1).mss(1460));
  }
  for (uint16_t port : {5000, 5001, 5002, 5003}) {  // two fill the ring, the third is the backlog
    net.peer.port = port;
    net.in(A(1, 1));
  }
  EXPECT_EQ(net.state(), State::closed);
  Peer other = net.peer;
  other.port = 5004;
  net.in(other, S(0).mss(1460));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::listen_overflow), 2u);
  net.read_on();
  net.in(P(1, 1, 10));  // the peer takes itself for connected: its text is repeated
  EXPECT_EQ(net.state(), State::established);
  EXPECT_EQ(net.received, stream(1, 10));
  EXPECT_EQ(net.events.size(), 4u);
  net.expect_after(milliseconds(40), A(1, 11));
}

TEST(SynCookie, ListenWithoutAFreeTcbTheCookieWaits) {
  Net net{[](stack::Config& c) { always(c), c.max_connections = 1; }};
  net.established_passive();
  Peer other = net.peer;
  other.port = 6000;
  net.in(other, S(0).mss(1460));
  net.expect(other, SA(0, 1).mss(1460));
  net.in(other, A(1, 1));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_no_memory), 1u);
  net.abort();
  net.expect(RA(1, 1));
  net.expect_event(Event::closed, Event::aborted);
  net.in(other, P(1, 1, 10));
  net.expect_event(Event::accepted);
  net.drop_sent();
}

// A cookie answers to where the frame came from; the address is asked for when there is a connection.
TEST(SynCookie, ListenSynFromAnUnknownNeighborIsAnsweredAtOnce) {
  Net net{always};
  net.listen();
  net.answer_arp = false;
  net.peer.ip = ipv4(10, 0, 0, 9);
  net.peer.mac = {{2, 0, 0, 0, 0, 9}};
  size_t asked = net.arp.size();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  EXPECT_EQ(net.arp.size(), asked);
  net.answer_arp = true;
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(10);
  net.expect(P(1, 1, 10));
  EXPECT_GT(net.arp.size(), asked);
}

// Forged addresses on the link: their records take half of the neighbours' places at most, and end when nobody answers.
TEST(SynCookie, ListenStrangersLeavePlacesForNeighbors) {
  Net net;
  net.established_passive();
  net.answer_arp = false;
  Peer forged = net.peer;
  for (uint32_t i = 0; i < 6; ++i) {
    forged.ip = ipv4(10, 0, 0, 100 + i);
    forged.mac = {{2, 0, 0, 0, 0, static_cast<uint8_t>(100 + i)}};
    net.in(forged, S(0).mss(1460));
  }
  EXPECT_EQ(half_open(net), 3u);  // of eight places the fourth is the connection's
  EXPECT_EQ(net.counter(Count::syn_cookies_sent), 3u);
  net.drop_sent();
  net.advance(seconds(4));
  EXPECT_EQ(half_open(net), 0u);
  EXPECT_EQ(net.counter(Count::half_open_expired), 3u);
  net.drop_sent();
}

// RFC9293-MAY-2: a cookie could not lie above the old numbers, so TIME-WAIT stays
TEST(SynCookie, TimeWaitSynWithoutARecordIsDropped) {
  Net net;
  net.time_wait();
  Peer filler = net.peer;
  filler.iss = 1;
  for (uint16_t i = 0; i < 6; ++i) {
    filler.port = static_cast<uint16_t>(6000 + i);
    net.in(filler, S(0).mss(1460));
    net.expect(filler, SA(0, 1).mss(1460));
  }
  net.in(S(1000).mss(1460));
  net.expect_none();
  EXPECT_EQ(net.state(), State::time_wait);
  EXPECT_EQ(net.counter(Count::listen_overflow), 1u);
  filler.port = 6000;
  net.in(filler, R(1));
  net.in(S(1000).mss(1460));
  EXPECT_EQ(net.state(), State::syn_received);
  net.drop_sent();
}

TEST(SynCookie, ListenerThatIsGoneTakesNoCookie) {
  Net net{always};
  net.listen();
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.unlisten();
  net.listen(80);  // another one in its place, with cookies of its own
  Peer other = net.peer;
  other.port = 6000;
  net.in(other, S(0).mss(1460));
  net.expect(other, SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect(R(1));
  EXPECT_EQ(net.counter(Count::syn_cookies_failed), 1u);
}

TEST(SynCookie, ListenSwitchedOffDropsWhatFindsNoRoom) {
  Net net{[](stack::Config& c) { c.tcp.syn_cookies = tcp::SynCookies::off; }};
  net.listen();
  fill(net);
  net.in(S(0).mss(1460));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::listen_overflow), 1u);
  EXPECT_EQ(net.counter(Count::syn_cookies_sent), 0u);
}

// RFC 1122 3.2.1.3: nobody is answered to whom nothing could be sent later
TEST(SynCookie, ListenSynWithoutARouteGetsNone) {
  Net net{[](stack::Config& c) { always(c), c.gateway = {}; }};
  net.listen();
  net.peer.ip = ipv4(192, 0, 2, 1);
  net.in(S(0).mss(1460));
  net.expect_none();
  EXPECT_EQ(net.counter(Count::listen_overflow), 1u);
}

}  // namespace
}  // namespace millrace::conformance
