// SPDX-License-Identifier: BSD-3-Clause
// Path MTU discovery (RFC 1191), with what RFC 5927 7.2 asks before an error is believed.
#include "stack/diagnostics.h"

#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint8_t unreachable = 3, fragmentation_needed = 4;
using Segments = std::vector<std::pair<uint32_t, uint32_t>>;

// `count` segments of `length` from `seq` on.
Segments segments(uint32_t seq, uint32_t count, uint32_t length) {
  Segments list;
  for (; count > 0; --count, seq += length) list.emplace_back(seq, length);
  return list;
}

struct PathMtu : testing::Test {
  // Ten segments of 1460 leave at once; `flight` keeps them.
  void bulk(uint32_t bytes = 14600) {
    net.send(bytes);
    flight.assign(net.sent.begin(), net.sent.end());
    for (const Sent& s : flight) EXPECT_TRUE(s.dont_fragment);
    net.drop_sent();
  }
  void too_big(const Sent& about, uint16_t mtu) { net.icmp(about, unreachable, fragmentation_needed, mtu); }
  // Everything is acknowledged, as often as something leaves.
  void acknowledge_all() {
    for (int limit = 1000; limit > 0 && net.tcb().snd.una != net.tcb().end; --limit) {
      net.drop_sent();
      net.in(A(1, net.tcb().snd.nxt.value - net.own_iss()));
    }
    net.drop_sent();
  }
  Net net;
  std::deque<Sent> flight;
};

// RFC1191-3a, RFC7323-5.7: shorter segments, and what was too long at once
TEST_F(PathMtu, WhatWasTooLongLeavesAgainInShorterSegments) {
  net.established_passive();
  bulk();
  ASSERT_EQ(flight.size(), 10u);
  too_big(flight[0], 1000);
  EXPECT_EQ(net.take_sent(), segments(1, 10, 960));
  net.in(A(1, 1921));
  Segments more = net.take_sent();
  ASSERT_FALSE(more.empty());
  for (auto [seq, length] : more) EXPECT_LE(length, 960u);
  acknowledge_all();
  EXPECT_EQ(net.tcb().mss, 960);
  EXPECT_EQ(net.counter(Count::path_mtu_lowered), 1u);
  Diagnostics told;
  ASSERT_TRUE(stack::diagnostics(*net.stack, net.id, net.now, told));
  EXPECT_EQ(told.path_mtu, 1000);
}

// RFC7323-5.7, RFC9293-MUST-16: the timestamps count too
TEST_F(PathMtu, OptionsAreWithinThePathsMtu) {
  net.peer.ts = net.peer.sack = true;
  net.established_passive();
  bulk();
  too_big(flight[0], 1000);
  ASSERT_FALSE(net.sent.empty());
  EXPECT_EQ(net.sent[0].seg.length, 948u);
  EXPECT_TRUE(net.sent[0].dont_fragment);
  net.drop_sent();
}

// RFC1191-3a: it converges, however many errors one flight brings
TEST_F(PathMtu, AnErrorThatAsksForNothingNewIsDropped) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1000);
  net.drop_sent();
  for (size_t i = 1; i < flight.size(); ++i) too_big(flight[i], 1000);
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_icmp_mtu), 9u);
}

// RFC1191-3a: a narrower hop behind the first
TEST_F(PathMtu, ASecondHopMayAskForLess) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1400);
  EXPECT_EQ(net.sent.size(), 10u);
  Sent again = net.sent[0];
  net.drop_sent();
  too_big(again, 1000);
  EXPECT_EQ(net.take_sent(), segments(1, 10, 960));
  acknowledge_all();
}

// RFC1191-3b
TEST_F(PathMtu, ARouterThatNamesNoMtuMeansTheNextPlateau) {
  net.established_passive();
  bulk();
  too_big(flight[0], 0);
  EXPECT_EQ(net.tcb().mss, 1492 - 40);
  Sent again = net.sent.at(0);
  net.drop_sent();
  too_big(again, 0);
  EXPECT_EQ(net.tcb().mss, 1006 - 40);
  again = net.sent.at(0);
  net.drop_sent();
  too_big(again, 0);
  EXPECT_EQ(net.tcb().mss, 552 - 40);
  net.drop_sent();
  acknowledge_all();
}

// RFC5681-3.1b: cwnd holds a segment at least, also when segments become longer; less would wait for ever
TEST_F(PathMtu, CwndHoldsALongerSegment) {
  net.established_passive();
  bulk();
  too_big(flight[0], 600);
  net.drop_sent();
  acknowledge_all();
  net.tcb().cwnd = net.tcb().mss;  // as after a timeout
  net.advance(seconds(602));
  ASSERT_EQ(net.tcb().mss, 1460);
  net.send(3000);
  net.expect(A(14601, 1, 1460));
}

// RFC1191-3c: not below min_path_mtu at once, so that a forged error makes nobody send crumbs
TEST_F(PathMtu, NobodyMakesUsSendCrumbs) {
  net.established_passive();
  bulk();
  too_big(flight[0], 68);
  EXPECT_EQ(net.tcb().mss, 552 - 40);
  Sent again = net.sent.at(0);
  net.drop_sent();
  for (uint16_t mtu : {551, 68, 67, 1, 0}) too_big(again, mtu);
  EXPECT_EQ(net.tcb().mss, 552 - 40);
  net.expect_none();
  acknowledge_all();
  EXPECT_EQ(net.tcb().mss, 552 - 40);
  tcp::Params params;
  params.min_path_mtu = 67;
  EXPECT_FALSE(params.valid());
}

// A path that carries `mtu`: what is longer gets an error, the rest is acknowledged. The longest datagram that passed.
uint32_t carry(Net& net, uint16_t mtu, Duration limit, bool names_it = true) {
  uint32_t longest = 0;
  for (Instant end = net.now + limit; net.now < end && net.tcb().snd.una != net.tcb().end; net.advance(milliseconds(20))) {
    uint32_t acked = net.tcb().snd.una.value - net.own_iss();
    for (const Sent& s : std::exchange(net.sent, {})) {
      uint32_t length = s.seg.length + (net.peer.ts ? 52u : 40u);
      EXPECT_TRUE(s.dont_fragment);
      if (length > mtu) {
        net.icmp(s, unreachable, fragmentation_needed, names_it ? mtu : 0);
      } else if (s.seg.seq - net.own_iss() == acked) {
        acked += s.seg.length;
        longest = std::max(longest, length);
      }
    }
    if (net.id && net.tcb().state != State::closed) net.in(A(1, acked));
  }
  net.drop_sent();
  return longest;
}

// RFC1191-3a, RFC1191-3c: a path that carries less than min_path_mtu is used, once a segment has timed out
TEST_F(PathMtu, APathBelowTheUsualLeastIsUsed) {
  for (uint16_t mtu : {551, 400, 296, 100, 68}) {
    Net net;
    net.established_passive();
    net.send(9000);
    EXPECT_EQ(carry(net, mtu, seconds(60)), mtu);
    EXPECT_EQ(net.tcb().snd.una, net.tcb().end) << mtu;
    const stack::Paths::Path* path = net.stack->paths.find(net.peer.ip, net.now);
    ASSERT_NE(path, nullptr);
    EXPECT_EQ(path->mtu, mtu);
  }
}

// RFC1191-3b: ... also behind routers that name no MTU
TEST_F(PathMtu, APlateauBelowTheUsualLeastIsFound) {
  net.established_passive();
  net.send(3000);
  EXPECT_EQ(carry(net, 300, seconds(60), false), 296u);
  EXPECT_EQ(net.tcb().mss, 296 - 40);
  EXPECT_EQ(net.tcb().snd.una, net.tcb().end);
}

// RFC1191-3c: never below 68, whatever an error asks for
TEST_F(PathMtu, NoErrorAsksForLessThanEachLinkCarries) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1);
  for (int i = 0; i < 3; ++i) {
    if (net.sent.empty()) net.advance(seconds(2));
    Sent again = net.sent.front();
    net.drop_sent();
    too_big(again, 1);
  }
  EXPECT_EQ(net.tcb().mss, 68 - 40);
  acknowledge_all();
}

// RFC 5927 7.2: once longer segments have arrived, a forged error makes nobody send crumbs
TEST_F(PathMtu, NobodyMakesAConnectionThatGetsOnSendCrumbs) {
  net.established_passive();
  bulk();
  acknowledge_all();
  bulk();
  too_big(flight[0], 68);
  EXPECT_EQ(net.tcb().mss, 1460);
  net.expect_none();
  acknowledge_all();
}

// RFC1191-3c, RFC 2018 3: headers are short enough, too: SACK blocks give way
TEST_F(PathMtu, ShortDatagramsHaveRoomForFewerSackBlocks) {
  net.peer.sack = net.peer.ts = true;
  net.established_passive();
  net.send(200);
  EXPECT_EQ(carry(net, 68, seconds(60)), 68u);
  EXPECT_EQ(net.tcb().mss, 68 - 52);
  for (uint32_t at = 101; at < 901; at += 200) net.in(A(at, 201, 100));  // four gaps
  ASSERT_FALSE(net.sent.empty());
  for (const Sent& s : net.sent) EXPECT_EQ(s.seg.sacks.size(), 1u);
  net.drop_sent();
  net.send(40);
  ASSERT_FALSE(net.sent.empty());
  for (const Sent& s : net.sent) {
    EXPECT_EQ(s.seg.sacks.size(), 1u);
    EXPECT_LE(s.seg.length, 4u);
  }
  net.drop_sent();
}

// RFC1191-3d
TEST_F(PathMtu, NoErrorRaisesIt) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1000);
  Sent again = net.sent.at(0);
  net.drop_sent();
  for (uint16_t mtu : {1000, 1001, 1500, 9000, 65535}) too_big(again, mtu);
  EXPECT_EQ(net.tcb().mss, 960);
  net.expect_none();
  acknowledge_all();
}

// RFC1191-3e, RFC 1191 6.3: ten minutes; and nothing is sent for the raise itself
TEST_F(PathMtu, LongerSegmentsAreTriedAfterTenMinutes) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1000);
  net.drop_sent();
  acknowledge_all();
  net.silent_for(seconds(590));
  net.send(1920);
  EXPECT_EQ(net.take_sent(), segments(14601, 2, 960));
  net.in(A(1, 16521));
  net.silent_for(seconds(20));
  EXPECT_EQ(net.counter(Count::path_mtu_raised), 1u);
  net.send(1460);
  EXPECT_EQ(net.take_sent(), segments(16521, 1, 1460));
  net.in(A(1, 17981));
  tcp::Params params;
  params.path_mtu_timeout = seconds(299);
  EXPECT_FALSE(params.valid());
}

// RFC1191-3e: if the path is still narrow, it is found out within a round trip
TEST_F(PathMtu, ARaiseThatWasTooMuchIsTakenBackAtOnce) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1000);
  net.drop_sent();
  acknowledge_all();
  net.silent_for(seconds(610));
  bulk(1460);
  ASSERT_EQ(flight.size(), 1u);
  too_big(flight[0], 1000);
  EXPECT_EQ(net.take_sent(), (Segments{{14601, 960}, {15561, 500}}));
  net.in(A(1, 16061));
}

// RFC1191-6.3: the timer starts anew, without backing off; cwnd stays what it is in segments
TEST_F(PathMtu, ResendingIsNoTimeoutAndNoLoss) {
  net.established_passive();
  bulk();
  uint32_t rto = net.tcb().rtt.rto;
  net.advance(milliseconds(50));
  too_big(flight[0], 1000);
  EXPECT_EQ(net.tcb().rtt.rto, rto);
  EXPECT_EQ(net.tcb().backoff, 0);
  EXPECT_EQ(net.tcb().timer_at, net.now + microseconds(rto));
  EXPECT_EQ(net.tcb().cwnd, 10u * 960);
  EXPECT_EQ(net.tcb().ssthresh, 0x7fffffffu);
  EXPECT_EQ(net.take_sent(), segments(1, 10, 960));
  EXPECT_EQ(net.counter(Count::fast_retransmits), 0u);
  // What arrives opens the window as in any slow start.
  net.in(A(1, 961));
  EXPECT_GE(net.tcb().cwnd, 10u * 960);
  net.drop_sent();
  acknowledge_all();
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 0u);
}

// RFC5681-3.1e
TEST_F(PathMtu, CwndShrinksInProportion) {
  net.established_passive();
  bulk(29200);
  net.in(A(1, 1461));
  net.drop_sent();
  net.tcb().acked_size = 0;  // as if the first had been short: no question of belief here
  uint32_t cwnd = net.tcb().cwnd;
  too_big(flight[1], 1000);
  EXPECT_EQ(net.tcb().cwnd, static_cast<uint32_t>(uint64_t{cwnd} * 960 / 1460));
  net.drop_sent();
  acknowledge_all();
}

// RFC 1191 6.2: only from the segment that is known to be dropped on
TEST_F(PathMtu, WhatCameBeforeItIsNotSentAgain) {
  net.established_passive();
  net.set(Setting::no_delay, 1);
  net.send(500);
  net.expect(P(1, 1, 500));
  net.send(2920);
  ASSERT_EQ(net.sent.size(), 2u);
  Sent first = net.sent[0];
  net.drop_sent();
  too_big(first, 1000);
  EXPECT_EQ(net.take_sent(), (Segments{{501, 960}, {1461, 960}, {2421, 960}, {3381, 40}}));
  net.in(A(1, 3421));
}

// RFC5927-4: no datagram that would have passed brings such an error
TEST_F(PathMtu, AShortSegmentIsNoReason) {
  net.established_passive();
  net.send(500);
  Sent ours = net.sent.at(0);
  net.drop_sent();
  too_big(ours, 552);
  EXPECT_EQ(net.tcb().mss, 1460);
  EXPECT_EQ(net.counter(Count::drop_icmp_mtu), 1u);
  net.in(A(1, 501));
}

// RFC5927-4: nor one that is not outstanding, in SYN-SENT neither
TEST_F(PathMtu, WhatIsNotOutstandingIsNoReason) {
  net.established_passive();
  bulk(2920);
  net.in(A(1, 2921));
  too_big(flight[0], 1000);
  EXPECT_EQ(net.counter(Count::drop_icmp_sequence), 1u);
  EXPECT_EQ(net.tcb().mss, 1460);
  Net other;
  other.peer.port = 80;
  other.connect();
  Sent syn = other.sent.at(0);
  other.drop_sent();
  other.icmp(syn, unreachable, fragmentation_needed, 552);
  EXPECT_EQ(other.counter(Count::drop_icmp_mtu), 1u);
  EXPECT_EQ(other.state(), State::syn_sent);
}

// RFC5927-4, RFC 5927 7.2: segments as long have arrived: an error waits for the timeout of the segment that it quotes,
// and progress disproves it
TEST_F(PathMtu, ProgressDisprovesAnError) {
  net.established_passive();
  bulk(29200);
  net.in(A(1, 2921));
  net.drop_sent();
  too_big(flight[2], 552);
  EXPECT_EQ(net.tcb().mss, 1460);
  net.expect_none();
  net.in(A(1, 14601));
  net.drop_sent();
  net.advance(seconds(1));  // a timeout, but of another segment
  EXPECT_GT(net.counter(Count::retransmission_timeouts), 0u);
  EXPECT_EQ(net.tcb().mss, 1460);
  net.drop_sent();
  acknowledge_all();
}

// RFC 5927 7.2: the path has changed
TEST_F(PathMtu, ATimeoutConfirmsAnError) {
  net.established_passive();
  bulk(29200);
  net.in(A(1, 2921));
  net.drop_sent();
  for (size_t i = 2; i < flight.size(); ++i) too_big(flight[i], 1000);
  EXPECT_EQ(net.tcb().mss, 1460);
  net.expect_none();
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  EXPECT_EQ(net.tcb().mss, 960);
  ASSERT_FALSE(net.sent.empty());
  EXPECT_EQ(net.take_sent().at(0), (std::pair{2921u, 960u}));
  acknowledge_all();
}

// RFC 5927 7.2: ... and its error comes after the timeout
TEST_F(PathMtu, AnErrorAfterATimeoutIsBelieved) {
  net.established_passive();
  bulk(29200);
  net.in(A(1, 2921));
  net.drop_sent();
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  Sent again = net.sent.at(0);
  net.drop_sent();
  too_big(again, 1000);
  EXPECT_EQ(net.tcb().mss, 960);
  EXPECT_EQ(net.take_sent().at(0), (std::pair{2921u, 960u}));
  acknowledge_all();
}

// RFC1191-6.3: with SACK as without; what the peer has is not sent again
TEST_F(PathMtu, WhatWasSackedStays) {
  net.peer.sack = true;
  net.established_passive();
  net.set(Setting::no_delay, 1);
  bulk(2920);
  net.send(100);
  net.expect(P(2921, 1, 100));
  net.in(A(1, 1).sack(2921, 3021));
  net.drop_sent();
  too_big(flight[0], 1000);
  EXPECT_EQ(net.take_sent(), (Segments{{1, 960}, {961, 960}, {1921, 960}, {2881, 40}}));
  net.in(A(1, 3021));
  EXPECT_EQ(net.tcb().snd.una, net.tcb().end);
}

// RFC1191-3a, RFC 1191 6.2: the next connection to that destination knows it, one to another does not
TEST_F(PathMtu, IsKnownOfTheDestination) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1000);
  net.drop_sent();
  acknowledge_all();
  net.peer.port = 5001;
  net.established_passive();
  EXPECT_EQ(net.tcb().mss, 960);
  net.peer.port = 80;
  net.established_active();
  EXPECT_EQ(net.tcb().mss, 960);
  net.peer.ip = ipv4(10, 0, 0, 3);
  net.peer.mac.bytes[5] = 3;
  net.established_active();
  EXPECT_EQ(net.tcb().mss, 1460);
}

// RFC 1191 6.2: one that is there already learns it when its own segments do not arrive
TEST_F(PathMtu, AnotherConnectionLearnsItWithItsTimeout) {
  net.established_passive();
  bulk();
  Sent first = flight[0];
  ConnectionId one = net.id;
  net.peer.port = 5001;
  net.established_passive();
  net.send(2920);
  net.drop_sent();
  too_big(first, 1000);
  net.drop_sent();
  EXPECT_NE(one, net.id);
  EXPECT_EQ(net.tcb().mss, 1460);
  while (net.tcb().timeouts == 0) net.advance(milliseconds(10));
  EXPECT_EQ(net.tcb().mss, 960);
  net.drop_sent();
}

// RFC1191-3e: a new connection keeps to the old one's ten minutes
TEST_F(PathMtu, WhatIsKnownOfADestinationGetsOld) {
  net.established_passive();
  bulk();
  too_big(flight[0], 1000);
  net.drop_sent();
  acknowledge_all();
  net.advance(seconds(300));
  net.peer.port = 5001;
  net.established_passive();
  EXPECT_EQ(net.tcb().mss, 960);
  net.advance(seconds(302));
  EXPECT_EQ(net.tcb().mss, 1460);
  net.peer.port = 5002;
  net.established_passive();
  EXPECT_EQ(net.tcb().mss, 1460);
}

}  // namespace
}  // namespace millrace::conformance
