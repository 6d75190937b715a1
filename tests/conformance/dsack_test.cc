// SPDX-License-Identifier: BSD-3-Clause
// Duplicates are reported (RFC 2883). The examples are the RFC's, with the first sequence number one instead of zero.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct Dsack : testing::Test {
  Dsack() {
    net.peer.sack = true;
    net.established_passive();
  }
  // In order, up to `end`; acknowledged.
  void taken(uint32_t end) {
    for (uint32_t at = 1; at < end; at += 500) net.in(P(at, 1, 500));
    net.advance(milliseconds(40));
    net.drop_sent();
  }
  Net net;
};

// RFC2883-4: example 1: known already, and the ACK that said so was lost
TEST_F(Dsack, ADuplicateBelowTheAckIsReportedOnce) {
  taken(4001);
  net.in(P(3001, 1, 500));
  net.expect(A(1, 4001).sack(3001, 3501));
  net.in(P(4001, 1, 500));
  net.expect_after(milliseconds(40), A(1, 4501));
}

// RFC2883-4: example 2: blocks of text out of order follow
TEST_F(Dsack, ADuplicateBelowTheAckComesBeforeTheBlocks) {
  taken(4001);
  net.in(P(4501, 1, 500));
  net.expect(A(1, 4001).sack(4501, 5001));
  net.in(P(3001, 1, 500));
  net.expect(A(1, 4001).sack(3001, 3501).sack(4501, 5001));
}

// RFC2883-4, RFC2018-4b: example 3: the block that the duplicate lies in comes second
TEST_F(Dsack, ADuplicateOutOfOrderIsFollowedByItsBlock) {
  taken(4001);
  net.in(P(4501, 1, 500));
  net.expect(A(1, 4001).sack(4501, 5001));
  net.in(P(5001, 1, 500));
  net.expect(A(1, 4001).sack(4501, 5501));
  net.in(P(5001, 1, 500));
  net.expect(A(1, 4001).sack(5001, 5501).sack(4501, 5501));
  net.in(P(6001, 1, 500));
  net.expect(A(1, 4001).sack(6001, 6501).sack(4501, 5501));
}

// RFC2883-4: example 4: only the part that is known
TEST_F(Dsack, APartBelowTheAckIsReported) {
  taken(1001);
  net.in(P(2001, 1, 500));
  net.expect(A(1, 1001).sack(2001, 2501));
  net.in(P(1001, 1, 500));
  net.expect(A(1, 1501).sack(2001, 2501));
  net.in(P(1001, 1, 1000));
  net.expect(A(1, 2501).sack(1001, 1501));
}

// RFC2883-4: example 5: of two parts below the ACK the first
TEST_F(Dsack, OfTwoPartsBelowTheAckTheFirstIsReported) {
  taken(1001);
  net.in(P(3001, 1, 500));
  net.in(P(1001, 1, 500));
  net.in(P(2001, 1, 500));
  net.drop_sent();
  net.in(P(1001, 1, 1500 - 40));
  net.expect(A(1, 2501).sack(1001, 1501).sack(3001, 3501));
}

// RFC2883-4: example 6: of two parts above it the first, then their common block
TEST_F(Dsack, OfTwoPartsOutOfOrderTheFirstIsReported) {
  taken(1001);
  net.in(P(3501, 1, 500));
  net.in(P(1501, 1, 400));
  net.in(P(2401, 1, 500));
  net.drop_sent();
  net.in(P(1501, 1, 1400));
  net.expect(A(1, 1001).sack(1501, 1901).sack(1501, 2901).sack(3501, 4001));
}

// RFC2883-4: text in order fills a gap and goes on over what is held
TEST_F(Dsack, WhatFillsAGapAndRepeatsWhatIsHeldIsReported) {
  taken(1001);
  net.in(P(1501, 1, 200));
  net.in(P(1701, 1, 200));
  net.drop_sent();
  net.in(P(1001, 1, 800));
  net.expect(A(1, 1901).sack(1501, 1801));
  EXPECT_EQ(net.received, stream(1, 1900));
}

// RFC2883-4: it ends inside what is held, begins inside it, and covers it
TEST_F(Dsack, PartsOutOfOrderAreReported) {
  net.in(P(1001, 1, 200));
  net.expect(A(1, 1).sack(1001, 1201));
  net.in(P(901, 1, 200));
  net.expect(A(1, 1).sack(1001, 1101).sack(901, 1201));
  net.in(P(1101, 1, 200));
  net.expect(A(1, 1).sack(1101, 1201).sack(901, 1301));
  net.in(P(801, 1, 1000));
  net.expect(A(1, 1).sack(901, 1301).sack(801, 1801));
  net.in(P(901, 1, 10));
  net.expect(A(1, 1).sack(901, 911).sack(801, 1801));
}

// RFC2883-4, RFC5681-4.2c: each duplicate of a burst has an ACK and a report of its own
TEST_F(Dsack, EachDuplicateOfABurstIsReported) {
  taken(2001);
  net.burst({P(1, 1, 500), P(501, 1, 500), P(1501, 1, 500)});
  net.expect(A(1, 2001).sack(1, 501));
  net.expect(A(1, 2001).sack(501, 1001));
  net.expect(A(1, 2001).sack(1501, 2001));
  net.burst({P(1, 1, 500), P(2501, 1, 500), P(501, 1, 500)});
  net.expect(A(1, 2001).sack(1, 501).sack(2501, 3001));
  net.expect(A(1, 2001).sack(501, 1001).sack(2501, 3001));
  net.expect(A(1, 2001).sack(2501, 3001));
}

// RFC2883-4: more than can be remembered: what adjoins is told as one, so that all that came twice is named
TEST_F(Dsack, ALongBurstOfDuplicatesIsNamedWhole) {
  taken(4001);
  net.burst({P(1, 1, 500), P(501, 1, 500), P(1001, 1, 500), P(1501, 1, 500), P(2001, 1, 500), P(2501, 1, 500)});
  net.expect(A(1, 4001).sack(1, 501));
  net.expect(A(1, 4001).sack(501, 1001));
  net.expect(A(1, 4001).sack(1001, 1501));
  net.expect(A(1, 4001).sack(1501, 3001));
  net.expect(A(1, 4001));
  net.expect(A(1, 4001));
}

// RFC2883-4: a report rides on text, and makes room for itself
TEST_F(Dsack, TextCarriesTheReport) {
  taken(1001);
  net.on_event = [&](const Event& e) {
    if (e.kind == Event::received) net.queue(net.send_request(stream(1, 1460)));
  };
  net.burst({P(501, 1, 500), P(1001, 1, 10)});
  net.expect(A(1, 1011, 1448).sack(501, 1001));
  net.on_event = {};
  net.in(A(1011, 1449));
  net.expect(P(1449, 1011, 12));
}

// RFC2883-4: text that the closed window keeps out is no duplicate, what lies below it is
TEST_F(Dsack, AShutWindowReportsOnlyWhatIsKnown) {
  net.keep = true;
  taken(65501);
  net.in(A(65501, 1, 35));
  net.expect_after(milliseconds(40), A(1, 65536).win(0));
  net.in(A(65536, 1, 10));
  net.expect(A(1, 65536).win(0));
  net.in(A(65526, 1, 20));
  net.expect(A(1, 65536).win(0).sack(65526, 65536));
  net.recycle_all();
  net.drop_sent();
}

// RFC2883-4: after the FIN, too; the FIN is no text
TEST_F(Dsack, ARepeatedFinReportsItsText) {
  net.in(PF(1, 1, 100));
  net.expect(A(1, 102));
  net.expect_event(Event::peer_closed);
  net.in(PF(1, 1, 100));
  net.expect(A(1, 102).sack(1, 101));
  net.in(F(101, 1));
  net.expect(A(1, 102));
}

// RFC2883-4: three blocks with timestamps
TEST(DsackWithTimestamps, AtMostThreeBlocks) {
  Net net;
  net.peer.sack = net.peer.ts = true;
  net.established_passive();
  for (uint32_t at : {101, 301, 501}) net.in(P(at, 1, 100));
  net.drop_sent();
  net.in(P(301, 1, 100));
  net.expect(A(1, 1).sack(301, 401).sack(301, 401).sack(501, 601));
  net.in(P(101, 1, 50));
  net.expect(A(1, 1).sack(101, 151).sack(101, 201).sack(301, 401));
}

// RFC2883-4: four without
TEST_F(Dsack, AtMostFourBlocks) {
  for (uint32_t at : {101, 301, 501, 701}) net.in(P(at, 1, 100));
  net.drop_sent();
  net.in(P(301, 1, 100));
  net.expect(A(1, 1).sack(301, 401).sack(301, 401).sack(701, 801).sack(501, 601));
}

// RFC2883-4: RFC 2883 4.3: what PAWS keeps out is not looked at
TEST(DsackWithTimestamps, WhatPawsRejectsIsNotReported) {
  Net net;
  net.peer.sack = net.peer.ts = true;
  net.established_passive();
  net.advance(milliseconds(10));
  net.in(P(1, 1, 100));
  net.expect_after(milliseconds(40), A(1, 101));
  net.in(P(1, 1, 100).ts(net.peer_clock() - 1000, 0));
  net.expect(A(1, 101));
}

// RFC2883-4: the place is full, the duplicate is known all the same
TEST(DsackLimit, AKnownSegmentIsReportedThoughNoneFits) {
  Net net{[](stack::Config& c) { c.tcp.out_of_order_limit = 1; }};
  net.peer.sack = true;
  net.established_passive();
  net.in(P(101, 1, 100));
  net.expect(A(1, 1).sack(101, 201));
  net.in(P(101, 1, 100));
  net.expect(A(1, 1).sack(101, 201).sack(101, 201));
  EXPECT_EQ(net.counter(Count::drop_out_of_order_limit), 0u);
}

// RFC2018-2: never to a peer that did not permit SACK
TEST(DsackNotPermitted, NothingIsReported) {
  Net net;
  net.established_passive();
  net.in(P(1, 1, 100));
  net.expect_after(milliseconds(40), A(1, 101));
  net.in(P(1, 1, 100));
  net.expect(A(1, 101));
}

// switched off: plain SACK, one ACK a turn
TEST(DsackOff, NothingIsReported) {
  Net net{[](stack::Config& c) { c.tcp.dsack = false; }};
  net.peer.sack = true;
  net.established_passive();
  net.in(P(1, 1, 100));
  net.expect_after(milliseconds(40), A(1, 101));
  net.burst({P(1, 1, 100), P(1, 1, 100)});
  net.expect(A(1, 101));
  net.in(P(201, 1, 100));
  net.expect(A(1, 101).sack(201, 301));
  net.in(P(201, 1, 100));
  net.expect(A(1, 101).sack(201, 301));
}

}  // namespace
}  // namespace millrace::conformance
