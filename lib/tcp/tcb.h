// SPDX-License-Identifier: BSD-3-Clause
// The transmission control block: thirteen cache lines, in the order of their use.
//
//   line 0   what a segment's arrival reads
//   line 1   what output and the timers write
//   line 2   the application's side, lists, the first stretch in flight
//   line 3   delayed ACK, round-trip times, what goes into each segment
//   line 4   what arriving text asks of slow paths, and what is counted of each segment
//   line 5-  what only slow paths need: reassembly, recovery, congestion control, life times
//
// Text to send and text received are chains of Nodes, each one slice and where it stands in the sequence space.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/index_list.h"
#include "base/pool.h"
#include "millrace/connection.h"
#include "millrace/diagnostics.h"
#include "millrace/event.h"
#include "millrace/packet.h"
#include "millrace/time.h"
#include "tcp/state.h"
#include "wire/flow_key.h"
#include "wire/segment.h"
#include "wire/seq.h"

namespace millrace::tcp {

using wire::Seq;

// One slice in a queue.
struct Node {
  Slice slice;
  uint32_t next = no_index;
  Seq seq;  // of the slice's first byte
};
static_assert(sizeof(Node) == 24);

// A run of text that lies out of order: adjoining nodes, as many as there are (tcp/runs).
struct Run {
  Seq left;
  Seq right;
  uint32_t head = no_index;  // its nodes, by Node::next; the last one's is no_index
  uint32_t tail = no_index;
  uint32_t packets = 0;
  uint32_t next = no_index;  // by sequence number
  uint32_t child[2] = {no_index, no_index};
  Link recent;               // by when it changed
};
static_assert(sizeof(Run) == 40);

// A stretch of the sequence space that left at one time (tcp/flight).
struct Flight {
  enum State : uint8_t { flying, sacked, lost };
  static constexpr uint32_t in_tcb = no_index - 1;  // the index of Tcb::first
  static constexpr uint32_t no_node = (1u << 24) - 1;
  Seq seq;
  Seq end;                    // one past its last; a FIN counts
  Instant sent_at;            // its latest transmission
  uint32_t next = no_index;
  Link resent{};              // if it was sent again and may arrive still: by time
  uint32_t node_bits : 24 = no_node;
  State state : 2 = flying;
  uint8_t sends : 6 = 0;      // transmissions
  uint32_t length() const { return wire::distance(seq, end); }
  // The one that holds seq; no_index: a FIN alone.
  uint32_t node() const { return node_bits == no_node ? no_index : node_bits; }
  void set_node(uint32_t node) { node_bits = node & no_node; }
  bool is_resent() const { return state == flying && sends > 1; }
  // [seq, end) that leaves at `at` for the first time.
  static Flight sent(Seq seq, Seq end, Instant at, uint32_t node) {
    return {.seq = seq, .end = end, .sent_at = at, .node_bits = node & no_node, .sends = 1};
  }
};
static_assert(sizeof(Flight) == 32);

// Marks of a Tcb: work for the end of the turn and facts about the connection.
enum Mark : uint32_t {
  ts_ok = 1 << 0,           // RFC 7323 Snd.TS.OK
  sack_ok = 1 << 1,
  no_delay = 1 << 2,
  immediate_ack = 1 << 3,
  report_sent = 1 << 4,
  keepalive_on = 1 << 5,
  active = 1 << 6,          // came from an active open (RFC9293-MUST-11)
  app_closed = 1 << 7,      // the application has closed: nothing will be read
  fin_queued = 1 << 8,      // FIN follows the last queued byte
  fin_sent = 1 << 9,
  fin_received = 1 << 10,
  fin_waiting = 1 << 11,    // a FIN lies beyond a gap, at rcv.fin
  send_syn = 1 << 12,       // output: SYN or SYN,ACK is due
  resend_first = 1 << 13,   // output: the first lost segment, whatever cwnd says
  probe_due = 1 << 14,      // output: one octet into a closed window
  keepalive_due = 1 << 15,  // output: a keep-alive probe
  in_recovery = 1 << 16,    // fast recovery: until SND.UNA reaches `recover`
  in_loss = 1 << 17,        // after a retransmission timeout: the same
  in_ready = 1 << 18,       // stands in a ready list
  in_bulk = 1 << 19,        // ... the second one
  in_wait = 1 << 20,        // waits for its neighbour's address
  in_pending = 1 << 21,     // stands in its channel's pending list
  in_ack_queue = 1 << 22,   // stands in the queue of delayed ACKs (survives the slot's owner)
  was_full = 1 << 23,       // failed(full) was said: `writable` is due
  urgent_send = 1 << 24,    // snd.up is ahead of snd.una
  urgent_received = 1 << 25,  // rcv.up is ahead of what was delivered
  more_follows = 1 << 26,   // the last send said so: no PSH
  rst_on_remove = 1 << 27,  // ABORT: the peer is told when the connection goes
  ws_ok = 1 << 28,          // both SYNs carried window scale (RFC7323-2.2a)
  tail_probe_due = 1 << 29,  // output: a tail loss probe (RFC 8985 7)
  probe_outstanding = 1u << 31,  // ... and its end is not told yet
  probed = 1 << 30,          // ... was sent, and no round trip was measured since (RFC8985-7.3a)
};

// ECN (RFC 3168), DCTCP (RFC 8257).
enum EcnMark : uint8_t {
  ecn_ok = 1,    // both ends want it
  echo_ce = 2,   // what we send carries ECE
  cwr_due = 4,   // the next new text carries CWR
  ecn_asked = 8,  // our SYN asked for it
};

// Events that are due, in the order in which they are told.
enum Pending : uint8_t {
  pend_opened = 1 << 0,  // accepted or connected
  pend_urgent = 1 << 1,
  pend_text = 1 << 2,
  pend_sent = 1 << 3,
  pend_writable = 1 << 4,
  pend_slow = 1 << 5,
  pend_peer_closed = 1 << 6,
  pend_closed = 1 << 7,
};

struct alignas(64) Tcb {
  // --- line 0 ---
  wire::FlowKey key;
  struct {
    Seq una;   // oldest unacknowledged
    Seq nxt;   // next to send; never goes back
    uint32_t wnd = 0;  // 32 bits, scaled up (RFC9293-REC-1)
    Seq wl1;
    Seq wl2;
    Seq max;   // one past the highest ever sent: SND.NXT of the RFC's acceptability tests
  } snd;
  struct {
    Seq nxt;
    Seq adv;        // right edge of what was ever promised (RFC7323-2.4.2): RCV.NXT + RCV.WND
    Seq last_ack;   // Last.ACK.sent (RFC 7323)
    uint32_t ts_recent = 0;  // TS.Recent
  } rcv;
  State state = State::closed;
  uint8_t pending = 0;       // set of Pending
  uint8_t acks_due = 0;      // pure ACKs to send if nothing carries them
  uint8_t ecn = 0;           // set of EcnMark
  uint32_t marks = 0;        // set of Mark

  // --- line 1 ---
  uint32_t send_head = no_index;  // node that holds snd.una
  uint32_t send_tail = no_index;
  uint32_t send_next = no_index;  // node that holds snd.nxt; no_index: at the end
  Seq end;                        // one past the last queued byte; FIN's own number when fin_queued
  uint32_t cwnd = 0;
  uint32_t ssthresh = 0;
  uint16_t mss = 536;             // what a segment may carry now (options deducted)
  uint16_t neighbor = 0;
  uint32_t max_wnd = 0;           // MAX.SND.WND
  Instant timer_at = Instant::never();  // of `timer`: one at a time (RFC8985-8)
  Instant wheel_at = Instant::never();  // when the wheel will look here
  uint32_t ts_offset = 0;
  uint8_t snd_wscale = 0;
  uint8_t rcv_wscale = 0;
  using Timer = millrace::Timer;
  Timer timer = Timer::none;
  uint8_t backoff = 0;            // doublings of the RTO; kept until a round trip is measured (RFC6298-5.5)

  uint64_t token = 0;             // the application's own

  // --- line 2 ---
  uint32_t text_head = no_index;  // received, in order, not yet told
  uint32_t text_tail = no_index;
  uint32_t charged = 0;           // bytes that the application or the queue above holds
  uint32_t charged_packets = 0;
  Link ready;
  Link told;
  Flight first;                   // from snd.una on; the others follow by `next`

  // --- line 3 ---
  Instant ack_at = Instant::never();  // delayed ACK
  struct {
    uint32_t srtt = 0;    // us * 8; 0: no sample yet
    uint32_t rttvar = 0;  // us * 4
    uint32_t rto = 0;     // us, without backoff
    Seq next;             // what begins here or later gives the next sample: one a round trip
  } rtt;
  uint32_t used = 0;              // the most that was in flight this round, if more than half of cwnd (tcp/congestion)
  uint32_t absent = 0;            // bytes between una and nxt that are not in the network: SACKed or lost
  uint32_t ts_recent_s = 0;       // when TS.Recent was last another one, in seconds
  uint32_t generation = 1;
  uint32_t receive_buffer = 0;
  uint32_t send_limit = 0;
  uint32_t min_rtt = 0;           // us, of the last minutes; 0: none
  uint32_t min_rtt_s = 0;         // when it was measured, in seconds
  Seq recover;                    // RFC 6582; RecoveryPoint of RFC 6675
  uint8_t dup_acks = 0;
  uint8_t channel = 0;
  uint8_t ttl = 64;
  uint8_t tos = 0;

  // --- line 4 ---
  uint32_t out_head = no_index;   // runs that lie out of order (tcp/runs): the first
  Seq small_end;                  // of the last segment below MSS that was sent (tcp/output)
  uint8_t duplicate_count = 0;
  Congestion congestion = Congestion::cubic;
  uint8_t quick_acks = 0;         // segments to come that are acknowledged at once
  Limit limit = Limit::idle;      // what sending waits for (tcp/accounts)
  uint32_t cc_acked = 0;          // bytes acknowledged since cwnd last grew
  Instant grow_at;                // text then ends a round (tcp/receive_window); 0: none has begun; never: no growth
  Instant text_at;                // when text came last
  Instant acked_at;               // when an ACK came last
  uint64_t busy = 0;              // ns so far with something queued or in flight, less the time when it began
  uint32_t segments_in = 0;
  uint32_t segments_out = 0;
  uint32_t text_segments_in = 0;
  uint32_t text_segments_out = 0;

  // --- cold ---
  Seq iss;
  Seq irs;
  Seq rcv_fin;
  Seq rcv_up;
  Seq snd_up;
  Seq ecn_recover;                // cwnd falls once a round trip for ECE
  Seq dup_max;                    // SND.MAX when the first duplicate ACK came
  Seq used_until;                 // the round that `used` is of
  uint32_t acked_bytes = 0;       // for `sent`
  uint32_t flight_tail = no_index;  // last stretch in flight, if it is not `first`
  uint32_t flights = 0;             // records of the pool
  struct {                        // stretches to search from (tcp/flight); no_index: the first
    uint32_t sacked[3] = {no_index, no_index, no_index};  // that the latest SACK blocks lay in, or ended the search at
    uint32_t lost = no_index;     // none that is lost lies before it
    uint32_t undecided = no_index;  // none before it was sent once and is flying
  } from;
  uint32_t resent_head = no_index;  // sent again and flying: what left first
  uint32_t resent_tail = no_index;
  uint32_t out_count = 0;         // packets of the runs that lie out of order
  Link room;                      // after failed(full): of `waits_for`'s list
  enum class WaitsFor : uint8_t { nothing, room, requests } waits_for = WaitsFor::nothing;
  Seq burst;                      // where the text that left last, and all at one time, begins
  uint32_t out_root = no_index;   // of the treap of runs that lie out of order,
  uint32_t out_recent = no_index;  // and the one that changed last (RFC2018-4c)
  bool probe_refused = false;     // the window probe was answered, and its octet not taken
  bool send_limit_grows = false;  // the application has not chosen it
  uint16_t path_mtu = 0;          // of the path, if it is known to carry less than our link (tcp/path_mtu)
  uint16_t acked_size = 0;        // the most text that one segment has brought to the peer, as bulk transfers show it
  uint16_t soft_error = 0;        // of ICMP, type << 8 | code; 0: none. It counts while SND.UNA is soft_una
  uint32_t tag = 0;               // upper half of the key's hash
  uint32_t listener = no_index;  // Stack::handle_of: whose backlog it counts against until it is told
  uint32_t sacked = 0;            // of `absent`
  struct {                        // RFC 8985
    Instant sent_at;              // of the delivered segment that was sent last
    Seq end;
    uint32_t rtt = 0;             // us, of that segment
    Seq fack;                     // highest sequence number that was delivered
    Seq dsack_round;              // the reordering window grows once a round trip
    Seq probe_end;                // of the tail loss probe
    bool probe_resent = false;    // ... which sent the last segment again
    uint8_t steps = 1;            // of min_rtt / 4, in the reordering window
    uint8_t persist = 0;          // recoveries until it shrinks again
    bool reordering = false;
  } rack;
  struct {                        // RFC 6937
    uint32_t delivered = 0;
    uint32_t out = 0;
    uint32_t flight = 0;          // RecoverFS
  } prr;
  struct {                        // what to go back to when nothing had been lost
    uint32_t cwnd = 0;            // 0: nothing to undo
    uint32_t ssthresh = 0;
    uint32_t ts = 0;              // our clock at the first retransmission
    uint32_t resent = 0;          // bytes sent again that no D-SACK has named yet
    Seq end;                      // of what was in flight then: D-SACKs of it still count when recovery is over
    uint8_t acks = 0;             // since the timeout (RFC 5682)
  } undo;
  struct Cubic {                  // RFC 9438
    Instant epoch;                // 0: the next ACK in congestion avoidance begins one
    Instant seen;                 // the latest such ACK
    uint32_t w_max;               // bytes
    uint32_t w_est;
    uint32_t prior;               // cwnd before the latest loss
    uint32_t est_acked;
    uint32_t k_ms;
    uint32_t step;                // bytes to be acknowledged for one segment more; 0: not computed yet
    uint32_t aimed_ms;            // when `step` was computed
    bool of_cwnd;                 // TcpOptions::beta_of_cwnd
  };
  struct Dctcp {                  // RFC 8257
    uint32_t end;                 // of the round, a sequence number
    uint32_t alpha;               // of 1024
    uint32_t acked;
    uint32_t marked;
  };
  union {                         // by `congestion`
    Cubic cubic{};
    Dctcp dctcp;
  };
  struct {                        // RFC 9406
    Seq end;                      // of the round
    uint32_t last_min = 0;        // us
    uint32_t current_min = 0;
    uint32_t baseline = 0;
    uint8_t samples = 0;
    uint8_t css_left = 0;         // rounds of conservative slow start; 0: the usual one
  } hystart;
  struct {                        // growth of the receive buffer: once a round trip
    uint32_t since = 0;           // us, when the round under way began
    uint32_t edge_at = 0;         // us, when `edge` was promised
    Seq edge;
    Seq nxt;                      // RCV.NXT at `since`
    Seq consumed;                 // and up to where the application had given back
    uint32_t rtt = 0;             // us, as the receiver measures it; 0: unknown
    uint32_t rate = 0;            // bytes in a round trip, of the latest round
  } grow;
  wire::SackBlock duplicates[4];  // what arrived twice and is yet to be reported, the first first (RFC 2883)
  struct {                        // what diagnostics tell (tcp/accounts)
    Instant established;          // 0: not yet
    uint64_t limited[3] = {};     // ns so far by receiver, send buffer, congestion; as `busy`
    uint64_t resent_bytes = 0;
    uint32_t resent = 0;          // segments
    uint32_t dsacks = 0;
    uint32_t out_of_order = 0;    // segments that came so
    uint32_t marked = 0;          // bytes acknowledged with ECE
    uint32_t una_wraps = 0;       // of SND.UNA and RCV.NXT
    uint32_t nxt_wraps = 0;
    uint16_t recoveries = 0;
    uint16_t timeouts = 0;
    uint16_t tail_probes = 0;
    uint16_t undone = 0;
    bool short_of_text = false;   // in this round of `rate`
    bool app_limited = false;     // its latest sample
  } tally;
  struct {                        // delivery rate: one sample a round trip
    uint32_t at = 0;              // us, when the round began; 0: none has
    uint32_t sent_at = 0;         // us: of what was delivered then
    uint32_t delivered = 0;       // at that time
    Seq end;                      // the round ends when this is acknowledged
    uint32_t bytes = 0;           // the latest sample
    uint32_t us = 0;
  } rate;
  Instant life_at = Instant::never();       // FIN-WAIT-2 of an orphan
  Instant keepalive_at = Instant::never();
  Instant first_timeout;          // when what is not acknowledged now was first due
  Duration r2{};                  // 0: the stack's
  uint32_t challenge_since_ms = 0;
  Seq soft_una;
  Seq too_big_seq;                // "fragmentation needed" was said of it, and is not believed yet (RFC 5927 7.2)
  uint32_t path_until_s = 0;      // then longer segments are tried again
  uint16_t too_big_mtu = 0;       // 0: nothing was said
  uint16_t port_pool = 0xffff;
  uint16_t challenges = 0;
  uint16_t peer_mss = 536;
  uint16_t own_mss = 0;      // our MSS option
  uint16_t full_unread = 0;  // failed(full) events that the application has not gone past yet
  uint32_t keepalive_s = 0;  // idle time before the first probe; 0: the stack's, as the next two
  uint16_t keepalive_interval_s = 0;
  uint8_t keepalive_probes = 0;
  uint8_t keepalive_sent = 0;
  bool no_reports = false;   // no `slow` events
  uint8_t syn_sent_count = 0;
  uint8_t timeouts = 0;      // in a row, without an ACK of new data
  Event::Reason reason = Event::no_reason;

  bool is(uint32_t any) const { return marks & any; }
  void set(uint32_t m) { marks |= m; }
  void clear(uint32_t m) { marks &= ~m; }
  uint32_t flight() const { return wire::distance(snd.una, snd.nxt); }
  // Bytes in the network, as far as is known (RFC6675-4P).
  uint32_t pipe() const { return flight() - absent; }
  // Queued and not yet sent, FIN included.
  uint32_t unsent() const { return wire::distance(snd.nxt, end) + (is(fin_queued) ? 1 : 0); }
};
static_assert(sizeof(Tcb) == 13 * 64);
static_assert(offsetof(Tcb, send_head) == 64 && offsetof(Tcb, text_head) == 128 && offsetof(Tcb, ack_at) == 192 &&
              offsetof(Tcb, out_head) == 256 && offsetof(Tcb, iss) == 320);

// The only place that changes a state.
void set_state(Tcb& tcb, State to);

}  // namespace millrace::tcp
