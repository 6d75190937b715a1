// SPDX-License-Identifier: BSD-3-Clause
// What is in flight: SND.UNA to SND.NXT as stretches that each left at one time, and what is known of each (RFC8985-4.2, RFC8985-4.1,
// the scoreboard of RFC 6675). The first lies in the TCB, so a connection with one request under way touches
// nothing else. When no record is free, neighbours are merged: times get coarser, never wrong about what was sent.
// No ACK walks them all: blocks are searched for from where the last ones were, losses from where the last ones were
// found, and what was sent again stands in a list of its own.
#pragma once

#include "tcp/context.h"
#include "wire/segment.h"

namespace millrace::tcp {

// What one ACK has told.
struct Delivered {
  explicit Delivered(const wire::Segment& seg) : by(&seg) {}
  const wire::Segment* by;
  uint32_t bytes = 0;          // acknowledged or SACKed for the first time
  Instant sent_at;             // RFC 8985 6.2.2: of the segment that was sent last, and arrived
  Seq end;
  Instant sample_at = Instant::never();  // the latest sending of what was sent once (RFC6298-3a)
  Seq sample_end;
  bool original = false;       // something arrived that had been given up, and was never sent again
  bool reordered = false;      // ... that lies below what had arrived before (RFC8985-6.2.3)
  // us; 0: it has measured none
  uint32_t rtt(Instant now) const {
    return sample_at == Instant::never() ? 0 : std::max(static_cast<uint32_t>((now - sample_at).us()), 1u);
  }
  uint32_t dsack = 0;          // bytes that arrived twice (RFC 2883) ...
  Seq dsack_end;               // ... up to here
  // What stood first in flight has arrived again: by its D-SACK, which an ACK that moves SND.UNA has only if the one
  // before it was lost.
  bool answers_duplicate(const Tcb& tcb) const {
    return dsack > 0 && wire::in_window(tcb.snd.una, dsack_end - dsack, dsack);
  }
  bool has_echo(const Tcb& tcb) const { return tcb.is(ts_ok) && by->options & wire::opt_timestamps; }
};

inline bool in_flight(const Tcb& tcb) { return tcb.first.seq != tcb.first.end; }
// Does `at` lie in what is in flight? Numbers that were noted long ago do not, though they may seem to be ahead.
inline bool in_round(const Tcb& tcb, Seq at) { return wire::in_window(at, tcb.snd.una, tcb.flight() + 1); }
inline Flight* next(Context& cx, const Flight& f) { return f.next == no_index ? nullptr : &cx.flights[f.next]; }

// [seq, end), which begins in `node`, has left for the first time.
void flight_sent(Context& cx, Tcb& tcb, Seq seq, Seq end, uint32_t node);
// The first `length` bytes of `f` have left again: a stretch of their own now.
void flight_resent(Context& cx, Tcb& tcb, Flight& f, uint32_t length);
// SND.UNA moves to `una`.
void flight_acked(Context& cx, Tcb& tcb, Seq una, Delivered& told);
// A SACK block.
void flight_sacked(Context& cx, Tcb& tcb, Seq left, Seq right, Delivered& told);
// `f`, or its first `length` bytes, are taken for lost.
void flight_lost(Context& cx, Tcb& tcb, Flight& f, uint32_t length);
// What is still flying at or after `from`, in stretches longer than a segment, is lost. False: there is none.
bool flight_too_big(Context& cx, Tcb& tcb, Seq from);
// Nothing was lost after all, or: what was SACKed counts no more (RFC2018-5b).
void flight_forget_lost(Context& cx, Tcb& tcb);
void flight_forget_sacked(Context& cx, Tcb& tcb);
// All records go.
void flight_drop(Context& cx, Tcb& tcb);
// The last one; something is in flight.
Flight& last_flight(Context& cx, Tcb& tcb);
// The last segment, one MSS at most, as a stretch of its own.
Flight& last_segment(Context& cx, Tcb& tcb);
// What left before (sent_at, end) did, and `window` ago or longer, is taken for lost (RFC 8985 6.2.5). Returns how long
// until more can be said; zero: nothing is in doubt. What is decided is not looked at again.
Duration flight_overdue(Context& cx, Tcb& tcb, Instant sent_at, Seq end, Duration window);
// The first that is lost, or nullptr.
Flight* first_lost(Context& cx, Tcb& tcb);

}  // namespace millrace::tcp
