// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/send_queue.h"

namespace millrace::tcp {

using wire::after_eq;
using wire::distance;

namespace {
void drop_node(Context& cx, uint32_t index) {
  const Slice& slice = cx.nodes[index].slice;
  if (!slice.lent()) --cx.own_slices;
  cx.give_back(slice);
  cx.nodes.give(index);
}
}  // namespace

void queue_text(Context& cx, Tcb& tcb, const Slice& slice) {
  if (!slice.lent()) ++cx.own_slices;
  uint32_t index = cx.nodes.take();
  Node& node = cx.nodes[index];
  node = {slice, no_index, tcb.end};
  if (tcb.send_tail == no_index)
    tcb.send_head = index;
  else
    cx.nodes[tcb.send_tail].next = index;
  tcb.send_tail = index;
  if (tcb.send_next == no_index) tcb.send_next = index;
  tcb.end += slice.length;
}

void drop_acknowledged(Context& cx, Tcb& tcb, Seq una) {
  uint32_t index = tcb.send_head;
  while (index != no_index) {
    Node& node = cx.nodes[index];
    if (wire::after(node.seq + node.slice.length, una)) break;
    uint32_t next = node.next;
    drop_node(cx, index);
    if (tcb.send_next == index) tcb.send_next = next;
    index = next;
  }
  tcb.send_head = index;
  if (index == no_index) tcb.send_tail = no_index;
}

void seek_next(Context& cx, Tcb& tcb) {
  tcb.send_next = node_of(cx, tcb.send_head, tcb.snd.nxt);
}

uint32_t node_of(const Context& cx, uint32_t node, Seq seq) {
  while (node != no_index && wire::before_eq(cx.nodes[node].seq + cx.nodes[node].slice.length, seq))
    node = cx.nodes[node].next;
  return node;
}

void drop_send_queue(Context& cx, Tcb& tcb) {
  for (uint32_t index = tcb.send_head; index != no_index;) {
    uint32_t next = cx.nodes[index].next;
    drop_node(cx, index);
    index = next;
  }
  tcb.send_head = tcb.send_tail = tcb.send_next = no_index;
}

uint32_t slices_of(Context& cx, uint32_t& from, Seq seq, uint32_t len, Batch<Slice>& out) {
  uint32_t named = 0;
  uint32_t count = 0;
  while (named < len && count < limits::slices_per_segment && from != no_index) {
    const Node& node = cx.nodes[from];
    uint32_t skip = distance(node.seq, seq + named);
    uint32_t here = std::min<uint32_t>(node.slice.length - skip, len - named);
    Slice& s = out.push();
    s = node.slice;
    s.offset = static_cast<uint16_t>(s.offset + skip);
    s.length = static_cast<uint16_t>(here);
    named += here;
    ++count;
    if (skip + here == node.slice.length) from = node.next;
  }
  return named;
}

}  // namespace millrace::tcp
