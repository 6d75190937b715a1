// SPDX-License-Identifier: BSD-3-Clause
// Congestion control: a few questions, answered by the algorithm of the connection. Loss detection (tcp/loss) decides
// when something was lost; here is decided what that costs, and how the window grows. Integers only.
#pragma once

#include "tcp/context.h"

namespace millrace::tcp {

inline constexpr uint32_t no_ssthresh = 0x7fffffff;  // RFC5681-3.1f: nothing is known of the path

// What an ACK of new data means for the window.
struct Acked {
  uint32_t bytes;     // newly acknowledged, and not SACKed before
  uint32_t flight;    // what was in flight as it came
  uint32_t rtt = 0;   // us, measured by it; 0: not
  bool marked = false;  // with ECE
};

void cc_init(Context& cx, Tcb& tcb);                  // the connection is established
// New data acknowledged, not in recovery. Little traffic, as of requests and responses, says nothing.
void cc_acked(Context& cx, Tcb& tcb, const Acked& a);
inline bool little_traffic(const Tcb& tcb, uint32_t flight) {
  return tcb.cwnd < tcb.ssthresh && flight * 2 <= tcb.cwnd && tcb.used == 0;
}
void cc_lost(Tcb& tcb, uint32_t flight);              // a loss was detected: ssthresh falls (cwnd is recovery's)
void cc_ecn(Tcb& tcb);                                // the network says that it is congested (RFC 3168): both fall
void cc_timeout(Tcb& tcb, bool first);                // the retransmission timer has expired
void cc_undone(Tcb& tcb);                             // nothing had been lost: cwnd and ssthresh are as before
void cc_smaller_segments(Tcb& tcb, uint16_t before);  // tcb.mss was `before`, and the path carries no more
void cc_idle(Tcb& tcb, const Params& p);              // nothing was sent for longer than the RTO

// --- for the files of this room ---

// A window that was not used says nothing about the path: it does not grow (RFC 7661; RFC9438-4.6b). In slow start more
// than half of it must have been used, at the most of a round trip.
inline bool window_limited(const Tcb& tcb, uint32_t flight) {
  return tcb.cwnd < tcb.ssthresh ? std::max(flight, tcb.used) * 2 > tcb.cwnd : flight + tcb.mss >= tcb.cwnd;
}

// RFC5681-3.1g, RFC 3465: by what was acknowledged, `segments` at most for one ACK. While a timeout's data comes in once
// more an ACK may cover what had arrived the first time: one segment then (RFC 3465 2.3).
inline uint32_t slow_start_growth(const Tcb& tcb, uint32_t bytes, uint32_t segments) {
  if (tcb.is(in_loss)) segments = 1;
  return std::min(bytes, segments * tcb.mss);
}
void reno_acked(Tcb& tcb, uint32_t bytes, uint32_t flight);

// RFC 9406. The growth that slow start may have by this ACK; ssthresh falls to cwnd when slow start is over.
void hystart_init(Tcb& tcb);
uint32_t hystart_growth(Tcb& tcb, const Acked& a, uint32_t stretch);

// RFC 9438.
void cubic_acked(Context& cx, Tcb& tcb, const Acked& a);
void cubic_lost(Tcb& tcb, uint32_t flight);
void cubic_timeout(Tcb& tcb);
void cubic_restart(Tcb& tcb);  // a new epoch
uint32_t cube_root(uint64_t x);

// RFC 8257.
void dctcp_init(Tcb& tcb);
void dctcp_acked(Tcb& tcb, const Acked& a);

}  // namespace millrace::tcp
