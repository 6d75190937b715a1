// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/runs.h"

namespace millrace::tcp {

using wire::before;
using wire::before_eq;

uint32_t run_priority(const Context& cx, uint32_t run) {
  uint32_t x = run + cx.run_salt;
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

namespace {

// Below `link` all runs begin before `at`, or all at or behind it: the two halves of the treap at `root`.
void cut_treap(Context& cx, uint32_t root, Seq at, uint32_t* low, uint32_t* high) {
  while (root != no_index) {
    Run& run = cx.runs[root];
    if (before(run.left, at)) {
      *low = root;
      low = &run.child[1];
      root = *low;
    } else {
      *high = root;
      high = &run.child[0];
      root = *high;
    }
  }
  *low = *high = no_index;
}

void insert_into_treap(Context& cx, uint32_t* link, uint32_t index) {
  Run& run = cx.runs[index];
  uint32_t own = run_priority(cx, index);
  while (*link != no_index && run_priority(cx, *link) > own) {
    Run& above = cx.runs[*link];
    link = &above.child[before(above.left, run.left)];
  }
  uint32_t rest = *link;
  *link = index;
  cut_treap(cx, rest, run.left, &run.child[0], &run.child[1]);
}

void remove_from_treap(Context& cx, uint32_t* link, uint32_t index) {
  Seq left = cx.runs[index].left;
  while (*link != index) {
    Run& above = cx.runs[*link];
    link = &above.child[before(above.left, left)];
  }
  uint32_t low = cx.runs[index].child[0];
  uint32_t high = cx.runs[index].child[1];
  while (low != no_index && high != no_index) {
    if (run_priority(cx, low) > run_priority(cx, high)) {
      *link = low;
      link = &cx.runs[low].child[1];
      low = *link;
    } else {
      *link = high;
      link = &cx.runs[high].child[0];
      high = *link;
    }
  }
  *link = low != no_index ? low : high;
}

void push_recent(Context& cx, Tcb& tcb, uint32_t index) {
  cx.runs[index].recent = {tcb.out_recent, no_index};
  if (tcb.out_recent != no_index) cx.runs[tcb.out_recent].recent.prev = index;
  tcb.out_recent = index;
}

void unlink_recent(Context& cx, Tcb& tcb, uint32_t index) {
  Link link = cx.runs[index].recent;
  if (link.next != no_index) cx.runs[link.next].recent.prev = link.prev;
  if (link.prev != no_index)
    cx.runs[link.prev].recent.next = link.next;
  else
    tcb.out_recent = link.next;
}

}  // namespace

uint32_t run_at(const Context& cx, const Tcb& tcb, Seq seq) {
  if (tcb.out_recent != no_index) {  // it mostly is this one
    const Run& run = cx.runs[tcb.out_recent];
    bool before_next = run.next == no_index || before(seq, cx.runs[run.next].left);
    if (before_eq(run.left, seq) && before_next) return tcb.out_recent;
  }
  uint32_t found = no_index;
  for (uint32_t index = tcb.out_root; index != no_index;) {
    const Run& run = cx.runs[index];
    bool at = before_eq(run.left, seq);
    if (at) found = index;
    index = run.child[at];
  }
  return found;
}

uint32_t add_run(Context& cx, Tcb& tcb, uint32_t previous, uint32_t node, Seq left, Seq right) {
  uint32_t index = cx.runs.take();
  Run& run = cx.runs[index];
  run = {left, right, node, node, 1, run_after(cx, tcb, previous), {no_index, no_index}, {}};
  (previous == no_index ? tcb.out_head : cx.runs[previous].next) = index;
  insert_into_treap(cx, &tcb.out_root, index);
  push_recent(cx, tcb, index);
  return index;
}

void remove_run(Context& cx, Tcb& tcb, uint32_t previous) {
  uint32_t& link = previous == no_index ? tcb.out_head : cx.runs[previous].next;
  uint32_t index = link;
  link = cx.runs[index].next;
  remove_from_treap(cx, &tcb.out_root, index);
  unlink_recent(cx, tcb, index);
  cx.runs.give(index);
}

void touch_run(Context& cx, Tcb& tcb, uint32_t run) {
  if (tcb.out_recent == run) return;
  unlink_recent(cx, tcb, run);
  push_recent(cx, tcb, run);
}

void forget_runs(Context& cx, Tcb& tcb) {
  for (uint32_t index = tcb.out_head; index != no_index;) {
    uint32_t next = cx.runs[index].next;
    cx.runs.give(index);
    index = next;
  }
  tcb.out_head = tcb.out_root = tcb.out_recent = no_index;
}

}  // namespace millrace::tcp
