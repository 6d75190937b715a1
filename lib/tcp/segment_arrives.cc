// SPDX-License-Identifier: BSD-3-Clause
// The fast path and the pieces it shares with the RFC's steps.
#include "tcp/segment_arrives.h"

#include "tcp/accounts.h"
#include "tcp/congestion.h"
#include "tcp/loss.h"
#include "tcp/reassembly.h"
#include "tcp/receive_window.h"
#include "tcp/rtt.h"
#include "tcp/send_queue.h"
#include "tcp/user_calls.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::before;
using wire::before_eq;
using wire::distance;
using wire::Segment;

// The first segments, and those after a pause: the peer's window is small, and grows with each ACK.
static bool quick_ack(const Context& cx, Tcb& tcb) {
  if (cx.now - tcb.text_at > microseconds(tcb.rtt.rto)) tcb.quick_acks = cx.params.quick_acks;
  if (tcb.quick_acks == 0) return false;
  --tcb.quick_acks;
  return true;
}

void schedule_ack(Context& cx, Tcb& tcb) {
  bool quick = cx.params.quick_acks != 0 && quick_ack(cx, tcb);
  tcb.text_at = cx.now;
  if (quick) {
    cx.ack_now(tcb);
    return;
  }
  // RFC9293-SHLD-19, RFC5681-4.2a: every second full segment at the latest, counted in bytes
  if (tcb.is(immediate_ack) || distance(tcb.rcv.last_ack, tcb.rcv.nxt) >= uint32_t{cx.params.ack_every} * tcb.mss) {
    cx.ack_now(tcb);
    return;
  }
  if (tcb.ack_at != Instant::never()) {
    if (cx.params.ack_second) cx.ack_now(tcb);
    return;
  }
  delay_ack(cx, tcb);
}

void delay_ack(Context& cx, Tcb& tcb) {
  if (tcb.ack_at != Instant::never()) return;
  tcb.ack_at = cx.now + cx.params.delayed_ack;  // RFC9293-SHLD-18, RFC9293-MUST-40, RFC5681-4.2b
  if (tcb.is(in_ack_queue)) return;
  tcb.set(in_ack_queue);
  cx.ack_queue.push({cx.index_of(tcb), tcb.ack_at});
}

// RFC 9293 3.10.7.4, fifth: the window moves only with a segment that is not older than the one that set it. Text sent
// again has old numbers, but what acknowledges more left later than all before it: were its window not taken, SND.UNA
// would move with the old one and the edge with it, beyond what was ever promised.
void update_window(Tcb& tcb, const Segment& seg) {
  if (after(seg.ack, tcb.snd.una) || before(tcb.snd.wl1, seg.seq) ||
      (tcb.snd.wl1 == seg.seq && before_eq(tcb.snd.wl2, seg.ack))) {
    tcb.snd.wnd = uint32_t{seg.wnd} << tcb.snd_wscale;  // RFC7323-2.3b
    tcb.snd.wl1 = seg.seq;
    tcb.snd.wl2 = seg.ack;
    if (tcb.snd.wnd > tcb.max_wnd) tcb.max_wnd = tcb.snd.wnd;
  }
}

void take_timestamp(Context& cx, Tcb& tcb, const Segment& seg) {
  if (!tcb.is(ts_ok) || after(seg.seq, tcb.rcv.last_ack) || seg.ts_val == tcb.rcv.ts_recent) return;
  tcb.rcv.ts_recent = seg.ts_val;
  tcb.ts_recent_s = cx.now.s();
}

void new_ack(Context& cx, Tcb& tcb, const Segment& seg, Delivered& told) {
  Seq ack = seg.ack;
  uint32_t bytes = distance(tcb.snd.una, ack);
  bool backed_off = tcb.backoff != 0;  // a sample ends it
  flight_acked(cx, tcb, ack, told);
  // An ACK of a duplicate comes later than what else it acknowledges: the one before it was lost.
  bool duplicate = told.answers_duplicate(tcb);
  if (told.sample_at != Instant::never() && !duplicate) {
    note_min_rtt(cx, tcb, cx.now - told.sample_at);
    if (after(told.sample_end, tcb.rtt.next)) {  // RFC6298-3b, RFC7323-4.2: one sample a round trip
      rtt_sample(tcb, cx.params, cx.now - told.sample_at);
      tcb.rtt.next = tcb.snd.nxt;
    }
  }
  note_una(tcb, tcb.snd.una, ack);
  tcb.snd.una = ack;
  bool jumped = before(tcb.snd.nxt, ack);
  if (jumped) tcb.snd.nxt = ack;
  drop_acknowledged(cx, tcb, ack);
  if (jumped) seek_next(cx, tcb);
  if (backed_off) {
    if (tcb.backoff != 0) rtt_after_timeout(cx, tcb, seg, duplicate ? told.sent_at : Instant{});
    tcb.timeouts = 0;
    tcb.first_timeout = Instant{};
  }
  if (ack == tcb.snd.max)
    cx.stop_timer(tcb);  // RFC6298-5.2
  else
    start_loss_timer(cx, tcb);  // RFC6298-5.3
  if (tcb.is(report_sent)) {
    uint32_t text = bytes - (tcb.is(fin_sent) && ack == tcb.end + 1 ? 1 : 0);
    tcb.acked_bytes += text;
    if (text > 0) cx.tell(tcb, pend_sent);
  }
  if (tcb.is(was_full)) check_writable(cx, tcb);
  if (bytes > tcb.mss) rate_ack(cx, tcb, told, bytes);
  if (tcb.ecn != 0 && seg.has(wire::ece)) tcb.tally.marked += bytes;
  if (tcb.unsent() > 0 || tcb.absent != tcb.sacked)
    cx.want_output(tcb);
  else if (ack == tcb.snd.max)
    all_acked(cx, tcb);
}

namespace {

bool options_as_expected(const Tcb& tcb, const Segment& seg) {
  if (!tcb.is(ts_ok)) return true;  // RFC7323-3.2c
  if (seg.options != wire::opt_timestamps) return false;
  return static_cast<int32_t>(seg.ts_val - tcb.rcv.ts_recent) >= 0;
}

// Header prediction: established, in order, no flag but ACK and PSH, nothing held out of order, no recovery, an ACK
// that is neither a duplicate nor beyond what was sent, text that fits.
bool as_predicted(const Tcb& tcb, const Segment& seg) {
  constexpr uint8_t unusual = wire::syn | wire::fin | wire::rst | wire::urg;
  if (tcb.state != State::established || (seg.flags & (unusual | wire::ack)) != wire::ack) return false;
  if (seg.seq != tcb.rcv.nxt || tcb.dup_acks != 0 || tcb.timer == Tcb::Timer::persist) return false;
  if (tcb.is(in_recovery | in_loss | probe_outstanding | app_closed | keepalive_on | fin_waiting | urgent_received)) return false;
  if (tcb.absent != 0 || seg.sack_count != 0) return false;
  if (seg.text_len > distance(tcb.rcv.nxt, tcb.rcv.adv)) return false;
  if (distance(tcb.snd.una, seg.ack) > distance(tcb.snd.una, tcb.snd.nxt)) return false;
  if (seg.text_len == 0 && seg.ack == tcb.snd.una) return false;  // a duplicate, or a window update
  return options_as_expected(tcb, seg);
}

}  // namespace

// With nothing before it to be told, text goes straight into the application's ring.
static void deliver_text(Context& cx, Tcb& tcb, const Segment& seg) {
  EventPort& port = cx.ports[tcb.channel];
  if (tcb.pending != 0 || !cx.pending[tcb.channel].empty() || !port.room()) {
    append_text(cx, tcb, seg.text());
    return;
  }
  ++cx.received_held;
  tcb.charged += seg.text_len;
  ++tcb.charged_packets;
  Event& e = port.push();
  e.kind = Event::received;
  e.reason = Event::no_reason;
  e.offset = seg.text_offset;
  e.length = seg.text_len;
  e.connection = cx.id_of(tcb);
  e.token = tcb.token;
  e.packet = seg.packet;
  cx.count(Count::events_delivered);
}

// The commonest ACK: of all that was in flight, which had left at one time and once. True: taken, as new_ack() would.
static bool acks_one_flight(Context& cx, Tcb& tcb, Seq ack) {
  const Flight& f = tcb.first;
  if (ack != tcb.snd.max || f.end != ack || f.next != no_index || f.sends != 1) return false;
  if (tcb.backoff != 0 || tcb.is(report_sent | was_full)) return false;
  Duration measured = cx.now - f.sent_at;
  note_min_rtt(cx, tcb, measured);
  if (after(ack, tcb.rtt.next)) {  // RFC6298-3b
    rtt_sample(tcb, cx.params, measured);
    tcb.rtt.next = tcb.snd.nxt;
  }
  tcb.first.seq = ack;
  note_una(tcb, tcb.snd.una, ack);
  tcb.snd.una = ack;
  drop_acknowledged(cx, tcb, ack);
  cx.stop_timer(tcb);  // RFC6298-5.2
  if (tcb.unsent() > 0)
    cx.want_output(tcb);
  else
    all_acked(cx, tcb);
  return true;
}

static void ack_as_predicted(Context& cx, Tcb& tcb, const Segment& seg) {
  uint32_t flight = tcb.flight();
  uint32_t bytes = distance(tcb.snd.una, seg.ack);
  bool little = little_traffic(tcb, flight) && tcb.ecn == 0;
  if (!little || !acks_one_flight(cx, tcb, seg.ack)) {
    Delivered told{seg};
    new_ack(cx, tcb, seg, told);
    cc_acked(cx, tcb, {bytes, flight, told.rtt(cx.now), tcb.ecn != 0 && seg.has(wire::ece)});
  }
  // What was lost before is history; kept close behind, so that it is not ahead again when the numbers wrap.
  if (after(seg.ack, tcb.recover)) tcb.recover = seg.ack - 1;
}

static Outcome fast_path(Context& cx, Tcb& tcb, const Segment& seg) {
  Outcome outcome;
  take_timestamp(cx, tcb, seg);
  update_window(tcb, seg);
  tcb.acked_at = cx.now;
  if (seg.ack != tcb.snd.una) {
    ack_as_predicted(cx, tcb, seg);
  } else if (tcb.unsent() > 0) {
    cx.want_output(tcb);
  }
  if (seg.text_len > 0) {
    if (cx.now >= tcb.grow_at) receive_round(cx, tcb, seg);
    note_nxt(tcb, seg.text_len);
    tcb.rcv.nxt += seg.text_len;
    deliver_text(cx, tcb, seg);
    schedule_ack(cx, tcb);
    outcome.kept_packet = true;
  }
  return outcome;
}

static Outcome without_ecn(Context& cx, Tcb& tcb, const Segment& seg) {
  if (as_predicted(tcb, seg) && tcb.out_head == no_index && cx.may_take_text(tcb))
    return fast_path(cx, tcb, seg);
  if (tcb.is(keepalive_on)) {
    tcb.acked_at = cx.now;
    if (tcb.keepalive_sent != 0) {  // a probe was answered: all begins anew
      tcb.keepalive_sent = 0;
      tcb.keepalive_at = cx.now + cx.keepalive_time(tcb);
      cx.arm(tcb, tcb.keepalive_at);
    }
  }
  if (tcb.state == State::syn_sent) return arrives_syn_sent(cx, tcb, seg);
  return arrives_other(cx, tcb, seg);
}

Outcome segment_arrives(Context& cx, Tcb& tcb, const Segment& seg) {
  ++tcb.segments_in;
  tcb.text_segments_in += seg.text_len != 0;
  Outcome outcome = without_ecn(cx, tcb, seg);
  if (tcb.ecn != 0 && outcome.fate == Fate::keep && !outcome.established) ecn_arrives(cx, tcb, seg);
  return outcome;
}

}  // namespace millrace::tcp
