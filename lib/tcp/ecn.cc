// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification (RFC 3168, RFC9293-SHLD-8), as it reads for DCTCP too (RFC 8257 3). Negotiated in the handshake;
// output marks new text ECT(0), never what is sent again, nor ACKs (RFC 3168 6.1.4, 6.1.5).
#include "tcp/congestion.h"
#include "tcp/segment_arrives.h"

namespace millrace::tcp {

using wire::Segment;

namespace {

// RFC 3168 6.1.3: ECE in every ACK until the sender says that it has reduced.
void echo_classic(Context& cx, Tcb& tcb, const Segment& seg) {
  if (seg.has(wire::cwr)) tcb.ecn &= static_cast<uint8_t>(~echo_ce);
  if (seg.ecn != wire::ce) return;
  if (!(tcb.ecn & echo_ce)) cx.ack_now(tcb);  // the sooner it knows
  tcb.ecn |= echo_ce;
}

// RFC 8257 3.2: ECE is as the latest text was marked; a change is told at once. One ACK a turn cannot tell a burst's
// marks one by one: it tells the last.
void echo_exactly(Context& cx, Tcb& tcb, const Segment& seg) {
  if (seg.text_len == 0) return;
  bool marked = seg.ecn == wire::ce;
  if (marked == ((tcb.ecn & echo_ce) != 0)) return;
  tcb.ecn ^= echo_ce;
  cx.ack_now(tcb);
}

}  // namespace

void ecn_arrives(Context& cx, Tcb& tcb, const Segment& seg) {
  if (tcb.congestion == Congestion::dctcp)
    echo_exactly(cx, tcb, seg);
  else
    echo_classic(cx, tcb, seg);
  // ECE counts once for each window of data (RFC 3168 6.1.2), and not beside a loss of the same window.
  if (!seg.has(wire::ece) || seg.ack != tcb.snd.una || !wire::after(seg.ack, tcb.ecn_recover)) return;
  if (tcb.is(in_recovery | in_loss) || tcb.congestion == Congestion::dctcp) return;
  cc_ecn(tcb);
  cx.count(Count::ecn_reductions);
  tcb.ecn_recover = tcb.snd.nxt;
  tcb.ecn |= cwr_due;
}

}  // namespace millrace::tcp
