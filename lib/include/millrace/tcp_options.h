// SPDX-License-Identifier: BSD-3-Clause
// What a user may choose about TCP: each timer and limit with its default, where that comes from, and what Linux has.
// A value, fixed when the endpoint is made; Options (per listener, per connect) and Setting override some.
// Names, bounds and units of all, for files and command lines: millrace/tcp_option_table.h.
#pragma once

#include <cstdint>

#include "millrace/time.h"

namespace millrace {

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

// The order of the options in a SYN; any is right (RFC 9293 3.1). Middleboxes and fingerprints see it.
enum class SynLayout : uint8_t {
  scale_last,   // MSS, SACK permitted, timestamps, window scale: Linux
  scale_first,  // MSS, window scale, SACK permitted, timestamps: FreeBSD
};

struct TcpOptions {
  // --- the retransmission timeout (RFC 6298) ---
  Duration rto_initial = seconds(1);       // before a round trip is measured: RFC6298-2.1. Linux: 1 s
  Duration rto_min = milliseconds(200);    // RFC6298-2.4 would have 1 s. Linux: 200 ms
  RtoMin rto_min_applies_to = RtoMin::total;  // RFC 6298: total. Linux: variance
  Duration rto_max = seconds(120);         // also doubled: RFC6298-2.5, at least 60 s. Linux: 120 s
  Duration clock_granularity = milliseconds(1);  // G, below which K*RTTVAR does not fall: RFC6298-4. Linux: 1 to 10 ms
  bool frto = true;                        // was a timeout a mistake? RFC 5682. Linux: on
  bool tail_loss_probe = true;             // RFC 8985 7. Linux: on
  Duration probe_ack_delay = milliseconds(200);  // on a probe's time for one segment alone: RFC8985-7.2. Linux: 200 ms
  Duration probe_margin = milliseconds(2);       // and for several. Linux: 2 jiffies

  // --- giving up (RFC 9293 3.8.3) ---
  uint8_t r1 = 3;                          // retransmissions until `slow`: RFC9293-SHLD-10. Linux: 3
  // Without an answer until closed(timed_out): RFC9293-SHLD-11, at least 100 s; Options::user_timeout_s is one
  // connection's own. Linux: 15 retries, 924 s
  Duration r2 = seconds(924);
  uint8_t syn_retries = 7;                 // SYNs at 0, 1, 3 ... 127 s, over at 247 s: RFC9293-MUST-23. Linux: 6
  uint8_t syn_ack_retries = 5;             // the same for a SYN,ACK. Linux: 5
  Duration persist_min = {};               // least time between window probes; 0: the RTO, RFC9293-SHLD-29. Linux: 200 ms
  Duration persist_max = seconds(120);     // most, doubled each time: RFC9293-SHLD-30. Linux: 120 s

  // --- connections that their application has closed: orphans ---
  // Without progress until they are given up, also if the peer answers probes of its closed window: R2, RFC 6429.
  // Linux: 8 retries, 102 s
  Duration orphan_timeout = seconds(102);
  uint32_t orphan_limit = 0;               // more are reset as they come; 0: as many as connections. Linux: by memory
  Duration fin_wait_2 = seconds(60);       // an orphan in FIN-WAIT-2 waits so long for FIN: RFC 9293 3.6. Linux: 60 s

  // --- delayed ACK (RFC 9293 3.8.6.3) ---
  Duration delayed_ack = milliseconds(40);  // below 500 ms: RFC9293-MUST-40; 0: none. Linux: 40 to 200 ms
  uint8_t ack_every = 2;                   // full segments that bring an ACK at once: RFC9293-SHLD-19. Linux: 2
  // Segments that are acknowledged at once when a connection begins, and after a pause of an RTO: the peer's slow start
  // counts ACKs or waits for them. Linux: 16
  uint8_t quick_acks = 0;
  bool immediate_ack = false;              // an ACK at the end of each turn that received text. Linux: TCP_QUICKACK

  // --- keep-alive (RFC 9293 3.8.4), where Options or Setting ask for it ---
  Duration keepalive_time = seconds(7200);  // idle until the first probe: RFC9293-MUST-28. Linux: 2 h
  Duration keepalive_interval = seconds(75);  // between probes. Linux: 75 s
  uint8_t keepalive_probes = 9;            // without an answer, until timed_out: RFC9293-MUST-29. Linux: 9

  // --- TIME-WAIT ---
  Duration time_wait = seconds(60);        // 2MSL: RFC9293-MUST-13 with an MSL of 30 s instead of 2 min. Linux: 60 s

  // --- the handshake's defence ---
  SynCookies syn_cookies = SynCookies::on_overflow;  // RFC 4987 3.6. Linux: on_overflow
  // Challenge ACKs of one connection: at most so many in such a time (RFC5961-7). Linux: one in 500 ms, and 1000/s in all
  uint16_t challenge_limit = 10;
  Duration challenge_period = seconds(5);
  Duration record_ack_interval = milliseconds(500);  // of a TIME-WAIT or half-open record: one in that time. Linux: 500 ms

  // --- windows ---
  uint32_t receive_buffer = 256 * 1024;    // bytes held for the application, at the start. Linux: 128 KB
  // ... and in the end, if the application takes what comes; not above receive_buffer: no growth. Twice 10 Gbit/s times
  // 50 ms are 125 MB; this is all that a window scale of 11 can say. Linux: 6 MB
  uint32_t receive_buffer_max = 65535u << 11;
  // Bytes queued by `send` until failed(full), and twice what cwnd allows on top: the application of a long path need not
  // know how long it is. A connection with a limit of its own keeps that. Linux: 16 KB to 4 MB
  uint32_t send_limit = 256 * 1024;
  // Segments held for reassembly; 0: as many as the receive buffer holds if each counts as out_of_order_charge bytes at
  // least, for a packet buffer is held by a single byte, too. Linux: what the buffer takes
  uint32_t out_of_order_limit = 0;
  uint16_t out_of_order_charge = 512;
  uint8_t initial_window = 10;             // segments: RFC 6928. Linux: 10
  uint8_t slow_start_stretch = 8;          // segments by which one ACK may open cwnd: L of RFC 9406 4.2, unpaced
  bool restart_after_idle = true;          // RFC5681-4.1. Linux: on
  uint32_t fixed_window = 1 << 20;         // bytes in flight with Congestion::none. Linux: has none

  // --- options and header fields ---
  bool timestamps = true;                  // RFC 7323. Linux: on
  bool sack = true;                        // RFC 2018. Linux: on
  bool dsack = true;                       // tell a peer with SACK what arrived twice: RFC 2883. Linux: on
  bool window_scaling = true;              // RFC 7323. Linux: on
  EcnMode ecn = EcnMode::passive;          // RFC 3168. Linux: passive
  uint8_t push_every = 0;                  // PSH also on each n-th segment of those that leave together; 0: no. Linux: no
  uint8_t ttl = 64;                        // RFC9293-MUST-49. Linux: 64

  // --- ICMP and the path's MTU (RFC 1191) ---
  uint16_t min_path_mtu = 552;             // an error that asks for less, to 68, counts when its segment has timed out
  Duration path_mtu_timeout = seconds(600);  // then longer ones are tried again: RFC1191-3e, not before 5 min. Linux: 10 min
  // Does "unreachable" or "time exceeded" end an open (RFC 5461)? Else it is told, and the SYN goes out until its time is
  // up (RFC9293-MUST-56 to the letter). Once connected, no ICMP error ends anything. Linux: it does
  bool unreachable_ends_open = true;

  // --- what other stacks do otherwise ---
  SynLayout syn_layout = SynLayout::scale_last;  // Linux: scale_last
  uint8_t ecn_syns = 1;                    // SYNs that ask for ECN until one goes without: RFC 3168 6.1.1.1
  uint8_t syns_with_options = 255;         // SYNs that offer options; those after have but the MSS
  Duration syn_limit{};                    // of an active open, if the syn_retries last longer; 0: none
  Duration rto_slop{};                     // added to each RTO but the first: what the peer's delayed ACK may take
  // receive_buffer is rounded up to a multiple of the MSS, and all of it taken, even if the window's field cannot say so
  bool whole_segments = false;
  bool ack_second = false;                 // every second segment is acknowledged at once, full-sized or not
  bool beta_of_cwnd = false;               // RFC9438-4.6b: CUBIC takes its 0.7 of cwnd, not of what is in flight. Linux: on
  bool delay_fin_ack = false;              // the ACK of a FIN may wait as that of text. Linux: on
  bool require_timestamps = true;          // RFC7323-3.2b; off: segments without one are taken. Linux: off
  bool answer_early_ack = true;            // an ACK of what was not sent yet gets one. Linux: on (6.18); older ones: off
  bool closing_fin = false;                // the ACK of a FIN that crosses ours carries ours once more
  bool exact_rst = true;                   // RFC 5961 3.2; off: a RST anywhere in the window resets (RFC 793). Linux: on
  bool challenge_syn = true;               // RFC5961-4.2; off: a SYN in the window resets (RFC 793). Linux: on
  bool drop_syn_fin = false;               // a SYN with FIN is no SYN

  // What the core relies on; the table's bounds are narrower.
  constexpr bool valid() const {
    return rto_min <= rto_initial && rto_initial <= rto_max && rto_min.ns > 0 && persist_min <= persist_max &&
           persist_max.ns > 0 && delayed_ack < milliseconds(500) && ack_every > 0 && receive_buffer >= 2 * 1460 &&
           receive_buffer_max / 16384 <= receive_buffer &&  // the window's unit is at most half the buffer
           send_limit > 0 && initial_window > 0 && initial_window <= 10 && out_of_order_charge > 0 &&
           time_wait.ns > 0 && ttl > 0 && rto_slop <= seconds(1) &&
           min_path_mtu >= 68 && path_mtu_timeout >= seconds(300);
  }
};
static_assert(TcpOptions{}.valid());

}  // namespace millrace
