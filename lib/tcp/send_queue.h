// SPDX-License-Identifier: BSD-3-Clause
// Text to send: a chain of nodes from the one that holds SND.UNA to the last queued. Slices stay where they are until
// their bytes are acknowledged; sending and resending only walk.
#pragma once

#include "tcp/context.h"

namespace millrace::tcp {

// Appends a slice; the caller has seen that a node is free.
void queue_text(Context& cx, Tcb& tcb, const Slice& slice);

// SND.UNA has moved to `una`: nodes before it are given back.
void drop_acknowledged(Context& cx, Tcb& tcb, Seq una);

// SND.NXT has moved: finds the node that holds it, from the queue's head.
void seek_next(Context& cx, Tcb& tcb);

// The node that holds `seq`, from `node` on; no_index beyond the last.
uint32_t node_of(const Context& cx, uint32_t node, Seq seq);

// Everything, sent or not, is given back.
void drop_send_queue(Context& cx, Tcb& tcb);

// Writes the slices of `len` bytes of text from `seq`, which node `from` holds. Returns how many bytes they name:
// fewer than `len` where a segment would need more slices than it may have. `from` becomes the node that holds the
// byte after.
uint32_t slices_of(Context& cx, uint32_t& from, Seq seq, uint32_t len, Batch<Slice>& out);

}  // namespace millrace::tcp
