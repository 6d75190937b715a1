// SPDX-License-Identifier: BSD-3-Clause
// What a core can tell of its connections: the ground that Linux's tcp_info covers, in the RFCs' words, with bytes
// where Linux has segments. A value: read on the core's own thread, good for the turn that it was read in.
#pragma once

#include <cstdint>

#include "millrace/address.h"
#include "millrace/connection.h"
#include "millrace/time.h"

namespace millrace {

// The eleven states of RFC 9293 3.3.2.
enum class State : uint8_t {
  closed, listen, syn_sent, syn_received, established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack,
  time_wait,
};

// What congestion control is doing: Linux's tcpi_ca_state.
enum class Phase : uint8_t {
  open,      // nothing unusual
  disorder,  // duplicate ACKs or SACK blocks, nothing is taken for lost yet
  cwr,       // cwnd was reduced for ECN, and that window is still under way
  recovery,  // fast recovery: RFC 6675, RFC 6582
  loss,      // after a retransmission timeout
};

// What runs for what is in flight, or cannot be sent: one at a time (RFC8985-8).
enum class Timer : uint8_t {
  none,
  retransmit,  // RFC 6298
  probe,       // tail loss probe, RFC 8985 7
  reorder,     // RACK's reordering window, RFC 8985 6.2
  persist,     // probe of a closed window, RFC 9293 3.8.6.1
};

// What sending waits for.
enum class Limit : uint8_t {
  idle,         // nothing is queued or in flight
  application,  // all that was queued has left (or Nagle holds the last of it); its ACK is to come
  receiver,     // the peer's window
  send_buffer,  // all that was queued has left, and the application was refused more: failed(full)
  congestion,   // cwnd
};

// RFC 9293's words ("FIN-WAIT-1"), else those above.
const char* name(State state);
const char* name(Phase phase);
const char* name(Timer timer);
const char* name(Limit limit);
const char* name(Congestion congestion);

struct Diagnostics {
  // --- whose ---
  // A half-open record (SYN-RECEIVED of a passive open) and a TIME-WAIT record have no id, and of what follows only
  // state, addresses, options, mss, `established` (for TIME-WAIT: since when) and the timer's end.
  ConnectionId connection;
  uint64_t token = 0;
  IpAddress local, remote;
  uint16_t local_port = 0, remote_port = 0;
  State state = State::closed;
  bool active = false;           // from a connect
  bool orphan = false;           // its application has closed
  Instant established;           // 0: not yet

  // --- what both SYNs agreed on ---
  bool timestamps = false, sack = false, window_scaling = false, ecn = false;
  uint8_t send_wscale = 0;       // of the peer's windows
  uint8_t receive_wscale = 0;    // of ours

  // --- congestion control (RFC 5681) ---
  Congestion congestion = Congestion::cubic;
  Phase phase = Phase::open;
  bool slow_start = false;       // cwnd < ssthresh, and no fast recovery
  uint32_t cwnd = 0;             // bytes
  uint32_t ssthresh = 0;         // bytes; UINT32_MAX or near: none yet

  // --- round-trip times (RFC 6298); 0: not measured ---
  Duration srtt, rttvar;
  Duration rto;                  // without backoff
  Duration min_rtt;              // of the last five minutes (RFC8985-6.2.1)
  Duration receiver_rtt;         // as the receiving side measures it
  uint8_t backoff = 0;           // doublings of the RTO that apply now
  uint8_t timeouts_in_a_row = 0;

  // --- sending: bytes ---
  uint16_t path_mtu = 0;         // as far as is known
  uint16_t send_mss = 0;         // text that a segment carries, options deducted
  uint16_t peer_mss = 0;         // the peer's MSS option
  uint32_t send_window = 0;      // SND.WND
  uint32_t in_flight = 0;        // SND.NXT - SND.UNA
  uint32_t sacked = 0;           // of it
  uint32_t lost = 0;             // of it: taken for lost and not sent again yet
  uint32_t resent = 0;           // of it: sent again, and not acknowledged
  uint32_t unsent = 0;           // queued behind SND.NXT
  uint32_t send_limit = 0;
  uint64_t bytes_sent = 0;       // text and FIN, each once
  uint64_t bytes_acked = 0;
  uint64_t delivered = 0;        // acknowledged or SACKed
  uint32_t delivered_ce = 0;     // acknowledged with ECE (RFC 3168); counts modulo 2^32
  uint64_t resent_bytes = 0;     // in all, with probes
  uint32_t resent_segments = 0;  // with SYNs
  uint32_t segments_out = 0, text_segments_out = 0;

  // --- receiving: bytes ---
  uint16_t receive_mss = 0;      // our MSS option
  uint32_t receive_window = 0;   // RCV.WND, as promised
  uint32_t receive_buffer = 0;   // as grown so far
  uint32_t unread = 0;           // held for or lent to the application
  uint32_t out_of_order = 0;     // segments held for reassembly
  uint64_t bytes_received = 0;   // text and FIN, in order
  uint32_t out_of_order_total = 0;  // segments
  uint32_t segments_in = 0, text_segments_in = 0;

  // --- loss recovery: how often ---
  uint16_t recoveries = 0;       // fast ones
  uint16_t timeouts = 0;
  uint16_t tail_loss_probes = 0;
  uint16_t undone = 0;           // nothing had been lost (RFC 5682, RFC 3522, RFC 2883)
  uint32_t dsacks = 0;           // ACKs that told of text that had arrived twice
  bool reordering = false;       // was seen
  uint8_t reordering_steps = 0;  // of min_rtt / 4 in RACK's window

  // --- timers ---
  Timer timer = Timer::none;
  Instant timer_at = Instant::never();
  Instant delayed_ack_at = Instant::never();
  Duration delayed_ack;          // how long an ACK may wait
  Instant life_at = Instant::never();  // FIN-WAIT-2 of an orphan, TIME-WAIT, half-open
  bool keepalive = false;
  Instant keepalive_at = Instant::never();
  uint8_t keepalive_probes = 0;  // unanswered

  // --- when last; 0: never ---
  Instant text_sent, text_received, ack_received;

  // --- what sending waited for, so far (Linux: tcpi_busy_time and its parts) ---
  Limit limit = Limit::idle;
  Duration busy;                 // something was queued or in flight
  Duration limited_by_receiver, limited_by_send_buffer, limited_by_congestion;  // parts of it

  // --- delivery rate (draft-cheng-iccrg-delivery-rate-estimation), sampled once a round trip of more than one
  // segment: bytes in a time; 0: no sample. There is no pacing. ---
  uint32_t rate_bytes = 0;
  Duration rate_interval;
  bool rate_app_limited = false;  // for want of text it may be more
};

// A listener, and what has come to it.
struct ListenerDiagnostics {
  uint64_t token = 0;
  IpAddress address;             // unspecified: any
  uint16_t port = 0;
  uint8_t channel = 0;
  uint32_t backlog = 0;
  uint32_t untold = 0;           // connections whose `accepted` is not delivered: they count against the backlog
  uint32_t half_open = 0;
  uint64_t accepted = 0;
  bool cookies = false;          // SYN cookies were sent lately, and are accepted
};

// A next hop, as `ip neighbour` shows it.
struct NeighborDiagnostics {
  enum class State : uint8_t {
    incomplete,  // asked for; nothing can be sent
    reachable,
    probe,       // old: asked again, the known address is used meanwhile
    failed,      // did not answer
    permanent,   // the user's own
  };
  Ipv4Address address;
  MacAddress mac;                // unspecified: not known
  State state = State::incomplete;
  uint32_t users = 0;            // connections and half-open records that go this way
  uint8_t asked = 0;             // requests since the state began
  Instant until = Instant::never();  // when the state's timer ends
};
// "REACHABLE"
const char* name(NeighborDiagnostics::State state);

}  // namespace millrace
