// SPDX-License-Identifier: BSD-3-Clause
// The core's buffers for sending are all in use: by peers that do not read. Others get on, nobody polls, and those that
// were refused are told when there is room.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint32_t share = 32;  // slices: half of the limit below

void small(stack::Config& c) {
  c.held_limit = 2 * share;
}

Peer peer_at(const Net& net, uint16_t port) {
  Peer peer = net.peer;
  peer.port = port;
  return peer;
}

// A connection whose peer has shut its window.
ConnectionId shut_peer(Net& net, uint16_t port) {
  Peer peer = peer_at(net, port);
  net.in(peer, S(0).mss(1460));
  net.drop_sent();
  net.in(peer, A(1, 1).win(0));
  net.expect_event(Event::accepted);
  return net.id;
}

Request send_to(Net& net, ConnectionId id, const std::string& text) {
  net.id = id;
  return net.send_request(text);
}

// All that the core has for sending is queued on connections that get nothing away.
std::vector<ConnectionId> fill(Net& net) {
  std::vector<ConnectionId> stuck;
  net.listen();
  for (uint16_t i = 0; i < 4; ++i) {
    stuck.push_back(shut_peer(net, static_cast<uint16_t>(6000 + i)));
    for (uint32_t n = 0; n < share / 4; ++n) net.call(send_to(net, stuck.back(), "x"));
  }
  net.expect_no_event();
  EXPECT_EQ(net.stack->cx.own_slices, share);
  return stuck;
}

void drain(Net& net) {
  net.drop_sent();
  net.events.clear();
}

TEST(SendRoom, AConnectionWithNothingQueuedMayAlwaysSend) {
  Net net{small};
  fill(net);
  net.drop_sent();
  net.peer.port = 7000;
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  for (uint32_t round = 0; round < 50; ++round) {
    net.call(net.send_request("hello"));
    net.expect_no_event();
    net.drop_sent();
    net.in(A(1, 1 + 5 * (round + 1)));
  }
  net.in(A(1, 251));
  EXPECT_EQ(net.counter(Count::send_pool_dry), 0u);
  drain(net);
}

TEST(SendRoom, EachOfManyShutPeersLeavesAPlaceForTheOthers) {
  Net net{small};
  net.listen();
  for (uint16_t i = 0; i < 60; ++i) {  // far more than the share
    ConnectionId id = shut_peer(net, static_cast<uint16_t>(6000 + i));
    net.call(send_to(net, id, "x"));
    net.expect_no_event();
  }
  net.drop_sent();
  net.peer.port = 7000;
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.call(net.send_request(stream(1, 5)));
  net.expect(P(1, 1, 5));
  net.expect_no_event();
  drain(net);
}

TEST(SendRoom, WhoeverIsRefusedIsToldWhenThereIsRoom) {
  Net net{small};
  auto stuck = fill(net);
  net.call(send_to(net, stuck[0], "y"));
  net.expect_event(Event::failed, Event::full);
  EXPECT_EQ(net.counter(Count::send_pool_dry), 1u);
  net.expect_no_event();
  net.drop_sent();
  net.id = stuck[1];
  net.abort();  // its slices come back
  net.expect_event(Event::closed, Event::aborted);
  net.expect_event(Event::writable);
  net.call(send_to(net, stuck[0], "y"));
  net.expect_no_event();
  drain(net);
}

TEST(SendRoom, TheFirstToBeRefusedIsTheFirstToBeTold) {
  Net net{small};
  auto stuck = fill(net);
  for (size_t i : {2, 0, 3}) {
    net.call(send_to(net, stuck[i], "y"));
    net.expect_event(Event::failed, Event::full);
  }
  net.id = stuck[1];
  net.abort();
  net.expect_event(Event::closed, Event::aborted);
  for (size_t i : {2, 0, 3}) EXPECT_EQ(net.expect_event(Event::writable).connection, stuck[i]);
  drain(net);
}

TEST(SendRoom, NobodyPollsMeanwhile) {
  Net net{small};
  auto stuck = fill(net);
  Instant quiet = next_deadline(*net.stack);
  net.call(send_to(net, stuck[0], "y"));
  net.expect_event(Event::failed, Event::full);
  EXPECT_EQ(next_deadline(*net.stack), quiet);  // the window probes' only
  drain(net);
}

TEST(SendRoom, TextRefusedInSynSentWakesNobody) {
  Net net{small};
  auto stuck = fill(net);
  net.drop_sent();
  net.peer.port = 81;
  net.peer.ip = ipv4(10, 0, 0, 3);
  net.peer.mac = {{2, 0, 0, 0, 0, 3}};
  Request connect;
  connect.kind = Request::connect;
  connect.open = {};
  connect.open.remote = net.peer.ip;
  connect.open.remote_port = 81;
  connect.open.options = {.report_opening = 1};
  net.call(connect);
  ConnectionId opening = net.expect_event(Event::opening).connection;
  net.drop_sent();
  net.call(send_to(net, opening, "a"));  // its first
  net.expect_no_event();
  net.call(send_to(net, opening, "b"));
  net.expect_event(Event::failed, Event::full);
  Instant deadline = next_deadline(*net.stack);
  EXPECT_GE(deadline, net.now + milliseconds(100));  // no timer of a millisecond
  net.id = stuck[1];
  net.abort();
  net.expect_event(Event::closed, Event::aborted);
  net.expect_event(Event::writable);  // also before it is connected
  drain(net);
}

// The receiving twin: peers that shut their windows and go on sending, to an application that sends their text back.
TEST(ReceiveRoom, ConnectionsThatGetOnHaveAReserve) {
  Net net{small};
  net.listen();
  net.keep = true;  // the application gives nothing back
  for (uint16_t i = 0; i < 4; ++i) {
    ConnectionId id = shut_peer(net, static_cast<uint16_t>(6000 + i));
    net.call(send_to(net, id, "x"));
    Peer peer = peer_at(net, static_cast<uint16_t>(6000 + i));
    for (uint32_t n = 0; n < share / 4 + 1; ++n) net.in(peer, A(1 + n, 1, 1).win(0));
  }
  EXPECT_EQ(net.counter(Count::drop_no_memory), 4u);
  net.keep = false;
  net.drop_sent();
  net.received.clear();
  net.peer.port = 7000;
  net.in(S(0).mss(1460));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  constexpr uint32_t rounds = 40;  // far more than a window
  for (uint32_t at = 1; at < rounds * 4000; at += 4000) {
    net.burst({A(at, 1, 1000), A(at + 1000, 1, 1000), A(at + 2000, 1, 1000), A(at + 3000, 1, 1000)});
    net.advance(milliseconds(50));
  }
  EXPECT_EQ(net.received.size(), rounds * 4000);
  EXPECT_EQ(net.counter(Count::drop_no_memory), 4u);
  ASSERT_FALSE(net.sent.empty());
  EXPECT_GT(net.sent.back().seg.window.value_or(0), 60'000);
  net.drop_sent();
  net.recycle_all();
  drain(net);
}

TEST(ReceiveRoom, AConnectionThatHoldsNothingHasAPlaceEvenThen) {
  Net net{small};
  net.listen();
  net.keep = true;
  for (uint16_t i = 0; i < 8; ++i) {  // an application that reads nothing takes the reserve, too
    Peer peer = peer_at(net, static_cast<uint16_t>(6000 + i));
    net.in(peer, S(0).mss(1460));
    net.in(peer, A(1, 1));
    for (uint32_t n = 0; n < share; ++n) net.in(peer, A(1 + n, 1, 1));
  }
  EXPECT_GT(net.counter(Count::drop_no_memory), 0u);
  net.received.clear();
  net.keep = false;
  Peer other = peer_at(net, 7000);
  net.in(other, S(0).mss(1460));
  net.in(other, A(1, 1));
  net.in(other, P(1, 1, 5));
  EXPECT_EQ(net.received, stream(1, 5));
  net.recycle_all();
  drain(net);
}

}  // namespace
}  // namespace millrace::conformance
