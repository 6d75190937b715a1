// SPDX-License-Identifier: BSD-3-Clause
// Loss detection and recovery for peers without SACK: three duplicate ACKs (RFC 5681 3.2), NewReno (RFC 6582), limited
// transmit (RFC 3042; output counts the duplicates).
#include "tcp/congestion.h"
#include "tcp/loss.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::distance;

namespace {

// What `none` keeps is its fixed window: recovery only resends.
void set_cwnd(Tcb& tcb, uint32_t cwnd) {
  if (tcb.congestion != Congestion::none) tcb.cwnd = cwnd;
}

void resend(Context& cx, Tcb& tcb) {
  if (!in_flight(tcb)) {
    tcb.from = {};
    return;
  }
  flight_lost(cx, tcb, tcb.first, tcb.mss);
  tcb.set(resend_first);
  cx.want_output(tcb);
}

void duplicate_ack(Context& cx, Tcb& tcb) {
  if (tcb.dup_acks == 0) tcb.dup_max = tcb.snd.max;
  if (tcb.dup_acks < 255) ++tcb.dup_acks;
  cx.want_output(tcb);  // RFC5681-3.2.1, RFC5681-3.2.5: output lets new text out, as far as cwnd allows
  if (tcb.is(in_recovery)) {
    set_cwnd(tcb, tcb.cwnd + tcb.mss);  // RFC5681-3.2.4: a segment has left the network
    return;
  }
  // RFC6582-3.2.2: not again for what was in flight when the last recovery or timeout began
  if (tcb.dup_acks != 3 || !after(tcb.snd.una, tcb.recover)) return;
  save_for_undo(tcb);
  cc_lost(tcb, distance(tcb.snd.una, tcb.dup_max));  // RFC5681-3.2.2: without what limited transmit has sent
  tcb.recover = tcb.snd.max;
  resend(cx, tcb);
  tcb.set(in_recovery);
  set_cwnd(tcb, tcb.ssthresh + 3u * tcb.mss);  // RFC5681-3.2.3
  cx.count(Count::fast_retransmits);
  ++tcb.tally.recoveries;
}

void ack_in_recovery(Context& cx, Tcb& tcb, uint32_t bytes) {
  if (after_eq(tcb.snd.una, tcb.recover)) {  // RFC6582-3.2.3F, RFC5681-3.2.6
    uint32_t flight = distance(tcb.snd.una, tcb.snd.max);
    set_cwnd(tcb, std::min(tcb.ssthresh, std::max<uint32_t>(flight, tcb.mss) + tcb.mss));
    leave_recovery(tcb);
    return;
  }
  // RFC6582-3.2.3P: the next hole; cwnd deflates by what has left, less the segment that goes out
  uint32_t cwnd = tcb.cwnd > bytes ? tcb.cwnd - bytes : 0;
  if (bytes >= tcb.mss) cwnd += tcb.mss;
  set_cwnd(tcb, std::max<uint32_t>(cwnd, tcb.mss));
  resend(cx, tcb);
}

}  // namespace

void newreno_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked, uint32_t flight_before, bool duplicate) {
  if (duplicate) {
    duplicate_ack(cx, tcb);
    return;
  }
  if (acked == 0) return;
  if (tcb.is(in_recovery)) {
    ack_in_recovery(cx, tcb, acked);
    return;
  }
  if (tcb.is(in_loss) && after_eq(tcb.snd.una, tcb.recover)) leave_recovery(tcb);
  // What duplicates have told of has let new segments out already (RFC 3042); it does not open the window once more.
  uint32_t told_before = std::min(acked - std::min<uint32_t>(acked, tcb.mss), uint32_t{tcb.dup_acks} * tcb.mss);
  tcb.dup_acks = 0;  // RFC6675-5.0
  cc_acked(cx, tcb, {acked - told_before, flight_before, told.rtt(cx.now), tcb.ecn != 0 && told.by->has(wire::ece)});
}

}  // namespace millrace::tcp
