// SPDX-License-Identifier: BSD-3-Clause
// More addresses on the link than places for neighbours. A place goes to another address only when nothing is to be sent
// to the old one any more, a last RST included: else that RST goes to a stranger, or its TCB is never visited again.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr Ipv4Address other = ipv4(10, 0, 0, 9);

void one_place(stack::Config& c) {
  c.max_neighbors = 1;
  c.max_connections = 2;
}

Request connect_to(Ipv4Address to, uint16_t port = 80) {
  Request r;
  r.kind = Request::connect;
  r.open = {};
  r.open.remote = to;
  r.open.remote_port = port;
  return r;
}

uint32_t slots(const Net& net) {
  return stack::gauges(*net.stack).connections;
}

// An established connection whose neighbour does not answer any more, and then is aborted: the RST waits.
void abort_behind_a_silent_neighbor(Net& net) {
  net.established_passive();
  net.answer_arp = false;
  net.advance(seconds(64));
  net.abort();
  net.expect_event(Event::closed, Event::aborted);
  net.expect_none();
}

TEST(NeighborPlaces, ARstThatWaitsForArpKeepsThePlace) {
  Net net{one_place};
  abort_behind_a_silent_neighbor(net);
  EXPECT_EQ(slots(net), 1u);
  net.call(connect_to(other));
  net.expect_event(Event::failed, Event::unreachable);
  net.advance(seconds(4));  // ARP gives up, and the slot with it
  EXPECT_EQ(slots(net), 0u);
  net.answer_arp = true;
  net.call(connect_to(other));
  EXPECT_EQ(slots(net), 1u);
  ASSERT_FALSE(net.sent.empty());
  net.drop_sent();
}

TEST(NeighborPlaces, ARstThatWaitedLeavesWhenTheAddressIsKnown) {
  Net net{one_place};
  abort_behind_a_silent_neighbor(net);
  net.frames({encode_arp(false, Net::own_mac, net.peer.mac, net.peer.ip, Net::own)});
  net.expect(RA(1, 1).win(0));
  EXPECT_EQ(slots(net), 0u);
  EXPECT_EQ(net.stack->neighbors[0].users, 0u);
}

TEST(NeighborPlaces, NoSlotIsLostHoweverManyAddressesComeAndGo) {
  Net net{one_place};
  net.answer_arp = true;
  net.listen();
  for (uint8_t n = 0; n < 20; ++n) {
    Peer peer = net.peer;
    peer.ip = ipv4(10, 0, 0, 20u + n);
    peer.mac = {{2, 0, 0, 0, 0, static_cast<uint8_t>(20 + n)}};
    net.answer_arp = true;
    net.in(peer, S(0).mss(1460));
    net.expect(peer, SA(0, 1).mss(1460));
    net.in(peer, A(1, 1));
    net.expect_event(Event::accepted);
    net.answer_arp = false;
    net.advance(seconds(64));
    net.abort();
    net.expect_event(Event::closed, Event::aborted);
    net.call(connect_to(other));
    net.expect_event(Event::failed, Event::unreachable);
    net.advance(seconds(4));
    ASSERT_EQ(slots(net), 0u) << "after " << n + 1;
  }
}

TEST(NeighborPlaces, AbortAndConnectInOneBatchSendTheRstToItsOwnPeer) {
  Net net{one_place};
  net.established_passive();
  net.queue(net.on_connection(Request::abort));
  net.queue(connect_to(other));
  net.read_on();
  net.expect_event(Event::failed, Event::unreachable);
  net.expect_event(Event::closed, Event::aborted);
  net.expect(RA(1, 1).win(0));  // which looks at the Ethernet address
  net.call(connect_to(other));  // the place is free now
  ASSERT_EQ(net.sent.size(), 1u);
  EXPECT_EQ(net.sent[0].to, (wire::Mac{{2, 0, 0, 0, 0, 9}}));
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
