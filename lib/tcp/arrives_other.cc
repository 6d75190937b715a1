// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES in all other states (RFC 9293 3.10.7.4): the eight checks in the RFC's order. SYN-RECEIVED of a
// passive open and TIME-WAIT have records of their own (tcp/half_open, tcp/time_wait).
#include "tcp/loss.h"
#include "tcp/reassembly.h"
#include "tcp/receive_window.h"
#include "tcp/rtt.h"
#include "tcp/segment_arrives.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::before;
using wire::before_eq;
using wire::distance;
using wire::in_window;
using wire::Segment;

void challenge_ack(Context& cx, Tcb& tcb) {
  auto ms = static_cast<uint32_t>(cx.now.ms());
  if (ms - tcb.challenge_since_ms >= cx.params.challenge_period.ms()) {
    tcb.challenge_since_ms = ms;
    tcb.challenges = 0;
  }
  if (tcb.challenges >= cx.params.challenge_limit) {  // RFC5961-7, of this connection alone
    cx.count(Count::challenge_acks_suppressed);
    return;
  }
  ++tcb.challenges;
  cx.count(Count::challenge_acks);
  cx.ack_now(tcb);
}

namespace {

// RFC 7323 5.3: before the window is looked at. True: go on.
bool check_timestamps(Context& cx, Tcb& tcb, const Segment& seg) {
  if (!tcb.is(ts_ok) || seg.has(wire::rst)) return true;  // RFC7323-5.2
  if (!(seg.options & wire::opt_timestamps)) {            // RFC7323-3.2b
    if (!cx.params.require_timestamps) return true;
    cx.count(Count::drop_no_timestamp);
    return false;
  }
  constexpr uint32_t outdated = 24 * 86400;  // RFC7323-5.5: TS.Recent says nothing any more
  if (static_cast<int32_t>(seg.ts_val - tcb.rcv.ts_recent) < 0 && cx.now.s() - tcb.ts_recent_s < outdated) {
    cx.count(Count::paws_rejected);  // RFC7323-5.3R1
    challenge_ack(cx, tcb);
    return false;
  }
  return true;
}

// First: the four cases of the acceptability test (RFC9293-3.10.7.4a), against every window that was ever promised
// (RFC7323-2.4.1).
bool acceptable(const Tcb& tcb, const Segment& seg) {
  uint32_t wnd = distance(tcb.rcv.nxt, tcb.rcv.adv);
  if (seg.len == 0) return wnd == 0 ? seg.seq == tcb.rcv.nxt : in_window(seg.seq, tcb.rcv.nxt, wnd);
  // A closed window takes no text, but valid ACKs, URGs and RSTs (RFC9293-MUST-66).
  if (wnd == 0) return seg.seq == tcb.rcv.nxt && seg.has(wire::ack);
  return in_window(seg.seq, tcb.rcv.nxt, wnd) || in_window(seg.seq + (seg.len - 1), tcb.rcv.nxt, wnd);
}

// What of the segment's text and FIN lies inside the window.
Text cut_to_window(const Tcb& tcb, const Segment& seg) {
  Text text{seg.seq, seg.text(), seg.has(wire::fin), false};
  if (seg.has(wire::syn)) text.seq += 1;
  if (before(text.seq, tcb.rcv.nxt)) {
    uint32_t known = std::min<uint32_t>(distance(text.seq, tcb.rcv.nxt), text.slice.length);
    text.slice.offset = static_cast<uint16_t>(text.slice.offset + known);
    text.slice.length = static_cast<uint16_t>(text.slice.length - known);
    text.seq += known;
  }
  uint32_t room = before(text.seq, tcb.rcv.adv) ? distance(text.seq, tcb.rcv.adv) : 0;
  if (text.slice.length + (text.fin ? 1u : 0u) > room) {
    text.cut = true;
    text.fin = false;
    text.slice.length = static_cast<uint16_t>(std::min<uint32_t>(text.slice.length, room));
  }
  return text;
}

// Text below RCV.NXT has been here before (RFC2883-4). True: an ACK of this segment's own says so.
bool note_known_text(const Context& cx, Tcb& tcb, const Segment& seg) {
  if (seg.text_len == 0 || seg.has(wire::syn) || !before(seg.seq, tcb.rcv.nxt)) return false;
  return note_duplicate(cx, tcb, {seg.seq, wire::earlier(seg.seq + seg.text_len, tcb.rcv.nxt)});
}

// Second, the RST bit (RFC9293-3.10.7.4b, RFC 5961 3.2). Text that comes with it changes nothing (RFC9293-SHLD-2).
void check_rst(Context& cx, Tcb& tcb, const Segment& seg, Outcome& outcome) {
  cx.count(Count::resets_received);
  bool inside = in_window(seg.seq, tcb.rcv.nxt, distance(tcb.rcv.nxt, tcb.rcv.adv));
  if (seg.seq == tcb.rcv.nxt || (inside && !cx.params.exact_rst)) {  // RFC5961-3.2.1
    bool refused = tcb.state == State::syn_received && tcb.is(active);
    tcb.reason = refused ? Event::refused : Event::reset;
    outcome.fate = Fate::gone;
  } else if (inside) {
    challenge_ack(cx, tcb);  // RFC5961-3.2.2
  } else {
    cx.count(Count::drop_out_of_window);  // RFC5961-3.2.3
  }
}

// A SYN in the window, as before RFC 5961: an error, the connection is reset, and so is the peer's.
Outcome reset_by_syn(Tcb& tcb) {
  Outcome outcome;
  tcb.set(rst_on_remove);
  outcome.fate = Fate::gone;
  tcb.reason = Event::reset;
  return outcome;
}

// RFC5681-2: nothing in it but "still waiting for SND.UNA".
bool is_duplicate_ack(const Tcb& tcb, const Segment& seg, uint32_t wnd_before) {
  return seg.ack == tcb.snd.una && tcb.snd.una != tcb.snd.max && seg.len == 0 && tcb.snd.wnd == wnd_before &&
         tcb.snd.wnd != 0;
}

// Both ends sent their SYN first: the SYN that its ACK comes with is known, and the ACK is what is waited for
// (RFC 9293 figure 8, RFC9293-MUST-10).
bool is_crossing_syn_ack(const Tcb& tcb, const Segment& seg) {
  return seg.has(wire::syn) && seg.has(wire::ack) && !seg.has(wire::rst) && seg.seq == tcb.irs &&
         seg.ack == tcb.snd.max;
}

// "Special allowance should be made to accept valid ACKs" while our window is shut (RFC 9293 3.10.7.4). The peer cannot
// know whether we took the octet of its window probe: until then its ACKs may be one off, and two ends that both probe
// would never hear each other again.
bool is_one_off(const Tcb& tcb, const Segment& seg) {
  return seg.len == 0 && seg.has(wire::ack) && (seg.seq + 1 == tcb.rcv.nxt || seg.seq == tcb.rcv.nxt + 1) &&
         tcb.rcv.nxt == tcb.rcv.adv && in(tcb.state, receiving);
}

// How far behind SND.UNA an ACK may lie: a window, but no bytes that were never sent (RFC5961-5.2). With large windows a
// forged ACK would otherwise pass one time in four.
uint32_t oldest_ack(const Tcb& tcb) {
  bool far = tcb.tally.una_wraps > 1 || (tcb.tally.una_wraps == 1 && tcb.snd.una.value > tcb.iss.value);  // 2^32 bytes
  return far ? tcb.max_wnd : std::min(tcb.max_wnd, distance(tcb.iss + 1, tcb.snd.una));
}

// Fifth, the ACK field (RFC9293-3.10.7.4d, e). True: go on.
bool check_ack(Context& cx, Tcb& tcb, const Segment& seg, Outcome& outcome) {
  if (tcb.state == State::syn_received) {
    if (!(after(seg.ack, tcb.snd.una) && before_eq(seg.ack, tcb.snd.max))) {
      outcome.reset = true;
      cx.count(Count::drop_unacceptable_ack);
      return false;
    }
    tcb.snd.una = tcb.iss + 1;
    tcb.snd.nxt = wire::later(tcb.snd.nxt, tcb.snd.una);
    establish(cx, tcb);
    take_syn_text(cx, tcb);
    tcb.snd.wl1 = seg.seq - 1;  // so that this segment's window counts
    outcome.established = true;
  }
  // RFC9293-MAY-12, RFC5961-5.2: neither ahead of what was sent nor older than a window
  if (after(seg.ack, tcb.snd.max) || (before(seg.ack, tcb.snd.una) && before(seg.ack, tcb.snd.una - oldest_ack(tcb)))) {
    cx.count(Count::drop_unacceptable_ack);
    if (before(seg.ack, tcb.snd.una) || cx.params.answer_early_ack) challenge_ack(cx, tcb);
    return false;
  }
  tcb.acked_at = cx.now;
  // RFC7323-4.3, -5.3R3. Only now: a forged TSval with no idea of our numbers must not shut the peer's own out.
  if (seg.options & wire::opt_timestamps) take_timestamp(cx, tcb, seg);
  uint32_t wnd_before = tcb.snd.wnd;
  if (after_eq(seg.ack, tcb.snd.una)) update_window(tcb, seg);
  if (tcb.snd.max != tcb.snd.nxt && seg.ack == tcb.snd.nxt) tcb.probe_refused = true;
  if (tcb.timer == Tcb::Timer::persist) {
    // The probe was answered (RFC9293-MUST-37). An orphan's is asked for nobody.
    if (!tcb.is(app_closed)) tcb.first_timeout = Instant{};
    if (tcb.snd.wnd > 0) {
      cx.stop_timer(tcb);
      tcb.backoff = 0;
    } else if (Duration wait = persist_interval(tcb, cx.params); !tcb.is(app_closed) && wait > patience(tcb, cx.params)) {
      cx.start_timer(tcb, Tcb::Timer::persist, wait);  // it was to end at R2
    }
    cx.want_output(tcb);
  }
  bool duplicate = is_duplicate_ack(tcb, seg, wnd_before);
  uint32_t flight = tcb.flight();
  uint32_t acked = after(seg.ack, tcb.snd.una) ? distance(tcb.snd.una, seg.ack) : 0;
  Delivered told{seg};
  if (seg.sack_count > 0 && tcb.is(sack_ok)) take_sacks(cx, tcb, seg, told);
  if (acked > 0) {
    new_ack(cx, tcb, seg, told);
  } else if (tcb.snd.wnd > wnd_before) {
    cx.want_output(tcb);
  }
  if (acked > 0 || duplicate || seg.sack_count > 0) recovery_ack(cx, tcb, told, acked, flight, duplicate);
  if (acked > 0 && !tcb.is(in_recovery | in_loss) && after(seg.ack, tcb.recover)) tcb.recover = seg.ack - 1;
  bool fin_acked = tcb.is(fin_sent) && tcb.snd.una == tcb.end + 1;
  if (fin_acked && tcb.state == State::fin_wait_1) {
    set_state(tcb, State::fin_wait_2);
    if (tcb.is(app_closed)) {  // nobody reads what comes: do not wait for ever
      tcb.life_at = cx.now + cx.params.fin_wait_2;
      cx.arm(tcb, tcb.life_at);
    }
  } else if (fin_acked && tcb.state == State::closing) {
    outcome.fate = Fate::time_wait;
    return false;
  } else if (fin_acked && tcb.state == State::last_ack) {
    tcb.reason = Event::finished;
    outcome.fate = Fate::gone;
    return false;
  }
  return true;
}

}  // namespace

Outcome arrives_other(Context& cx, Tcb& tcb, const Segment& seg) {
  Outcome outcome;
  if (!check_timestamps(cx, tcb, seg)) return outcome;
  if (tcb.state == State::syn_received && is_crossing_syn_ack(tcb, seg)) {
    Segment ack = seg;
    ack.flags &= static_cast<uint8_t>(~wire::syn);
    ack.seq += 1;
    ack.len -= 1;
    ack.urgent -= ack.urgent > 0;  // of the same octet
    return arrives_other(cx, tcb, ack);
  }
  if (seg.has(wire::rst)) {
    check_rst(cx, tcb, seg, outcome);
    return outcome;
  }
  if (!acceptable(tcb, seg)) {
    // An ACK tells the peer where we are; a bare one gets it only within the limit, so that two ends that disagree
    // do not answer each other for ever.
    cx.count(Count::drop_out_of_window);
    if (seg.text_len > 0 && before_eq(seg.seq + seg.len, tcb.rcv.nxt)) cx.count(Count::duplicate_text);
    if (note_known_text(cx, tcb, seg))
      cx.ack_each(tcb);
    else if (seg.len > 0 && !seg.has(wire::syn))
      cx.ack_now(tcb);
    else
      challenge_ack(cx, tcb);  // RFC5961-4.2, -7: a SYN, wherever it lies
    if (is_one_off(tcb, seg)) check_ack(cx, tcb, seg, outcome);
    return outcome;
  }
  // Third (security) does not exist here. Fourth, the SYN bit (RFC9293-3.10.7.4c, RFC5961-4.2).
  if (seg.has(wire::syn)) {
    if (!cx.params.challenge_syn) return reset_by_syn(tcb);
    challenge_ack(cx, tcb);
    return outcome;
  }
  if (!seg.has(wire::ack)) {
    cx.count(Count::drop_no_ack);
    return outcome;
  }
  if (!check_ack(cx, tcb, seg, outcome)) return outcome;
  process_urgent(cx, tcb, seg);
  Text text = cut_to_window(tcb, seg);
  text.duplicate = note_known_text(cx, tcb, seg);
  if (text.slice.length > 0 && text.seq == tcb.rcv.nxt && cx.now >= tcb.grow_at) receive_round(cx, tcb, seg);
  process_text(cx, tcb, text, outcome);
  if (outcome.fate == Fate::keep) check_fin(cx, tcb, text, outcome);
  return outcome;
}

}  // namespace millrace::tcp
