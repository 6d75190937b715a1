// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/time_wait.h"

#include "base/ensure.h"

namespace millrace::tcp {

using wire::after;
using wire::Segment;

void TimeWaitRing::init(Region& region, uint32_t capacity) {
  ensure(capacity > 0 && (capacity & (capacity - 1)) == 0);
  records_ = region.take<TimeWait>(capacity);
}

namespace {

// May this SYN open a new connection? (RFC 6191 section 2, RFC9293-MAY-2, RFC9293-SHLD-4)
bool is_new_connection(const TimeWait& record, const Segment& syn, bool timestamps) {
  bool has_timestamp = timestamps && syn.options & wire::opt_timestamps;
  if (record.ts_ok && has_timestamp) {
    int32_t newer = static_cast<int32_t>(syn.ts_val - record.ts_recent);
    return newer > 0 || (newer == 0 && after(syn.seq, record.rcv_nxt));
  }
  if (!record.ts_ok && has_timestamp) return true;
  return after(syn.seq, record.rcv_nxt);
}

}  // namespace

TimeWaitVerdict time_wait_arrives(const TimeWait& record, const Segment& seg, bool timestamps) {
  // RFC1337-2: a RST ends no TIME-WAIT. RFC 9293 would let an exact one do so; an old duplicate can be exact.
  if (seg.has(wire::rst)) return TimeWaitVerdict::drop;
  if (seg.has(wire::syn) && !seg.has(wire::ack))
    return is_new_connection(record, seg, timestamps) ? TimeWaitVerdict::reopen : TimeWaitVerdict::ack;
  if (record.ts_ok) {
    if (!(seg.options & wire::opt_timestamps)) return TimeWaitVerdict::drop;                            // RFC7323-3.2b
    if (static_cast<int32_t>(seg.ts_val - record.ts_recent) < 0) return TimeWaitVerdict::ack;  // RFC7323-5.3R1
  }
  // RFC 9293 3.10.7.4: in the window, but without an ACK
  if (!seg.has(wire::ack) && wire::in_window(seg.seq, record.rcv_nxt, record.wnd)) return TimeWaitVerdict::drop;
  if (seg.has(wire::fin) && seg.seq + seg.len == record.rcv_nxt) return TimeWaitVerdict::restart;
  if (seg.len == 0 && seg.seq == record.rcv_nxt) return TimeWaitVerdict::drop;  // acceptable, and says nothing
  return TimeWaitVerdict::ack;
}

}  // namespace millrace::tcp
