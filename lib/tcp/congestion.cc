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
  tcb.ssthresh = no_ssthresh;
  tcb.cc_acked = 0;
  tcb.used = 0;
  tcb.used_until = tcb.snd.nxt;
  tcb.cubic = {};
  tcb.cubic.of_cwnd = cx.params.beta_of_cwnd;
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
  if (a.bytes > tcb.acked_size) tcb.acked_size = static_cast<uint16_t>(std::min<uint32_t>(a.bytes, tcb.mss));
  switch (tcb.congestion) {
    case Congestion::cubic: cubic_acked(cx, tcb, a); break;
    case Congestion::newreno: reno_acked(tcb, a.bytes, a.flight); break;
    case Congestion::dctcp: dctcp_acked(tcb, a); break;
    case Congestion::none: break;
  }
}

// RFC 3168 6.1.2: whatever cwnd fell for, the next new text says so, and ECE for the same window lowers nothing more.
static void say_reduced(Tcb& tcb) {
  if (!(tcb.ecn & ecn_ok)) return;
  tcb.ecn |= cwr_due;
  tcb.ecn_recover = tcb.snd.nxt;
}

void cc_lost(Tcb& tcb, uint32_t flight) {
  if (tcb.congestion == Congestion::none) return;
  say_reduced(tcb);
  tcb.cc_acked = 0;
  if (tcb.congestion == Congestion::cubic)
    cubic_lost(tcb, flight);
  else
    tcb.ssthresh = std::max(flight / 2, 2u * tcb.mss);  // RFC5681-3.1i
}

void cc_ecn(Tcb& tcb) {
  if (tcb.congestion == Congestion::none || tcb.congestion == Congestion::dctcp) return;
  cc_lost(tcb, tcb.flight());
  tcb.undo.cwnd = 0;
  // RFC9438-4.6c: down to one segment, which ssthresh alone does not allow
  tcb.cwnd = tcb.cwnd <= 2u * tcb.mss ? tcb.mss : std::min(tcb.cwnd, tcb.ssthresh);
}

void cc_timeout(Tcb& tcb, bool first) {
  if (tcb.congestion == Congestion::none) return;
  // RFC5681-4.3b: what a retransmission that is lost costs comes on top; what limited transmit has sent does not count
  uint32_t flight = tcb.is(in_recovery) ? std::min(tcb.flight(), tcb.ssthresh) : tcb.flight();
  if (first) cc_lost(tcb, flight);
  say_reduced(tcb);
  tcb.cwnd = tcb.mss;  // RFC5681-3.1j
  tcb.cc_acked = 0;
  if (tcb.congestion == Congestion::cubic) cubic_timeout(tcb);
}

void cc_undone(Tcb& tcb) {
  tcb.ecn &= static_cast<uint8_t>(~cwr_due);
  tcb.cc_acked = 0;
  if (tcb.congestion == Congestion::cubic) cubic_restart(tcb);  // RFC9438-4.9
}

// RFC5681-3.1e: as many segments as before, not as many bytes. That is no loss, and costs nothing else.
void cc_smaller_segments(Tcb& tcb, uint16_t before) {
  if (tcb.congestion == Congestion::none) return;
  auto scale = [&](uint32_t& window) { window = static_cast<uint32_t>(uint64_t{window} * tcb.mss / before); };
  scale(tcb.cwnd);
  tcb.undo.cwnd = 0;
  tcb.cwnd = std::max<uint32_t>(tcb.cwnd, tcb.mss);
  if (tcb.ssthresh < 0x7fffffff) {
    scale(tcb.ssthresh);
    tcb.ssthresh = std::max(tcb.ssthresh, 2u * tcb.mss);
  }
  for (uint32_t* of_cubic : {&tcb.cubic.w_max, &tcb.cubic.w_est, &tcb.cubic.prior}) scale(*of_cubic);
  tcb.cc_acked = tcb.used = 0;
  cubic_restart(tcb);
}

void cc_idle(Tcb& tcb, const Params& p) {
  if (tcb.congestion == Congestion::none) return;
  tcb.undo.cwnd = 0;
  uint32_t restart = std::min(tcb.cwnd, initial_window(tcb, p));  // RFC5681-4.1
  if (restart == tcb.cwnd) return;
  tcb.ssthresh = std::max(tcb.ssthresh, tcb.cwnd / 4 * 3);  // the way back is quick (RFC 2861)
  tcb.cwnd = restart;
  if (tcb.congestion == Congestion::cubic) cubic_restart(tcb);
}

}  // namespace millrace::tcp
