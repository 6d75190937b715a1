// SPDX-License-Identifier: BSD-3-Clause
// Recovery without SACK, timeouts, what undoes them, and marks, as timed traces (script.h).
#include "tests/conformance/script.h"

namespace millrace::conformance {
namespace {

struct Unsacked : Traces {
  Unsacked() : Traces(false) {}
};

// RFC6582-3.2.2, RFC6582-3.2.3P, RFC6582-3.2.3F, RFC5681-3.2.1, RFC5681-3.2.4, RFC5681-3.2.5: two of ten
// without SACK: limited transmit, fast retransmit, inflation, a partial ACK, the end
TEST_F(Unsacked, TwoAreLost) {
  play(net, R"(
      0  send 16
      0  > 0-9
    100  < ack 0
    100  > 10
    101  < ack 0
    101  > 11
    102  < ack 0
    102  > 0
    102  = cwnd 8           # ssthresh and three
    103  < ack 0
    104  < ack 0
    105  < ack 0
    106  < ack 0
    106  = cwnd 12
    107  < ack 0
    107  > 12
    108  < ack 0
    108  > 13
    109  < ack 0
    109  > 14
    202  < ack 5            # 5 was the other
    202  > 5 15
    202  = cwnd 11
    207  < ack 5
    208  < ack 5
    209  < ack 5
    302  < ack 15
    302  = cwnd 2           # what is in flight, and one
    302  = ssthresh 5
    402  < ack 16
    900  = timeouts 0
    900  = resent 2
  )");
}

// RFC3042, RFC6298-5.4: two of three are lost: too few duplicates; the timeout, then slow start
TEST_F(Unsacked, TooFewDuplicatesWaitForTheTimeout) {
  play(net, R"(
      0  send 3
      0  > 0-2
    100  < ack 0
    300  > 0
    400  < ack 1
    400  > 1 2
    500  < ack 3
    500  = timeouts 1
    500  = resent 3
  )");
}

// RFC6298-5.5, RFC6298-5.6, RFC5681-3.1i: everything is lost, and so is what goes again
TEST_F(Unsacked, TheTimeoutBacksOff) {
  play(net, R"(
      0  send 10
      0  > 0-9
    300  > 0
    300  = ssthresh 5
    900  > 0
   2100  > 0
   2100  = ssthresh 5
   2200  < ack 1
   2200  > 1 2
   2300  < ack 3
   2300  > 3-5
   2400  < ack 6
   2400  > 6-9
   2500  < ack 10
   2500  = resent 12
  )");
}

// RFC 5682 2.1: nothing is lost, all is late: new text instead of old, and its ACKs tell; nothing is sent
// twice but the first
TEST_F(Unsacked, ASpuriousTimeoutIsUndoneByFrto) {
  play(net, R"(
      0  send 30
      0  > 0-9
    300  > 0
    300  = cwnd 1
    400  < ack 1
    400  > 10 11
    401  < ack 2
    401  = undone 1
    401  > 12
    402  < ack 10
    402  > 13-22
    900  = resent 1
  )");
}

// RFC 5682 2.1 step 3a: the second ACK is a duplicate: what is not acknowledged is lost
TEST_F(Unsacked, FrtoFindsThatItWasALoss) {
  play(net, R"(
      0  send 30
      0  > 0-9
    300  > 0
    400  < ack 1
    400  > 10 11
    500  < ack 1
    500  > 1
    500  = undone 0
  )");
}

// RFC6298-5.4: a lost FIN that carries text
TEST_F(Unsacked, TheFinIsLost) {
  play(net, R"(
      0  send 1 100
      0  > 0 1/100
      0  shutdown
      0  > fin
    100  < ack 1
    350  > 1/100F
    450  < ack fin
   2000  = resent 1
  )");
}

// RFC9293-MUST-22, RFC6298-5.5: a SYN is sent again without the text that waits behind it, which leaves once,
// with the ACK
TEST(SynTrace, TheTextWaitsForTheHandshake) {
  Net net;
  net.syn_sent();
  net.id = net.stack->cx.id_of(net.stack->cx.tcbs[0]);
  net.send(2920);
  net.expect_none();
  for (uint64_t wait : {1, 2, 4}) net.expect_after(seconds(wait), S(0).mss(1460).sack_ok().wscale(0).ts());
  net.expect_event(Event::slow);
  net.in(SA(0, 1).mss(1460).win(60000));
  net.expect_event(Event::connected);
  net.expect(A(1, 1, 1460));
  net.expect_none();  // one segment after so many SYNs (RFC5681-3.1d)
  net.in(A(1, 1461).win(60000));
  net.expect(P(1461, 1, 1460));
}

struct NoProbe : Traces {
  explicit NoProbe(bool timestamps = false)
      : Traces(true, timestamps, [](stack::Config& c) { c.tcp.tail_loss_probe = c.tcp.frto = false; }) {}
};

// RFC 2883, RFC 3708: the ACK of the late first brings the D-SACK of its second
TEST_F(NoProbe, ASpuriousTimeoutIsUndoneByDsack) {
  play(net, R"(
      0  send 10
      0  > 0-9
    300  > 0
    400  < ack 1 sack 0
    400  = undone 1
    401  < ack 10
    900  = resent 1
    900  = timeouts 1
  )");
  EXPECT_GE(net.tcb().cwnd, 10u * net.tcb().mss);
  EXPECT_EQ(net.tcb().ssthresh, 0x7fffffffu);
}

struct Stamped : NoProbe {
  Stamped() : NoProbe(true) {}
};

// RFC 3522: the echo is older than the retransmission
TEST_F(Stamped, ASpuriousTimeoutIsUndoneByItsEcho) {
  play(net, R"(
      0  send 10
      0  > 0-9
    300  > 0
    300  = cwnd 1
    350  < ack 1 echo 0
    350  = undone 1
    351  < ack 10 echo 0
    351  = timeouts 1
    900  = resent 1
  )");
  EXPECT_GE(net.tcb().cwnd, 10u * net.tcb().mss);
}

// RFC 3522: the echo of the retransmission: it was lost, and slow start goes on
TEST_F(Stamped, ATimeoutThatWasRightIsNot) {
  play(net, R"(
      0  send 4
      0  > 0-3
    300  > 0
    400  < ack 1 echo 300
    400  > 1 2
    500  < ack 3 echo 400
    500  > 3
    600  < ack 4
    600  = undone 0
  )");
}

struct Marked : testing::Test {
  Marked() {
    net.peer.wscale = 4;
    net.listen();
    net.in(S(0).ece().cwr().mss(1460).wscale(4).sack_ok());
    net.advance(milliseconds(100));
    net.in(A(1, 1).win(60000));
    net.expect_event(Event::accepted);
    net.drop_sent();
  }
  Net net;
};

// RFC 3168 6.1.2: a loss and marks of the same window lower cwnd once, and the next new text says so
TEST_F(Marked, EceInRecoveryLowersNothing) {
  play(net, R"(
      0  send 40
      0  > 0-9
    100  < ack 0 sack 1-3
    100  > 0
    100  = ssthresh 5
    101  < ack 0 sack 1-5 ece
    102  < ack 0 sack 1-9 ece
    102  > 10c 11-13
    102  = ssthresh 5
    200  < ack 10 ece
    200  > 14
    201  < ack 11
    201  = ssthresh 5
    201  > 15
  )");
}

// RFC 3168 6.1.2, RFC 3708: a recovery that was a mistake does not take back what a mark has cost since
TEST_F(Marked, TheMarkOutlivesTheMistake) {
  play(net, R"(
      0  send 40
      0  > 0-9
    100  < ack 0 sack 1-4
    100  > 0
    150  < ack 10
    150  > 10c 11-14
    250  < ack 15 ece
    250  > 15c 16
    251  < ack 15 sack 0-1
    251  = undone 0
  )");
}

// RFC 3168 6.1.2: a timeout, too
TEST_F(Marked, CwrAfterATimeout) {
  play(net, R"(
      0  send 1
      0  > 0
    300  > 0                # a probe, which says nothing of cwnd
    600  > 0
    600  = timeouts 1
    700  < ack 1
    700  send 1
    700  > 1c
    800  < ack 2
  )");
}

}  // namespace
}  // namespace millrace::conformance
