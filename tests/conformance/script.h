// SPDX-License-Identifier: BSD-3-Clause
// A recovery as a timed trace, in segments where a packet has sequence numbers:
//
//   play(net, R"(
//       0  send 10             # the application queues ten segments
//       0  > 0-9               # and these leave
//     100  < ack 0 sack 1-3    # the peer: no segment in order, three beyond the first
//     100  > 0                 # the first goes again
//     100  = cwnd 5
//   )");
//
// A line happens at its time, in milliseconds since the script began. What leaves must stand in a `>` line of
// that time, in that order, and nothing else may leave up to the script's end.
//
// Segment n begins at 1 + n * MSS; n+b is b octets later. 2-4 are three segments, 2:5 is the same as two
// edges, which a peer may have wrong: 5:2, -3:-1.
//
//   send N [B]                        N segments, and B octets; shutdown: FIN behind them
//   > 0 1-3 4/200 5F 6c fin ack       sent: /200 octets only; F with FIN; c with CWR; bare FIN; bare ACK
//   < ack N [sack R...] [win N] [ece] [echo T]    `win` in segments; `echo`: TSecr is the clock at T
//   = NAME N                          in segments: cwnd, ssthresh, flight, pipe; counted: timeouts, probes,
//                                     undone, fast, resent
#pragma once

#include "tests/conformance/harness.h"

namespace millrace::conformance {

void play(Net& net, const std::string& script, Where where = Where::here());

// An established connection to play on: a round trip of 100 ms, a wide window, ten segments allowed; SRTT is
// 100 ms, the RTO 300 ms, a probe is due after 202 ms.
struct Traces : testing::Test {
  explicit Traces(bool sack = true, bool timestamps = false, const Net::Change& change = {}) : net(change) {
    net.peer.sack = sack;
    net.peer.ts = timestamps;
    net.peer.wscale = 4;
    net.syn_received_passive();
    net.advance(milliseconds(100));
    net.in(A(1, 1).win(60000));
    net.expect_event(Event::accepted);
    net.drop_sent();
  }
  Net net;
};

}  // namespace millrace::conformance
