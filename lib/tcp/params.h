// SPDX-License-Identifier: BSD-3-Clause
// What a user may choose about TCP, with the defaults and what they come from. Fixed when the stack is built;
// Options (per listener, per connection) overrides some.
#pragma once

#include <cstdint>

#include "millrace/time.h"

namespace millrace::tcp {

// Who asks for ECN in the handshake (RFC 3168 6.1.1). DCTCP asks in any case.
enum class EcnMode : uint8_t {
  off,
  passive,  // if the peer asks
  active,
};

// Does a SYN that finds no room in the half-open queue get a cookie (RFC 4987 3.6)? `always`: each SYN, for tests.
enum class SynCookies : uint8_t { off, on_overflow, always };

// What the least RTO is the least of.
enum class RtoMin : uint8_t {
  total,     // of SRTT + K*RTTVAR (RFC6298-2.4)
  variance,  // of K*RTTVAR alone, so that a long path has its minimum on top: Linux
};

struct Params {
  // Retransmission (RFC 6298). The minimum is Linux's; the RFC's own SHOULD is 1 s (RFC6298-2.4).
  Duration rto_initial = seconds(1);       // RFC6298-2.1
  Duration rto_min = milliseconds(200);
  RtoMin rto_min_applies_to = RtoMin::total;
  Duration rto_max = seconds(120);         // RFC6298-2.5: at least 60 s
  Duration clock_granularity = milliseconds(1);
  Duration probe_ack_delay = milliseconds(200);  // added to a tail loss probe's time for a segment alone
  Duration probe_margin = milliseconds(2);       // and for several, as Linux does
  uint8_t r1 = 3;                          // retransmissions until `slow` (RFC9293-SHLD-10)
  Duration r2 = seconds(924);              // until `timed out`; Linux's 15 retries (RFC9293-SHLD-11: >= 100 s)
  uint8_t syn_retries = 7;                 // SYNs at 0, 1, 3 ... 127 s, `timed out` at 247 s (RFC9293-MUST-23)
  uint8_t syn_ack_retries = 5;
  SynCookies syn_cookies = SynCookies::on_overflow;

  // Acknowledging (RFC 9293 3.8.6.3). 40 ms as Linux's minimum; the RFC allows up to 500 (RFC9293-MUST-40).
  Duration delayed_ack = milliseconds(40);
  // Segments that are acknowledged at once when a connection begins, and after a pause of an RTO: the peer's slow start
  // counts ACKs or waits for them. Linux has 16; 0: none.
  uint8_t quick_acks = 0;

  // Windows.
  uint32_t receive_buffer = 256 * 1024;    // bytes a connection may hold for its application
  // ... in the end, if the application takes what comes; not above receive_buffer: no growth. Twice 10 Gbit/s times
  // 50 ms are 125 MB; this is all that a window scale of 11 can say.
  uint32_t receive_buffer_max = 65535u << 11;
  // Bytes queued by `send` before failed(full), and twice what cwnd allows on top: the application of a long path need
  // not know how long it is. A connection with a limit of its own keeps that.
  uint32_t send_limit = 256 * 1024;
  // Segments held for reassembly per connection; 0: as many as its receive buffer holds if each counts as
  // out_of_order_charge bytes at least, for a packet buffer is held by a single byte, too.
  uint32_t out_of_order_limit = 0;
  uint16_t out_of_order_charge = 512;
  uint8_t initial_window = 10;             // segments (RFC 6928)
  uint8_t slow_start_stretch = 8;          // segments by which one ACK may open cwnd (RFC 9406 4.2: L, unpaced)
  uint32_t fixed_window = 1 << 20;         // bytes in flight with Congestion::none

  // Life times.
  Duration msl = seconds(30);              // TIME-WAIT lasts twice this (RFC9293-MUST-13); Linux's 60 s
  Duration fin_wait_2 = seconds(60);       // for a connection its application has closed
  Duration keepalive_time = seconds(7200); // RFC9293-MUST-28
  Duration keepalive_interval = seconds(75);
  uint8_t keepalive_probes = 9;            // RFC9293-MUST-29

  // Challenge ACKs of one connection: at most `challenge_limit` in `challenge_period` (RFC5961-7).
  uint16_t challenge_limit = 10;
  Duration challenge_period = seconds(5);

  bool timestamps = true;
  bool sack = true;
  bool dsack = true;                       // RFC 2883: tell a peer with SACK what arrived twice
  bool tail_loss_probe = true;             // RFC 8985 7
  bool frto = true;                        // RFC 5682: was a retransmission timeout a mistake?
  bool window_scaling = true;
  EcnMode ecn = EcnMode::passive;          // as Linux has it
  uint8_t push_every = 0;                  // PSH also on each n-th segment of those that leave together
  bool immediate_ack = false;              // an ACK at the end of each turn that received text
  uint8_t ttl = 64;                        // RFC9293-MUST-49
  uint8_t restart_after_idle = 1;          // RFC5681-4.1

  constexpr bool valid() const {
    return rto_min <= rto_initial && rto_initial <= rto_max && rto_min.ns > 0 && delayed_ack < milliseconds(500) &&
           receive_buffer >= 2 * 1460 &&
           receive_buffer_max / 16384 <= receive_buffer &&  // the window's unit is at most half the buffer
           send_limit > 0 && initial_window > 0 && initial_window <= 10 &&
           out_of_order_charge > 0 && msl.ns > 0 && ttl > 0;
  }
};
static_assert(Params{}.valid());

}  // namespace millrace::tcp
