// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES, sixth to eighth step (RFC 9293 3.10.7.4): the urgent pointer, the text, the FIN.
#include "tcp/accounts.h"
#include "tcp/reassembly.h"
#include "tcp/runs.h"
#include "tcp/segment_arrives.h"

namespace millrace::tcp {

using wire::after;
using wire::before_eq;
using wire::distance;
using wire::Segment;

// Sixth. The pointer names the octet after the urgent data (RFC9293-MUST-62); the run may have any length
// (RFC9293-MUST-31); the application is told when it moves (RFC9293-MUST-32) and up to where (RFC9293-MUST-33).
void process_urgent(Context& cx, Tcb& tcb, const Segment& seg) {
  if (!seg.has(wire::urg) || !in(tcb.state, receiving) || tcb.is(app_closed)) return;
  Seq up = seg.seq + seg.urgent;
  if (!after(up, tcb.rcv.nxt)) return;
  // Not again for the same run, also when the application knows. A pointer of long ago is not ahead, the numbers wrap.
  uint32_t furthest = distance(tcb.rcv.nxt, tcb.rcv.adv) + 65535;
  bool known = after(tcb.rcv_up, tcb.rcv.nxt) && distance(tcb.rcv.nxt, tcb.rcv_up) <= furthest;
  if (known && !after(up, tcb.rcv_up)) return;
  tcb.rcv_up = up;
  tcb.set(urgent_received);
  cx.tell(tcb, pend_urgent);
}

// Seventh.
void process_text(Context& cx, Tcb& tcb, const Text& text, Outcome& outcome) {
  bool ahead = text.slice.length > 0 && text.seq != tcb.rcv.nxt && cx.may_take_text(tcb);
  if (text.duplicate) cx.ack_each(tcb);
  if (!in(tcb.state, receiving)) {  // beyond its FIN: text is ignored, a FIN and a probe are answered
    if (text.fin || (text.cut && tcb.rcv.nxt == tcb.rcv.adv)) cx.ack_now(tcb);
    return;
  }
  if (text.cut) {
    cx.count(Count::drop_no_window);
    if (!ahead) cx.ack_now(tcb);  // text ahead is acknowledged below: once for each segment (RFC5681-4.2c)
  }
  if (text.slice.length == 0) return;
  if (tcb.is(app_closed)) {  // RFC9293-SHLD-3: the peer shall know that this was never read
    cx.count(Count::drop_after_close);
    tcb.reason = Event::reset;
    outcome.reset = true;  // where the segment's ACK says that the peer will take it (RFC5961-3.2.1)
    outcome.fate = Fate::gone;
    return;
  }
  if (!cx.may_take_text(tcb)) {  // new text is dropped as if the network had lost it
    cx.count(Count::drop_no_memory);
    return;
  }
  if (text.seq != tcb.rcv.nxt) {  // RFC9293-SHLD-31, RFC9293-MAY-13, RFC5681-3.2a
    outcome.kept_packet = keep_out_of_order(cx, tcb, text.seq, text.slice);
    cx.ack_each(tcb);
    return;
  }
  bool fills_gap = tcb.out_head != no_index;
  note_nxt(tcb, text.slice.length);
  tcb.rcv.nxt += text.slice.length;
  append_text(cx, tcb, text.slice);
  outcome.kept_packet = true;
  if (fills_gap) {
    bool held = !text.duplicate && note_held_duplicate(cx, tcb, text.seq, tcb.rcv.nxt);
    if (text.fin) drop_out_of_order(cx, tcb);  // a FIN in order counts, and nothing lies beyond it
    take_in_order(cx, tcb);
    held ? cx.ack_each(tcb) : cx.ack_now(tcb);  // RFC5681-3.2a
    tcb.text_at = cx.now;
  } else if (!text.duplicate) {
    schedule_ack(cx, tcb);
  }
}

namespace {

// A FIN beyond a gap may be forged: the latest one is noted, unless text that is held lies beyond it.
void note_early_fin(Context& cx, Tcb& tcb, Seq at) {
  uint32_t last = run_at(cx, tcb, tcb.rcv.adv);
  if (last == no_index || before_eq(cx.runs[last].right, at)) {
    tcb.rcv_fin = at;
    tcb.set(fin_waiting);
  }
  cx.ack_now(tcb);  // RFC5681-4.2c
}

// Is the peer's FIN here? One in order counts whatever was noted before. A note is no more when text lies beyond it, or
// RCV.NXT has passed it.
bool fin_is_next(Context& cx, Tcb& tcb, const Text& text) {
  Seq end = text.seq + text.slice.length;
  bool contradicted = (text.slice.length > 0 && after(end, tcb.rcv_fin)) || after(tcb.rcv.nxt, tcb.rcv_fin);
  if (tcb.is(fin_waiting) && contradicted) tcb.clear(fin_waiting);
  if (text.fin && end == tcb.rcv.nxt) return true;
  if (text.fin) note_early_fin(cx, tcb, end);
  return tcb.is(fin_waiting) && tcb.rcv_fin == tcb.rcv.nxt;
}

}  // namespace

// Eighth (RFC9293-3.10.7.4f).
void check_fin(Context& cx, Tcb& tcb, const Text& text, Outcome& outcome) {
  if (!in(tcb.state, receiving) || !fin_is_next(cx, tcb, text)) return;
  tcb.clear(fin_waiting);
  tcb.set(fin_received);
  note_nxt(tcb, 1);
  tcb.rcv.nxt += 1;
  if (!after(tcb.rcv.adv, tcb.rcv.nxt)) tcb.rcv.adv = tcb.rcv.nxt;
  drop_out_of_order(cx, tcb);  // nothing can lie beyond a FIN
  if (!tcb.is(app_closed)) cx.tell(tcb, pend_peer_closed);
  switch (tcb.state) {
    case State::established:
      set_state(tcb, State::close_wait);
      if (cx.params.delay_fin_ack && tcb.rcv.nxt != tcb.irs + 2)  // there was text, and its rhythm
        delay_ack(cx, tcb);
      else
        cx.ack_now(tcb);
      break;
    case State::fin_wait_1:  // our FIN is not acknowledged yet, or check_ack would have moved on
      set_state(tcb, State::closing);
      cx.ack_now(tcb);
      break;
    default:
      outcome.fate = Fate::time_wait;
  }
}

}  // namespace millrace::tcp
