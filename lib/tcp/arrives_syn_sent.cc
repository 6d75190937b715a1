// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES in SYN-SENT (RFC9293-3.10.7.3), and what both sides do when a handshake ends.
#include "tcp/accounts.h"
#include "tcp/congestion.h"
#include "tcp/path_mtu.h"
#include "tcp/reassembly.h"
#include "tcp/rtt.h"
#include "tcp/segment_arrives.h"

namespace millrace::tcp {

using wire::after;
using wire::before_eq;
using wire::Segment;

void take_syn_options(Context& cx, Tcb& tcb, const Segment& syn) {
  tcb.irs = syn.seq;
  tcb.rcv.nxt = syn.seq + 1;
  tcb.rcv.last_ack = tcb.rcv_up = tcb.rcv.nxt;
  tcb.peer_mss = syn.options & wire::opt_mss ? syn.mss : 536;  // RFC9293-MUST-15
  // Each of these holds only if both SYNs carry it (RFC7323-2.2a, -3.2a, RFC2018-2).
  if (syn.options & wire::opt_wscale && cx.params.window_scaling) {
    tcb.set(ws_ok);
    tcb.snd_wscale = std::min<uint8_t>(syn.wscale, 14);  // RFC7323-2.3a
  } else {
    tcb.snd_wscale = tcb.rcv_wscale = 0;  // the buffer may be larger than what can be promised: the window stays open longer
  }
  if (syn.options & wire::opt_timestamps && cx.params.timestamps) {
    tcb.set(ts_ok);
    tcb.rcv.ts_recent = syn.ts_val;
    tcb.ts_recent_s = cx.now.s();
  }
  if (syn.options & wire::opt_sack_permitted && cx.params.sack) tcb.set(sack_ok);
  set_mss(tcb);
  uint32_t whole = tcb.mss + (tcb.is(ts_ok) ? 12u : 0u);
  if (cx.params.whole_segments) tcb.receive_buffer = (tcb.receive_buffer + whole - 1) / whole * whole;
  // The window of a SYN is not scaled (RFC7323-2.2b); that is what ours has promised, too.
  tcb.rcv.adv = tcb.rcv.nxt + std::min(tcb.receive_buffer, cx.params.whole_segments ? most_promised(cx, tcb) : 65535u);
  tcb.snd.wnd = syn.wnd;
  tcb.max_wnd = syn.wnd;
  tcb.snd.wl1 = syn.seq;
  tcb.snd.wl2 = tcb.snd.una;
  tcb.ecn_recover = tcb.iss;
}

void establish(Context& cx, Tcb& tcb) {
  set_state(tcb, State::established);
  tcb.clear(send_syn);  // one that waited for room has its answer
  cx.stop_timer(tcb);
  tcb.backoff = tcb.timeouts = 0;
  tcb.first_timeout = Instant{};
  tcb.recover = tcb.iss;  // RFC6582-3.2.1
  tcb.dup_acks = 0;
  tcb.first.sent_at = cx.now;
  tcb.first.seq = tcb.first.end = tcb.snd.nxt;
  tcb.rtt.next = tcb.small_end = tcb.snd.nxt;
  tcb.rack.fack = tcb.rack.end = tcb.rack.dsack_round = tcb.snd.nxt;
  cc_init(cx, tcb);  // RFC5681-3.1c: neither the SYN,ACK nor its ACK has grown anything
  // RFC6298-5.7: a SYN had to be sent again, so nothing is known of the round trip
  if (tcb.rtt.srtt == 0 && tcb.syn_sent_count > 1)
    tcb.rtt.rto = std::max<uint32_t>(tcb.rtt.rto, static_cast<uint32_t>(seconds(3).us()));
  if (tcb.is(keepalive_on)) {
    tcb.keepalive_at = cx.now + cx.keepalive_time(tcb);
    cx.arm(tcb, tcb.keepalive_at);
  }
  cx.count(Count::established);
  tcb.tally.established = tcb.acked_at = cx.now;
  cx.tell(tcb, pend_opened);
  if (tcb.is(fin_queued)) set_state(tcb, State::fin_wait_1);  // closed while the handshake was under way
  if (tcb.unsent() > 0) cx.want_output(tcb);
}

// RFC9293-3.10.7.3: text and FIN of a SYN that crosses ours wait until the connection is established. RCV.NXT stays before
// them, so they are not acknowledged yet. True: the packet was kept.
static bool hold_syn_text(Context& cx, Tcb& tcb, const Segment& syn) {
  Slice text = syn.text();
  uint32_t room = wire::distance(tcb.rcv.nxt, tcb.rcv.adv);
  if (text.length > room || !cx.may_take_text(tcb)) return false;  // the peer sends it again
  if (syn.has(wire::fin) && text.length < room) {
    tcb.rcv_fin = tcb.rcv.nxt + text.length;
    tcb.set(fin_waiting);
  }
  if (text.length > 0) hold_text(cx, tcb, text);
  return text.length > 0;
}

void take_syn_text(Context& cx, Tcb& tcb) {
  if (tcb.text_head == no_index) return;
  uint32_t bytes = cx.nodes[tcb.text_head].slice.length;  // it came with one segment
  note_nxt(tcb, bytes);
  tcb.rcv.nxt += bytes;
  cx.tell(tcb, pend_text);
  cx.ack_now(tcb);
}

Outcome arrives_syn_sent(Context& cx, Tcb& tcb, const Segment& seg) {
  Outcome outcome;
  // First, the ACK bit.
  bool acceptable_ack = false;
  if (seg.has(wire::ack)) {
    if (before_eq(seg.ack, tcb.iss) || after(seg.ack, tcb.snd.max)) {
      cx.count(Count::drop_unacceptable_ack);
      outcome.reset = !seg.has(wire::rst);
      return outcome;
    }
    acceptable_ack = true;
  }
  // Second, the RST bit: it counts only if it acknowledges our SYN (RFC5961-3.2.4).
  if (seg.has(wire::rst)) {
    if (!acceptable_ack) return outcome;
    cx.count(Count::resets_received);
    tcb.reason = Event::refused;
    outcome.fate = Fate::gone;
    return outcome;
  }
  // Third (security) does not exist here. Fourth, the SYN bit; fifth, neither: drop.
  if (!seg.has(wire::syn) || (seg.has(wire::fin) && cx.params.drop_syn_fin)) {
    cx.count(Count::drop_no_ack);
    return outcome;
  }
  tcb.snd.una = acceptable_ack ? seg.ack : tcb.snd.una;
  // RFC 3168 6.1.1: ECE alone agrees to what our SYN asked for
  bool agreed = (tcb.ecn & ecn_asked) && seg.has(wire::ece) && !seg.has(wire::cwr) && acceptable_ack;
  // ... and a SYN that crosses ours, with both bits, is agreed to as in LISTEN.
  bool asked = !acceptable_ack && seg.has(wire::ece) && seg.has(wire::cwr) &&
               cx.wants_ecn(tcb.congestion, EcnMode::passive);
  tcb.ecn = agreed || asked ? ecn_ok : 0;
  take_syn_options(cx, tcb, seg);
  if (!acceptable_ack) {  // simultaneous open (RFC9293-MUST-10): our SYN goes out again, with the ACK
    set_state(tcb, State::syn_received);
    tcb.set(send_syn);
    cx.want_output(tcb);
    outcome.kept_packet = hold_syn_text(cx, tcb, seg);
    return outcome;
  }
  if (tcb.syn_sent_count == 1) handshake_rtt(cx, tcb, cx.now - tcb.first.sent_at);  // RFC6298-3a
  tcb.snd.nxt = wire::later(tcb.snd.nxt, tcb.snd.una);
  establish(cx, tcb);
  cx.ack_now(tcb);
  outcome.established = true;
  // URG, text or FIN with the SYN,ACK: on with the sixth step.
  process_urgent(cx, tcb, seg);
  Text text{seg.seq + 1, seg.text(), seg.has(wire::fin), false};
  process_text(cx, tcb, text, outcome);
  check_fin(cx, tcb, text, outcome);
  return outcome;
}

}  // namespace millrace::tcp
