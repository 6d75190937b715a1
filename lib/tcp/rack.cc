// SPDX-License-Identifier: BSD-3-Clause
// Loss detection by time, RACK-TLP (RFC 8985), and the rate at which recovery sends, PRR (RFC 6937). For peers with
// SACK (RFC8985-4.1).
#include "tcp/congestion.h"
#include "tcp/loss.h"
#include "tcp/rtt.h"
#include "wire/parse.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::before;
using wire::before_eq;
using wire::distance;
using wire::SackBlock;
using wire::Segment;

void take_sacks(Context& cx, Tcb& tcb, const Segment& seg, Delivered& told) {
  for (uint32_t i = 0; i < seg.sack_count; ++i) {
    SackBlock b = wire::sack_block(seg, i);
    if (!before(b.left, b.right)) continue;
    // RFC 2883: the first block lies below the ACK, or inside the second: it arrived twice.
    bool below = i == 0 && before_eq(b.right, seg.ack);
    if (i == 0 && !below && seg.sack_count > 1) {
      SackBlock outer = wire::sack_block(seg, 1);
      below = before_eq(outer.left, b.left) && before_eq(b.right, outer.right);
    }
    if (below) {
      if (distance(b.left, b.right) > tcb.max_wnd) continue;
      told.dsack = distance(b.left, b.right);
      told.dsack_end = b.right;
      ++tcb.tally.dsacks;
      continue;
    }
    // Nothing below SND.UNA, nothing that was never sent.
    if (before(b.left, tcb.snd.una)) b.left = tcb.snd.una;
    if (after(b.right, tcb.snd.max) || !before(b.left, b.right) || !in_flight(tcb)) continue;
    flight_sacked(cx, tcb, b.left, b.right, told);
  }
}

namespace {

bool sent_after(Instant a, Seq a_end, Instant b, Seq b_end) { return a > b || (a == b && after(a_end, b_end)); }

// RFC8985-6.2.1 to 6.2.4: what was delivered last, and how much reordering there is.
void update(Context& cx, Tcb& tcb, const Delivered& told) {
  auto& rack = tcb.rack;
  if (told.bytes > 0 && told.sent_at != Instant{} && sent_after(told.sent_at, told.end, rack.sent_at, rack.end)) {
    rack.sent_at = told.sent_at;
    rack.end = told.end;
    rack.rtt = static_cast<uint32_t>(std::max<uint64_t>((cx.now - told.sent_at).us(), 1));
  }
  if (told.reordered) rack.reordering = true;
  bool known = told.sent_at != Instant{};
  if (known && (!in_round(tcb, rack.fack) || after(told.end, rack.fack))) rack.fack = told.end;
  if (told.dsack > 0 && !in_round(tcb, rack.dsack_round)) {  // RFC8985-4.3
    rack.dsack_round = tcb.snd.nxt;
    if (rack.steps < 255) ++rack.steps;
    rack.persist = 16;
  }
}

// RFC8985-6.2.4, RFC6675-2, RFC6675-4L: three segments SACKed are a loss, unless the path reorders.
Duration reordering_window(const Tcb& tcb) {
  const auto& rack = tcb.rack;
  if (!rack.reordering && (tcb.is(in_recovery | in_loss) || tcb.sacked > 2u * tcb.mss)) return {};
  return microseconds(std::min(tcb.min_rtt / 4 * rack.steps, tcb.rtt.srtt >> 3));
}

// RFC6675-5.1, RFC6675-5.2, RFC8985-9.2.
void enter(Context& cx, Tcb& tcb) {
  save_for_undo(tcb);
  tcb.recover = tcb.snd.nxt;  // RFC6675-5.4
  tcb.clear(probe_outstanding);  // RFC 8985 7.1
  tcb.set(in_recovery | resend_first);
  uint32_t flight = tcb.flight();
  // While it was in doubt whether anything was lost, what was SACKed let more out: that is no part of the window.
  cc_lost(tcb, std::min(flight, tcb.cwnd));
  tcb.prr = {0, 0, flight};
  cx.count(Count::fast_retransmits);
  ++tcb.tally.recoveries;
}

void leave(Tcb& tcb) {
  if (tcb.is(in_recovery) && tcb.congestion != Congestion::none) tcb.cwnd = tcb.ssthresh;  // RFC 6937: ends where it aimed
  leave_recovery(tcb);
  if (tcb.rack.persist > 0 && --tcb.rack.persist == 0) tcb.rack.steps = 1;
}

// RFC6675-5.B, -5.C, RFC5681-4.3a by RFC 6937 3: as much is sent as was delivered, scaled down to what congestion control
// decided; or built up to it: a segment an ACK faster than delivered (PRR-SSRB) when SND.UNA gets on and nothing more was
// lost (`safe`), else no faster (PRR-CRB).
void prr(Tcb& tcb, uint32_t delivered, bool safe) {
  if (tcb.congestion == Congestion::none) return;
  auto& p = tcb.prr;
  p.delivered += delivered;
  uint32_t pipe = tcb.pipe();
  uint32_t may = 0;
  if (pipe > tcb.ssthresh) {
    uint64_t share = (uint64_t{p.delivered} * tcb.ssthresh + p.flight - 1) / std::max(p.flight, 1u);
    may = share > p.out ? static_cast<uint32_t>(share - p.out) : 0;
  } else {
    uint32_t owed = p.delivered > p.out ? p.delivered - p.out : 0;
    may = std::min(tcb.ssthresh - pipe, std::max(owed, delivered) + (safe ? tcb.mss : 0u));
  }
  tcb.cwnd = std::max<uint32_t>(pipe + may, tcb.mss);
}

// RFC8985-7.4: did the probe repair a loss that nobody would have noticed?
void end_probe(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked, uint32_t flight_before) {
  Seq end = tcb.rack.probe_end;
  if (!tcb.is(probe_outstanding) || before(tcb.snd.una, end)) return;
  bool pure_duplicate = acked == 0 && told.bytes == 0 && told.by->len == 0;
  if (tcb.rack.probe_resent && told.dsack == 0 && !pure_duplicate) {
    if (!after(tcb.snd.una, end)) return;  // what comes next will tell
    cc_lost(tcb, flight_before);
    tcb.undo.cwnd = 0;
    if (tcb.congestion != Congestion::none) tcb.cwnd = std::min(tcb.cwnd, tcb.ssthresh);
    cx.count(Count::tail_losses);
  }
  tcb.clear(probe_outstanding);
}

}  // namespace

Duration rack_detect(Context& cx, Tcb& tcb) {
  if (!in_flight(tcb) || tcb.rack.rtt == 0) return {};
  Duration window = microseconds(tcb.rack.rtt) + reordering_window(tcb);
  return flight_overdue(cx, tcb, tcb.rack.sent_at, tcb.rack.end, window);
}

void rack_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked, uint32_t flight_before) {
  update(cx, tcb, told);
  end_probe(cx, tcb, told, acked, flight_before);
  bool aimed = tcb.is(in_recovery);  // the ACK that ends recovery grows nothing
  if (tcb.is(in_recovery | in_loss) && after_eq(tcb.snd.una, tcb.recover)) leave(tcb);  // RFC6675-5.A
  uint32_t lost = tcb.absent - tcb.sacked;
  Duration wait = rack_detect(cx, tcb);
  bool safe = acked > 0 && tcb.absent - tcb.sacked == lost;
  if (tcb.absent != tcb.sacked && !tcb.is(in_recovery | in_loss)) enter(cx, tcb);
  if (tcb.is(in_recovery))
    prr(tcb, told.bytes, safe);
  else if (acked > 0 && !aimed)
    cc_acked(cx, tcb, {std::min(acked, told.bytes), flight_before, told.rtt(cx.now), tcb.ecn != 0 && told.by->has(wire::ece)});
  if (wait.ns != 0)
    cx.start_timer(tcb, Tcb::Timer::reorder, wait);
  else if (tcb.timer == Tcb::Timer::reorder || (tcb.timer == Tcb::Timer::probe && tcb.absent != 0))
    resume_loss_timer(cx, tcb);
  if (told.bytes > 0) cx.want_output(tcb);
}

// RFC8985-6.2.5: the time for reordering is over.
void reorder_timeout(Context& cx, Tcb& tcb) {
  Duration wait = rack_detect(cx, tcb);
  if (tcb.absent != tcb.sacked && !tcb.is(in_recovery | in_loss)) enter(cx, tcb);
  if (tcb.is(in_recovery)) prr(tcb, 0, false);
  if (wait.ns != 0)
    cx.start_timer(tcb, Tcb::Timer::reorder, wait);
  else
    resume_loss_timer(cx, tcb);
  cx.want_output(tcb);
}

// RFC 8985 7.3: output sends the probe.
void probe_timeout(Context& cx, Tcb& tcb) {
  tcb.set(tail_probe_due);
  cx.want_output(tcb);
}

}  // namespace millrace::tcp
