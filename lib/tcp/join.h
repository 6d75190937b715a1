// SPDX-License-Identifier: BSD-3-Clause
// Segments that leave as one, for hardware to cut apart again (TSO). What is decided of each of them is decided one by one,
// as if they left alone: so what is on the wire is the same, bit for bit, whether hardware cuts or not. They share a header, so all
// that it says but SEG.SEQ must be alike, and only the last may carry PSH or FIN.
#pragma once

#include "tcp/output.h"

namespace millrace::tcp {

// Does the next new text of `tcb`, `len` bytes or a FIN, belong to the last segment written?
inline bool joins(const Context& cx, const Tcb& tcb, const Emission& out, uint32_t len) {
  if (out.joinable != &tcb || len == 0) [[likely]]
    return false;
  const wire::TxSegment& last = *(out.segments->end() - 1);
  return last.text_len < cx.segment_burst * tcb.mss && last.text_len + len <= limits::joined_text &&
         last.slice_count + limits::slices_per_segment <= 255 && (tcb.ecn & cwr_due) == 0;
}

// After text has been written for the first time: may the next join it?
void note_joinable(const Tcb& tcb, Emission& out);

// Adds `len` bytes (or fewer, see slices_of) from `seq` in node `from` to the last segment. Returns how many.
uint32_t join_text(Context& cx, const Tcb& tcb, Emission& out, uint32_t& from, Seq seq, uint32_t len);

}  // namespace millrace::tcp
