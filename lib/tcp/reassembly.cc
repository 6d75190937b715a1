// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/reassembly.h"

#include "tcp/accounts.h"
#include "tcp/runs.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::before;
using wire::before_eq;
using wire::distance;
using wire::SackBlock;

namespace {

// To whom the bytes are charged until the application gives them back.
uint32_t origin_of(const Context& cx, const Tcb& tcb) { return (tcb.generation & 0xff) | cx.index_of(tcb) << 8; }

// The chain from `head` to `tail` goes to the application, however long it is.
void chain_to_application(Context& cx, Tcb& tcb, uint32_t head, uint32_t tail, uint32_t bytes, uint32_t packets) {
  if (tcb.text_tail == no_index)
    tcb.text_head = head;
  else
    cx.nodes[tcb.text_tail].next = head;
  tcb.text_tail = tail;
  tcb.charged += bytes;
  tcb.charged_packets += packets;
}

Seq end_of(const Node& node) { return node.seq + node.slice.length; }

// Received text that nobody was told of. Returns the next one.
uint32_t drop_node(Context& cx, uint32_t index) {
  uint32_t next = cx.nodes[index].next;
  --cx.received_held;
  cx.release->push(cx.nodes[index].slice.packet);
  cx.nodes.give(index);
  return next;
}

void cut_front(Slice& slice, uint32_t bytes) {
  slice.offset = static_cast<uint16_t>(slice.offset + bytes);
  slice.length = static_cast<uint16_t>(slice.length - bytes);
}

// The first stretch of [seq, end) that is held; empty: none. `run` is what run_at(seq) has found.
SackBlock first_held(const Context& cx, const Tcb& tcb, uint32_t run, Seq seq, Seq end) {
  if (run == no_index || before_eq(cx.runs[run].right, seq)) run = run_after(cx, tcb, run);
  if (run == no_index || before_eq(end, cx.runs[run].left)) return {seq, seq};
  return {wire::later(seq, cx.runs[run].left), wire::earlier(end, cx.runs[run].right)};
}

// The run behind `previous` goes with all that it holds.
void drop_run(Context& cx, Tcb& tcb, uint32_t previous) {
  const Run& run = cx.runs[run_after(cx, tcb, previous)];
  tcb.out_count -= run.packets;
  for (uint32_t node = run.head; node != no_index;) node = drop_node(cx, node);
  remove_run(cx, tcb, previous);
}

// Is there a place for one more packet? Whatever it adjoins: what is refused is what comes last.
bool place_left(const Context& cx, const Tcb& tcb) {
  const Params& p = cx.params;
  uint32_t limit = p.out_of_order_limit != 0 ? p.out_of_order_limit : tcb.receive_buffer / p.out_of_order_charge;
  return tcb.out_count < limit && cx.may_keep_out_of_order(tcb) && cx.runs.free_count() > 0;
}

// [seq, end), which `node` holds and no run, goes to the run that ends there, or the one that begins there, or both
// become one; or begins a run.
void join(Context& cx, Tcb& tcb, uint32_t previous, uint32_t node, Seq end) {
  Seq seq = cx.nodes[node].seq;
  uint32_t next = run_after(cx, tcb, previous);
  bool extends = previous != no_index && cx.runs[previous].right == seq;
  bool reaches = next != no_index && cx.runs[next].left == end;
  if (extends) {
    Run& run = cx.runs[previous];
    cx.nodes[run.tail].next = node;
    run.tail = node;
    run.right = end;
    ++run.packets;
    if (reaches) {
      const Run& swallowed = cx.runs[next];
      cx.nodes[node].next = swallowed.head;
      run.tail = swallowed.tail;
      run.right = swallowed.right;
      run.packets += swallowed.packets;
      remove_run(cx, tcb, previous);
    }
    touch_run(cx, tcb, previous);
  } else if (reaches) {
    Run& run = cx.runs[next];
    cx.nodes[node].next = run.head;
    run.head = node;
    run.left = seq;
    ++run.packets;
    touch_run(cx, tcb, next);
  } else {
    add_run(cx, tcb, previous, node, seq, end);
  }
}

// The run that holds `seq`, as a block. False: there is none.
bool block_around(const Context& cx, const Tcb& tcb, Seq seq, SackBlock& block) {
  uint32_t run = run_at(cx, tcb, seq);
  if (run == no_index || before_eq(cx.runs[run].right, seq)) return false;
  block = {cx.runs[run].left, cx.runs[run].right};
  return true;
}

}  // namespace

void hold_text(Context& cx, Tcb& tcb, const Slice& text) {
  ++cx.received_held;
  uint32_t index = cx.nodes.take();
  Node& node = cx.nodes[index];
  node.slice = text;
  node.slice.origin = origin_of(cx, tcb);
  node.next = no_index;
  chain_to_application(cx, tcb, index, index, text.length, 1);
}

void append_text(Context& cx, Tcb& tcb, const Slice& text) {
  hold_text(cx, tcb, text);
  cx.tell(tcb, pend_text);
}

bool note_duplicate(const Context& cx, Tcb& tcb, SackBlock block) {
  if (!cx.params.dsack || !tcb.is(sack_ok) || !before(block.left, block.right)) return false;
  constexpr uint32_t limit = sizeof(tcb.duplicates) / sizeof(tcb.duplicates[0]);
  if (tcb.duplicate_count < limit)
    tcb.duplicates[tcb.duplicate_count++] = block;
  else if (tcb.duplicates[limit - 1].right == block.left)  // a long burst: the sender counts bytes
    tcb.duplicates[limit - 1].right = block.right;
  return true;
}

bool note_held_duplicate(const Context& cx, Tcb& tcb, Seq seq, Seq end) {
  return note_duplicate(cx, tcb, first_held(cx, tcb, run_at(cx, tcb, seq), seq, end));
}

bool keep_out_of_order(Context& cx, Tcb& tcb, Seq seq, Slice text) {
  Seq end = seq + text.length;
  uint32_t previous = run_at(cx, tcb, seq);
  SackBlock held = first_held(cx, tcb, previous, seq, end);
  note_duplicate(cx, tcb, held);
  if (held == SackBlock{seq, end}) {
    touch_run(cx, tcb, previous);
    return false;
  }
  if (!place_left(cx, tcb)) {
    cx.count(Count::drop_out_of_order_limit);
    return false;
  }
  if (previous != no_index && after(cx.runs[previous].right, seq)) {
    uint32_t known = distance(seq, cx.runs[previous].right);
    cut_front(text, known);
    seq += known;
  }
  // A run that the new text covers is given back; of one that it reaches into all bytes are kept.
  uint32_t next = run_after(cx, tcb, previous);
  for (; next != no_index && before_eq(cx.runs[next].right, end); next = run_after(cx, tcb, previous))
    drop_run(cx, tcb, previous);
  if (next != no_index) end = wire::earlier(end, cx.runs[next].left);
  text.length = static_cast<uint16_t>(distance(seq, end));

  uint32_t index = cx.nodes.take();
  text.origin = origin_of(cx, tcb);
  cx.nodes[index] = {text, no_index, seq};
  join(cx, tcb, previous, index, end);
  ++tcb.out_count;
  ++cx.received_held;
  cx.count(Count::out_of_order);
  ++tcb.tally.out_of_order;
  tcb.text_at = cx.now;
  return true;
}

uint32_t take_in_order(Context& cx, Tcb& tcb) {
  Seq before_it = tcb.rcv.nxt;
  while (tcb.out_head != no_index && before_eq(cx.runs[tcb.out_head].left, tcb.rcv.nxt)) {
    Run& run = cx.runs[tcb.out_head];
    if (before_eq(run.right, tcb.rcv.nxt)) {
      drop_run(cx, tcb, no_index);
      continue;
    }
    tcb.out_count -= run.packets;
    for (; before_eq(end_of(cx.nodes[run.head]), tcb.rcv.nxt); --run.packets) run.head = drop_node(cx, run.head);
    Node& first = cx.nodes[run.head];
    cut_front(first.slice, distance(first.seq, tcb.rcv.nxt));
    chain_to_application(cx, tcb, run.head, run.tail, distance(tcb.rcv.nxt, run.right), run.packets);
    note_nxt(tcb, distance(tcb.rcv.nxt, run.right));
    tcb.rcv.nxt = run.right;
    remove_run(cx, tcb, no_index);
  }
  uint32_t taken = distance(before_it, tcb.rcv.nxt);
  if (taken > 0) cx.tell(tcb, pend_text);
  return taken;
}

void drop_received(Context& cx, Tcb& tcb) {
  for (uint32_t index = tcb.text_head; index != no_index;) {
    tcb.charged -= cx.nodes[index].slice.length;
    --tcb.charged_packets;
    index = drop_node(cx, index);
  }
  tcb.text_head = tcb.text_tail = no_index;
  tcb.pending &= static_cast<uint8_t>(~pend_text);
}

void drop_out_of_order(Context& cx, Tcb& tcb) {
  for (uint32_t run = tcb.out_head; run != no_index; run = cx.runs[run].next)
    for (uint32_t node = cx.runs[run].head; node != no_index;) node = drop_node(cx, node);
  forget_runs(cx, tcb);
  tcb.out_count = 0;
}

uint32_t sack_blocks(const Context& cx, Tcb& tcb, uint32_t limit, SackBlock* out) {
  uint32_t count = 0;
  SackBlock around;
  bool inside = false;
  if (tcb.duplicate_count > 0) {
    SackBlock twice = tcb.duplicates[0];
    --tcb.duplicate_count;
    for (uint32_t i = 0; i < tcb.duplicate_count; ++i) tcb.duplicates[i] = tcb.duplicates[i + 1];
    // Above the ACK it is a duplicate to the peer only if what it lies in follows.
    inside = limit > 1 && after(twice.right, tcb.rcv.nxt) && block_around(cx, tcb, twice.left, around);
    if (inside || before_eq(twice.right, tcb.rcv.nxt)) out[count++] = twice;
    if (inside) out[count++] = around;
  }
  for (uint32_t run = tcb.out_recent; run != no_index && count < limit; run = cx.runs[run].recent.next) {
    SackBlock block{cx.runs[run].left, cx.runs[run].right};
    if (!inside || block != around) out[count++] = block;
  }
  return count;
}

}  // namespace millrace::tcp
