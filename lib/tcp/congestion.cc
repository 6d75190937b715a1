// SPDX-License-Identifier: BSD-3-Clause
// RFC 5681 (RFC9293-MUST-19) with byte counting (RFC 3465, L = 2), and the fixed window of Congestion::none.
#include "tcp/congestion.h"

namespace millrace::tcp {
namespace {

uint32_t initial_window(const Tcb& tcb, const Params& p) {
  // RFC6928-2; RFC5681-3.1d: one segment after a lost SYN (as RFC 6928 has it: lost more than once)
  if (tcb.syn_sent_count > 2) return tcb.mss;
  return p.initial_window * uint32_t{tcb.mss};
}

// RFC5681-3.1i: half of what is in flight, at least two segments.
uint32_t half_flight(const Tcb& tcb, wire::Seq highest) {
  return std::max(wire::distance(tcb.snd.una, highest) / 2, 2u * tcb.mss);
}

}  // namespace

void cc_init(Tcb& tcb, const Params& p) {
  tcb.cwnd = tcb.congestion == Congestion::none ? p.fixed_window : initial_window(tcb, p);
  tcb.ssthresh = 0x7fffffff;  // RFC5681-3.1f
  tcb.cc_acked = 0;
}

void cc_acked(Tcb& tcb, uint32_t bytes, uint32_t flight) {
  if (tcb.congestion == Congestion::none) return;
  if (tcb.cwnd < tcb.ssthresh) {
    // A window that was not used says nothing about the path: it does not grow.
    if (flight * 2 < tcb.cwnd) return;
    // RFC5681-3.1g. L = 2, but while a timeout's data comes in once more an ACK may cover what had arrived the first
    // time: L = 1 (RFC 3465 2.3).
    uint32_t l = wire::before(tcb.snd.una, tcb.recover) ? 1 : 2;
    tcb.cwnd += std::min(bytes, l * tcb.mss);
    return;
  }
  if (flight + tcb.mss < tcb.cwnd) return;
  // RFC5681-3.1h: one segment for each window of bytes acknowledged
  tcb.cc_acked += bytes;
  if (tcb.cc_acked >= tcb.cwnd) {
    tcb.cc_acked -= tcb.cwnd;
    tcb.cwnd += tcb.mss;
  }
}

void cc_lost(Tcb& tcb) {
  if (tcb.congestion == Congestion::none) return;
  tcb.ssthresh = half_flight(tcb, tcb.dup_max);  // RFC5681-3.2.2: without what limited transmit has sent
  tcb.cc_acked = 0;
}

void cc_timeout(Tcb& tcb, bool first) {
  if (tcb.congestion == Congestion::none) return;
  if (first) tcb.ssthresh = half_flight(tcb, tcb.snd.max);
  tcb.cwnd = tcb.mss;  // RFC5681-3.1j
  tcb.cc_acked = 0;
}

void cc_idle(Tcb& tcb, const Params& p) {
  if (tcb.congestion == Congestion::none) return;
  tcb.cwnd = std::min(tcb.cwnd, initial_window(tcb, p));  // RFC5681-4.1
}

}  // namespace millrace::tcp
