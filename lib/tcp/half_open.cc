// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/half_open.h"

#include <algorithm>

namespace millrace::tcp {

using wire::in_window;
using wire::Segment;

HalfOpenVerdict half_open_arrives(HalfOpen& record, const Segment& seg, const Params& params) {
  wire::Seq rcv_nxt = record.irs + 1;
  uint32_t wnd = std::min(record.receive_buffer, 65535u);
  // The peer's SYN once more: our SYN,ACK was lost. RFC 9293 asks for an ACK, which says less than a new SYN,ACK;
  // Linux answers so, too.
  if (seg.has(wire::syn) && !seg.has(wire::ack | wire::rst) && seg.seq == record.irs) return HalfOpenVerdict::resend;
  bool timestamps = record.options & wire::opt_timestamps;
  if (timestamps && !seg.has(wire::rst)) {
    bool has = seg.options & wire::opt_timestamps;
    if (!has && params.require_timestamps) return HalfOpenVerdict::drop;  // RFC7323-3.2b
    if (has && static_cast<int32_t>(seg.ts_val - record.ts_recent) < 0) return HalfOpenVerdict::ack;  // RFC7323-5.3R1
  }
  bool inside = in_window(seg.seq, rcv_nxt, wnd) || (seg.len > 0 && in_window(seg.seq + (seg.len - 1), rcv_nxt, wnd));
  if (seg.has(wire::rst)) {  // RFC 5961 3.2: a passive open goes back to LISTEN (RFC9293-MUST-11)
    bool first_inside = in_window(seg.seq, rcv_nxt, wnd);
    if (seg.seq == rcv_nxt || (first_inside && !params.exact_rst)) return HalfOpenVerdict::forget;
    return first_inside ? HalfOpenVerdict::ack : HalfOpenVerdict::drop;
  }
  if (!inside) return HalfOpenVerdict::ack;
  if (seg.has(wire::syn)) return HalfOpenVerdict::forget;  // RFC9293-3.10.7.4c
  if (!seg.has(wire::ack)) return HalfOpenVerdict::drop;
  if (seg.ack != record.iss + 1) return HalfOpenVerdict::reset;
  return HalfOpenVerdict::establish;
}

}  // namespace millrace::tcp
