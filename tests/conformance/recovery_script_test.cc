// SPDX-License-Identifier: BSD-3-Clause
// Recovery with SACK as timed traces (script.h): where the losses are, what is sent again and when, and what it costs.
#include "tests/conformance/script.h"

namespace millrace::conformance {
namespace {

using Sacked = Traces;

// RFC6675-5.2, RFC6675-5.4, RFC6675-5.A: the first of ten
TEST_F(Sacked, TheFirstIsLost) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 0 sack 1
    101  < ack 0 sack 1-2
    102  < ack 0 sack 1-3
    102  > 0
    103  < ack 0 sack 1-9
    202  < ack 10
    202  = cwnd 5
    202  = ssthresh 5
    202  = resent 1
    900  = timeouts 0
  )");
}

// RFC6675-4N1, RFC6675-4N2, RFC6675-5.3, RFC6675-5.C: three of ten: each goes again as others arrive, then
// new text
TEST_F(Sacked, SeveralAreLost) {
  play(net, R"(
      0  send 14
      0  > 0-9
    100  < ack 0 sack 1
    100  > 10               # limited transmit
    101  < ack 0 sack 3 1
    101  > 11
    102  < ack 0 sack 5 3 1
    102  > 0
    102  = ssthresh 5
    103  < ack 0 sack 5-6 3 1
    104  < ack 0 sack 5-7 3 1
    105  < ack 0 sack 5-8 3 1
    105  > 2
    106  < ack 0 sack 5-9 3 1
    106  > 4
    200  < ack 0 sack 5-10 3 1
    200  > 12
    201  < ack 0 sack 5-11 3 1
    201  > 13
    202  < ack 2 sack 5-11 3
    204  < ack 4 sack 5-11
    205  < ack 12
    306  < ack 14
    900  = resent 3
    900  = timeouts 0
  )");
}

// RFC8985-7.2, RFC8985-7.3b: the last alone: its ACK may be delayed, so the probe waits as long as the RTO
// does
TEST_F(Sacked, TheLastIsLost) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 9
    350  > 9
    450  < ack 10
    450  = probes 1
    450  = timeouts 0
   1500  = resent 1
  )");
}

// RFC8985-7.3b, RFC8985-6.2.5: the probe's ACK shows what went before it; then as much as is acknowledged
TEST_F(Sacked, TheWholeTailIsLost) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 5
    302  > 9
    403  < ack 5 sack 9
    403  > 5
    503  < ack 6 sack 9
    503  > 6 7
    603  < ack 8 sack 9
    603  > 8
    703  < ack 10
    900  = timeouts 0
    900  = resent 5
  )");
}

// RFC8985-7.4: a probe that filled the only hole: what comes next tells that it was a loss
TEST_F(Sacked, TheProbeRepairsTheLoss) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 9
    350  > 9
    450  < ack 10
    460  send 1
    460  > 10
    560  < ack 11
    560  = ssthresh 2       # of what is in flight then (RFC 5681 3.1)
  )");
}

// RFC8985-7.4: ... and one that came twice costs nothing
TEST_F(Sacked, TheProbeWasOfNoUse) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 9
    350  > 9
    360  < ack 10           # the first one, late
    450  < ack 10 sack 9
    460  send 1
    460  > 10
    560  < ack 11
    560  = cwnd 13
  )");
}

// RFC8985-6.2.5, RFC6298-5, RFC6675-6: what was sent again is lost again: found by what was sent after it; the timer,
// which began with the first transmission, does not send it a third time
TEST_F(Sacked, TheRetransmissionIsLost) {
  play(net, R"(
      0  send 30
      0  > 0-9
    100  < ack 0 sack 1-4
    100  > 0
    101  < ack 0 sack 1-9
    101  > 10-13
    201  < ack 0 sack 1-10
    201  > 0 14
    202  < ack 0 sack 1-13
    202  > 15-17
    301  < ack 15
    301  > 18 19
    301  = timeouts 0
    400  < ack 20
    400  > 20-25
    500  < ack 26
    500  > 26-29
    600  < ack 30
  )");
}

// RFC8985-6.2.3: late by less than a quarter of the round trip
TEST_F(Sacked, ReorderingWithinTheWindow) {
  play(net, R"(
      0  send 2
      0  > 0 1
    100  < ack 0 sack 1
    120  < ack 2
   1500  = resent 0
   1500  = cwnd 10
  )");
}

// RFC8985-6.2.4, RFC8985-4.3: by more: the D-SACK widens the window for the next time
TEST_F(Sacked, ReorderingBeyondTheWindowWidensIt) {
  play(net, R"(
      0  send 2
      0  > 0 1
    100  < ack 0 sack 1
    125  > 0
    130  < ack 2
    135  < ack 2 sack 0
    200  send 2
    200  > 2 3
    300  < ack 2 sack 3
    350  > 2                # not at 325
    450  < ack 4
  )");
}

// RFC2018-5b, RFC2018-5a: what was SACKed is gone: the timeout finds the left edge SACKed, and believes
// nothing any more
TEST_F(Sacked, ThePeerReneges) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 0 sack 5-9
    100  > 0-4
    200  < ack 5
    500  > 5
    600  < ack 6
    600  > 6 7
    700  < ack 8
    700  > 8 9
    800  < ack 10
    800  = timeouts 1
  )");
}

// RFC6675-4U: beyond SND.NXT, in part or whole; reversed; empty; below SND.UNA
TEST_F(Sacked, BlocksThatCannotBe) {
  play(net, R"(
      0  send 12
      0  > 0-9
    100  < ack 0 sack 20-22
    100  < ack 0 sack 8:12
    100  < ack 0 sack 5:2
    100  < ack 0 sack -3:-1
    100  < ack 0 sack 3:3
    100  = pipe 10
    110  < ack 10
    110  > 10 11
    110  = cwnd 12
    210  < ack 12
    900  = resent 0
  )");
}

// RFC6675-5.1T, RFC6298-5.4: two SACKed, the first lost twice: the timeout keeps what is SACKed, and sends
// the rest in slow start
TEST_F(Sacked, TheTimeoutKeepsWhatWasSacked) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 0 sack 8-9
    125  > 0
    425  > 0
    425  = timeouts 1
    525  < ack 1 sack 8-9
    525  > 1 2
    625  < ack 3 sack 8-9
    625  > 3-5
    725  < ack 6 sack 8-9
    725  > 6 7
    825  < ack 10
    825  = resent 9
  )");
}

// RFC9293-MUST-35, RFC9293-MUST-36: the window shuts as recovery ends
TEST_F(Sacked, TheWindowShutsAfterRecovery) {
  play(net, R"(
      0  send 20
      0  > 0-9
    100  < ack 0 sack 1-3
    100  > 0
    101  < ack 0 sack 1-9
    101  > 10-13
    201  < ack 14 win 0
    201  = cwnd 5
    451  > 14/1
    551  < ack 14 win 20
    551  > 14-18
    651  < ack 19
    651  > 19
  )");
}

// RFC9293-SHLD-16, RFC9293-MAY-7: it shuts in the middle: nothing leaves but the fast retransmission, and
// probes find out when it opens
TEST_F(Sacked, TheWindowShutsInRecovery) {
  play(net, R"(
      0  send 20
      0  > 0-9
    100  < ack 0 sack 1-3
    100  > 0
    150  < ack 4 win 0
    450  > 4/1
    550  < ack 10 win 0
   1306  > 10/1          # an RTO later, which has grown with the ACK of 550 ms
   1400  < ack 10 win 20
   1400  > 10-12
  )");
}

// RFC9293-3.10.4, RFC8985-7.3b: the FIN is a segment like others
TEST_F(Sacked, TheFinIsLost) {
  play(net, R"(
      0  send 3
      0  > 0-2
      0  shutdown
      0  > fin
    100  < ack 3
    350  > fin
    450  < ack fin
   2000  = resent 1
  )");
}

// RFC9438-4.6b, RFC 7661: an application that sends little opens no window
TEST_F(Sacked, LittleTrafficOpensNothing) {
  play(net, R"(
      0  send 2
      0  > 0 1
    100  < ack 2
    100  send 2
    100  > 2 3
    200  < ack 4
    200  = cwnd 10
  )");
}

// RFC5681-4.1: after more than an RTO of silence the first window is the first one's
TEST_F(Sacked, AfterIdleItBeginsAnew) {
  play(net, R"(
      0  send 10
      0  > 0-9
    100  < ack 2
    101  < ack 4
    102  < ack 6
    103  < ack 8
    104  < ack 10
    104  = cwnd 20
    404  send 20
    404  > 10-19
    404  = cwnd 10
    504  < ack 20
    504  > 20-29
  )");
}

// RFC5681-3.1i, RFC5681-3.1f: a loss in slow start halves what was in flight; a second one, in congestion
// avoidance, again
TEST_F(Sacked, LossInSlowStartAndInAvoidance) {
  play(net, R"(
      0  send 60
      0  > 0-9
    100  < ack 5
    100  > 10-16
    101  < ack 10
    101  > 17-23
    101  = cwnd 14
    200  < ack 10 sack 11-13
    200  > 10
    200  = ssthresh 7
    201  < ack 10 sack 11-23
    201  > 24-29            # up to ssthresh: so many were delivered
    300  < ack 24
    300  = cwnd 7
    300  > 30
    301  < ack 24 sack 25-27
    301  > 24
    301  = ssthresh 3
    301  = fast 2
    302  < ack 24 sack 25-30
    302  > 31-32
    401  < ack 31
    401  > 33
    401  = cwnd 3
    501  < ack 34
    501  > 34-36
    601  < ack 37
    601  > 37-40            # one more after a whole window
  )");
}

}  // namespace
}  // namespace millrace::conformance
