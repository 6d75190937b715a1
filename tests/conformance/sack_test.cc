// SPDX-License-Identifier: BSD-3-Clause
// The receiver's side of selective acknowledgment (RFC 2018).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct Sack : testing::Test {
  Sack() {
    net.peer.sack = true;
    net.established_passive();
  }
  Net net;
};

// RFC2018-4a, RFC2018-4b: example 2: the first of eight segments is lost
TEST_F(Sack, TheFirstSegmentIsLost) {
  for (uint32_t right = 1001; right <= 4001; right += 500) {
    net.in(P(right - 500, 1, 500));
    net.expect(A(1, 1).sack(501, right));
  }
  net.in(P(1, 1, 500));
  net.expect(A(1, 4001));
}

// RFC2018-4b, RFC2018-4c: example 3: every other segment is lost; the newest block comes first
TEST_F(Sack, EveryOtherSegmentIsLost) {
  net.in(P(1, 1, 500));
  net.expect_after(milliseconds(40), A(1, 501));
  net.in(P(1001, 1, 500));
  net.expect(A(1, 501).sack(1001, 1501));
  net.in(P(2001, 1, 500));
  net.expect(A(1, 501).sack(2001, 2501).sack(1001, 1501));
  net.in(P(3001, 1, 500));
  net.expect(A(1, 501).sack(3001, 3501).sack(2001, 2501).sack(1001, 1501));
  net.in(P(1501, 1, 500));  // the fourth arrives
  net.expect(A(1, 501).sack(1001, 2501).sack(3001, 3501));
  net.in(P(501, 1, 500));  // the second does
  net.expect(A(1, 2501).sack(3001, 3501));
  net.in(P(2501, 1, 500));
  net.expect(A(1, 3501));
}

// RFC2018-4c: four blocks fit; the oldest is left out
TEST_F(Sack, AtMostFourBlocks) {
  for (uint32_t at : {101, 301, 501, 701}) net.in(P(at, 1, 100));
  net.drop_sent();
  net.in(P(901, 1, 100));
  net.expect(A(1, 1).sack(901, 1001).sack(701, 801).sack(501, 601).sack(301, 401));
}

// RFC2018-4c: three with timestamps
TEST(SackWithTimestamps, AtMostThreeBlocks) {
  Net net;
  net.peer.sack = net.peer.ts = true;
  net.established_passive();
  for (uint32_t at : {101, 301, 501}) net.in(P(at, 1, 100));
  net.drop_sent();
  net.in(P(701, 1, 100));
  net.expect(A(1, 1).sack(701, 801).sack(501, 601).sack(301, 401));
}

// RFC2018-4b: the block that the segment lies in comes first, whole
TEST_F(Sack, ASegmentThatExtendsAnOldBlockBringsItToTheFront) {
  net.in(P(101, 1, 100));
  net.expect(A(1, 1).sack(101, 201));
  net.in(P(301, 1, 100));
  net.expect(A(1, 1).sack(301, 401).sack(101, 201));
  net.in(P(51, 1, 50));
  net.expect(A(1, 1).sack(51, 201).sack(301, 401));
  net.in(P(401, 1, 100));
  net.expect(A(1, 1).sack(301, 501).sack(51, 201));
}

// RFC2018-4b: so does one that is known already
TEST_F(Sack, ADuplicateBehindTheGapBringsItsBlockToTheFront) {
  net.in(P(101, 1, 100));
  net.in(P(301, 1, 100));
  net.drop_sent();
  net.in(P(101, 1, 100));
  net.expect(A(1, 1).sack(101, 201).sack(101, 201).sack(301, 401));  // RFC2883-4: the first says what came twice
}

// RFC2018-4b: a duplicate that begins inside a block does, too
TEST_F(Sack, APartOfABlockNamesTheWholeBlock) {
  net.in(P(101, 1, 100));
  net.in(P(301, 1, 100));
  net.drop_sent();
  net.in(P(121, 1, 20));
  net.expect(A(1, 1).sack(121, 141).sack(101, 201).sack(301, 401));
}

// RFC2018-4a: on every ACK that does not acknowledge the highest octet, text and challenges included
TEST_F(Sack, TextCarriesBlocksAndMakesRoomForThem) {
  net.in(P(101, 1, 100));
  net.expect(A(1, 1).sack(101, 201));
  net.send(1460);
  net.expect(A(1, 1, 1448).sack(101, 201));
  net.in(A(1, 1449));
  net.expect(P(1449, 1, 12).sack(101, 201));
  net.in(R(50));
  net.expect(A(1461, 1).sack(101, 201));
}

// RFC2018-2: never to a peer that did not permit it
TEST(SackNotPermitted, NoBlocksAreSent) {
  Net net;
  net.established_passive();
  net.in(P(101, 1, 100));
  net.expect(A(1, 1));
}

// RFC2018-2: never if we did not permit it
TEST(SackNotPermitted, SwitchedOffNoBlocksAreSent) {
  Net net{[](stack::Config& c) { c.tcp.sack = false; }};
  net.peer.sack = true;
  net.established_passive();
  net.in(P(101, 1, 100));
  net.expect(A(1, 1));
}

// RFC2018-4b, RFC2018-4c: however much of the latest block came in one burst, the one before it is named, too
TEST_F(Sack, ALongBlockDoesNotHideTheOneBeforeIt) {
  net.burst({P(101, 1, 100), P(201, 1, 100), P(401, 1, 100), P(501, 1, 100), P(601, 1, 100), P(701, 1, 100)});
  for (uint32_t i = 0; i < 6; ++i) net.expect(A(1, 1).sack(401, 801).sack(101, 301));
}

// what finds no place counts as lost: only what is held is named
TEST(SackLimit, WhatIsNotHeldIsNotNamed) {
  Net net{[](stack::Config& c) { c.tcp.out_of_order_limit = 1; }};
  net.peer.sack = true;
  net.established_passive();
  net.in(P(101, 1, 100));
  net.expect(A(1, 1).sack(101, 201));
  net.in(P(301, 1, 100));
  net.expect(A(1, 1).sack(101, 201));
}

// RFC5681-3.2a, RFC2018-4a: a FIN behind a gap is held, too, and its ACK names the text
TEST_F(Sack, AFinBehindAGapIsRemembered) {
  net.in(PF(101, 1, 100));
  net.expect(A(1, 1).sack(101, 201));
  net.in(P(1, 1, 100));
  net.expect(A(1, 202));
  net.expect_event(Event::peer_closed);
  EXPECT_EQ(net.state(), State::close_wait);
}

// RFC2018-5a: what was only SACKed is kept and sent again
TEST_F(Sack, WhatWasSackedIsNotFreed) {
  net.send(2920);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 1460));
  net.in(A(1, 1).sack(1461, 2921));
  net.advance(milliseconds(1));
  net.expect(A(1, 1, 1460));  // by time: nothing was reordered so far
  net.in(A(1, 1461));         // the peer has reneged
  net.expect_after(milliseconds(200), P(1461, 1, 1460));  // RFC2018-5b: the left edge, SACKed or not
  net.in(A(1, 2921));
}

// RFC6675-5.1, RFC 2018 3: blocks beside an ACK of new data count, with no timestamps in the segment, too
TEST(SackSender, BlocksBesideAnAckOfNewData) {
  Net net;
  net.peer.sack = true;
  net.established_passive();
  net.send(6 * 1460);
  net.drop_sent();
  net.advance(milliseconds(1));
  net.in(A(1, 1461).sack(2921, 8761));
  net.expect(A(1461, 1, 1460));
}

// A peer that SACKs single bytes makes a record of each: it gets a share of the core's, and others keep their scoreboards
TEST(SackShare, OnePeerDoesNotTakeAllRecords) {
  constexpr uint32_t records = 256;
  Net net{[](stack::Config& c) { c.held_limit = records; }};
  net.peer.sack = true;
  net.established_passive();
  net.send(14'600);
  net.drop_sent();
  for (uint32_t at = 3; at < 3 + 4 * 3 * 200; at += 12)
    net.in(A(1, 1).sack(at, at + 1).sack(at + 4, at + 5).sack(at + 8, at + 9));
  net.drop_sent();
  EXPECT_GE(net.stack->cx.flights.free_count(), records / 2 - 1);
  EXPECT_GT(net.tcb().sacked, 50u);

  Peer other = net.peer;
  other.port = 6000;
  net.in(other, net.offer(S(0)));
  net.drop_sent();
  net.in(other, A(1, 1));
  net.expect_event(Event::accepted);
  net.call(net.send_request(stream(1, 1460)));
  net.call(net.send_request(stream(1461, 1460)));
  net.call(net.send_request(stream(2921, 1460)));
  net.call(net.send_request(stream(4381, 1460)));
  net.drop_sent();
  net.in(other, A(1, 1).sack(1461, 2921));
  net.in(other, A(1, 1).sack(4381, 5841).sack(1461, 2921));
  EXPECT_EQ(net.tcb().sacked, 2u * 1460);
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
