// SPDX-License-Identifier: BSD-3-Clause
// What recovery with and without SACK have in common: the timer, the timeout, and its undoing.
#include "tcp/loss.h"

#include "tcp/accounts.h"
#include "tcp/congestion.h"
#include "tcp/rtt.h"

namespace millrace::tcp {

using wire::after_eq;
using wire::before_eq;
using wire::distance;

void recovery_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked, uint32_t flight_before,
                  bool duplicate) {
  bool recovering = tcb.is(in_recovery | in_loss);
  if (recovering) {
    if (acked > 0 && tcb.undo.acks < 255) ++tcb.undo.acks;
    if (duplicate && tcb.is(in_loss) && tcb.undo.acks < 2) {  // RFC 5682 step 2a, 3a: the loss was one
      if (tcb.undo.acks == 1) tcb.cwnd = std::max<uint32_t>(tcb.cwnd, 3u * tcb.mss);
      tcb.undo.acks = 255;
    }
  }
  if ((recovering || told.dsack > 0) && try_undo(cx, tcb, told, acked)) cx.want_output(tcb);
  if (tcb.is(sack_ok))
    rack_ack(cx, tcb, told, acked, flight_before);
  else
    newreno_ack(cx, tcb, told, acked, flight_before, duplicate);
  // What recovery has sent is the tail now, and may be probed for (RFC8985-7.2).
  bool over = recovering && !tcb.is(in_recovery | in_loss);
  if (over && tcb.timer == Tcb::Timer::retransmit) start_loss_timer(cx, tcb, acked == 0);
}

void leave_recovery(Tcb& tcb) {
  tcb.clear(in_recovery | in_loss | resend_first);
  tcb.dup_acks = 0;
}

void save_for_undo(Tcb& tcb) {
  tcb.undo = {tcb.cwnd, tcb.ssthresh, 0, 0, tcb.snd.max, 0};
}

void note_resent(Context& cx, Tcb& tcb, uint32_t bytes) {
  count_resent(cx, tcb, bytes);
  if (tcb.undo.resent == 0 && tcb.undo.ts == 0) tcb.undo.ts = cx.ts_now(tcb);
  tcb.undo.resent += bytes;
  tcb.prr.out += bytes;
}

bool try_undo(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked) {
  auto& undo = tcb.undo;
  if (undo.cwnd == 0 || undo.resent == 0) return false;
  // RFC 3522: what was acknowledged had arrived before it was sent again.
  bool eifel = acked > 0 && told.has_echo(tcb) && static_cast<int32_t>(told.by->ts_ecr - undo.ts) < 0;
  // RFC 5682 step 3b: never sent again, and arrived.
  bool frto = cx.params.frto && tcb.is(in_loss) && undo.acks == 2 && told.original && undo.resent <= tcb.mss;
  // RFC 2883, RFC 3708: all that was sent again arrived twice. The ACK that ends recovery comes before the last of that.
  bool twice = false;
  if (told.dsack > 0 && before_eq(told.dsack_end, undo.end)) {
    undo.resent -= std::min(undo.resent, told.dsack);
    twice = undo.resent == 0;
  }
  if (!eifel && !frto && !twice) return false;
  cx.count(Count::recoveries_undone);
  ++tcb.tally.undone;
  tcb.cwnd = std::max(tcb.cwnd, undo.cwnd);
  tcb.ssthresh = std::max(tcb.ssthresh, undo.ssthresh);
  cc_undone(tcb);
  flight_forget_lost(cx, tcb);
  leave_recovery(tcb);
  undo.cwnd = 0;
  return true;
}

bool frto_waits(const Context& cx, const Tcb& tcb) {
  return cx.params.frto && tcb.is(in_loss) && tcb.undo.acks == 1 && !tcb.is(ts_ok) && tcb.undo.resent <= tcb.mss && tcb.undo.cwnd != 0;
}

void loss_timeout(Context& cx, Tcb& tcb) {
  if (!tcb.is(in_recovery | in_loss)) save_for_undo(tcb);
  cc_timeout(tcb, tcb.timeouts == 0);
  // What was SACKed is still there, unless the first is: then the peer has thrown it away (RFC2018-5b, RFC 6675 5.1).
  if (in_flight(tcb) && tcb.first.state == Flight::sacked) flight_forget_sacked(cx, tcb);
  // RFC6298-5.4, RFC8985-6.3: the first, and all that were sent too long ago to be still under way (RFC6298-5)
  uint32_t rtt = tcb.rack.rtt != 0 ? tcb.rack.rtt : tcb.rtt.srtt >> 3;
  Duration old = microseconds(rtt + rtt / 4);
  for (Flight* f = in_flight(tcb) ? &tcb.first : nullptr; f != nullptr; f = next(cx, *f))
    if (f == &tcb.first || f->sent_at + old <= cx.now) flight_lost(cx, tcb, *f, f->length());
  if (!in_flight(tcb)) tcb.from = {};
  tcb.clear(in_recovery | probe_outstanding);  // RFC 8985 7.1: this has its own price
  tcb.set(in_loss | resend_first);
  tcb.recover = tcb.snd.max;  // RFC6582-3.2.4, RFC6675-5.1T
  tcb.dup_acks = 0;
  tcb.undo.acks = 0;
  cx.want_output(tcb);
}

// What is left of a timeout that began when the first in flight was sent.
static Duration rest(const Context& cx, const Tcb& tcb, Duration whole) {
  Instant at = tcb.first.sent_at + whole;
  return at > cx.now + milliseconds(1) ? at - cx.now : milliseconds(1);
}

void start_loss_timer(Context& cx, Tcb& tcb, bool new_text) {
  Duration rto = current_rto(tcb, cx.params);
  if (new_text) rto = rest(cx, tcb, rto);
  // RFC8985-7.2, -7.3a: not in recovery, nothing SACKed, a round trip measured since the last probe
  bool probe = cx.params.tail_loss_probe && tcb.is(sack_ok) && tcb.rtt.srtt != 0 && tcb.absent == 0 && tcb.backoff == 0 &&
               !tcb.is(in_recovery | in_loss | probed);
  if (!probe) {
    cx.start_timer(tcb, Tcb::Timer::retransmit, rto);
    return;
  }
  Duration pto = microseconds(tcb.rtt.srtt >> 2);
  // One segment alone: its ACK may be delayed.
  pto = pto + (tcb.flight() <= tcb.mss ? cx.params.probe_ack_delay : cx.params.probe_margin);
  cx.start_timer(tcb, Tcb::Timer::probe, std::min(pto, rto));
}

void resume_loss_timer(Context& cx, Tcb& tcb) {
  if (!in_flight(tcb)) {
    cx.stop_timer(tcb);
    return;
  }
  cx.start_timer(tcb, Tcb::Timer::retransmit, rest(cx, tcb, current_rto(tcb, cx.params)));
}

}  // namespace millrace::tcp
