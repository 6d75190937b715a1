// SPDX-License-Identifier: BSD-3-Clause
// Whether "fragmentation needed" is believed is RFC 5927 7.2's question: at once as long as no segment of that length has
// arrived, else when the very segment that is said to be too long has timed out.
#include "tcp/path_mtu.h"

#include "tcp/congestion.h"
#include "tcp/flight.h"
#include "tcp/loss.h"

namespace millrace::tcp {

using wire::after_eq;
using wire::before;
using wire::before_eq;
using wire::distance;

namespace {

constexpr uint16_t least_mtu = 68;

uint32_t header_size(const Tcb& tcb) { return tcb.is(ts_ok) ? 52 : 40; }

// The greatest usual MTU below `length` (RFC 1191 7.1), for routers that name none (RFC1191-3b).
uint32_t plateau_below(uint32_t length) {
  constexpr uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};
  for (uint16_t plateau : plateaus)
    if (plateau < length) return plateau;
  return least_mtu;
}

// The datagram that begins at `seq` and is in flight; 0: there is none.
uint32_t datagram_in_flight(Context& cx, Tcb& tcb, Seq seq) {
  if (!in_flight(tcb)) return 0;
  for (Flight* f = &tcb.first; f != nullptr; f = next(cx, *f)) {
    if (before_eq(f->end, seq)) continue;
    if (before(seq, f->seq) || f->state == Flight::sacked) return 0;
    return std::min<uint32_t>(distance(seq, f->end), tcb.mss) + header_size(tcb);
  }
  return 0;
}

// What the error asks for, not below what each link carries (RFC1191-3c). 0: it says nothing.
uint32_t asked_mtu(Context& cx, Tcb& tcb, const wire::IcmpError& error) {
  uint32_t now = packet_size(tcb);
  uint32_t mtu = error.mtu;
  if (mtu == 0) {
    // RFC 1191 5: by the quoted length, but for routers that get it wrong
    uint32_t length = datagram_in_flight(cx, tcb, error.seq);
    mtu = plateau_below(error.length > 0 && error.length < length ? error.length : length);
  }
  mtu = std::max<uint32_t>(mtu, least_mtu);
  // RFC1191-3d, and RFC 5927 7.2: a datagram of this length would have passed
  return mtu < now && mtu < datagram_in_flight(cx, tcb, error.seq) ? mtu : 0;
}

// RFC1191-3a, RFC7323-5.7: strictly less each time, so it converges.
void lower(Context& cx, Tcb& tcb, uint32_t mtu) {
  uint16_t before_it = tcb.mss;
  tcb.path_mtu = static_cast<uint16_t>(mtu);
  tcb.path_until_s = (cx.now + cx.params.path_mtu_timeout).s() + 1;
  tcb.too_big_mtu = 0;
  set_mss(tcb);
  cc_smaller_segments(tcb, before_it);
  tcb.acked_size = std::min(tcb.acked_size, tcb.mss);
  cx.arm(tcb, cx.now + cx.params.path_mtu_timeout + seconds(1));
  cx.count(Count::path_mtu_lowered);
}

// From `seq` on what is longer than a segment now was dropped: it leaves again, as far as cwnd allows, and neither cwnd
// nor the RTO pays for it (RFC1191-6.3, RFC 1191 6.4). Only the first of the many errors that one flight brings comes
// here: the others ask for nothing new.
void resend_from(Context& cx, Tcb& tcb, Seq seq) {
  if (!flight_too_big(cx, tcb, seq)) return;
  if (tcb.is(in_recovery)) tcb.cwnd = std::min(tcb.cwnd, std::max(tcb.ssthresh, 2u * tcb.mss));
  tcb.clear(in_recovery | tail_probe_due | probe_outstanding);
  tcb.set(in_loss | resend_first);
  tcb.recover = tcb.snd.max;
  tcb.dup_acks = 0;
  tcb.undo = {};
  tcb.undo.acks = 255;  // nothing to undo, nothing for F-RTO to ask
  start_loss_timer(cx, tcb);
  cx.want_output(tcb);
}

}  // namespace

uint32_t packet_size(const Tcb& tcb) { return tcb.mss + header_size(tcb); }

void set_mss(Tcb& tcb) {
  // What the peer takes, what our link carries, less the options that every segment has
  uint32_t mss = std::max<uint32_t>(std::min(tcb.peer_mss, tcb.own_mss), 64);
  if (tcb.path_mtu != 0) mss = std::min(mss, tcb.path_mtu - 40u);
  tcb.mss = static_cast<uint16_t>(mss - (tcb.is(ts_ok) ? 12 : 0));
}

uint16_t too_big(Context& cx, Tcb& tcb, const wire::IcmpError& error) {
  uint32_t mtu = in(tcb.state, synchronized) ? asked_mtu(cx, tcb, error) : 0;
  if (mtu == 0) {
    cx.count(Count::drop_icmp_mtu);
    return 0;
  }
  cx.count(Count::icmp_errors_received);
  bool timed_out = tcb.timeouts > 0 && error.seq == tcb.snd.una;
  // Less than the usual links carry is believed only of a segment that has timed out; until then their MTU is tried.
  uint32_t least = cx.params.min_path_mtu;
  if (mtu < least && !timed_out && least < datagram_in_flight(cx, tcb, error.seq)) mtu = least;
  if ((mtu < least || mtu - header_size(tcb) < tcb.acked_size) && !timed_out) {
    // Or longer ones have arrived. The first that is still outstanding is waited for.
    bool known = tcb.too_big_mtu != 0 && after_eq(tcb.too_big_seq, tcb.snd.una) && before(tcb.too_big_seq, error.seq);
    if (known) return 0;
    tcb.too_big_mtu = static_cast<uint16_t>(mtu);
    tcb.too_big_seq = error.seq;
    return 0;
  }
  lower(cx, tcb, mtu);
  resend_from(cx, tcb, error.seq);
  return static_cast<uint16_t>(mtu);
}

uint16_t too_big_after_timeout(Context& cx, Tcb& tcb) {
  uint16_t mtu = tcb.too_big_mtu;
  if (mtu == 0) return 0;
  tcb.too_big_mtu = 0;
  if (tcb.too_big_seq != tcb.snd.una || mtu >= packet_size(tcb)) return 0;
  lower(cx, tcb, mtu);
  return static_cast<uint16_t>(mtu);
}

void learn_path_mtu(Context& cx, Tcb& tcb, uint16_t mtu, Instant until) {
  if (tcb.path_mtu != 0 && tcb.path_mtu <= mtu) return;
  uint16_t before_it = tcb.mss;
  tcb.path_mtu = mtu;
  tcb.path_until_s = until.s() + 1;
  cx.arm(tcb, until + seconds(1));
  if (!in(tcb.state, synchronized)) return;  // the SYNs' options come later
  set_mss(tcb);
  if (tcb.mss < before_it) cc_smaller_segments(tcb, before_it);
}

void path_mtu_timeout(Context& cx, Tcb& tcb) {
  tcb.path_mtu = 0;
  if (!in(tcb.state, synchronized)) return;
  set_mss(tcb);
  // Less than a segment would wait for more that never comes: nothing is in flight whose ACK would open cwnd.
  tcb.cwnd = std::max<uint32_t>(tcb.cwnd, tcb.mss);
  cx.count(Count::path_mtu_raised);
}

}  // namespace millrace::tcp
