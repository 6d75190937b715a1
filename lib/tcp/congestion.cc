// SPDX-License-Identifier: BSD-3-Clause
// Which algorithm answers (RFC9293-MAY-18), and RFC 5681 (RFC9293-MUST-19) with byte counting (RFC 3465, L = 2) as the plainest of them.
// Congestion::none keeps a fixed window.
#include "tcp/congestion.h"

namespace millrace::tcp {
namespace {

uint32_t initial_window(const Tcb& tcb, const Params& p) {
  // RFC6928-2; RFC5681-3.1d: one segment after a lost SYN (as RFC 6928 has it: lost more than once)
  if (tcb.syn_sent_count > 2) return tcb.mss;
  return p.initial_window * uint32_t{tcb.mss};
}

}  // namespace

void cc_init(Context& cx, Tcb& tcb) {
  tcb.cwnd = tcb.congestion == Congestion::none ? cx.params.fixed_window : initial_window(tcb, cx.params);
  tcb.ssthresh = 0x7fffffff;  // RFC5681-3.1f
  tcb.cc_acked = 0;
  tcb.used = 0;
  tcb.used_until = tcb.snd.nxt;
  tcb.cubic = {};
  hystart_init(tcb);
  if (tcb.congestion == Congestion::dctcp) dctcp_init(tcb);
}

void reno_acked(Tcb& tcb, uint32_t bytes, uint32_t flight) {
  if (!window_limited(tcb, flight)) return;
  if (tcb.cwnd < tcb.ssthresh) {
    tcb.cwnd += slow_start_growth(tcb, bytes, 2);
    return;
  }
  // RFC5681-3.1h: one segment for each window of bytes acknowledged
  tcb.cc_acked += bytes;
  if (tcb.cc_acked >= tcb.cwnd) {
    tcb.cc_acked -= tcb.cwnd;
    tcb.cwnd += tcb.mss;
  }
}

// The most that was in flight this round, as far as it is more than half of cwnd.
static void note_used(Tcb& tcb, uint32_t flight) {
  if (wire::after(tcb.snd.una, tcb.used_until)) {
    tcb.used_until = tcb.snd.nxt;
    tcb.used = 0;
  }
  if (flight * 2 > tcb.cwnd) tcb.used = std::max(tcb.used, flight);
}

void cc_acked(Context& cx, Tcb& tcb, const Acked& a) {
  if (little_traffic(tcb, a.flight) && !a.marked) return;
  note_used(tcb, a.flight);
  switch (tcb.congestion) {
    case Congestion::cubic: cubic_acked(cx, tcb, a); break;
    case Congestion::newreno: reno_acked(tcb, a.bytes, a.flight); break;
    case Congestion::dctcp: dctcp_acked(tcb, a); break;
    case Congestion::none: break;
  }
}

void cc_lost(Tcb& tcb, uint32_t flight) {
  if (tcb.congestion == Congestion::none) return;
  tcb.cc_acked = 0;
  if (tcb.congestion == Congestion::cubic)
    cubic_lost(tcb, flight);
  else
    tcb.ssthresh = std::max(flight / 2, 2u * tcb.mss);  // RFC5681-3.1i
}

void cc_ecn(Tcb& tcb) {
  if (tcb.congestion == Congestion::none || tcb.congestion == Congestion::dctcp) return;
  cc_lost(tcb, tcb.flight());
  // RFC9438-4.6c: down to one segment, which ssthresh alone does not allow
  tcb.cwnd = tcb.cwnd <= 2u * tcb.mss ? tcb.mss : std::min(tcb.cwnd, tcb.ssthresh);
}

void cc_timeout(Tcb& tcb, bool first) {
  if (tcb.congestion == Congestion::none) return;
  // RFC5681-4.3b: what a retransmission that is lost costs comes on top; what limited transmit has sent does not count
  uint32_t flight = tcb.is(in_recovery) ? std::min(tcb.flight(), tcb.ssthresh) : tcb.flight();
  if (first) cc_lost(tcb, flight);
  tcb.cwnd = tcb.mss;  // RFC5681-3.1j
  tcb.cc_acked = 0;
  if (tcb.congestion == Congestion::cubic) cubic_timeout(tcb);
}

void cc_undone(Tcb& tcb) {
  tcb.cc_acked = 0;
  if (tcb.congestion == Congestion::cubic) cubic_restart(tcb);  // RFC9438-4.9
}

void cc_idle(Tcb& tcb, const Params& p) {
  if (tcb.congestion == Congestion::none) return;
  uint32_t restart = std::min(tcb.cwnd, initial_window(tcb, p));  // RFC5681-4.1
  if (restart == tcb.cwnd) return;
  tcb.ssthresh = std::max(tcb.ssthresh, tcb.cwnd / 4 * 3);  // the way back is quick (RFC 2861)
  tcb.cwnd = restart;
  if (tcb.congestion == Congestion::cubic) cubic_restart(tcb);
}

}  // namespace millrace::tcp
