// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss.h"

#include "tcp/congestion.h"
#include "tcp/send_queue.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::distance;

namespace {

// What `none` keeps is its fixed window: recovery only resends.
void set_cwnd(Tcb& tcb, uint32_t cwnd) {
  if (tcb.congestion != Congestion::none) tcb.cwnd = cwnd;
}

void resend_first(Context& cx, Tcb& tcb) {
  tcb.set(resend_una);
  cx.want_output(tcb);
}

}  // namespace

void duplicate_ack(Context& cx, Tcb& tcb) {
  if (tcb.dup_acks == 0) tcb.dup_max = tcb.snd.max;
  if (tcb.dup_acks < 255) ++tcb.dup_acks;
  if (tcb.is(in_recovery)) {
    set_cwnd(tcb, tcb.cwnd + tcb.mss);  // RFC5681-3.2.4: a segment has left the network
    cx.want_output(tcb);                // RFC5681-3.2.5
    return;
  }
  if (tcb.dup_acks < 3) {
    cx.want_output(tcb);  // RFC5681-3.2.1: output lets one new segment out for each
    return;
  }
  // RFC6582-3.2.2: not again for what was in flight when the last recovery or timeout began
  if (tcb.dup_acks != 3 || !after(tcb.snd.una, tcb.recover)) return;
  cc_lost(tcb);  // RFC5681-3.2.2
  tcb.recover = tcb.snd.max;
  tcb.set(in_recovery);
  set_cwnd(tcb, tcb.ssthresh + 3u * tcb.mss);  // RFC5681-3.2.3
  cx.count(Count::fast_retransmits);
  resend_first(cx, tcb);
}

void ack_in_recovery(Context& cx, Tcb& tcb, uint32_t bytes) {
  if (after_eq(tcb.snd.una, tcb.recover)) {  // RFC6582-3.2.3F, RFC5681-3.2.6
    uint32_t flight = distance(tcb.snd.una, tcb.snd.max);
    set_cwnd(tcb, std::min(tcb.ssthresh, std::max<uint32_t>(flight, tcb.mss) + tcb.mss));
    tcb.clear(in_recovery);
    tcb.dup_acks = 0;
    return;
  }
  // RFC6582-3.2.3P: the next hole; cwnd deflates by what has left, less the segment that goes out
  uint32_t cwnd = tcb.cwnd > bytes ? tcb.cwnd - bytes : 0;
  if (bytes >= tcb.mss) cwnd += tcb.mss;
  set_cwnd(tcb, std::max<uint32_t>(cwnd, tcb.mss));
  resend_first(cx, tcb);
}

void loss_timeout(Context& cx, Tcb& tcb) {
  cc_timeout(tcb, tcb.timeouts == 0);
  tcb.recover = tcb.snd.max;  // RFC6582-3.2.4
  tcb.clear(in_recovery | resend_una | timing);
  tcb.dup_acks = 0;
  // RFC6298-5.4: from the earliest on. SND.MAX remembers what had been sent; an ACK beyond skips what arrived.
  tcb.snd.nxt = tcb.snd.una;
  seek_next(cx, tcb);
  cx.want_output(tcb);
}

}  // namespace millrace::tcp
