// SPDX-License-Identifier: BSD-3-Clause
// The application's side: events are never lost, in order, and end with `closed`; requests that cannot be.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

// rings of two, an application that answers each event before it reads the next
TEST(Events, ARingOfTwoDoesNotDeadlock) {
  Net net{{}, 2};
  net.on_event = [&](const Event& e) {
    if (e.kind == Event::received)
      net.queue(net.send_request(std::string(reinterpret_cast<const char*>(e.data()), e.length)));
    if (e.kind == Event::peer_closed) net.queue(net.on_connection(Request::close));
  };
  net.established_passive();
  net.set(Setting::no_delay, 1);
  std::vector<Bytes> burst;
  for (uint32_t i = 0; i < 20; ++i) burst.push_back(net.frame(net.peer, P(1 + i * 10, 1, 10)));
  burst.push_back(net.frame(net.peer, F(201, 1)));
  net.frames(burst);
  EXPECT_EQ(net.received, stream(1, 200));
  net.expect_event(Event::peer_closed);
  std::string echoed;
  for (const Sent& s : net.sent) echoed += *s.seg.bytes;
  EXPECT_EQ(echoed, stream(1, 200));
  net.drop_sent();
  net.in(A(202, 202));
  net.expect_event(Event::closed, Event::finished);
}

// in order, and nothing after closed
TEST(Events, AreInOrderAndEndWithClosed) {
  Net net{{}, 2};
  net.listen();
  net.reads = false;
  std::vector<Event::Kind> order;
  net.on_event = [&](const Event& e) { order.push_back(e.kind); };
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.in(A(1, 1));
  for (uint32_t at : {1, 11, 21}) net.in(P(at, 1, 10));
  net.in(F(31, 1));
  net.drop_sent();
  net.in(R(32));
  net.in(P(32, 1, 10));
  net.drop_sent();
  net.read_on();
  ASSERT_GE(order.size(), 3u);
  EXPECT_EQ(order[0], Event::accepted);
  EXPECT_EQ(order.back(), Event::closed);
  EXPECT_EQ(std::count(order.begin(), order.end(), Event::closed), 1);
  EXPECT_EQ(net.events.back().reason, Event::reset);
}

// RFC9293-MUST-12: after a normal end all text is told before it
TEST(Events, TextOfAFinishedConnectionIsTold) {
  Net net{{}, 2};
  net.established_passive();
  net.shutdown();
  net.expect(F(1, 1));
  net.in(A(1, 2));
  net.reads = false;
  for (uint32_t at : {1, 11, 21, 31}) net.in(P(at, 2, 10));
  net.in(F(41, 2));
  net.drop_sent();
  EXPECT_EQ(net.state(), State::time_wait);
  net.read_on();
  EXPECT_EQ(net.received, stream(1, 40));
  net.expect_event(Event::peer_closed);
  net.expect_event(Event::closed, Event::finished);
}

// a handle of a connection that is gone
TEST(Requests, AStaleHandleFails) {
  Net net;
  net.established_passive();
  net.in(R(1));
  net.expect_event(Event::closed, Event::reset);
  net.call(net.send_request("late"));
  net.expect_event(Event::failed, Event::stale);
  net.set(Setting::no_delay, 1);
  net.expect_event(Event::failed, Event::stale);
  net.shutdown();
  net.expect_event(Event::failed, Event::stale);
  net.close();
  net.abort();
  net.expect_no_event();
}

// never somebody else's connection
TEST(Requests, AStaleHandleDoesNotReachTheSlotsNextOwner) {
  Net net;
  net.established_passive();
  ConnectionId old = net.id;
  net.in(R(1));
  net.expect_event(Event::closed, Event::reset);
  net.peer.port = 5001;
  net.established_passive();
  EXPECT_EQ(net.id.slot(), old.slot());
  EXPECT_NE(net.id.generation(), old.generation());
  ConnectionId current = std::exchange(net.id, old);
  net.call(net.send_request("late"));
  net.expect_event(Event::failed, Event::stale);
  net.abort();
  net.expect_none();
  EXPECT_EQ(net.state(), State::established);
  net.id = current;
}

// beyond the send limit full, until writable
TEST(Requests, BeyondTheSendLimitFullThenWritable) {
  Net net;
  net.listen(80, {.send_limit = 1000});
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(1000);
  net.expect(P(1, 1, 1000));
  net.call(net.send_request("too much"));
  net.expect_event(Event::failed, Event::full);
  net.call(net.send_request("x"));  // would overtake
  net.expect_event(Event::failed, Event::full);
  net.shutdown();
  net.expect_event(Event::failed, Event::full);
  net.in(A(1, 401));
  net.expect_no_event();
  net.in(A(1, 501));
  net.expect_event(Event::writable);
  net.send(500);
  net.in(A(1, 1001));
  net.expect(P(1001, 1, 500));
}

// kept buffers of a connection that is gone
TEST(Requests, RecycleIsValidAfterClosed) {
  Net net;
  net.established_passive();
  net.keep = true;
  net.in(P(1, 1, 1000));
  net.in(R(1001));
  net.expect_event(Event::closed, Event::reset);
  net.peer.port = 5001;
  net.established_passive();  // has the slot now
  net.in(P(1, 1, 100));
  net.recycle_all();  // the first buffer charges nobody any more
  net.expect_after(milliseconds(40), A(1, 101).win(65535));
  net.expect_no_event();
}

// received text may be sent on: the window it was charged to is free when it is acknowledged
TEST(Requests, AReceivedBufferMayBeSentOn) {
  Net net;
  net.established_passive();
  net.keep = true;
  net.in(P(1, 1, 1000));
  Request r = net.on_connection(Request::send);
  r.slice_count = 1;
  r.slices[0] = net.kept[0];
  net.kept.clear();
  net.call(r);
  net.expect(P(1, 1001, 1000).win(64535));
  net.in(P(1001, 1001, 10));
  net.expect_after(milliseconds(40), A(1001, 1011).win(65525));
}

// what a window has let in may always be sent on: that window is its limit, not the send limit
TEST(Requests, SendingReceivedTextOnIsNeverBeyondTheSendLimit) {
  Net net;
  net.listen(80, {.send_limit = 1500});
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.keep = true;
  for (uint32_t at = 1; at <= 3001; at += 1000) net.in(P(at, 1, 1000));
  net.drop_sent();
  for (const Slice& slice : net.kept) {
    Request r = net.on_connection(Request::send);
    r.slice_count = 1;
    r.slices[0] = slice;
    net.queue(r);
  }
  net.kept.clear();
  net.advance(milliseconds(1));
  net.expect_no_event();
  net.expect(A(1, 4001, 1460));
  net.drop_sent();
}

// RFC 9293 3.9.1: what was acknowledged is told where asked for
TEST(Events, SentTellsWhatWasAcknowledged) {
  Net net;
  net.established_passive();
  net.set(Setting::report_sent, 1);
  net.send(1000);
  net.expect(P(1, 1, 1000));
  net.in(A(1, 301));
  EXPECT_EQ(net.expect_event(Event::sent).length, 300u);
  net.shutdown();
  net.expect(F(1001, 1));
  net.in(A(1, 1002));
  EXPECT_EQ(net.expect_event(Event::sent).length, 700u);  // the FIN is no text
}

// RFC 9293 3.9.1: the last of it, too, when the same ACK ends the connection
TEST(Events, SentIsToldBeforeClosed) {
  Net net;
  net.close_wait();
  net.set(Setting::report_sent, 1);
  net.send(1000);
  net.shutdown();
  net.drop_sent();
  net.in(A(2, 1002));
  EXPECT_EQ(net.expect_event(Event::sent).length, 1000u);
  net.expect_event(Event::closed, Event::finished);
}

// 64 bits of the application's own
TEST(Events, CarryTheToken) {
  Net net;
  net.established_passive();
  net.set(Setting::token, 0xabcdef0123456789);
  net.in(R(1));
  EXPECT_EQ(net.expect_event(Event::closed, Event::reset).token, 0xabcdef0123456789u);
}

// RFC9293-MUST-48, RFC9293-SHLD-21
TEST(Requests, TheDscpMayChange) {
  Net net;
  net.established_passive();
  net.send(10);
  net.set(Setting::dscp, 10);
  net.in(A(1, 11));
  net.send(10);
  ASSERT_EQ(net.sent.size(), 2u);
  EXPECT_EQ(net.sent[0].tos, 0);
  EXPECT_EQ(net.sent[1].tos, 10 << 2);
  net.drop_sent();
  net.set(Setting::dscp, 64);
  net.expect_event(Event::failed, Event::invalid);
}

// without room nothing is lost
TEST(Room, ShortageIsNeverLoss) {
  Net net;
  net.established_passive();
  net.room = 1;
  net.send(7300);
  for (uint32_t at = 1; at < 5841; at += 1460) net.expect(A(at, 1, 1460));
  net.expect(P(5841, 1, 1460));
}

// orderly shutdown of the endpoint: FIN to all, then RST to the rest
TEST(Shutdown, FinToAllThenRst) {
  Net net;
  net.established_passive();
  stack::close_all(*net.stack);
  net.advance(nanoseconds(1));
  net.expect(F(1, 1));
  net.peer.port = 5001;
  net.in(S(0).mss(1460));
  net.expect(RA(0, 1));
}

}  // namespace
}  // namespace millrace::conformance
