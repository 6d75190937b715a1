// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/checks.h"

#include "stack/check_stack.h"
#include "stack/diagnostics.h"

namespace millrace::sim {

using tcp::Tcb;
using wire::after;
using wire::offset;
using wire::Seq;

namespace {

template <typename F>
void for_each_open(const stack::Stack& s, F&& f) {
  for (uint32_t i = 0, left = s.cx.tcbs.used(); left > 0 && i < s.cx.tcbs.capacity(); ++i) {
    const Tcb& tcb = s.cx.tcbs[i];
    if (tcb.state == tcp::State::closed) continue;  // not in use, or only its last events are
    --left;
    f(i, tcb);
  }
}

// What is told of a connection must agree with itself.
const char* check_diagnostics(const Diagnostics& d, const Tcb& tcb, Instant now) {
  if (!tcp::in(d.state, tcp::synchronized)) return nullptr;
  if (d.bytes_acked > d.delivered || d.delivered > d.bytes_sent) return "acknowledged <= delivered <= sent";
  if (d.bytes_sent - d.bytes_acked < d.in_flight) return "in flight <= sent and not acknowledged";
  if (uint64_t{d.sacked} + d.lost + d.resent > d.in_flight) return "SACKed + lost + sent again <= in flight";
  if (d.text_segments_in > d.segments_in || d.text_segments_out > d.segments_out) return "segments with text <= segments";
  if (d.resent_segments > d.segments_out) return "segments sent again <= segments sent";
  if (d.established > now || d.text_sent > now || d.text_received > now || d.ack_received > now) return "no time lies ahead";
  if (d.busy > now - d.established) return "busy <= life time";
  if (d.limited_by_receiver + d.limited_by_send_buffer + d.limited_by_congestion > d.busy) return "limited <= busy";
  if (tcb.is(tcp::in_ready | tcp::in_wait)) return nullptr;  // output is still to look at it
  if ((d.limit == Limit::idle) != (d.in_flight == 0 && tcb.unsent() == 0)) return "idle: nothing queued, nothing in flight";
  if (d.limit == Limit::receiver && d.unsent == 0 && !tcb.is(tcp::fin_queued)) return "limited by the receiver: something waits";
  return nullptr;
}

std::string who(const Tcb& tcb) { return " (port " + std::to_string(tcb.key.local_port) + ")"; }

}  // namespace

Checks::Seen& Checks::seen(uint32_t index) {
  Seen& s = seen_[index];
  const Tcb& tcb = stack_.cx.tcbs[index];
  if (s.generation != tcb.generation || s.iss != tcb.iss) {
    s = Seen{};
    s.generation = tcb.generation;
    s.iss = s.una = s.sent_before = tcb.iss;
    s.una_at = stack_.cx.now;
  }
  return s;
}

void Checks::begin_transmit() {
  for_each_open(stack_, [&](uint32_t i, const Tcb& tcb) {
    Seen& s = seen(i);
    s.sent_before = tcb.snd.max;
    s.sent = 0;
    s.first_sent_at = tcb.first.sent_at;
    if (s.una != tcb.snd.una) {
      s.una = tcb.snd.una;
      s.una_at = stack_.cx.now;
    }
    if (tcb.is(tcp::in_recovery)) s.frames = s.in_recovery ? s.frames + frames_ : frames_;
    s.in_recovery = tcb.is(tcp::in_recovery);
  });
}

void Checks::segment(const wire::TxSegment& tx, uint32_t frame_length) {
  if (frame_length > 14u + stack_.config.mtu) throw Broken{"a frame is longer than the link takes"};
  if (tx.kind != wire::TxSegment::tcp) return;
  wire::FlowKey key{tx.local, tx.remote, tx.local_port, tx.remote_port, 4};
  stack::Number n = stack_.find(stack_.tag_of(key), key);
  if (!n || n.kind() != stack::Kind::tcb) return;
  const Tcb& tcb = stack_.cx.tcbs[n.index()];
  // A record may have answered in the turn in which its place became a new connection's.
  if (tx.flags & (wire::syn | wire::rst) || !tcp::in(tcb.state, tcp::synchronized)) return;
  Seen& s = seen(n.index());
  check_told(tcb, s, tx);
  // RFC9293-MUST-16, RFC6691-2: the options count.
  uint32_t size = frame_length - 14 - 20 - 20;
  if (size > std::max<uint32_t>(tcb.peer_mss, 64)) throw Broken{"a segment is larger than the peer's MSS" + who(tcb)};
  check_text(tcb, s, tx);
}

// The right edge of the window never moves left (RFC9293-SHLD-14), but for rounding to the scale (RFC 7323 2.4). Neither
// does what was acknowledged, nor the clock of timestamps.
void Checks::check_told(const Tcb& tcb, Seen& s, const wire::TxSegment& tx) {
  Seq right = tx.ack + (uint32_t{tx.wnd} << tcb.rcv_wscale);
  if (s.told && offset(right, s.right) >= 1 << tcb.rcv_wscale) throw Broken{"the window was pulled back" + who(tcb)};
  if (s.told && after(s.ack, tx.ack)) throw Broken{"the ACK goes back" + who(tcb)};
  if (after(tx.ack, tcb.rcv.nxt)) throw Broken{"an ACK of what was not received" + who(tcb)};
  if (tcb.is(tcp::ts_ok)) {
    if (!(tx.options & wire::opt_timestamps)) throw Broken{"a segment without timestamps" + who(tcb)};
    if (s.told && static_cast<int32_t>(tx.ts_val - s.ts_val) < 0) throw Broken{"the timestamps' clock goes back" + who(tcb)};
  }
  s.right = s.told ? wire::later(s.right, right) : right;
  s.ack = tx.ack;
  s.ts_val = tx.ts_val;
  s.told = true;
}

// New text stays inside the peer's window as it is now, but for the one octet that probes a closed one.
void Checks::check_text(const Tcb& tcb, Seen& s, const wire::TxSegment& tx) {
  uint32_t length = tx.text_len + (tx.flags & wire::fin ? 1u : 0u);
  if (length == 0) return;
  s.sent += length;
  Seq end = tx.seq + length;
  if (wire::before(tx.seq, tcb.snd.una)) throw Broken{"text that was acknowledged is sent again" + who(tcb)};
  if (after(end, tcb.end + (tcb.is(tcp::fin_queued) ? 1 : 0))) throw Broken{"text that nobody queued" + who(tcb)};
  bool probe = tx.seq == tcb.snd.una && length == 1;
  if (after(end, s.sent_before) && after(end, tcb.snd.una + tcb.snd.wnd) && !probe)
    throw Broken{"text beyond the peer's window" + who(tcb)};
}

// Beyond cwnd leave only single segments: a retransmission that begins a recovery, a tail loss probe, both at once.
void Checks::check_cwnd(const Tcb& tcb, const Seen& s) const {
  if (s.sent <= 2u * tcb.mss) return;
  if (!many_flights_) return;  // stretches cannot always be told apart, and then count whole
  bool by_pipe = tcb.is(tcp::sack_ok | tcp::in_loss);
  uint32_t used = by_pipe ? tcb.pipe() : tcb.flight();
  uint32_t limited = tcb.is(tcp::in_recovery | tcp::in_loss | tcp::sack_ok) ? 0 : std::min<uint32_t>(tcb.dup_acks, 2) * tcb.mss;
  if (used > tcb.cwnd + limited + 2u * tcb.mss)
    throw Broken{"in flight " + std::to_string(used) + ", cwnd " + std::to_string(tcb.cwnd) + who(tcb)};
}

// PRR: what leaves in a recovery is what was delivered, and a segment for an ACK at most.
void Checks::check_recovery(const Tcb& tcb, Seen& s) const {
  if (!tcb.is(tcp::in_recovery) || !tcb.is(tcp::sack_ok) || tcb.congestion == Congestion::none || !s.in_recovery) return;
  if (tcb.prr.out > tcb.prr.delivered + (s.frames + 2) * tcb.mss)
    throw Broken{"recovery sent " + std::to_string(tcb.prr.out) + " for " + std::to_string(tcb.prr.delivered) +
                 " delivered" + who(tcb)};
}

// No retransmission timeout within the least RTO of both the last ACK of new data and the first segment's sending.
void Checks::check_timeout(const Tcb& tcb, Seen& s) const {
  bool fired = tcb.timeouts > s.timeouts && tcp::in(tcb.state, tcp::synchronized);
  s.timeouts = tcb.timeouts;
  if (!fired || !many_flights_) return;
  Instant since = std::min(s.una_at, s.first_sent_at);
  if (stack_.cx.now - since < stack_.cx.params.rto_min)
    throw Broken{"a timeout " + std::to_string((stack_.cx.now - since).us()) + " us after progress" + who(tcb)};
}

void Checks::end_turn() {
  if (const char* broken = stack::check_stack(stack_)) throw Broken{broken};
  for_each_open(stack_, [&](uint32_t i, const Tcb& tcb) {
    Diagnostics told;
    if (!stack::diagnostics(stack_, stack_.cx.id_of(tcb), stack_.cx.now, told)) throw Broken{"no diagnostics" + who(tcb)};
    if (const char* broken = check_diagnostics(told, tcb, stack_.cx.now)) throw Broken{std::string{"told: "} + broken + who(tcb)};
    Seen& s = seen(i);
    check_cwnd(tcb, s);
    check_recovery(tcb, s);
    check_timeout(tcb, s);
  });
}

void check_pair(const stack::Stack& receiver, const stack::Stack& sender) {
  // A cookie that comes back once more, after its connection has ended here, begins another with the same numbers.
  if (sender.cx.counters[Count::syn_cookies_accepted] + receiver.cx.counters[Count::syn_cookies_accepted] > 0) return;
  for_each_open(receiver, [&](uint32_t, const Tcb& r) {
    if (!tcp::in(r.state, tcp::synchronized)) return;
    wire::FlowKey key{r.key.remote, r.key.local, r.key.remote_port, r.key.local_port, 4};
    stack::Number n = sender.find(sender.tag_of(key), key);
    if (!n || n.kind() != stack::Kind::tcb) return;
    const Tcb& s = sender.cx.tcbs[n.index()];
    if (s.iss != r.irs) return;  // another incarnation
    if (after(r.rcv.nxt, s.snd.max)) throw Broken{"received beyond the highest sent" + who(r)};
    if (after(s.snd.una, r.rcv.nxt)) throw Broken{"acknowledged without having been received" + who(r)};
  });
}

}  // namespace millrace::sim
