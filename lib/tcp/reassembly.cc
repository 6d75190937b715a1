// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/reassembly.h"

#include "tcp/accounts.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::before;
using wire::before_eq;
using wire::distance;
using wire::SackBlock;

namespace {

void chain_to_application(Context& cx, Tcb& tcb, uint32_t index) {
  Node& node = cx.nodes[index];
  node.next = no_index;
  node.slice.origin = (tcb.generation & 0xff) | cx.index_of(tcb) << 8;
  if (tcb.text_tail == no_index)
    tcb.text_head = index;
  else
    cx.nodes[tcb.text_tail].next = index;
  tcb.text_tail = index;
  tcb.charged += node.slice.length;
  ++tcb.charged_packets;
}

Seq end_of(const Node& node) { return node.seq + node.slice.length; }

// Received text that nobody was told of.
void drop_node(Context& cx, uint32_t index) {
  --cx.received_held;
  cx.release->push(cx.nodes[index].slice.packet);
  cx.nodes.give(index);
}

void cut_front(Slice& slice, uint32_t bytes) {
  slice.offset = static_cast<uint16_t>(slice.offset + bytes);
  slice.length = static_cast<uint16_t>(slice.length - bytes);
}

// The latest text moves to the front of what is remembered (RFC2018-4b).
void remember_recent(Tcb& tcb, Seq seq) {
  uint32_t i = 0;
  while (i < tcb.recent_count && tcb.recent[i] != seq) ++i;
  if (i == tcb.recent_count) {
    if (tcb.recent_count < 4) ++tcb.recent_count;
    else i = 3;
  }
  for (; i > 0; --i) tcb.recent[i] = tcb.recent[i - 1];
  tcb.recent[0] = seq;
}

// The first stretch of [seq, end) that nodes from `index` on hold, however many they are; empty: none.
SackBlock first_held(const Context& cx, uint32_t index, Seq seq, Seq end) {
  SackBlock held{seq, seq};
  for (; index != no_index && before(cx.nodes[index].seq, end); index = cx.nodes[index].next) {
    const Node& node = cx.nodes[index];
    if (before_eq(end_of(node), seq)) continue;
    if (held.left == held.right)
      held = {wire::later(seq, node.seq), wire::earlier(end_of(node), end)};
    else if (node.seq == held.right)
      held.right = wire::earlier(end_of(node), end);
    else
      break;
  }
  return held;
}

// The run of adjoining nodes that holds `seq`. False: there is none.
bool run_around(const Context& cx, const Tcb& tcb, Seq seq, SackBlock& run) {
  run = {tcb.rcv.nxt, tcb.rcv.nxt};
  for (uint32_t index = tcb.out_head; index != no_index; index = cx.nodes[index].next) {
    const Node& node = cx.nodes[index];
    if (node.seq != run.right) {
      if (before(seq, run.right) || before(seq, node.seq)) break;
      run.left = node.seq;
    }
    run.right = end_of(node);
  }
  return before_eq(run.left, seq) && before(seq, run.right);
}

}  // namespace

void append_text(Context& cx, Tcb& tcb, const Slice& text) {
  ++cx.received_held;
  uint32_t index = cx.nodes.take();
  cx.nodes[index].slice = text;
  chain_to_application(cx, tcb, index);
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
  return note_duplicate(cx, tcb, first_held(cx, tcb.out_head, seq, end));
}

bool keep_out_of_order(Context& cx, Tcb& tcb, Seq seq, Slice text) {
  // `before_it` ends up as the last node that begins at or before `seq`.
  uint32_t before_it = no_index;
  uint32_t after_it = tcb.out_head;
  while (after_it != no_index && before_eq(cx.nodes[after_it].seq, seq)) {
    before_it = after_it;
    after_it = cx.nodes[after_it].next;
  }
  SackBlock held = first_held(cx, before_it != no_index ? before_it : after_it, seq, seq + text.length);
  note_duplicate(cx, tcb, held);
  if (held == SackBlock{seq, seq + text.length}) {
    remember_recent(tcb, seq);
    return false;
  }
  if (tcb.out_count >= cx.params.out_of_order_limit || !cx.may_keep_out_of_order()) {
    cx.count(Count::drop_out_of_order_limit);
    return false;
  }
  remember_recent(tcb, seq);
  if (before_it != no_index && after(end_of(cx.nodes[before_it]), seq)) {
    uint32_t known = distance(seq, end_of(cx.nodes[before_it]));
    cut_front(text, known);
    seq += known;
  }
  Seq end = seq + text.length;
  // What the new text covers wholly is given back; what it covers in part keeps its bytes.
  while (after_it != no_index && before_eq(end_of(cx.nodes[after_it]), end)) {
    uint32_t next = cx.nodes[after_it].next;
    drop_node(cx, after_it);
    --tcb.out_count;
    after_it = next;
  }
  if (after_it != no_index && before(cx.nodes[after_it].seq, end))
    text.length = static_cast<uint16_t>(distance(seq, cx.nodes[after_it].seq));
  if (text.length == 0) return false;

  uint32_t index = cx.nodes.take();
  cx.nodes[index] = {text, after_it, seq};
  if (before_it == no_index)
    tcb.out_head = index;
  else
    cx.nodes[before_it].next = index;
  ++tcb.out_count;
  ++cx.received_held;
  cx.count(Count::out_of_order);
  ++tcb.tally.out_of_order;
  tcb.text_at = cx.now;
  return true;
}

uint32_t take_in_order(Context& cx, Tcb& tcb) {
  uint32_t taken = 0;
  while (tcb.out_head != no_index) {
    uint32_t index = tcb.out_head;
    Node& node = cx.nodes[index];
    if (after(node.seq, tcb.rcv.nxt)) break;
    tcb.out_head = node.next;
    --tcb.out_count;
    uint32_t known = distance(node.seq, tcb.rcv.nxt);
    if (known >= node.slice.length) {
      drop_node(cx, index);
      continue;
    }
    cut_front(node.slice, known);
    note_nxt(tcb, node.slice.length);
    tcb.rcv.nxt += node.slice.length;
    taken += node.slice.length;
    chain_to_application(cx, tcb, index);
  }
  if (taken > 0) cx.tell(tcb, pend_text);
  if (tcb.out_head == no_index) tcb.recent_count = 0;
  return taken;
}

void drop_received(Context& cx, Tcb& tcb) {
  for (uint32_t index = tcb.text_head; index != no_index;) {
    uint32_t next = cx.nodes[index].next;
    tcb.charged -= cx.nodes[index].slice.length;
    --tcb.charged_packets;
    drop_node(cx, index);
    index = next;
  }
  tcb.text_head = tcb.text_tail = no_index;
  tcb.pending &= static_cast<uint8_t>(~pend_text);
}

void drop_out_of_order(Context& cx, Tcb& tcb) {
  for (uint32_t index = tcb.out_head; index != no_index;) {
    uint32_t next = cx.nodes[index].next;
    drop_node(cx, index);
    index = next;
  }
  tcb.out_head = no_index;
  tcb.out_count = 0;
  tcb.recent_count = 0;
}

uint32_t sack_blocks(const Context& cx, Tcb& tcb, uint32_t limit, SackBlock* out) {
  uint32_t count = 0;
  uint32_t first = 0;  // of what is no duplicate
  SackBlock run;
  if (tcb.duplicate_count > 0) {
    SackBlock twice = tcb.duplicates[0];
    --tcb.duplicate_count;
    for (uint32_t i = 0; i < tcb.duplicate_count; ++i) tcb.duplicates[i] = tcb.duplicates[i + 1];
    // Above the ACK it is a duplicate to the peer only if what it lies in follows.
    bool inside = after(twice.right, tcb.rcv.nxt) && run_around(cx, tcb, twice.left, run);
    if (inside || before_eq(twice.right, tcb.rcv.nxt)) out[count++] = twice;
    first = count;
    if (inside) out[count++] = run;
  }
  for (uint32_t r = 0; r < tcb.recent_count && count < limit; ++r) {
    if (!run_around(cx, tcb, tcb.recent[r], run)) continue;
    bool known = false;
    for (uint32_t i = first; i < count; ++i) known |= out[i] == run;
    if (!known) out[count++] = run;
  }
  return count;
}

}  // namespace millrace::tcp
