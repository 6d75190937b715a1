// SPDX-License-Identifier: BSD-3-Clause
// Round-trip time and retransmission timeout (RFC 6298, RFC9293-MUST-18), in integers: srtt is kept times 8, rttvar times 4, in us.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tcp/context.h"
#include "wire/segment.h"

namespace millrace::tcp {

inline uint32_t clamp_rto(const Params& p, uint64_t us) {
  // RFC6298-2.4 with Linux's floor instead of a second; RFC6298-2.5
  return static_cast<uint32_t>(std::clamp<uint64_t>(us, p.rto_min.us(), p.rto_max.us()));
}

inline void rtt_init(Tcb& tcb, const Params& p) {
  tcb.rtt = {.srtt = 0, .rttvar = 0, .rto = static_cast<uint32_t>(p.rto_initial.us()), .next = {}};
}

// One measured round trip.
inline void rtt_sample(Tcb& tcb, const Params& p, Duration measured) {
  uint32_t r = static_cast<uint32_t>(std::clamp<uint64_t>(measured.us(), 1, 1u << 27));
  auto& rtt = tcb.rtt;
  tcb.backoff = 0;  // Karn: only a measured round trip ends the backing off
  tcb.clear(probed);
  if (rtt.srtt == 0) {  // RFC6298-2.2
    rtt.srtt = r * 8;
    rtt.rttvar = r * 2;
  } else {  // RFC6298-2.3: the variance first, with the old SRTT
    int32_t error = static_cast<int32_t>(r) - static_cast<int32_t>(rtt.srtt >> 3);
    uint32_t magnitude = static_cast<uint32_t>(error < 0 ? -error : error);
    rtt.rttvar = rtt.rttvar - (rtt.rttvar >> 2) + magnitude;
    rtt.srtt = static_cast<uint32_t>(static_cast<int32_t>(rtt.srtt) + error);
    if (rtt.srtt == 0) rtt.srtt = 1;
  }
  // RFC6298-4: K * RTTVAR is not below the clock's granularity
  Duration least = p.clock_granularity;
  if (p.rto_min_applies_to == RtoMin::variance) least = std::max(least, p.rto_min);
  uint32_t variance = std::max(rtt.rttvar, static_cast<uint32_t>(least.us()));
  rtt.rto = clamp_rto(p, uint64_t{rtt.srtt >> 3} + variance);
}

// RFC8985-6.2.1: the smallest of the last five minutes.
inline void note_min_rtt(Context& cx, Tcb& tcb, Duration measured) {
  uint32_t us = static_cast<uint32_t>(std::clamp<uint64_t>(measured.us(), 1, 1u << 27));
  if (tcb.min_rtt != 0 && us >= tcb.min_rtt && cx.now.s() - tcb.min_rtt_s < 300) return;
  tcb.min_rtt = us;
  tcb.min_rtt_s = cx.now.s();
}

// The handshake's round trip, measured on a SYN that was sent once.
inline void handshake_rtt(Context& cx, Tcb& tcb, Duration measured) {
  rtt_sample(tcb, cx.params, measured);
  note_min_rtt(cx, tcb, measured);
}

// After a timeout no segment is timed, but the peer's echo tells which transmission it answers (RFC 7323 3). The ACK of a
// duplicate echoes an earlier one, and all the waiting since would count as a round trip: it is of the latest, that left at
// `latest` (its D-SACK says so; else there is none).
inline void rtt_after_timeout(Context& cx, Tcb& tcb, const wire::Segment& seg, Instant latest) {
  if (latest != Instant{}) return rtt_sample(tcb, cx.params, cx.now - latest);
  if (!tcb.is(ts_ok) || !(seg.options & wire::opt_timestamps)) return;
  uint32_t ms = cx.ts_now(tcb) - seg.ts_ecr;
  if (ms < 600'000) rtt_sample(tcb, cx.params, milliseconds(ms));
}

// The timeout that applies now, backed off (RFC6298-5.5).
inline Duration current_rto(const Tcb& tcb, const Params& p) {
  Duration rto = microseconds(uint64_t{tcb.rtt.rto} << std::min<uint8_t>(tcb.backoff, 16));
  if (tcb.rtt.srtt != 0 || tcb.backoff != 0) rto = rto + p.rto_slop;
  return std::min(rto, p.rto_max);
}

// Between probes of a closed window: the RTO, doubled each time (RFC9293-SHLD-29, -30).
inline Duration persist_interval(const Tcb& tcb, const Params& p) {
  Duration wait = microseconds(uint64_t{tcb.rtt.rto} << std::min<uint8_t>(tcb.backoff, 16));
  return std::clamp(wait, p.persist_min, p.persist_max);
}

// R2: how long what was sent may stay without an answer. Of the connection's own choice, if it has one
// (RFC9293-MUST-21).
// When an active open is given up, however many SYNs are left: the application's limit, or the stack's; 0: none.
inline Duration open_limit(const Tcb& tcb, const Params& p) { return tcb.r2.ns != 0 ? tcb.r2 : p.syn_limit; }
inline Duration patience(const Tcb& tcb, const Params& p) {
  Duration r2 = tcb.r2.ns != 0 ? tcb.r2 : p.r2;
  return tcb.is(app_closed) ? std::min(r2, p.orphan_timeout) : r2;
}

}  // namespace millrace::tcp
