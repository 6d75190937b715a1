// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/join.h"

#include <algorithm>

#include "tcp/send_queue.h"

namespace millrace::tcp {

// Full, and with nothing in its header that concerns only it.
void note_joinable(const Tcb& tcb, Emission& out) {
  const wire::TxSegment& last = *(out.segments->end() - 1);
  bool plain = (last.flags & ~(wire::ack | wire::ece)) == 0 && last.sack_count == 0 && !tcb.is(urgent_send);
  bool full = tcb.mss >= limits::least_joined && last.text_len != 0 && last.text_len % tcb.mss == 0;
  if (plain && full) out.joinable = &tcb;
}

uint32_t join_text(Context& cx, const Tcb& tcb, Emission& out, uint32_t& from, Seq seq, uint32_t len) {
  wire::TxSegment& tx = *(out.segments->end() - 1);
  uint32_t first = out.slices->size();
  uint32_t named = slices_of(cx, from, seq, len, *out.slices);
  // A buffer that the last segment ends in, and this one goes on with, is one slice.
  Slice& before = *(out.slices->begin() + first - 1);
  Slice* now = out.slices->begin() + first;
  if (named > 0 && before.packet == now->packet && before.offset + before.length == now->offset) {
    before.length = static_cast<uint16_t>(before.length + now->length);
    std::copy(now + 1, out.slices->end(), now);
    out.slices->pop();
  }
  tx.slice_count = static_cast<uint8_t>(out.slices->size() - tx.first_slice);
  tx.text_len = static_cast<uint16_t>(tx.text_len + named);
  tx.segment_size = tcb.mss;
  return named;
}

}  // namespace millrace::tcp
