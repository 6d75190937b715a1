// SPDX-License-Identifier: BSD-3-Clause
// Loss recovery with SACK, seen from the peer: RACK-TLP (RFC 8985), PRR (RFC 6937).
#include "tests/conformance/recovery.h"

namespace millrace::conformance {
namespace {

// RFC8985-6.2.4, RFC8985-4.1, RFC6675-5.1, RFC6675-5.2, RFC6675-2, RFC6675-4L: three segments SACKed above a hole: it is lost, without waiting
TEST_F(Recovery, ThreeSackedSegmentsAboveAHoleResendItAtOnce) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 2));
  net.in(sacked(0, 1, 3));
  net.expect_none();
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.expect_none();
  EXPECT_TRUE(net.tcb().is(tcp::in_recovery));
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 0u);
}

// RFC6298-5.1: what has just been sent again gets the whole RTO to be acknowledged
TEST_F(Recovery, TheTimeoutCountsFromTheFirstSegmentsRetransmission) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.silent_for(milliseconds(299));
  net.expect_after(milliseconds(1), A(begin(0), 1, size()));
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 1u);
}

// RFC8985-6.2.5, RFC8985-6.2.1, RFC8985-8: one SACKed segment above the hole: lost when a quarter of the round trip has passed
TEST_F(Recovery, AfterTheReorderingWindowAHoleIsLost) {
  send_segments(2);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 2));
  net.expect_none();
  net.expect_after(milliseconds(25), A(begin(0), 1, size()));
}

// RFC8985-6.2.5: what comes in time was only reordered
TEST_F(Recovery, ASegmentThatComesWithinTheWindowWasReordered) {
  send_segments(2);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 2));
  net.advance(milliseconds(20));
  net.in(ack(2));
  net.silent_for(seconds(1));
  EXPECT_TRUE(net.tcb().rack.reordering);  // RFC8985-6.2.3
  EXPECT_EQ(net.counter(Count::retransmitted), 0u);
}

// RFC8985-6.2.4: once reordering was seen, three segments are no proof any more
TEST_F(Recovery, WhereReorderingWasSeenThreeSacksAreNoProof) {
  send_segments(2);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 2));
  net.in(ack(2));
  send_segments(8);
  net.advance(milliseconds(100));
  net.in(sacked(2, 3, 6));
  net.silent_for(milliseconds(12));
  net.expect_after(milliseconds(13), A(begin(2), 1, size()));
}

// RFC8985-6.2.5, RFC8985-6.1, RFC8985-4.2, RFC8985-6.2.2: a retransmission that is lost is found out by time, not by a timeout
TEST_F(Recovery, ALostRetransmissionIsResentWithoutATimeout) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.advance(milliseconds(1));
  net.send(4 * mss);  // new text, sent after the retransmission
  net.in(sacked(0, 1, 10));
  EXPECT_FALSE(net.sent.empty());
  net.drop_sent();
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 11));
  expect_segment(0);
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 0u);
  net.drop_sent();
}

// RFC6675-5.A, RFC6675-5.4, RFC5681-4.3a, RFC8985-9.2, RFC 6937: the end of recovery, at ssthresh
TEST_F(Recovery, RecoveryEndsWhereItAimed) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  net.advance(milliseconds(100));
  net.in(ack(10));
  EXPECT_FALSE(net.tcb().is(tcp::in_recovery));
  EXPECT_EQ(net.tcb().cwnd, net.tcb().ssthresh);
  EXPECT_EQ(net.tcb().ssthresh, 5 * size());
}

// RFC6675-5.B, RFC6675-5.C, RFC6675-4P, RFC6675-5.3, RFC 6937 3.1: for two segments delivered one leaves, until half is in flight; never a burst
TEST_F(Recovery, HalfOfWhatIsDeliveredLeaves) {
  send_segments(10);
  net.send(10 * mss);
  net.advance(milliseconds(100));
  for (uint32_t to = 2; to <= 3; ++to) net.in(sacked(0, 1, to));
  expect_segment(10);  // RFC6675-5.3: limited transmit
  expect_segment(11);
  net.in(sacked(0, 1, 4));
  expect_segment(0);
  uint32_t sent = 0;
  for (uint32_t to = 5; to <= 10; ++to) {
    net.in(sacked(0, 1, to));
    EXPECT_LE(net.sent.size(), 1u);
    sent += static_cast<uint32_t>(net.sent.size());
    net.drop_sent();
  }
  EXPECT_GE(sent, 2u);
  EXPECT_LE(net.tcb().pipe(), net.tcb().ssthresh);
}

// RFC6675-4N1, RFC6675-4N2, RFC6675-4U: all holes in order, then new text
TEST_F(Recovery, EveryHoleIsResentOnce) {
  send_segments(10);
  net.advance(milliseconds(100));
  net.in(ack(0).sack(begin(1), begin(2)).sack(begin(3), begin(4)).sack(begin(5), begin(10)));
  expect_segment(0);
  net.in(ack(1).sack(begin(1), begin(2)).sack(begin(3), begin(4)).sack(begin(5), begin(10)));
  std::vector<uint32_t> again;
  for (auto& p : net.sent) again.push_back((p.seg.seq - net.own_iss() - 1) / size());
  EXPECT_EQ(again, (std::vector<uint32_t>{2, 4}));
  net.drop_sent();
  net.send(4 * size());
  net.in(ack(10));
  expect_segment(10);
  net.drop_sent();
}

// RFC8985-7.2, RFC8985-7.3b, RFC8985-7.3c: the tail was lost: after two round trips the last segment goes again, then
// the retransmission timeout
TEST_F(Recovery, ALostTailIsProbed) {
  send_segments(3);
  net.expect_after(milliseconds(202), P(begin(2), 1, size()));
  EXPECT_EQ(net.counter(Count::tail_loss_probes), 1u);
  net.advance(milliseconds(100));
  net.in(sacked(0, 2, 3));  // the two before it were lost, too, and long ago
  expect_segment(0);  // as much as was delivered (RFC 6937 3.1, PRR-CRB: nothing was acknowledged yet)
  net.expect_none();
  net.in(sacked(1, 2, 3));
  expect_segment(1);
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 0u);
  net.drop_sent();
}

// RFC8985-7.3b: new text rather than old
TEST_F(Recovery, TheProbeIsNewTextWhereThereIsSome) {
  net.tcb().cwnd = 3 * size();
  net.send(5 * size());
  EXPECT_EQ(net.sent.size(), 3u);
  net.drop_sent();
  net.expect_after(milliseconds(202), A(begin(3), 1, size()));
}

// RFC8985-7.3a: one probe, and no other before a round trip was measured
TEST_F(Recovery, OneProbeThenTheTimeout) {
  send_segments(2);
  net.advance(milliseconds(203));
  EXPECT_EQ(net.sent.size(), 1u);
  net.drop_sent();
  net.advance(milliseconds(310));
  EXPECT_EQ(net.counter(Count::tail_loss_probes), 1u);
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 1u);
  net.drop_sent();
}

// RFC8985-7.2: what was sent in recovery is probed for once that is over, though no ACK of its own has come
TEST_F(Recovery, TheTailOfARecoveryIsProbed) {
  net.send(14 * size());
  EXPECT_EQ(net.sent.size(), 10u);
  net.drop_sent();
  net.advance(milliseconds(100));
  net.in(sacked(0, 1, 10));
  expect_segment(0);
  EXPECT_EQ(net.sent.size(), 4u);
  net.drop_sent();
  net.advance(milliseconds(1));
  net.in(ack(10));
  EXPECT_FALSE(net.tcb().is(tcp::in_recovery));
  net.expect_after(milliseconds(202), P(begin(13), 1, size()));
  EXPECT_EQ(net.counter(Count::tail_loss_probes), 1u);
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 0u);
}

// RFC8985-7.4: a probe that repaired a loss costs what a loss costs
TEST_F(Recovery, ATailLossThatTheProbeRepairedIsALoss) {
  send_segments(3);
  net.advance(milliseconds(203));
  net.drop_sent();
  uint32_t before = net.tcb().cwnd;
  net.advance(milliseconds(100));
  net.in(ack(3));
  net.send(size());
  net.drop_sent();
  net.advance(milliseconds(100));
  net.in(ack(4));
  EXPECT_EQ(net.counter(Count::tail_losses), 1u);
  EXPECT_LT(net.tcb().cwnd, before);
}

// RFC8985-7.4: one that was superfluous (D-SACK) costs nothing
TEST_F(Recovery, ASuperfluousProbeCostsNothing) {
  send_segments(3);
  net.advance(milliseconds(203));
  net.drop_sent();
  uint32_t before = net.tcb().cwnd;
  net.in(ack(3));
  net.in(ack(3).sack(begin(2), begin(3)));
  net.send(size());
  net.drop_sent();
  net.in(ack(4));
  EXPECT_EQ(net.counter(Count::tail_losses), 0u);
  EXPECT_GE(net.tcb().cwnd, before);
}

// RFC 8985 7.1: a timeout ends the probe's episode, and is paid for once
TEST_F(Recovery, ATimeoutEndsTheProbe) {
  send_segments(1);
  for (int sent = 0; sent < 2; net.advance(milliseconds(1))) {  // the probe, then the timeout
    sent += static_cast<int>(net.sent.size());
    net.drop_sent();
  }
  EXPECT_EQ(net.counter(Count::retransmission_timeouts), 1u);
  net.in(ack(1));
  uint32_t before = net.tcb().ssthresh;
  net.send(size());
  net.drop_sent();
  net.advance(milliseconds(100));
  net.in(ack(2));
  EXPECT_EQ(net.counter(Count::tail_losses), 0u);
  EXPECT_EQ(net.tcb().ssthresh, before);
}

// RFC8985-4.3: D-SACKs widen the reordering window, once a round trip
TEST_F(Recovery, DsackWidensTheReorderingWindow) {
  send_segments(4);
  net.advance(milliseconds(100));
  net.in(ack(4));
  net.in(ack(4).sack(begin(0), begin(1)));
  EXPECT_EQ(net.tcb().rack.steps, 2);
  net.in(ack(4).sack(begin(1), begin(2)));
  EXPECT_EQ(net.tcb().rack.steps, 2);
}

// RFC6675-5.1T, RFC2018-5a: after a timeout what was SACKed is not sent again
TEST_F(Recovery, AfterATimeoutOnlyWhatIsMissingGoesAgain) {
  net.stack->cx.params.frto = false;
  send_segments(6);
  net.advance(milliseconds(100));
  net.in(sacked(0, 4, 5));
  net.advance(milliseconds(26));
  expect_segment(0);
  net.drop_sent();
  while (net.counter(Count::retransmission_timeouts) == 0) net.advance(milliseconds(10));
  for (int i = 0; i < 40 && net.tcb().snd.una.value != net.own_iss() + begin(6); ++i) {
    for (auto& p : net.sent) EXPECT_NE((p.seg.seq - net.own_iss() - 1) / size(), 4u);
    uint32_t upto = net.sent.empty() ? 0 : (net.sent.back().seg.seq - net.own_iss() - 1) / size() + 1;
    net.drop_sent();
    net.advance(milliseconds(100));
    if (upto > 0) net.in(upto < 4 ? sacked(upto, 4, 5) : ack(upto == 4 ? 5 : upto));
  }
  EXPECT_EQ(net.tcb().snd.una.value, net.own_iss() + begin(6));
  net.drop_sent();
}

// RFC6298-5, RFC8985-6.3: what left less than an RTO ago is not sent again by the first's timeout
TEST_F(Recovery, ATimeoutResendsOnlyWhatIsOld) {
  net.set(Setting::no_delay, 1);
  net.stack->cx.params.tail_loss_probe = false;
  net.send(100);
  net.expect(P(1, 1, 100));
  net.advance(milliseconds(250));
  net.send(100);
  net.expect(P(101, 1, 100));
  net.expect_after(milliseconds(50), A(1, 1, 100));
  net.in(A(1, 101).win(60000));
  net.silent_for(milliseconds(100));
}

}  // namespace
}  // namespace millrace::conformance
