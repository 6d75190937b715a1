// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/timeouts.h"

#include "tcp/accounts.h"
#include "tcp/icmp_error.h"
#include "tcp/loss.h"
#include "tcp/path_mtu.h"
#include "tcp/rtt.h"
#include "tcp/send_queue.h"
#include "tcp/user_calls.h"

namespace millrace::tcp {
namespace {

TimeoutOutcome gone(Tcb& tcb, Event::Reason reason) {
  tcb.reason = reason;
  return {Fate::gone, false, 0};
}

// One more timeout in a row. At R1 the next hop is doubted and the application told (RFC9293-MUST-20, RFC9293-SHLD-9).
TimeoutOutcome at_r1(Context& cx, Tcb& tcb) {
  if (tcb.timeouts < 255) ++tcb.timeouts;
  bool now = tcb.timeouts == cx.params.r1;
  if (now && !tcb.is(app_closed)) cx.report(tcb);
  return {Fate::keep, now, 0};
}

bool past_r2(const Context& cx, const Tcb& tcb) {
  return tcb.first_timeout.ns != 0 && cx.now - tcb.first_timeout >= patience(tcb, cx.params);
}

// The next timeout, but not beyond R2.
void wait_again(Context& cx, Tcb& tcb, Tcb::Timer timer, Duration wait) {
  Instant end = tcb.first_timeout + patience(tcb, cx.params);
  cx.start_timer(tcb, timer, std::min(wait, end - cx.now));
}

// SYN or, after a simultaneous open, SYN,ACK (RFC9293-MUST-22).
TimeoutOutcome syn_timeout(Context& cx, Tcb& tcb) {
  Duration limit = open_limit(tcb, cx.params);  // RFC9293-MUST-21
  if (tcb.syn_sent_count > cx.params.syn_retries || (limit.ns != 0 && cx.now - tcb.first_timeout >= limit))
    return gone(tcb, timeout_reason(tcb));  // RFC9293-MUST-23
  ++tcb.backoff;
  tcb.set(send_syn);
  cx.stop_timer(tcb);
  cx.want_output(tcb);
  return at_r1(cx, tcb);
}

// The peer's window is closed: probe it, with intervals that grow (RFC9293-SHLD-30), for as long as it answers
// (RFC9293-MUST-37); but not for ever if nobody waits here (RFC 6429). That peer lives, and is told.
TimeoutOutcome persist_timeout(Context& cx, Tcb& tcb) {
  if (past_r2(cx, tcb)) {
    if (tcb.is(app_closed)) tcb.set(rst_on_remove);
    return gone(tcb, timeout_reason(tcb));
  }
  if (tcb.first_timeout.ns == 0) tcb.first_timeout = cx.now;
  tcb.set(probe_due);
  if (tcb.backoff < 16) ++tcb.backoff;
  wait_again(cx, tcb, Tcb::Timer::persist, persist_interval(tcb, cx.params));
  cx.want_output(tcb);
  return {};
}

// RFC 9293 3.10.8, RFC 6298 5.
TimeoutOutcome retransmission_timeout(Context& cx, Tcb& tcb) {
  bool handshake = tcb.state == State::syn_sent || tcb.state == State::syn_received;
  // RFC6298-5, RFC6675-6: no sooner than an RTO after its last transmission; recovery may have sent it again since
  bool sooner = !handshake && in_flight(tcb) && tcb.first.sent_at + current_rto(tcb, cx.params) > cx.now;
  if (sooner && (tcb.timeouts == 0 || !past_r2(cx, tcb))) {
    resume_loss_timer(cx, tcb);
    return {};
  }
  cx.count(Count::retransmission_timeouts);
  if (handshake) return syn_timeout(cx, tcb);
  if (tcb.snd.wnd == 0) {
    // The window was shrunk to nothing over text in flight (RFC9293-MUST-35, RFC9293-SHLD-17): probe, do not give up.
    loss_timeout(cx, tcb);
    tcb.clear(resend_first);
    if (!tcb.is(app_closed)) tcb.first_timeout = Instant{};
    return persist_timeout(cx, tcb);
  }
  if (tcb.timeouts == 0) tcb.first_timeout = cx.now - current_rto(tcb, cx.params);
  if (past_r2(cx, tcb)) return gone(tcb, timeout_reason(tcb));  // RFC9293-MUST-20
  uint16_t path_mtu = too_big_after_timeout(cx, tcb);
  loss_timeout(cx, tcb);
  ++tcb.tally.timeouts;
  if (tcb.backoff < 255) ++tcb.backoff;  // RFC6298-5.5
  wait_again(cx, tcb, Tcb::Timer::retransmit, current_rto(tcb, cx.params));  // RFC6298-5.6
  TimeoutOutcome outcome = at_r1(cx, tcb);
  outcome.path_mtu = path_mtu;
  return outcome;
}

// RFC 9293 3.8.4: only when nothing is outstanding and nothing was heard for the interval (RFC9293-MAY-5, -MUST-26).
TimeoutOutcome keepalive_timeout(Context& cx, Tcb& tcb) {
  Duration interval = cx.keepalive_interval(tcb);
  if (tcb.snd.una != tcb.snd.max) {
    tcb.keepalive_at = cx.now + interval;
    return {};
  }
  Instant due = tcb.acked_at + cx.keepalive_time(tcb) + interval * tcb.keepalive_sent;
  Instant end = tcb.acked_at + tcb.r2;  // an R2 of the connection's own stands in the place of the count
  bool has_end = tcb.r2.ns != 0 && tcb.keepalive_sent > 0;
  if (has_end) due = std::min(due, end);
  if (cx.now < due) {
    tcb.keepalive_at = due;
    return {};
  }
  bool dead = tcb.r2.ns != 0 ? has_end && cx.now >= end : tcb.keepalive_sent >= cx.keepalive_probes(tcb);
  if (dead) {  // RFC9293-MUST-29; a peer that is alive and was not heard must not go on by itself
    tcb.set(rst_on_remove);
    return gone(tcb, Event::timed_out);
  }
  if (tcb.keepalive_sent < 255) ++tcb.keepalive_sent;
  tcb.keepalive_at = cx.now + interval;
  if (tcb.r2.ns != 0 && end > cx.now) tcb.keepalive_at = std::min(tcb.keepalive_at, end);
  tcb.set(keepalive_due);
  cx.want_output(tcb);
  return {};
}

}  // namespace

void wait_for_path(Context& cx, Tcb& tcb) {
  if (tcb.timer != Tcb::Timer::none || (tcb.unsent() == 0 && tcb.snd.una == tcb.snd.max)) return;
  if (tcb.limit == Limit::idle && in(tcb.state, synchronized)) set_limit(cx, tcb, Limit::application);
  cx.start_timer(tcb, Tcb::Timer::retransmit, current_rto(tcb, cx.params));
}

void delayed_ack_timeout(Context& cx, Tcb& tcb) {
  if (tcb.ack_at > cx.now) {
    // The ACK this entry stood for has left; a younger one is due at a time the queue has no place for any more.
    if (tcb.ack_at != Instant::never()) cx.arm(tcb, tcb.ack_at);
    return;
  }
  tcb.ack_at = Instant::never();
  cx.count(Count::delayed_acks);
  cx.ack_now(tcb);
}

TimeoutOutcome timeout(Context& cx, Tcb& tcb) {
  TimeoutOutcome outcome;
  tcb.wheel_at = Instant::never();
  if (tcb.state == State::closed) return outcome;
  if (tcb.ack_at <= cx.now) delayed_ack_timeout(cx, tcb);
  if (tcb.timer_at <= cx.now) {
    auto kind = tcb.timer;
    cx.stop_timer(tcb);
    if (kind == Tcb::Timer::probe)
      probe_timeout(cx, tcb);
    else if (kind == Tcb::Timer::reorder)
      reorder_timeout(cx, tcb);
    else
      outcome = kind == Tcb::Timer::persist ? persist_timeout(cx, tcb) : retransmission_timeout(cx, tcb);
  }
  if (outcome.fate == Fate::keep && tcb.keepalive_at <= cx.now && tcb.is(keepalive_on))
    outcome = keepalive_timeout(cx, tcb);
  if (outcome.fate == Fate::keep && tcb.life_at <= cx.now) outcome = gone(tcb, Event::timed_out);
  auto path_left_s = [&] { return static_cast<int32_t>(tcb.path_until_s - cx.now.s()); };  // the clock's 32 bits wrap
  if (tcb.path_mtu != 0 && path_left_s() <= 0) path_mtu_timeout(cx, tcb);
  if (outcome.fate != Fate::keep) return outcome;
  Instant next = std::min({tcb.timer_at, tcb.life_at, tcb.is(in_ack_queue) ? Instant::never() : tcb.ack_at});
  if (tcb.is(keepalive_on)) next = std::min(next, tcb.keepalive_at);
  if (tcb.path_mtu != 0) next = std::min(next, cx.now + seconds(static_cast<uint64_t>(std::max(path_left_s(), 0))));
  // A delayed ACK that the queue will not look at in time (see delayed_ack_timeout) is the wheel's.
  if (tcb.ack_at != Instant::never()) next = std::min(next, tcb.ack_at);
  if (next != Instant::never()) cx.arm(tcb, next);
  return outcome;
}

}  // namespace millrace::tcp
