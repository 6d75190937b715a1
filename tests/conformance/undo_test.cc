// SPDX-License-Identifier: BSD-3-Clause
// Going back when nothing had been lost: by timestamps (RFC 3522), by F-RTO (RFC 5682), by D-SACK (RFC 2883, RFC 3708).
#include "tests/conformance/recovery.h"

namespace millrace::conformance {
namespace {

struct RecoveryTs : Recovery {
  RecoveryTs() : Recovery(true) {}
  // Sends, and tells what the peer would echo.
  uint32_t send_and_stamp(uint32_t n) {
    net.send(n * size());
    uint32_t stamp = *net.sent.back().seg.ts_val;
    net.drop_sent();
    return stamp;
  }
};

// RFC 3522: the echo tells that the first transmission arrived: all is as before the timeout
TEST_F(RecoveryTs, ASpuriousTimeoutIsUndone) {
  uint32_t stamp = send_and_stamp(10);
  uint32_t cwnd = net.tcb().cwnd, ssthresh = net.tcb().ssthresh;
  net.stack->cx.params.tail_loss_probe = false;
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  net.drop_sent();
  EXPECT_EQ(net.tcb().cwnd, size());
  net.in(ack(1).ecr(stamp));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 1u);
  EXPECT_GE(net.tcb().cwnd, cwnd);
  EXPECT_EQ(net.tcb().ssthresh, ssthresh);
  net.expect_none();  // nothing else goes again
  net.in(ack(10).ecr(stamp));
}

// RFC 3522: the echo of the second one: the loss was a loss
TEST_F(RecoveryTs, ATimeoutThatWasRightIsNotUndone) {
  send_and_stamp(10);
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  net.drop_sent();
  net.in(ack(1));  // echoes the latest
  EXPECT_EQ(net.counter(Count::recoveries_undone), 0u);
  net.drop_sent();
}

// RFC 2883, RFC 3708: everything that was sent again had arrived: a recovery that was a mistake is undone
TEST_F(Recovery, ARecoveryThatWasAMistakeIsUndone) {
  send_segments(10);
  uint32_t cwnd = net.tcb().cwnd;
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.in(ack(4));                                    // it was only late
  net.in(ack(4).sack(begin(0), begin(1)));           // and came twice
  EXPECT_EQ(net.counter(Count::recoveries_undone), 1u);
  EXPECT_GE(net.tcb().cwnd, cwnd);
  net.drop_sent();
}

// RFC 2883, RFC 3708: the ACK of all that was in flight comes before what tells that it was a mistake
TEST_F(Recovery, AMistakeIsUndoneAfterTheRecovery) {
  send_segments(10);
  uint32_t cwnd = net.tcb().cwnd;
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.in(ack(10));
  EXPECT_FALSE(net.tcb().is(tcp::in_recovery));
  EXPECT_LT(net.tcb().cwnd, cwnd);
  send_segments(1);
  net.in(ack(11));
  net.in(ack(10).sack(begin(0), begin(1)));  // overtaken by its successor
  EXPECT_EQ(net.counter(Count::recoveries_undone), 1u);
  EXPECT_GE(net.tcb().cwnd, cwnd);
  EXPECT_GE(net.tcb().ssthresh, cwnd);
  net.in(ack(11).sack(begin(0), begin(1)));  // once
  EXPECT_EQ(net.counter(Count::recoveries_undone), 1u);
}

// RFC 2883: no window was ever so wide that this could have been sent twice
TEST_F(Recovery, ABlockBeyondAllWindowsIsNoDsack) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.in(ack(4).sack(begin(1) - 1'000'000, begin(1)));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 0u);
  EXPECT_EQ(net.tcb().rack.steps, 1);
  net.drop_sent();
}

// RFC 3708: two were sent again, one of them for nothing
TEST_F(Recovery, HalfAMistakeIsNone) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 2, 6));
  expect_segment(0);
  net.in(ack(1).sack(begin(2), begin(7)));
  net.in(ack(1).sack(begin(2), begin(9)));
  net.in(ack(10));
  net.drop_sent();
  net.in(ack(10).sack(begin(0), begin(1)));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 0u);
}

// RFC 3708: what a later probe sent for nothing says nothing about the loss before it
TEST_F(Recovery, ADsackOfLaterTextUndoesNothing) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.advance(milliseconds(100));
  net.in(ack(10));
  uint32_t cwnd = net.tcb().cwnd;
  send_segments(3);
  net.advance(milliseconds(300));
  net.expect(P(begin(12), 1, size()));
  net.in(ack(13));
  net.in(ack(13).sack(begin(12), begin(13)));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 0u);
  EXPECT_LT(net.tcb().ssthresh, 14600u);
  EXPECT_LE(net.tcb().cwnd, cwnd + 3 * size());
}

// RFC5681-4.1: who was idle begins anew, whatever is heard of what was before
TEST_F(Recovery, AfterIdleNothingIsUndone) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.in(ack(10));
  net.advance(seconds(10));
  net.send(size());
  uint32_t cwnd = net.tcb().cwnd;
  net.drop_sent();
  net.in(ack(10).sack(begin(0), begin(1)));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 0u);
  EXPECT_EQ(net.tcb().cwnd, cwnd);
}

// RFC 5682 2.1: without timestamps: new text goes out; an ACK of what was never sent again proves the mistake
TEST(Frto, ASpuriousTimeoutIsFoundOut) {
  Net net;
  net.peer.wscale = 4;
  net.established_passive();
  net.in(A(1, 1).win(60000));
  net.send(20 * mss);
  net.drop_sent();
  uint32_t cwnd = net.tcb().cwnd;
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  net.expect(A(at(0), 1, mss));
  net.in(A(1, at(1)).win(60000));
  net.expect(A(at(10), 1, mss));
  net.expect(A(at(11), 1, mss));
  net.expect_none();
  net.in(A(1, at(2)).win(60000));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 1u);
  EXPECT_GE(net.tcb().cwnd, cwnd);
  for (auto& p : net.sent) EXPECT_GE(p.seg.seq - net.own_iss(), at(12));
  net.drop_sent();
}

// RFC5681-3.2.1, RFC 3042: the first two duplicates let a segment out each, the others none, also where they begin no
// recovery (RFC6582-3.2.2)
TEST(Frto, DuplicatesOfWhatWasNotLostLetTwoSegmentsOut) {
  Net net;
  net.peer.wscale = 4;
  net.established_passive();
  net.in(A(1, 1).win(60000));
  net.send(40 * mss);
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  net.in(A(1, at(1)).win(60000));
  net.in(A(1, at(2)).win(60000));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 1u);
  net.drop_sent();
  for (int i = 0; i < 6; ++i) net.in(A(1, at(2)).win(60000));
  EXPECT_EQ(net.take_sent().size(), 2u);
  EXPECT_EQ(net.counter(Count::fast_retransmits), 0u);
}

// RFC 5682 2.1 step 3a: a duplicate ACK: the timeout was right
TEST(Frto, ADuplicateAckConfirmsTheLoss) {
  Net net;
  net.peer.wscale = 4;
  net.established_passive();
  net.in(A(1, 1).win(60000));
  net.send(20 * mss);
  net.drop_sent();
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  net.drop_sent();
  net.in(A(1, at(1)).win(60000));
  net.drop_sent();
  net.in(A(1, at(1)).win(60000));
  ASSERT_FALSE(net.sent.empty());
  net.expect(A(at(1), 1, mss));
  EXPECT_EQ(net.counter(Count::recoveries_undone), 0u);
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
