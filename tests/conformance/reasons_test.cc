// SPDX-License-Identifier: BSD-3-Clause
// Each close, reset, timeout and refusal reaches the application as the event that names it: for each reason, each way
// to it. (RFC9293-MUST-12; a connect's name while it has no answer yet stands at the end.)
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

void expect_closed(Net& net, Event::Reason reason, Where at = Where::here()) {
  std::erase_if(net.events, [](const Event& e) { return e.kind != Event::closed; });
  net.expect_event(Event::closed, reason, at);
  net.expect_no_event(at);
  EXPECT_EQ(net.state(), reason == Event::finished ? net.state() : State::closed) << at.file << ":" << at.line;
}

// --- finished ---

TEST(Finished, WeClosedFirst) {
  Net net;
  net.fin_wait_2();
  net.in(F(1, 2));
  net.expect(A(2, 2));
  expect_closed(net, Event::finished);
}

TEST(Finished, BothClosedAtOnce) {
  Net net;
  net.closing();
  net.in(A(2, 2));
  expect_closed(net, Event::finished);
}

TEST(Finished, ThePeersFinBroughtTheAckOfOurs) {
  Net net;
  net.fin_wait_1();
  net.in(F(1, 2));
  net.expect(A(2, 2));
  expect_closed(net, Event::finished);
}

TEST(Finished, ThePeerClosedFirst) {
  Net net;
  net.last_ack();
  net.in(A(2, 2));
  expect_closed(net, Event::finished);
}

// --- reset: the peer's RST, in each state that has a connection ---

struct ResetIn : testing::TestWithParam<State> {};

TEST_P(ResetIn, IsTold) {
  Net net;
  net.enter(GetParam());
  net.drop_sent();
  uint32_t seq = tcp::in(GetParam(), tcp::set_of(State::close_wait, State::closing, State::last_ack)) ? 2 : 1;
  net.in(R(seq));
  expect_closed(net, Event::reset);
}

INSTANTIATE_TEST_SUITE_P(Reasons, ResetIn,
                         testing::Values(State::established, State::fin_wait_1, State::fin_wait_2, State::close_wait,
                                         State::closing, State::last_ack));

// RFC9293-SHLD-3: text that comes after CLOSE is answered with RST, and that is the end here
TEST(Reset, TextAfterClose) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  net.in(A(1, 2));
  net.in(P(1, 2, 10));
  net.drop_sent();
  expect_closed(net, Event::reset);
}

// --- refused ---

TEST(Refused, InSynSent) {
  Net net;
  net.syn_sent();
  net.in(RA(0, 1));
  expect_closed(net, Event::refused);
}

TEST(Refused, AfterASimultaneousOpen) {
  Net net;
  net.syn_received_simultaneous();
  net.in(R(1));
  expect_closed(net, Event::refused);
}

// --- timed out ---

TEST(TimedOut, NobodyAnswersTheSyn) {
  Net net{[](stack::Config& c) { c.tcp.syn_retries = 2; }};
  net.syn_sent();
  net.advance(seconds(8));
  net.drop_sent();
  expect_closed(net, Event::timed_out);
}

TEST(TimedOut, NobodyAnswersTheSynAckOfASimultaneousOpen) {
  Net net{[](stack::Config& c) { c.tcp.syn_retries = 2; }};
  net.syn_received_simultaneous();
  net.advance(seconds(16));
  net.drop_sent();
  expect_closed(net, Event::timed_out);
}

struct TimedOutIn : testing::TestWithParam<State> {};

// Text or FIN that nobody acknowledges until R2
TEST_P(TimedOutIn, AtR2) {
  Net net{[](stack::Config& c) { c.tcp.r2 = seconds(10); }};
  net.enter(GetParam());
  if (tcp::in(GetParam(), tcp::sending)) net.send(100);
  net.advance(seconds(11));
  net.drop_sent();
  expect_closed(net, Event::timed_out);
}

INSTANTIATE_TEST_SUITE_P(Reasons, TimedOutIn,
                         testing::Values(State::established, State::close_wait, State::fin_wait_1, State::closing,
                                         State::last_ack));

TEST(TimedOut, ProbesOfAClosedWindow) {
  Net net{[](stack::Config& c) { c.tcp.r2 = seconds(10); }};
  net.established_passive();
  net.in(A(1, 1).win(0));
  net.send(100);
  net.advance(seconds(11));
  net.drop_sent();
  expect_closed(net, Event::timed_out);
}

TEST(TimedOut, KeepAlive) {
  Net net{[](stack::Config& c) {
    c.tcp.keepalive_interval = seconds(1);
    c.tcp.keepalive_probes = 2;
  }};
  net.established_passive();
  net.set(Setting::keepalive, 10);
  net.advance(seconds(13));
  net.drop_sent();
  expect_closed(net, Event::timed_out);
}

TEST(TimedOut, ThePeerOfAnOrphanSendsNoFin) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  net.in(A(1, 2));
  net.silent_for(seconds(61));
  expect_closed(net, Event::timed_out);
}

TEST(TimedOut, ThePeerOfAnOrphanKeepsItsWindowShut) {
  Net net{[](stack::Config& c) { c.tcp.orphan_timeout = seconds(5); }};
  net.established_passive();
  net.in(A(1, 1).win(0));
  net.send(100);
  net.close();
  for (int i = 0; i < 60; ++i) {
    net.advance(milliseconds(100));
    if (net.sent.empty() || net.state() == State::closed) continue;
    net.drop_sent();
    net.in(A(1, 1).win(0));
  }
  net.drop_sent();
  expect_closed(net, Event::timed_out);
}

// --- unreachable ---

TEST(Unreachable, NobodyAnswersArp) {
  Net net;
  net.peer.ip = ipv4(10, 0, 0, 9);
  net.peer.port = 80;
  net.answer_arp = false;
  net.connect();
  net.advance(seconds(4));
  expect_closed(net, Event::unreachable);
}

// --- aborted ---

struct AbortedIn : testing::TestWithParam<State> {};

TEST_P(AbortedIn, ByAbort) {
  Net net;
  net.enter(GetParam());
  net.drop_sent();
  net.abort();
  net.drop_sent();
  expect_closed(net, Event::aborted);
}

INSTANTIATE_TEST_SUITE_P(Reasons, AbortedIn,
                         testing::Values(State::established, State::fin_wait_1, State::fin_wait_2, State::close_wait,
                                         State::closing, State::last_ack));

// RFC9293-MAY-1
TEST(Aborted, ByCloseWithUnreadText) {
  Net net{{}, 2};
  net.established_passive();
  net.reads = false;
  for (uint32_t at = 1; at <= 31; at += 10) net.in(P(at, 1, 10));  // more than the ring holds
  net.drop_sent();
  net.close();
  net.drop_sent();
  net.read_on();
  expect_closed(net, Event::aborted);
}

TEST(Aborted, ByCloseAfterARefusedSend) {
  Net net;
  net.listen(80, {.send_limit = 100});
  net.established_passive();
  net.send(100);
  net.call(net.send_request("more"));
  net.expect_event(Event::failed, Event::full);
  net.close();
  net.drop_sent();
  expect_closed(net, Event::aborted);
}

TEST(Aborted, AtTheEndOfTheEndpoint) {
  Net net;
  net.established_passive();
  stack::close_all(*net.stack);
  net.advance(nanoseconds(1));
  net.expect(F(1, 1));
  std::vector<PacketRef> release(stack::release_capacity(net.config));
  stack::Output out;
  out.release = Batch<PacketRef>{release};
  EXPECT_FALSE(stack::abort_some(*net.stack, 100, out));
  net.advance(nanoseconds(1));
  net.drop_sent();
  expect_closed(net, Event::aborted);
}

// --- requests that cannot be ---

void expect_failed(Net& net, Event::Reason reason, Where at = Where::here()) {
  net.expect_event(Event::failed, reason, at);
  net.expect_no_event(at);
}

TEST(Failed, ClosingAfterShutdown) {
  Net net;
  net.fin_wait_1();
  net.call(net.send_request("late"));
  expect_failed(net, Event::closing);
  net.shutdown();
  expect_failed(net, Event::closing);
}

TEST(Failed, ClosingAfterClose) {
  Net net;
  net.established_passive();
  net.close();
  net.expect(F(1, 1));
  net.call(net.send_request("late"));
  expect_failed(net, Event::closing);
}

TEST(Failed, ClosingWhileTheEndpointEnds) {
  Net net;
  stack::close_all(*net.stack);
  net.connect();
  expect_failed(net, Event::closing);
  net.call([] {
    Request r;
    r.kind = Request::listen;
    r.open = OpenArguments{};
    r.open.local_port = 80;
    return r;
  }());
  expect_failed(net, Event::closing);
}

TEST(Failed, NoMemoryForOneMoreListener) {
  Net net{[](stack::Config& c) { c.max_listeners = 1; }};
  net.listen(80);
  Request r;
  r.kind = Request::listen;
  r.open = OpenArguments{};
  r.open.local_port = 81;
  net.call(r);
  expect_failed(net, Event::no_memory);
}

// --- a connect that has no answer yet ---

struct Opening : testing::Test {
  Opening() {
    net.peer.port = 80;
    Options options = Net::newreno;
    options.report_opening = 1;
    net.connect(options);
    net.id = net.expect_event(Event::opening).connection;
    net.drop_sent();
  }
  Net net;
};

TEST_F(Opening, HasTheNameThatItKeeps) {
  ConnectionId name = net.id;
  EXPECT_EQ(net.state(), State::syn_sent);
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  EXPECT_EQ(net.expect_event(Event::connected).connection, name);
}

TEST_F(Opening, CloseEndsItWithoutASegment) {
  net.close();
  net.expect_none();
  expect_closed(net, Event::aborted);
  net.in(SA(0, 1).mss(1460));  // the answer comes too late
  net.expect(R(1));
}

TEST_F(Opening, AbortEndsItWithoutASegment) {
  net.abort();
  net.expect_none();
  expect_closed(net, Event::aborted);
}

TEST_F(Opening, CloseAfterASimultaneousOpenSendsFin) {
  net.in(S(0).mss(1460));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::syn_received);
  net.close();
  net.in(A(1, 1));
  net.expect(F(1, 1));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.state(), State::fin_wait_1);
}

TEST_F(Opening, AbortAfterASimultaneousOpenSendsRst) {
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.abort();
  net.expect(RA(1, 1).win(0));
  expect_closed(net, Event::aborted);
}

TEST_F(Opening, TakesSettings) {
  net.set(Setting::token, 5);
  net.set(Setting::dscp, 10);
  net.advance(milliseconds(1001));
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].tos, 10 << 2);  // the SYN that is sent again
  net.drop_sent();
  EXPECT_EQ(net.state(), State::syn_sent);
  net.set(Setting::user_timeout_s, 2);
  net.advance(seconds(3));
  net.drop_sent();
  EXPECT_EQ(net.expect_event(Event::closed, Event::timed_out).token, 5u);
}

// RFC 9293 3.10.2: SEND in SYN-SENT queues the text
TEST_F(Opening, TextAndShutdownWaitForTheAnswer) {
  net.send(10);
  net.shutdown();
  net.expect_none();
  net.in(SA(0, 1).mss(1460));
  net.expect(PF(1, 1, 10));
  net.expect_event(Event::connected);
  EXPECT_EQ(net.state(), State::fin_wait_1);
}

TEST(OpeningUntold, IsSkippedIfTheAnswerWasFaster) {
  Net net{{}, 2};
  net.listen();
  net.reads = false;
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.in(A(1, 1));
  for (uint32_t at : {1, 11, 21}) net.in(P(at, 1, 10));  // the ring is full
  net.peer.port = 80;
  Options options = Net::newreno;
  options.report_opening = 1;
  net.connect(options);
  net.drop_sent();
  net.in(SA(0, 1).mss(1460));
  net.drop_sent();
  net.read_on();
  auto told = [&](Event::Kind kind) {
    return std::count_if(net.events.begin(), net.events.end(), [=](const Event& e) { return e.kind == kind; });
  };
  EXPECT_EQ(told(Event::opening), 0);
  EXPECT_EQ(told(Event::connected), 1);
}

TEST(OpeningNotAsked, IsNotTold) {
  Net net;
  net.syn_sent();
  net.expect_no_event();
}

}  // namespace
}  // namespace millrace::conformance
