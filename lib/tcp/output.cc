// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/output.h"

#include "tcp/accounts.h"
#include "tcp/congestion.h"
#include "tcp/flight.h"
#include "tcp/join.h"
#include "tcp/loss.h"
#include "tcp/reassembly.h"
#include "tcp/rtt.h"
#include "tcp/send_queue.h"

namespace millrace::tcp {

using wire::after;
using wire::before;
using wire::distance;
using wire::TxSegment;

// The edge moves right only by something worth a packet (RFC9293-MUST-39) and never left (RFC9293-SHLD-14), but for the
// rounding that RFC 7323 2.4 describes: then rcv.adv still remembers the old edge, and text up to it is taken.
uint16_t offer_window(Context& cx, Tcb& tcb) {
  Seq limit = tcb.rcv.nxt + free_window(cx, tcb);
  Seq edge = tcb.rcv.adv;
  // With a window that is far from shut any growth may ride along: no sender sees a silly window.
  bool wide = distance(tcb.rcv.nxt, edge) >= 2u * tcb.mss;
  if (cx.may_open_window(tcb) && after(limit, edge) && (wide || distance(edge, limit) >= least_opening(tcb))) edge = limit;
  uint32_t window = distance(tcb.rcv.nxt, edge);
  uint32_t unit = (1u << tcb.rcv_wscale) - 1;
  uint32_t field = (window + unit) >> tcb.rcv_wscale;
  if (after(tcb.rcv.nxt + (field << tcb.rcv_wscale), wire::later(limit, tcb.rcv.adv)))
    field = window >> tcb.rcv_wscale;
  if (field > 65535) {
    field = 65535;
    if (cx.params.whole_segments) tcb.rcv.adv = edge;
  }
  tcb.rcv.adv = wire::later(tcb.rcv.adv, tcb.rcv.nxt + (field << tcb.rcv_wscale));
  return static_cast<uint16_t>(field);
}

namespace {

// What every segment of a connection has. The local address is the connection's for all its life (RFC9293-MUST-45).
// It acknowledges everything received so far: output runs after the whole burst was taken in (RFC9293-MUST-58, -59).
TxSegment& push_segment(Context& cx, Tcb& tcb, Emission& out, uint8_t flags, Seq seq) {
  TxSegment& tx = out.segments->push_new();
  --out.room;
  out.joinable = nullptr;
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
  if (tcb.ecn & echo_ce) tx.flags |= wire::ece;
  tx.ack = tcb.rcv.nxt;
  tx.wnd = offer_window(cx, tcb);
  tcb.rcv.last_ack = tcb.rcv.nxt;
  tcb.ack_at = Instant::never();
  if ((tcb.out_head != no_index || tcb.duplicate_count > 0) && tcb.is(sack_ok)) {  // RFC2018-4a, RFC2883-4
    wire::SackBlock blocks[limits::sack_blocks];
    // Short datagrams (RFC1191-3c) have room for fewer, and text finds some beside them.
    uint32_t fit = std::min<uint32_t>(tcb.is(ts_ok) ? 3 : 4, (tcb.mss - 8u) / 8);
    uint32_t n = sack_blocks(cx, tcb, fit, blocks);
    tx.first_sack = static_cast<uint16_t>(out.sacks->size());
    for (uint32_t i = 0; i < n; ++i) out.sacks->push(blocks[i]);
    tx.sack_count = static_cast<uint8_t>(n);
    if (n > 0) tx.options |= wire::opt_sack;
  }
  cx.count(Count::segments_sent);
  ++tcb.segments_out;
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

// What a segment says of its text, whose `named` bytes from `seq` on it has: PSH, FIN if `fin` and they reach the end.
// Returns the sequence numbers used.
uint32_t mark_text(Context& cx, Tcb& tcb, TxSegment& tx, Seq seq, uint32_t named, bool fin) {
  bool last = seq + named == tcb.end;
  // RFC9293-MUST-61. `more` keeps the mark back, never the text (RFC9293-MUST-60).
  if (last && named > 0 && !tcb.is(more_follows)) tx.flags |= wire::psh;
  fin = fin && last;
  if (fin) {
    tx.flags |= wire::fin;
    tcb.set(fin_sent);
  }
  cx.count(Count::bytes_sent, named);
  tcb.text_segments_out += named != 0;
  return named + (fin ? 1 : 0);
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
  if (tcb.is(urgent_send)) mark_urgent(tcb, tx);
  return mark_text(cx, tcb, tx, seq, named, fin);
}

// The same as a part of the segment before it: what it would say itself, that says.
uint32_t emit_joined(Context& cx, Tcb& tcb, Emission& out, uint32_t& from, Seq seq, uint32_t len, bool fin) {
  TxSegment& tx = *(out.segments->end() - 1);
  --out.room;
  out.joinable = nullptr;
  cx.count(Count::segments_sent);
  ++tcb.segments_out;
  return mark_text(cx, tcb, tx, seq, join_text(cx, tcb, out, from, seq, len), fin);
}

void emit_syn(Context& cx, Tcb& tcb, Emission& out) {
  bool with_ack = tcb.state == State::syn_received;
  TxSegment& tx = push_segment(cx, tcb, out, static_cast<uint8_t>(wire::syn | (with_ack ? wire::ack : 0)), tcb.iss);
  bool peer_spoke = with_ack;
  // RFC 3168 6.1.1.1: a network that eats such SYNs gets the next one without
  if (!peer_spoke && tcb.syn_sent_count < cx.params.ecn_syns && cx.wants_ecn(tcb.congestion, EcnMode::active)) {
    tx.flags |= wire::ece | wire::cwr;
    tcb.ecn = ecn_asked;
  } else if (!peer_spoke) {
    tcb.ecn = 0;
  } else if (tcb.ecn & ecn_ok) {
    tx.flags |= wire::ece;
  }
  tx.options = wire::opt_mss;  // always (RFC9293-MUST-14, -SHLD-5, -MAY-3)
  tx.mss = tcb.own_mss;
  bool offers = !peer_spoke && tcb.syn_sent_count < cx.params.syns_with_options;
  if (cx.params.timestamps && (offers || tcb.is(ts_ok))) tx.options |= wire::opt_timestamps;
  if (cx.params.sack && (offers || tcb.is(sack_ok))) tx.options |= wire::opt_sack_permitted;
  if (cx.params.window_scaling && (offers || tcb.is(ws_ok))) tx.options |= wire::opt_wscale;
  tx.options |= cx.syn_order();
  tx.sack_count = 0;
  tx.ts_val = cx.ts_now(tcb);
  tx.ts_ecr = peer_spoke ? tcb.rcv.ts_recent : 0;  // RFC7323-3.2d
  tx.wscale = tcb.rcv_wscale;
  tx.wnd = static_cast<uint16_t>(std::min(tcb.receive_buffer, 65535u));  // RFC7323-2.2b: never scaled
  if (!peer_spoke) tx.ack = Seq{0};
  tcb.clear(send_syn);
  tcb.snd.nxt = tcb.iss + 1;
  tcb.snd.max = tcb.snd.nxt;
  tcb.first.sent_at = cx.now;
  if (tcb.syn_sent_count++ > 0)
    count_resent(cx, tcb, 0);
  else
    tcb.first_timeout = cx.now;
  Duration wait = current_rto(tcb, cx.params);
  if (Duration limit = open_limit(tcb, cx.params); limit.ns != 0) {
    Instant end = tcb.first_timeout + limit;
    wait = std::min(wait, end > cx.now ? end - cx.now : Duration{});
  }
  cx.start_timer(tcb, Tcb::Timer::retransmit, wait);
}

// Text and FIN of [seq, end), which begins in `node`; fewer if a segment cannot name them all.
uint32_t emit_again(Context& cx, Tcb& tcb, Emission& out, uint32_t node, Seq seq, Seq end) {
  bool fin = after(end, tcb.end);
  uint32_t len = before(seq, tcb.end) ? distance(seq, wire::earlier(end, tcb.end)) : 0;
  return emit_text(cx, tcb, out, node, seq, len, fin);
}

// One octet (or the FIN) into a closed window (RFC9293-MUST-36): the first that is not acknowledged. SND.NXT stays: what
// the peer does not take is sent again when the window opens. A window that is open, but too little for the silly-window
// rule, is filled: the override of RFC 9293 3.8.6.2.1, after which the retransmission timer waits.
void emit_window_probe(Context& cx, Tcb& tcb, Emission& out) {
  tcb.clear(probe_due);
  tcb.probe_refused = false;
  cx.count(Count::window_probes_sent);
  if (in_flight(tcb)) {  // the window was shut over what is in flight
    emit_again(cx, tcb, out, tcb.first.node(), tcb.snd.una, tcb.snd.una + 1);
    return;
  }
  if (tcb.unsent() == 0) return;
  uint32_t from = tcb.send_next;
  uint32_t unsent = before(tcb.snd.nxt, tcb.end) ? distance(tcb.snd.nxt, tcb.end) : 0;
  uint32_t len = std::min({unsent, std::max(tcb.snd.wnd, 1u), uint32_t{tcb.mss}});
  bool fin = tcb.is(fin_queued) && len == unsent && (len == 0 || tcb.snd.wnd > len);
  uint32_t used = emit_text(cx, tcb, out, from, tcb.snd.nxt, len, fin);
  tcb.snd.max = wire::later(tcb.snd.max, tcb.snd.nxt + used);
  if (tcb.snd.wnd == 0) return;
  flight_sent(cx, tcb, tcb.snd.nxt, tcb.snd.nxt + used, tcb.send_next);
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
    // In CLOSING nothing but the peer's FIN is still to be acknowledged.
    bool fin = tcb.state == State::closing && cx.params.closing_fin && tcb.is(fin_sent) &&
               tcb.rcv.last_ack != tcb.rcv.nxt;
    // Behind a window probe's octet that it has not taken the peer, whose window is shut, would not look.
    Seq here = tcb.snd.max != tcb.snd.nxt && tcb.probe_refused ? tcb.snd.nxt : tcb.snd.max;
    push_segment(cx, tcb, out, fin ? wire::fin | wire::ack : wire::ack, fin ? tcb.end : here);
    cx.count(Count::pure_acks_sent);
    --tcb.acks_due;
  }
}

// Is a segment below MSS on its way? Nagle's algorithm as Minshall has it (RFC 9293 A.3): only then another one waits, so
// the tail of a long send does not wait for the peer's delayed ACK of what is before it.
bool small_in_flight(const Tcb& tcb) {
  return after(tcb.small_end, tcb.snd.una) && !after(tcb.small_end, tcb.snd.nxt);
}

struct Decision {
  uint32_t len = 0;
  bool fin = false;
};

// What counts against cwnd. Without SACK fast recovery inflates cwnd by what has left instead (RFC5681-3.2.4).
uint32_t in_network(const Tcb& tcb) { return tcb.is(sack_ok | in_loss) ? tcb.pipe() : tcb.flight(); }

// How much cwnd allows now.
uint32_t allowance(const Tcb& tcb) {
  // RFC5681-3.2.1, RFC 3042: one new segment for each of the first two duplicates; with SACK the pipe shrinks by itself
  // (RFC6675-5.3)
  uint32_t limited = tcb.is(in_recovery | in_loss | sack_ok) ? 0 : std::min<uint32_t>(tcb.dup_acks, 2) * tcb.mss;
  uint32_t cwnd = tcb.cwnd + limited;
  uint32_t used = in_network(tcb);
  return cwnd > used ? cwnd - used : 0;
}

// May the next new segment leave now, and how long is it?
// `cut`: the one before was cut short for having too many slices; what is left of it waits for nothing.
Decision decide(const Tcb& tcb, bool cut) {
  Decision d;
  uint32_t unsent = before(tcb.snd.nxt, tcb.end) ? distance(tcb.snd.nxt, tcb.end) : 0;
  bool fin_left = tcb.is(fin_queued) && !after(tcb.snd.nxt, tcb.end);
  if (unsent == 0 && !fin_left) return d;
  uint32_t flight = tcb.flight();
  // The lesser of both windows (RFC5681-3.1a, RFC7323-2.4.3); the peer may have shrunk its own (RFC9293-MUST-34,
  // -SHLD-15). A full segment of whatever sends have queued, each without a push of its own (RFC9293-SHLD-27, -28).
  uint32_t usable = std::min(tcb.snd.wnd > flight ? tcb.snd.wnd - flight : 0, allowance(tcb));
  d.len = std::min({unsent, usable, uint32_t{tcb.mss}});
  d.fin = fin_left && d.len == unsent && tcb.snd.wnd > flight + d.len;
  if (d.fin || d.len == 0 || d.len == tcb.mss) return d;
  bool resent = before(tcb.snd.nxt, tcb.snd.max);
  bool whole = d.len == unsent;
  // Sender's silly window avoidance (RFC9293-MUST-38) and Nagle (RFC9293-SHLD-7, RFC9293-MUST-17), which collects what
  // several sends have queued (RFC9293-MAY-16).
  bool now = resent || cut || (whole && (tcb.is(no_delay) || !small_in_flight(tcb))) || d.len >= tcb.max_wnd / 2;
  if (!now) d.len = 0;
  return d;
}

// What does sending wait for now?
[[gnu::noinline]] Limit why_waiting(const Tcb& tcb) {
  uint32_t unsent = tcb.unsent();
  if (unsent == 0) {
    if (!in_flight(tcb)) return Limit::idle;
    return tcb.is(was_full) ? Limit::send_buffer : Limit::application;
  }
  uint32_t flight = tcb.flight();
  uint32_t window = tcb.snd.wnd > flight ? tcb.snd.wnd - flight : 0;
  uint32_t congestion = allowance(tcb);
  uint32_t wanted = std::min<uint32_t>(unsent, tcb.mss);
  if (window < wanted && window <= congestion) return Limit::receiver;
  return congestion < wanted ? Limit::congestion : Limit::application;
}

// After sending: which timer waits for the answer?
void set_timer(Context& cx, Tcb& tcb, bool new_text) {
  if (in_flight(tcb)) {
    bool again = new_text && tcb.timer == Tcb::Timer::probe;
    bool restart = tcb.timer == Tcb::Timer::none || tcb.timer == Tcb::Timer::persist;
    if (restart || again) start_loss_timer(cx, tcb, again);  // RFC6298-5.1, RFC8985-7.2
  } else if (tcb.unsent() > 0 && tcb.timer == Tcb::Timer::none) {
    tcb.first_timeout = Instant{};
    cx.start_timer(tcb, Tcb::Timer::persist, persist_interval(tcb, cx.params));
  }
}

bool room_left(const Emission& out) { return out.room > 0 && out.slices->room() >= limits::slices_per_segment; }

// New text may be marked on its way (RFC 3168 6.1.2), and says once that cwnd has fallen.
void mark_ecn(Tcb& tcb, TxSegment& tx) {
  tx.tos |= wire::ect_0;
  if (tcb.ecn & cwr_due) tx.flags |= wire::cwr;
  tcb.ecn &= static_cast<uint8_t>(~cwr_due);
}

// PSH for the segment just written if a group of what leaves together ends with it: receivers that merge segments pass
// them on at a PSH. A group is half of cwnd at most, so that each lets an ACK come back while another is under way.
void mark_group(const Context& cx, const Tcb& tcb, Emission& out, Seq end) {
  if (cx.params.push_every < 2) return;
  uint32_t n = std::min<uint32_t>(cx.params.push_every, tcb.cwnd / 2 / tcb.mss);
  if (n > 1 && wire::offset(tcb.burst, end) % static_cast<int32_t>(n * tcb.mss) == 0)
    (out.segments->end() - 1)->flags |= wire::psh;
}

// The next new segment. Returns what it used of the sequence space.
uint32_t emit_new(Context& cx, Tcb& tcb, Emission& out, const Decision& d) {
  Seq seq = tcb.snd.nxt;
  uint32_t node = tcb.send_next;
  bool groups = cx.params.push_every > 1;
  if (groups && (!in_flight(tcb) || last_flight(cx, tcb).sent_at != cx.now)) tcb.burst = seq;
  bool fresh = !before(seq, tcb.snd.max);
  auto emit = joins(cx, tcb, out, d.len) ? emit_joined : emit_text;
  uint32_t used = emit(cx, tcb, out, tcb.send_next, seq, d.len, d.fin);
  if (groups) mark_group(cx, tcb, out, seq + used);
  if (tcb.ecn != 0 && fresh && d.len > 0) mark_ecn(tcb, *(out.segments->end() - 1));
  if (!fresh) count_resent(cx, tcb, std::min(used, distance(seq, tcb.snd.max)));
  if (cx.segment_burst > 1 && fresh) note_joinable(tcb, out);
  flight_sent(cx, tcb, seq, seq + used, node);
  tcb.snd.nxt += used;
  tcb.snd.max = wire::later(tcb.snd.max, tcb.snd.nxt);
  if (d.len < tcb.mss) tcb.small_end = tcb.snd.nxt;
  if (tcb.is(in_recovery)) tcb.prr.out += used;
  return used;
}

// RFC8985-7.3b: the next new segment, though cwnd be full, else the last one again.
void emit_tail_probe(Context& cx, Tcb& tcb, Emission& out) {
  tcb.clear(tail_probe_due);
  Flight* last = in_flight(tcb) ? &last_flight(cx, tcb) : nullptr;
  if (last == nullptr || last->state != Flight::flying || tcb.is(probe_outstanding))
    return resume_loss_timer(cx, tcb);
  uint32_t unsent = before(tcb.snd.nxt, tcb.end) ? distance(tcb.snd.nxt, tcb.end) : 0;
  uint32_t flight = tcb.flight();
  uint32_t len = std::min<uint32_t>({unsent, tcb.snd.wnd > flight ? tcb.snd.wnd - flight : 0, tcb.mss});
  tcb.rack.probe_resent = len == 0;
  if (len > 0) {
    emit_new(cx, tcb, out, {len, false});
  } else {
    Flight& f = last_segment(cx, tcb);
    uint32_t used = emit_again(cx, tcb, out, f.node(), f.seq, f.end);
    flight_resent(cx, tcb, f, used);
    count_resent(cx, tcb, used);
  }
  tcb.rack.probe_end = tcb.snd.nxt;
  tcb.set(probed | probe_outstanding);
  cx.count(Count::tail_loss_probes);
  ++tcb.tally.tail_probes;
  cx.start_timer(tcb, Tcb::Timer::retransmit, current_rto(tcb, cx.params));  // RFC8985-7.3c
}

// What is lost, from the first on (RFC6675-4N1), as far as cwnd and the peer's window allow. False: there is more of it than room.
bool emit_lost(Context& cx, Tcb& tcb, Emission& out, uint32_t& sent) {
  Seq before_it = tcb.snd.nxt;  // the end of what was sent again just now
  while (Flight* f = first_lost(cx, tcb)) {
    Seq end = wire::earlier(f->end, f->seq + tcb.mss);
    // A peer that has shrunk its window gets a fast retransmission whole (RFC9293-MAY-7, RFC7323-2.4.4), else what lies
    // inside; the rest waits (RFC9293-SHLD-16, RFC7323-2.4.5).
    bool whole = tcb.is(resend_first) && tcb.is(in_recovery) && tcb.snd.wnd != 0;
    if (!whole) end = wire::earlier(end, tcb.snd.una + tcb.snd.wnd);
    if (!before(f->seq, end)) return true;
    if (!tcb.is(resend_first)) {
      if (frto_waits(cx, tcb) && tcb.unsent() > 0) return true;
      if (distance(f->seq, end) > allowance(tcb)) return true;
    }
    if (sent == out.quantum || !room_left(out)) return false;
    uint32_t used = emit_again(cx, tcb, out, f->node(), f->seq, end);
    if (f->seq == before_it) mark_group(cx, tcb, out, f->seq + used);
    before_it = f->seq + used;
    flight_resent(cx, tcb, *f, used);
    note_resent(cx, tcb, used);
    tcb.clear(resend_first);
    ++sent;
    if (tcb.timer == Tcb::Timer::none) start_loss_timer(cx, tcb);  // RFC6298-5.1
  }
  tcb.clear(resend_first);
  return true;
}

bool emit_due(Context& cx, Tcb& tcb, Emission& out) {
  if (tcb.is(send_syn)) emit_syn(cx, tcb, out);
  if (tcb.is(probe_due) && out.room > 0) emit_window_probe(cx, tcb, out);
  if (tcb.is(tail_probe_due) && out.room > 0) emit_tail_probe(cx, tcb, out);
  if (tcb.is(keepalive_due) && out.room > 0) emit_keepalive(cx, tcb, out);
  return !tcb.is(send_syn | probe_due | tail_probe_due | keepalive_due);
}

constexpr StateSet text_states = set_of(State::established, State::close_wait, State::fin_wait_1, State::closing,
                                        State::last_ack);

// Lost text, then new text, as far as the windows, the quantum and the room go. False: visit it again.
bool emit_texts(Context& cx, Tcb& tcb, Emission& out) {
  if (tcb.snd.una == tcb.snd.max && cx.now - tcb.first.sent_at > microseconds(tcb.rtt.rto) &&
      cx.params.restart_after_idle)
    cc_idle(tcb, cx.params);
  uint32_t sent = 0;
  bool done = true;
  bool new_text = false;
  bool lost = tcb.absent != tcb.sacked;  // new text comes after it (RFC6675-4N2)
  if (lost) done = emit_lost(cx, tcb, out, sent);
  if (!lost || tcb.absent == tcb.sacked || frto_waits(cx, tcb)) {
    for (bool cut = false; done; ++sent) {
      Decision d = decide(tcb, cut);
      if (d.len == 0 && !d.fin) break;
      if (sent == out.quantum || !room_left(out)) {
        done = false;
        break;
      }
      cut = emit_new(cx, tcb, out, d) < d.len;
      new_text = true;
    }
  }
  // The ACK has ridden along; duplicates for text out of order are counted one by one and go on their own, and so does
  // what is to be said of text that arrived twice.
  if (sent > 0 && tcb.out_head == no_index) tcb.acks_due = std::min(tcb.acks_due, tcb.duplicate_count);
  set_timer(cx, tcb, new_text);
  // Nearly always there is nothing to note: all has left. Not done: it waits for the next turn alone.
  if (tcb.snd.nxt != tcb.end || tcb.limit > Limit::application || tcb.is(fin_queued | was_full)) [[unlikely]]
    if (done) set_limit(cx, tcb, why_waiting(tcb));
  return done;
}

// What most requests and responses are: one segment of one slice, nothing in flight before it, nothing unusual. True: it
// has left, as emit_texts() would have sent it.
bool emit_single(Context& cx, Tcb& tcb, Emission& out) {
  constexpr uint32_t unusual = in_recovery | in_loss | resend_first | fin_queued | urgent_send | was_full;
  if (tcb.state != State::established || tcb.is(unusual) || tcb.ecn != 0 || cx.params.push_every > 1) return false;
  if (tcb.snd.una != tcb.snd.max || tcb.send_next == no_index) return false;
  if (tcb.out_head != no_index || tcb.duplicate_count > 0) return false;
  uint32_t len = distance(tcb.snd.nxt, tcb.end);
  if (len > std::min({uint32_t{tcb.mss}, tcb.snd.wnd, tcb.cwnd})) return false;
  const Node& node = cx.nodes[tcb.send_next];
  if (node.slice.length != len || node.seq != tcb.snd.nxt) return false;
  if (cx.now - tcb.first.sent_at > microseconds(tcb.rtt.rto)) return false;  // cwnd may be too old
  TxSegment& tx = push_segment(cx, tcb, out, tcb.is(more_follows) ? wire::ack : wire::ack | wire::psh, tcb.snd.nxt);
  tx.first_slice = static_cast<uint16_t>(out.slices->size());
  tx.slice_count = 1;
  tx.text_len = static_cast<uint16_t>(len);
  out.slices->push(node.slice);
  cx.count(Count::bytes_sent, len);
  ++tcb.text_segments_out;
  tcb.first = Flight::sent(tcb.snd.nxt, tcb.end, cx.now, tcb.send_next);
  all_sent(cx, tcb);
  tcb.snd.nxt = tcb.snd.max = tcb.end;
  if (len < tcb.mss) tcb.small_end = tcb.end;
  tcb.send_next = no_index;
  tcb.acks_due = 0;
  set_timer(cx, tcb, true);
  return true;
}

}  // namespace

bool output(Context& cx, Tcb& tcb, Emission& out) {
  if (!room_left(out)) return false;
  if (tcb.is(send_syn | probe_due | tail_probe_due | keepalive_due) && !emit_due(cx, tcb, out)) return false;
  if (emit_single(cx, tcb, out)) return true;
  bool done = true;
  if (in(tcb.state, text_states)) done = emit_texts(cx, tcb, out);
  emit_pure_acks(cx, tcb, out);
  return done && tcb.acks_due == 0;
}

void emit_reset(Context& cx, Tcb& tcb, Emission& out) {
  // SND.NXT: the octet that probes a closed window was not taken, and that peer takes no RST but the expected one.
  TxSegment& tx = push_segment(cx, tcb, out, wire::rst | wire::ack, tcb.snd.nxt);
  tx.wnd = 0;
  tx.flags = wire::rst | wire::ack;
  tx.options &= wire::opt_timestamps;
  tx.sack_count = 0;
  cx.count(Count::resets_sent);
}

}  // namespace millrace::tcp
