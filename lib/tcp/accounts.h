// SPDX-License-Identifier: BSD-3-Clause
// What is counted of one connection for its diagnostics, where counting is more than adding one: what sending waits
// for and how long, and how fast text is delivered.
#pragma once

#include "tcp/context.h"
#include "tcp/flight.h"

namespace millrace::tcp {

void change_limit(Context& cx, Tcb& tcb, Limit to);

// A sum holds its time so far less the time when it began, so that nothing but a change costs anything.
inline void set_limit(Context& cx, Tcb& tcb, Limit to) {
  if (tcb.limit != to) change_limit(cx, tcb, to);
}

// The usual beginning of being busy: all that was queued has left, into an empty flight.
inline void all_sent(Context& cx, Tcb& tcb) {
  if (tcb.limit == Limit::idle) {
    tcb.busy -= cx.now.ns;
    tcb.limit = Limit::application;
  } else {
    set_limit(cx, tcb, Limit::application);
  }
}
// ... and its usual end.
inline void all_acked(Context& cx, Tcb& tcb) {
  if (tcb.limit == Limit::application) {
    tcb.busy += cx.now.ns;
    tcb.limit = Limit::idle;
  } else {
    set_limit(cx, tcb, Limit::idle);
  }
}

// After new text of more than a segment was acknowledged: one sample a round trip.
void rate_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t bytes);

// A segment with so many bytes of the sequence space has left that had left before.
inline void count_resent(Context& cx, Tcb& tcb, uint32_t bytes) {
  cx.count(Count::retransmitted);
  ++tcb.tally.resent;
  tcb.tally.resent_bytes += bytes;
}

// SND.UNA or RCV.NXT is to move: sequence numbers count 2^32 bytes, these the rest.
inline void note_una(Tcb& tcb, Seq from, Seq to) {
  if (to.value < from.value) [[unlikely]]
    ++tcb.tally.una_wraps;
}
inline void note_nxt(Tcb& tcb, uint32_t bytes) {
  if (tcb.rcv.nxt.value + bytes < bytes) [[unlikely]]
    ++tcb.tally.nxt_wraps;
}

// The connection as its diagnostics have it; addresses and name are the caller's.
void diagnose(const Context& cx, const Tcb& tcb, Instant now, Diagnostics& out);

}  // namespace millrace::tcp
