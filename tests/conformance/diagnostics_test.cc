// SPDX-License-Identifier: BSD-3-Clause
// What is told of a connection: each field is moved by something that happens, and has the value that it should.
#include "stack/diagnostics.h"

#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

Diagnostics told(Net& net) {
  Diagnostics d;
  EXPECT_TRUE(stack::diagnostics(*net.stack, net.id, net.now, d));
  return d;
}

// SACK, timestamps and scaled windows, a round trip of 100 ms.
struct Told : testing::Test {
  static void large_buffer(stack::Config& c) {
    c.tcp.receive_buffer = 256 * 1024;
    c.tcp.receive_buffer_max = 65535u << 11;
  }
  explicit Told(const Options& listen = Net::newreno) : net(large_buffer) {
    net.peer.sack = net.peer.ts = true;
    net.peer.wscale = 4;
    net.listen(80, listen);
    net.in(net.offer(S(0)));
    net.drop_sent();
    net.advance(milliseconds(100));
    opened = net.now;
    net.in(A(1, 1).win(60000));
    net.expect_event(Event::accepted);
    net.drop_sent();
  }
  Diagnostics d() { return told(net); }
  uint32_t mss() { return net.tcb().mss; }
  uint32_t at(uint32_t segment) { return 1 + segment * mss(); }
  void send_segments(uint32_t n) {
    net.send(n * mss());
    net.drop_sent();
  }
  Seg ack(uint32_t segments) { return A(1, at(segments)).win(60000); }
  Net net;
  Instant opened;
};

TEST_F(Told, WhoseItIsAndWhatWasAgreed) {
  net.set(Setting::token, 77);
  Diagnostics t = d();
  EXPECT_EQ(t.connection, net.id);
  EXPECT_EQ(t.token, 77u);
  EXPECT_EQ(t.local, IpAddress{Net::own});
  EXPECT_EQ(t.remote, IpAddress{net.peer.ip});
  EXPECT_EQ(t.local_port, 80);
  EXPECT_EQ(t.remote_port, net.peer.port);
  EXPECT_EQ(t.state, State::established);
  EXPECT_FALSE(t.active);
  EXPECT_FALSE(t.orphan);
  EXPECT_EQ(t.established, opened);
  EXPECT_TRUE(t.timestamps && t.sack && t.window_scaling);
  EXPECT_FALSE(t.ecn);
  EXPECT_EQ(t.send_wscale, 4);
  EXPECT_EQ(t.receive_wscale, 11);
  EXPECT_EQ(t.send_mss, 1448);
  EXPECT_EQ(t.peer_mss, 1460);
  EXPECT_EQ(t.receive_mss, 1460);
  EXPECT_EQ(t.path_mtu, 1500);
  EXPECT_EQ(t.send_window, 60000u << 4);
  EXPECT_EQ(t.congestion, Congestion::newreno);
  net.close();
  net.drop_sent();
  EXPECT_TRUE(d().orphan);
  EXPECT_EQ(d().state, State::fin_wait_1);
}

TEST(ToldWithout, OptionsThatWereNotAgreed) {
  Net net;
  net.established_passive();
  Diagnostics t = told(net);
  EXPECT_FALSE(t.timestamps || t.sack || t.window_scaling || t.ecn);
  EXPECT_EQ(t.send_wscale, 0);
  EXPECT_EQ(t.receive_wscale, 0);
  EXPECT_EQ(t.send_mss, 1460);
}

TEST_F(Told, RoundTripTimesAndTheirTimeout) {
  Diagnostics t = d();
  EXPECT_EQ(t.srtt, milliseconds(100));
  EXPECT_EQ(t.rttvar, milliseconds(50));
  EXPECT_EQ(t.rto, milliseconds(300));
  EXPECT_EQ(t.min_rtt, milliseconds(100));
  EXPECT_EQ(t.backoff, 0);
  send_segments(1);
  net.advance(milliseconds(60));
  net.in(ack(1));
  EXPECT_EQ(d().min_rtt, milliseconds(60));
  EXPECT_EQ(d().srtt, milliseconds(95));
}

TEST_F(Told, WhatIsInFlightAcknowledgedAndQueued) {
  EXPECT_EQ(d().cwnd, 10u * mss());
  EXPECT_TRUE(d().slow_start);
  send_segments(12);
  Diagnostics t = d();
  EXPECT_EQ(t.in_flight, 10u * mss());
  EXPECT_EQ(t.unsent, 2u * mss());
  EXPECT_EQ(t.bytes_sent, 10u * mss());
  EXPECT_EQ(t.bytes_acked, 0u);
  EXPECT_EQ(t.segments_out, 11u - 1);  // the SYN,ACK was the record's
  EXPECT_EQ(t.text_segments_out, 10u);
  EXPECT_EQ(t.text_sent, net.now);
  EXPECT_EQ(t.limit, Limit::congestion);
  net.advance(milliseconds(100));
  net.in(ack(4));
  net.drop_sent();
  t = d();
  EXPECT_EQ(t.bytes_acked, 4u * mss());
  EXPECT_EQ(t.delivered, 4u * mss());
  EXPECT_EQ(t.in_flight, 8u * mss());
  EXPECT_EQ(t.unsent, 0u);
  EXPECT_EQ(t.limit, Limit::application);
  EXPECT_EQ(t.ack_received, net.now);
  EXPECT_EQ(t.segments_in, 2u);
  EXPECT_EQ(t.text_segments_in, 0u);
}

TEST_F(Told, SackedLostAndSentAgain) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(ack(0).sack(at(4), at(6)));
  Diagnostics t = d();
  EXPECT_EQ(t.phase, Phase::disorder);
  EXPECT_EQ(t.sacked, 2u * mss());
  EXPECT_EQ(t.delivered, 2u * mss());
  EXPECT_EQ(t.timer, Timer::reorder);
  net.in(ack(0).sack(at(4), at(8)));  // more than three segments above the hole
  net.drop_sent();
  t = d();
  EXPECT_EQ(t.phase, Phase::recovery);
  EXPECT_EQ(t.recoveries, 1);
  EXPECT_EQ(t.sacked, 4u * mss());
  EXPECT_EQ(t.lost + t.resent, 4u * mss());
  EXPECT_GE(t.resent, mss());
  EXPECT_EQ(t.resent_segments, t.resent / mss());
  EXPECT_EQ(t.resent_bytes, t.resent);
  EXPECT_LT(t.ssthresh, 10u * mss());
  EXPECT_FALSE(t.slow_start);
  net.advance(milliseconds(50));
  net.in(ack(10));
  net.drop_sent();
  EXPECT_EQ(d().phase, Phase::open);
}

TEST_F(Told, ATailLossProbeThenATimeout) {
  send_segments(1);
  EXPECT_EQ(d().timer, Timer::probe);
  EXPECT_EQ(d().timer_at, net.now + milliseconds(300));
  net.advance(milliseconds(301));
  net.drop_sent();
  Diagnostics t = d();
  EXPECT_EQ(t.tail_loss_probes, 1);
  EXPECT_EQ(t.timer, Timer::retransmit);
  EXPECT_EQ(t.resent, mss());
  net.advance(milliseconds(301));
  net.drop_sent();
  t = d();
  EXPECT_EQ(t.timeouts, 1);
  EXPECT_EQ(t.timeouts_in_a_row, 1);
  EXPECT_EQ(t.backoff, 1);
  EXPECT_EQ(t.phase, Phase::loss);
  EXPECT_EQ(t.cwnd, mss());
  EXPECT_EQ(t.resent_segments, 2u);
}

TEST_F(Told, ADsackUndoesAMistake) {
  send_segments(1);
  net.advance(milliseconds(301));  // the probe
  net.drop_sent();
  net.advance(milliseconds(301));  // the timeout
  net.drop_sent();
  net.in(ack(1).sack(at(0), at(1)));
  EXPECT_EQ(d().dsacks, 1u);
  EXPECT_EQ(d().undone, 1);
  EXPECT_EQ(d().cwnd, 10u * mss());
}

TEST_F(Told, ReorderingIsSeen) {
  send_segments(3);
  net.advance(milliseconds(100));
  net.in(ack(0).sack(at(1), at(2)));
  EXPECT_FALSE(d().reordering);
  net.in(ack(2));
  net.drop_sent();
  EXPECT_TRUE(d().reordering);
  EXPECT_EQ(d().reordering_steps, 1);
}

TEST_F(Told, WhatArrives) {
  net.keep = true;
  net.in(P(1, 1, 1000));
  Diagnostics t = d();
  EXPECT_EQ(t.bytes_received, 1000u);
  EXPECT_EQ(t.unread, 1000u);
  EXPECT_EQ(t.segments_in, 2u);
  EXPECT_EQ(t.text_segments_in, 1u);
  EXPECT_EQ(t.text_received, net.now);
  EXPECT_EQ(t.delayed_ack_at, net.now + milliseconds(40));
  EXPECT_EQ(t.delayed_ack, milliseconds(40));
  EXPECT_EQ(t.receive_buffer, 256u * 1024);
  net.in(P(2001, 1, 500));
  net.drop_sent();
  t = d();
  EXPECT_EQ(t.bytes_received, 1000u);
  EXPECT_EQ(t.out_of_order, 1u);
  EXPECT_EQ(t.out_of_order_total, 1u);
  uint32_t edge = t.receive_window;
  net.in(P(1001, 1, 1000));
  net.drop_sent();
  t = d();
  EXPECT_EQ(t.bytes_received, 2500u);
  EXPECT_EQ(t.out_of_order, 0u);
  EXPECT_EQ(t.out_of_order_total, 1u);
  EXPECT_EQ(t.unread, 2500u);
  EXPECT_EQ(t.receive_window, edge - 1500);  // the edge stays
  net.in(F(2501, 1));
  net.drop_sent();
  EXPECT_EQ(d().bytes_received, 2501u);  // a FIN counts
  EXPECT_EQ(d().state, State::close_wait);
}

// 3 s of a closed window are 3 s limited by the receiver.
TEST_F(Told, TimeLimitedByTheReceiver) {
  net.in(A(1, 1).win(0));
  net.send(100);
  Instant begun = net.now;
  EXPECT_EQ(d().limit, Limit::receiver);
  EXPECT_EQ(d().timer, Timer::persist);
  while (net.now < begun + seconds(3)) {
    net.advance(milliseconds(100));
    net.drop_sent();
  }
  EXPECT_EQ(d().limited_by_receiver, seconds(3));
  net.in(A(1, 1).win(60000));
  net.drop_sent();
  EXPECT_EQ(d().limit, Limit::application);
  net.advance(milliseconds(100));
  net.in(A(1, 101).win(60000));
  EXPECT_EQ(d().limit, Limit::idle);
  net.advance(seconds(10));
  Diagnostics t = d();
  EXPECT_EQ(t.limited_by_receiver, seconds(3));
  EXPECT_EQ(t.limited_by_congestion, Duration{});
  EXPECT_EQ(t.busy, milliseconds(3100));
}

TEST_F(Told, TimeLimitedByCongestion) {
  send_segments(12);
  net.advance(milliseconds(100));
  net.in(ack(10));  // the rest leaves
  net.drop_sent();
  net.advance(milliseconds(100));
  net.in(ack(12));
  Diagnostics t = d();
  EXPECT_EQ(t.limited_by_congestion, milliseconds(100));
  EXPECT_EQ(t.limited_by_receiver, Duration{});
  EXPECT_EQ(t.busy, milliseconds(200));
  EXPECT_EQ(t.limit, Limit::idle);
}

struct ToldSendBuffer : Told {
  ToldSendBuffer() : Told({.no_delay = 1, .congestion = Congestion::newreno, .send_limit = 2000}) {}
};

TEST_F(ToldSendBuffer, TimeLimitedByTheSendBuffer) {
  net.send(2000);
  net.drop_sent();
  net.advance(milliseconds(10));
  EXPECT_EQ(d().limit, Limit::application);
  net.call(net.send_request("more"));
  net.expect_event(Event::failed, Event::full);
  EXPECT_EQ(d().send_limit, 2000u);
  EXPECT_EQ(d().limit, Limit::send_buffer);
  net.advance(milliseconds(70));
  net.in(A(1, 2001).win(60000));
  net.expect_event(Event::writable);
  EXPECT_EQ(d().limited_by_send_buffer, milliseconds(70));
  EXPECT_EQ(d().busy, milliseconds(80));
  EXPECT_EQ(d().limit, Limit::idle);
}

// draft-cheng-iccrg-delivery-rate-estimation: what arrived in a round trip
TEST_F(Told, TheDeliveryRateOfARoundTrip) {
  EXPECT_EQ(d().rate_bytes, 0u);
  net.send(40 * mss());
  net.drop_sent();
  net.advance(milliseconds(100));
  net.in(ack(5));  // the first round begins: 5 in flight, and 10 more leave
  net.drop_sent();
  net.advance(milliseconds(50));
  net.in(ack(10));  // what was in flight then has arrived
  net.drop_sent();
  Diagnostics t = d();
  EXPECT_EQ(t.rate_bytes, 5u * mss());
  EXPECT_EQ(t.rate_interval, milliseconds(50));
  EXPECT_FALSE(t.rate_app_limited);
}

// A pause is no slow delivery.
TEST_F(Told, ADeliveryRateIsNotOfAPause) {
  net.send(11 * mss());
  net.drop_sent();
  net.advance(milliseconds(100));
  net.in(ack(5));  // a round begins
  net.drop_sent();
  net.in(ack(10));
  net.in(ack(11));  // ... and the next one ends with a single segment
  net.advance(seconds(10));
  send_segments(5);
  net.advance(milliseconds(100));
  net.in(ack(14));
  EXPECT_LT(d().rate_interval, seconds(1));
}

TEST_F(Told, ADeliveryRateForWantOfText) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(ack(5));
  net.advance(milliseconds(50));
  net.in(ack(10));
  Diagnostics t = d();
  EXPECT_EQ(t.rate_bytes, 5u * mss());
  EXPECT_TRUE(t.rate_app_limited);
}

// RFC 3168: what came with ECE
TEST(ToldEcnMarks, DeliveredWithEce) {
  Net net;
  net.peer.mss = 1460;
  net.listen();
  Seg syn = S(0).mss(1460);
  net.in(syn.ece().cwr());
  net.drop_sent();
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  EXPECT_TRUE(told(net).ecn);
  net.send(1460);
  net.drop_sent();
  net.in(A(1, 1461).ece());
  EXPECT_EQ(told(net).delivered_ce, 1460u);
  EXPECT_EQ(told(net).phase, Phase::open);  // nothing was in flight any more
}

TEST(ToldKeepAlive, ItsTimerAndProbes) {
  Net net;
  net.established_passive();
  EXPECT_FALSE(told(net).keepalive);
  net.set(Setting::keepalive, 60);
  EXPECT_TRUE(told(net).keepalive);
  EXPECT_EQ(told(net).keepalive_at, net.now + seconds(60));
  net.expect_after(seconds(60), A(0, 1));
  EXPECT_EQ(told(net).keepalive_probes, 1);
  net.in(A(1, 1));
  EXPECT_EQ(told(net).keepalive_probes, 0);
}

TEST(ToldFinWait2, TheEndOfAnOrphan) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  EXPECT_EQ(told(net).life_at, Instant::never());
  net.in(A(1, 2));
  EXPECT_EQ(told(net).life_at, net.now + seconds(60));
}

TEST(ToldStale, IsNobody) {
  Net net;
  net.established_passive();
  net.in(R(1));
  net.expect_event(Event::closed, Event::reset);
  Diagnostics d;
  EXPECT_FALSE(stack::diagnostics(*net.stack, net.id, net.now, d));
}

TEST(ToldListener, WhatHasComeToIt) {
  Net net;
  net.listen(80, {}, 5);
  ListenerDiagnostics l;
  std::vector<uint32_t> found;
  for (uint32_t i = 0; i < stack::listener_places(*net.stack); ++i)
    if (stack::diagnostics(*net.stack, i, l)) found.push_back(i);
  ASSERT_EQ(found.size(), 1u);
  net.in(S(0).mss(1460));
  net.drop_sent();
  ASSERT_TRUE(stack::diagnostics(*net.stack, found[0], l));
  EXPECT_EQ(l.port, 80);
  EXPECT_TRUE(l.address.is_unspecified());
  EXPECT_EQ(l.backlog, 5u);
  EXPECT_EQ(l.half_open, 1u);
  EXPECT_EQ(l.accepted, 0u);
  net.reads = false;
  net.in(A(1, 1));
  ASSERT_TRUE(stack::diagnostics(*net.stack, found[0], l));
  EXPECT_EQ(l.half_open, 0u);
  EXPECT_EQ(l.accepted, 1u);
  net.read_on();
  net.expect_event(Event::accepted);
  net.unlisten();
  EXPECT_FALSE(stack::diagnostics(*net.stack, found[0], l));
}

// The question of an application on a thread of its own: its buffer comes back with the answer
TEST(ToldByEvent, TheAnswerLiesInTheBufferOfTheQuestion) {
  Net net;
  net.established_passive();
  net.set(Setting::token, 9);
  Diagnostics answer;
  net.on_event = [&](const Event& e) {
    if (e.kind == Event::diagnosed) answer = e.diagnostics();
  };
  Request r = net.send_request(std::string(1400, ' '));
  r.kind = Request::diagnose;
  net.call(r);
  Event e = net.expect_event(Event::diagnosed);
  EXPECT_EQ(e.connection, net.id);
  EXPECT_EQ(e.token, 9u);
  EXPECT_EQ(answer.connection, net.id);
  EXPECT_EQ(answer.state, State::established);
  EXPECT_EQ(answer.remote_port, net.peer.port);
  r = net.send_request("too small");
  r.kind = Request::diagnose;
  net.call(r);
  net.expect_event(Event::failed, Event::invalid);
  net.in(R(1));
  net.expect_event(Event::closed, Event::reset);
  r = net.send_request(std::string(1400, ' '));
  r.kind = Request::diagnose;
  net.call(r);
  net.expect_event(Event::failed, Event::stale);
}

TEST(ToldNames, AreTheRfcsOrTheEnums) {
  EXPECT_STREQ(name(State::fin_wait_1), "FIN-WAIT-1");
  EXPECT_STREQ(name(Phase::recovery), "recovery");
  EXPECT_STREQ(name(Timer::persist), "persist");
  EXPECT_STREQ(name(Limit::send_buffer), "send buffer");
  EXPECT_STREQ(name(Congestion::dctcp), "dctcp");
}

}  // namespace
}  // namespace millrace::conformance
