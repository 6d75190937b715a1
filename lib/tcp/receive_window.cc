// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/receive_window.h"

namespace millrace::tcp {

using wire::distance;

namespace {

// Shorter round trips are blurred by turns and bursts.
constexpr uint32_t shortest_us = 100;

// Wraps after an hour: a pause of about that length is taken for a shorter one, in which little came.
uint32_t us_now(const Context& cx) { return static_cast<uint32_t>(cx.now.us()); }

// A shorter one is believed. A longer one may have had the peer's pause in it: it counts for an eighth, and as twice
// what was known at most.
void note_round_trip(Tcb& tcb, uint32_t us) {
  uint32_t& rtt = tcb.grow.rtt;
  us = std::max(us, shortest_us);
  if (rtt == 0 || us < rtt)
    rtt = us;
  else
    rtt += std::min(us - rtt, rtt) / 8;
}

// From the peer's echo: this segment left after the ACK that carried TSecr had arrived (RFC 7323 4).
void measure_by_echo(const Context& cx, Tcb& tcb, const wire::Segment& seg) {
  uint32_t ms = cx.ts_now(tcb) - seg.ts_ecr;
  if (ms > 60'000) return;
  if (ms <= 1 && tcb.grow.rtt != 0 && tcb.grow.rtt <= 2000) return;  // the clock's ticks say no more than is known
  note_round_trip(tcb, ms > 0 ? ms * 1000 : 1000);
}

// Without timestamps: does this segment lie beyond the edge that was promised at `edge_at`? Then a round trip has passed,
// or more.
void measure_by_window(const Context& cx, Tcb& tcb) {
  auto& grow = tcb.grow;
  if (wire::before(tcb.rcv.nxt, grow.edge)) return;
  uint32_t us = us_now(cx) - grow.edge_at;
  if (grow.rtt == 0 || us < grow.rtt) note_round_trip(tcb, us);
  grow.edge = tcb.rcv.adv;
  grow.edge_at = us_now(cx);
}

void begin_round(const Context& cx, Tcb& tcb) {
  auto& grow = tcb.grow;
  grow.since = us_now(cx);
  grow.nxt = tcb.rcv.nxt;
  grow.consumed = tcb.rcv.nxt - tcb.charged;
  tcb.grow_at = cx.now + microseconds(grow.rtt);
}

}  // namespace

void receive_round(Context& cx, Tcb& tcb, const wire::Segment& seg) {
  auto& grow = tcb.grow;
  uint32_t most = std::min<uint32_t>(cx.params.receive_buffer_max, 65535u << tcb.rcv_wscale);
  if (tcb.receive_buffer >= most) {
    tcb.grow_at = Instant::never();
    return;
  }
  bool first = tcb.grow_at == Instant{};
  if (first) {
    grow.rtt = tcb.rtt.srtt != 0 ? std::max(tcb.rtt.srtt >> 3, shortest_us) : 0;  // the handshake's
    grow.edge = tcb.rcv.adv;
    grow.edge_at = us_now(cx);
  } else if (!tcb.is(ts_ok)) {
    measure_by_window(cx, tcb);
  }
  if (tcb.is(ts_ok) && seg.options & wire::opt_timestamps && (!first || grow.rtt == 0)) measure_by_echo(cx, tcb, seg);
  if (first) return begin_round(cx, tcb);
  uint32_t elapsed = us_now(cx) - grow.since;
  if (grow.rtt == 0 || elapsed < grow.rtt) return;
  // What was both received and given back: neither an application that catches up nor a gap that is filled is a rate.
  uint64_t bytes = std::min(distance(grow.nxt, tcb.rcv.nxt), distance(grow.consumed, tcb.rcv.nxt - tcb.charged));
  uint32_t rate = static_cast<uint32_t>(bytes * grow.rtt / elapsed);
  // A peer in slow start has doubled once more before it sees what is promised now.
  uint32_t ahead = rate > grow.rate + grow.rate / 4 ? 4 : 2;
  grow.rate = rate;
  uint64_t wanted = uint64_t{ahead} * rate + 16 * tcb.mss;
  if (wanted > tcb.receive_buffer && cx.has_plenty())
    tcb.receive_buffer = static_cast<uint32_t>(std::min<uint64_t>(wanted, most));
  begin_round(cx, tcb);
}

}  // namespace millrace::tcp
