// SPDX-License-Identifier: BSD-3-Clause
// The runs of text that lie out of order: maximal stretches, sorted by a list, found by a treap over the same records
// (expected depth 2 ln n, whatever an attacker sends: the priorities are salted), and ordered by when they last
// changed, as SACK names them. What usually happens, text behind the run that changed last, searches nothing.
#pragma once

#include "tcp/context.h"

namespace millrace::tcp {

// The last run that begins at or before `seq`; no_index: none.
uint32_t run_at(const Context& cx, const Tcb& tcb, Seq seq);
// The one behind `run`; behind no_index: the first.
inline uint32_t run_after(const Context& cx, const Tcb& tcb, uint32_t run) {
  return run == no_index ? tcb.out_head : cx.runs[run].next;
}
// A new one behind `previous` (no_index: at the front), with one packet; the caller has seen that a record is free.
uint32_t add_run(Context& cx, Tcb& tcb, uint32_t previous, uint32_t node, Seq left, Seq right);
// The record behind `previous` goes; what becomes of its nodes is the caller's.
void remove_run(Context& cx, Tcb& tcb, uint32_t previous);
// `run` has changed: it is the first that SACK names (RFC2018-4b).
void touch_run(Context& cx, Tcb& tcb, uint32_t run);
// All records go.
void forget_runs(Context& cx, Tcb& tcb);

// The treap's order of depth: whose is higher stands above.
uint32_t run_priority(const Context& cx, uint32_t run);

}  // namespace millrace::tcp
