// SPDX-License-Identifier: BSD-3-Clause
// Output: stage 9 of a packet's way. A connection that stands in a ready list is visited once a turn; what it may send
// now becomes TxSegments, and what it may not yet send becomes a timer.
#pragma once

#include "tcp/context.h"
#include "wire/tx_segment.h"

namespace millrace::tcp {

// Where segments are written, and how many may be.
struct Emission {
  Batch<wire::TxSegment>* segments;
  Batch<Slice>* slices;
  Batch<wire::SackBlock>* sacks;
  uint32_t room;                                  // segments, as they will be on the wire
  uint32_t quantum = limits::quantum_segments;    // of one connection, before the next has its turn
  const Tcb* joinable = nullptr;                  // whose next text may join the last segment (tcp/join)
};

// True: done for now. False: more could be sent, but its quantum or the room is used up; visit it again.
bool output(Context& cx, Tcb& tcb, Emission& out);

// The window field of a segment that leaves now, and with it what was ever promised. After the peer's FIN, too: nothing
// will fill it, but a window that shrinks says that something had.
uint16_t offer_window(Context& cx, Tcb& tcb);

// The one segment of an ABORT (RFC9293-3.10.5).
void emit_reset(Context& cx, Tcb& tcb, Emission& out);

}  // namespace millrace::tcp
