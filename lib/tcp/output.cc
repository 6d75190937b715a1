// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/output.h"

#include "tcp/congestion.h"
#include "tcp/reassembly.h"
#include "tcp/rtt.h"
#include "tcp/send_queue.h"

namespace millrace::tcp {

using wire::after;
using wire::before;
using wire::distance;
using wire::TxSegment;

namespace {

// The window field, and with it what was ever promised. The edge moves right only by something worth a packet
// (RFC9293-MUST-39) and never left (RFC9293-SHLD-14), but for the rounding that RFC 7323 2.4 describes: then
// rcv.adv still remembers the old edge, and text up to it is taken.
uint16_t offer_window(Context& cx, Tcb& tcb) {
  if (!in(tcb.state, receiving)) return static_cast<uint16_t>(distance(tcb.rcv.nxt, tcb.rcv.adv) >> tcb.rcv_wscale);
  Seq limit = tcb.rcv.nxt + free_buffer(tcb);
  Seq edge = tcb.rcv.adv;
  uint32_t worth = std::min<uint32_t>(tcb.mss, tcb.receive_buffer / 2);
  // With a window that is far from shut any growth may ride along: no sender sees a silly window.
  bool wide = distance(tcb.rcv.nxt, edge) >= 2u * tcb.mss;
  if (cx.may_open_window() && after(limit, edge) && (wide || distance(edge, limit) >= worth)) edge = limit;
  uint32_t window = distance(tcb.rcv.nxt, edge);
  uint32_t unit = (1u << tcb.rcv_wscale) - 1;
  uint32_t field = (window + unit) >> tcb.rcv_wscale;
  if (after(tcb.rcv.nxt + (field << tcb.rcv_wscale), wire::later(limit, tcb.rcv.adv)))
    field = window >> tcb.rcv_wscale;
  if (field > 65535) field = 65535;
  tcb.rcv.adv = wire::later(tcb.rcv.adv, tcb.rcv.nxt + (field << tcb.rcv_wscale));
  return static_cast<uint16_t>(field);
}

// What every segment of a connection has. The local address is the connection's for all its life (RFC9293-MUST-45).
// It acknowledges everything received so far: output runs after the whole burst was taken in (RFC9293-MUST-58, -59).
TxSegment& push_segment(Context& cx, Tcb& tcb, Emission& out, uint8_t flags, Seq seq) {
  TxSegment& tx = out.segments->push();
  --out.room;
  tx = TxSegment{};
  tx.flags = flags;
  tx.local = tcb.key.local;
  tx.remote = tcb.key.remote;
  tx.local_port = tcb.key.local_port;
  tx.remote_port = tcb.key.remote_port;
  tx.seq = seq;
  tx.ttl = tcb.ttl;
  tx.tos = tcb.tos;
  if (tcb.is(ts_ok)) {  // RFC7323-3.2a
    tx.options = wire::opt_timestamps;
    tx.ts_val = cx.ts_now(tcb);
    tx.ts_ecr = tcb.rcv.ts_recent;
  }
  tx.ack = tcb.rcv.nxt;
  tx.wnd = offer_window(cx, tcb);
  tcb.rcv.last_ack = tcb.rcv.nxt;
  tcb.ack_at = Instant::never();
  if (tcb.out_head != no_index && tcb.is(sack_ok)) {  // RFC2018-4a
    wire::SackBlock blocks[limits::sack_blocks];
    uint32_t fit = tcb.is(ts_ok) ? 3 : 4;
    uint32_t n = sack_blocks(cx, tcb, fit, blocks);
    tx.first_sack = static_cast<uint16_t>(out.sacks->size());
    for (uint32_t i = 0; i < n; ++i) out.sacks->push(blocks[i]);
    tx.sack_count = static_cast<uint8_t>(n);
    if (n > 0) tx.options |= wire::opt_sack;
  }
  cx.count(Count::segments_sent);
  return tx;
}

// Urgent data ahead of this segment (RFC9293-MUST-30, -62).
void mark_urgent(Tcb& tcb, TxSegment& tx) {
  if (!after(tcb.snd_up, tx.seq)) return;
  uint32_t ahead = distance(tx.seq, tcb.snd_up);
  if (ahead > 65535) ahead = 65535;
  tx.flags |= wire::urg;
  tx.urgent = static_cast<uint16_t>(ahead);
}

// `len` bytes (or fewer, see slices_of) from `seq` in node `from`, then FIN if `fin` and they reach the end.
// Returns the sequence numbers used.
uint32_t emit_text(Context& cx, Tcb& tcb, Emission& out, uint32_t& from, Seq seq, uint32_t len, bool fin) {
  TxSegment& tx = push_segment(cx, tcb, out, wire::ack, seq);
  // SACK blocks take the place of text.
  uint32_t mss = tcb.mss - (tx.sack_count > 0 ? 4u + 8u * tx.sack_count : 0);
  if (len > mss) len = mss;
  tx.first_slice = static_cast<uint16_t>(out.slices->size());
  uint32_t named = len > 0 ? slices_of(cx, from, seq, len, *out.slices) : 0;
  tx.slice_count = static_cast<uint8_t>(out.slices->size() - tx.first_slice);
  tx.text_len = static_cast<uint16_t>(named);
  bool last = seq + named == tcb.end;
  // RFC9293-MUST-61. `more` keeps the mark back, never the text (RFC9293-MUST-60).
  if (last && named > 0 && !tcb.is(more_follows)) tx.flags |= wire::psh;
  fin = fin && last;
  if (fin) {
    tx.flags |= wire::fin;
    tcb.set(fin_sent);
  }
  if (tcb.is(urgent_send)) mark_urgent(tcb, tx);
  cx.count(Count::bytes_sent, named);
  return named + (fin ? 1 : 0);
}

void emit_syn(Context& cx, Tcb& tcb, Emission& out) {
  bool with_ack = tcb.state == State::syn_received;
  TxSegment& tx = push_segment(cx, tcb, out, static_cast<uint8_t>(wire::syn | (with_ack ? wire::ack : 0)), tcb.iss);
  bool peer_spoke = with_ack;
  tx.options = wire::opt_mss;  // always (RFC9293-MUST-14, -SHLD-5, -MAY-3)
  tx.mss = cx.own_mss;
  if (cx.params.timestamps && (!peer_spoke || tcb.is(ts_ok))) tx.options |= wire::opt_timestamps;
  if (cx.params.sack && (!peer_spoke || tcb.is(sack_ok))) tx.options |= wire::opt_sack_permitted;
  if (cx.params.window_scaling && (!peer_spoke || tcb.is(ws_ok))) tx.options |= wire::opt_wscale;
  tx.sack_count = 0;
  tx.ts_val = cx.ts_now(tcb);
  tx.ts_ecr = peer_spoke ? tcb.rcv.ts_recent : 0;  // RFC7323-3.2d
  tx.wscale = tcb.rcv_wscale;
  tx.wnd = static_cast<uint16_t>(std::min(tcb.receive_buffer, 65535u));  // RFC7323-2.2b: never scaled
  if (!peer_spoke) tx.ack = Seq{0};
  tcb.clear(send_syn);
  tcb.snd.nxt = tcb.iss + 1;
  tcb.snd.max = tcb.snd.nxt;
  if (tcb.syn_sent_count++ == 0) {
    tcb.set(timing);
    tcb.rtt.timed_seq = tcb.snd.nxt;
    tcb.timed_at = cx.now;
  } else {
    tcb.clear(timing);
    cx.count(Count::retransmitted);
  }
  cx.start_timer(tcb, Tcb::Timer::retransmit, current_rto(tcb, cx.params));
}

// Fast retransmit, NewReno's next hole: the first unacknowledged segment, whole even if the peer has shrunk its window
// since (RFC9293-MAY-7, RFC7323-2.4.4).
void emit_first_again(Context& cx, Tcb& tcb, Emission& out) {
  tcb.clear(resend_una | timing);  // RFC6298-3a
  if (tcb.snd.una == tcb.snd.max) return;
  uint32_t from = tcb.send_head;
  // Nothing new goes along: SND.MAX would not know of it.
  Seq sent_text = wire::earlier(tcb.snd.max, tcb.end);
  uint32_t len = before(tcb.snd.una, sent_text) ? std::min<uint32_t>(tcb.mss, distance(tcb.snd.una, sent_text)) : 0;
  emit_text(cx, tcb, out, from, tcb.snd.una, len, tcb.is(fin_sent));
  cx.count(Count::retransmitted);
  cx.start_timer(tcb, Tcb::Timer::retransmit, current_rto(tcb, cx.params));
}

// One octet (or the FIN) into a closed window (RFC9293-MUST-36). SND.NXT stays: what the peer does not take is sent
// again when the window opens. A window that is open, but too little for the silly-window rule, is filled: the override
// of RFC 9293 3.8.6.2.1, after which the retransmission timer waits.
void emit_window_probe(Context& cx, Tcb& tcb, Emission& out) {
  tcb.clear(probe_due);
  if (tcb.unsent() == 0) return;
  bool closed = tcb.snd.wnd == 0;
  uint32_t from = tcb.send_next;
  uint32_t unsent = before(tcb.snd.nxt, tcb.end) ? distance(tcb.snd.nxt, tcb.end) : 0;
  uint32_t len = std::min({unsent, std::max(tcb.snd.wnd, 1u), uint32_t{tcb.mss}});
  uint32_t used = emit_text(cx, tcb, out, from, tcb.snd.nxt, len, tcb.is(fin_queued) && len == unsent && (len == 0 || tcb.snd.wnd > len));
  tcb.snd.max = wire::later(tcb.snd.max, tcb.snd.nxt + used);
  cx.count(Count::window_probes_sent);
  if (closed) return;
  tcb.snd.nxt += used;
  tcb.send_next = from;
  cx.stop_timer(tcb);
}

void emit_keepalive(Context& cx, Tcb& tcb, Emission& out) {
  tcb.clear(keepalive_due);
  push_segment(cx, tcb, out, wire::ack, tcb.snd.una - 1);  // RFC9293-SHLD-12: no data
  cx.count(Count::keepalive_probes_sent);
}

void emit_pure_acks(Context& cx, Tcb& tcb, Emission& out) {
  while (tcb.acks_due > 0 && out.room > 0) {
    push_segment(cx, tcb, out, wire::ack, tcb.snd.max);
    cx.count(Count::pure_acks_sent);
    --tcb.acks_due;
  }
}

struct Decision {
  uint32_t len = 0;
  bool fin = false;
};

// May the next segment leave now, and how long is it?
// `cut`: the one before was cut short for having too many slices; what is left of it waits for nothing.
Decision decide(const Tcb& tcb, bool cut) {
  Decision d;
  uint32_t unsent = before(tcb.snd.nxt, tcb.end) ? distance(tcb.snd.nxt, tcb.end) : 0;
  bool fin_left = tcb.is(fin_queued) && !after(tcb.snd.nxt, tcb.end);
  if (unsent == 0 && !fin_left) return d;
  uint32_t flight = tcb.flight();
  // RFC5681-3.2.1, RFC 3042: one new segment for each of the first two duplicates
  uint32_t limited = tcb.is(in_recovery) ? 0 : std::min<uint32_t>(tcb.dup_acks, 2) * tcb.mss;
  uint32_t cwnd = tcb.cwnd + limited;
  uint32_t window = std::min(tcb.snd.wnd, cwnd);  // RFC5681-3.1a, RFC7323-2.4.3
  // The peer may have shrunk its window (RFC9293-MUST-34, -SHLD-15). After a timeout nothing counts as in flight: what
  // lies inside goes out again, the rest waits (RFC9293-SHLD-16, RFC7323-2.4.5).
  uint32_t usable = window > flight ? window - flight : 0;
  // A full segment of whatever sends have queued, each without a push of its own (RFC9293-SHLD-27, -28).
  d.len = std::min({unsent, usable, uint32_t{tcb.mss}});
  d.fin = fin_left && d.len == unsent && tcb.snd.wnd > flight + d.len;
  if (d.fin || d.len == 0 || d.len == tcb.mss) return d;
  bool resent = before(tcb.snd.nxt, tcb.snd.max);
  bool whole = d.len == unsent;
  // Sender's silly window avoidance (RFC9293-MUST-38) and Nagle (RFC9293-SHLD-7, RFC9293-MUST-17), which collects what
  // several sends have queued (RFC9293-MAY-16).
  bool now = resent || cut || (whole && (tcb.is(no_delay) || flight == 0)) || d.len >= tcb.max_wnd / 2;
  if (!now) d.len = 0;
  return d;
}

// After sending: which timer waits for the answer?
void set_timer(Context& cx, Tcb& tcb) {
  if (tcb.timer == Tcb::Timer::retransmit) return;
  if (tcb.snd.nxt != tcb.snd.una) {
    cx.start_timer(tcb, Tcb::Timer::retransmit, current_rto(tcb, cx.params));  // RFC6298-5.1
  } else if (tcb.unsent() > 0 && tcb.timer == Tcb::Timer::none) {
    tcb.first_timeout = Instant{};
    cx.start_timer(tcb, Tcb::Timer::persist, current_rto(tcb, cx.params));  // RFC9293-SHLD-29
  }
}

bool emit_due(Context& cx, Tcb& tcb, Emission& out) {
  if (tcb.is(send_syn)) emit_syn(cx, tcb, out);
  if (tcb.is(resend_una) && out.room > 0) emit_first_again(cx, tcb, out);
  if (tcb.is(probe_due) && out.room > 0) emit_window_probe(cx, tcb, out);
  if (tcb.is(keepalive_due) && out.room > 0) emit_keepalive(cx, tcb, out);
  return !tcb.is(send_syn | resend_una | probe_due | keepalive_due);
}

constexpr StateSet text_states = set_of(State::established, State::close_wait, State::fin_wait_1, State::closing,
                                        State::last_ack);

bool room_left(const Emission& out) { return out.room > 0 && out.slices->room() >= limits::slices_per_segment; }

}  // namespace

bool output(Context& cx, Tcb& tcb, Emission& out) {
  if (!room_left(out)) return false;
  if (tcb.is(send_syn | resend_una | probe_due | keepalive_due) && !emit_due(cx, tcb, out)) return false;
  bool done = true;
  if (in(tcb.state, text_states)) {
    if (tcb.snd.una == tcb.snd.max && cx.now - tcb.last_sent > microseconds(tcb.rtt.rto) &&
        cx.params.restart_after_idle)
      cc_idle(tcb, cx.params);
    bool cut = false;
    for (uint32_t sent = 0;; ++sent) {
      Decision d = decide(tcb, cut);
      if (d.len == 0 && !d.fin) break;
      if (sent == limits::quantum_segments || !room_left(out)) {
        done = false;
        break;
      }
      Seq seq = tcb.snd.nxt;
      bool resent = before(seq, tcb.snd.max);
      uint32_t used = emit_text(cx, tcb, out, tcb.send_next, seq, d.len, d.fin);
      tcb.snd.nxt += used;
      cut = used < d.len;
      if (resent) {
        cx.count(Count::retransmitted);
      } else if (!tcb.is(timing)) {  // RFC6298-3b, RFC7323-4.2: one sample a round trip, also with timestamps
        tcb.set(timing);
        tcb.rtt.timed_seq = tcb.snd.nxt;
        tcb.timed_at = cx.now;
      }
      tcb.snd.max = wire::later(tcb.snd.max, tcb.snd.nxt);
      tcb.last_sent = cx.now;
      // The ACK has ridden along; duplicates for text out of order are counted one by one and go on their own.
      if (tcb.out_head == no_index) tcb.acks_due = 0;
    }
    set_timer(cx, tcb);
  }
  emit_pure_acks(cx, tcb, out);
  return done && tcb.acks_due == 0;
}

void emit_reset(Context& cx, Tcb& tcb, Emission& out) {
  TxSegment& tx = push_segment(cx, tcb, out, wire::rst | wire::ack, tcb.snd.max);
  tx.wnd = 0;
  tx.options &= wire::opt_timestamps;
  tx.sack_count = 0;
  cx.count(Count::resets_sent);
}

}  // namespace millrace::tcp
