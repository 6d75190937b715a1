// SPDX-License-Identifier: BSD-3-Clause
// Text that has arrived: in order (waiting to be told to the application) and out of order (runs, bounded by what the
// connection's receive buffer and the core's packet buffers allow; RFC9293-SHLD-31).
#pragma once

#include "tcp/context.h"
#include "wire/segment.h"

namespace millrace::tcp {

// Appends in-order text for the application; the caller has seen that a node is free.
void append_text(Context& cx, Tcb& tcb, const Slice& text);
// The same, and nothing is told yet.
void hold_text(Context& cx, Tcb& tcb, const Slice& text);

// Keeps `text`, which begins at `seq` beyond RCV.NXT. False: it was not kept, because all of it is held already or
// there is no place; the caller releases the packet.
bool keep_out_of_order(Context& cx, Tcb& tcb, Seq seq, Slice text);

// [block.left, block.right) has arrived twice: one of the next ACKs says so (RFC 2883). True: that is asked for, and an
// ACK of this segment's own is due.
bool note_duplicate(const Context& cx, Tcb& tcb, wire::SackBlock block);
// The same for the first stretch of [seq, end) that is held out of order.
bool note_held_duplicate(const Context& cx, Tcb& tcb, Seq seq, Seq end);

// RCV.NXT has reached the first held text: moves what is in order now to the application's queue. Returns the bytes.
uint32_t take_in_order(Context& cx, Tcb& tcb);

void drop_received(Context& cx, Tcb& tcb);      // told to nobody: the application's queue
void drop_out_of_order(Context& cx, Tcb& tcb);

// The SACK blocks to send: a duplicate and what it lies in (RFC2883-4), then the latest first (RFC2018-4b, -4c). A
// duplicate is forgotten with that. Returns their number, at most `limit`, which is 1 or more.
uint32_t sack_blocks(const Context& cx, Tcb& tcb, uint32_t limit, wire::SackBlock* out);

}  // namespace millrace::tcp
