// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/user_calls.h"

#include "tcp/accounts.h"
#include "tcp/receive_window.h"
#include "tcp/send_queue.h"

namespace millrace::tcp {

using wire::distance;

namespace {

constexpr StateSet send_states =
    set_of(State::syn_sent, State::syn_received, State::established, State::close_wait);

// FIN goes behind what is queued; the state moves when it may (RFC9293-3.10.4).
void queue_fin(Context& cx, Tcb& tcb) {
  tcb.set(fin_queued);
  if (tcb.state == State::established) set_state(tcb, State::fin_wait_1);  // SYN-RECEIVED: establish() does
  if (tcb.state == State::close_wait) set_state(tcb, State::last_ack);
  if (in(tcb.state, synchronized)) cx.want_output(tcb);
}

RoomList& list_of(Context& cx, Tcb::WaitsFor what) {
  return what == Tcb::WaitsFor::room ? cx.waiting_for_room : cx.waiting_for_requests;
}

// No ACK of this connection announces what it waits for: check_waiting() finds it in the list.
void wait_in(Context& cx, Tcb& tcb, Tcb::WaitsFor what) {
  if (tcb.waits_for == what) return;
  leave_waiting(cx, tcb);
  tcb.waits_for = what;
  list_of(cx, what).push_back(cx.tcbs, cx.index_of(tcb));
}

uint32_t send_limit(const Tcb& tcb) {
  return tcb.send_limit + (tcb.send_limit_grows ? 2 * std::min(tcb.cwnd, 1u << 29) : 0);
}

}  // namespace

Event::Reason send(Context& cx, Tcb& tcb, const Request& request) {
  if (!in(tcb.state, send_states) || tcb.is(fin_queued)) return Event::closing;
  uint32_t bytes = 0;
  uint32_t own = 0;
  for (uint32_t i = 0; i < request.slice_count; ++i) {
    bytes += request.slices[i].length;
    own += request.slices[i].lent() ? 0 : 1;
  }
  uint32_t queued = distance(tcb.snd.una, tcb.end);
  // Once one was refused all are, until the application has seen that and was told `writable`: otherwise one that was
  // on its way, or is smaller, would overtake it.
  // Received text that is sent on has its limit already: the window that it is charged to.
  bool dry = own > 0 && !cx.may_queue_own(tcb, own);
  bool beyond = own > 0 && queued + bytes > send_limit(tcb);
  if (dry) cx.count(Count::send_pool_dry);
  if (tcb.is(was_full) || beyond || dry) {
    tcb.set(was_full);
    if (tcb.limit == Limit::application && tcb.unsent() == 0) set_limit(cx, tcb, Limit::send_buffer);
    return Event::full;
  }
  for (uint32_t i = 0; i < request.slice_count; ++i) {
    const Slice& slice = request.slices[i];
    if (slice.length == 0) {
      cx.give_back(slice);
      continue;
    }
    queue_text(cx, tcb, slice);
  }
  if (request.urgent && bytes > 0) {
    tcb.snd_up = tcb.end;  // the octet after the urgent data (RFC9293-MUST-62)
    tcb.set(urgent_send);
  }
  if (request.more)
    tcb.set(more_follows);
  else
    tcb.clear(more_follows);
  cx.want_output(tcb);
  return Event::no_reason;
}

void check_writable(Context& cx, Tcb& tcb) {
  if (!tcb.is(was_full) || tcb.full_unread > 0) return;
  if (distance(tcb.snd.una, tcb.end) > send_limit(tcb) / 2) return;  // an ACK will bring us here again
  if (cx.requests_waiting[tcb.channel]) return wait_in(cx, tcb, Tcb::WaitsFor::requests);
  if (!cx.has_room_again(tcb)) return wait_in(cx, tcb, Tcb::WaitsFor::room);
  leave_waiting(cx, tcb);
  tcb.clear(was_full);
  if (tcb.limit == Limit::send_buffer) set_limit(cx, tcb, Limit::application);
  cx.tell(tcb, pend_writable);
}

void leave_waiting(Context& cx, Tcb& tcb) {
  if (tcb.waits_for == Tcb::WaitsFor::nothing) return;
  list_of(cx, tcb.waits_for).remove(cx.tcbs, cx.index_of(tcb));
  tcb.waits_for = Tcb::WaitsFor::nothing;
}

void check_waiting(Context& cx) {
  for (RoomList* list : {&cx.waiting_for_requests, &cx.waiting_for_room})
    for (uint32_t left = std::min(list->size(), limits::writable_per_turn); left > 0; --left) {
      Tcb& tcb = cx.tcbs[list->first()];
      if (list == &cx.waiting_for_room && !cx.has_room_again(tcb)) break;
      leave_waiting(cx, tcb);
      check_writable(cx, tcb);
    }
}

Event::Reason shutdown(Context& cx, Tcb& tcb) {
  if (tcb.is(fin_queued) || !in(tcb.state, send_states)) return Event::closing;
  if (tcb.is(was_full)) return Event::full;  // FIN must not overtake what is to be sent again
  queue_fin(cx, tcb);
  return Event::no_reason;
}

Fate close(Context& cx, Tcb& tcb) {
  if (tcb.is(app_closed)) return Fate::keep;
  cx.orphan(tcb);
  if (tcb.state == State::syn_sent) {  // RFC9293-3.10.4: no segment, the TCB goes
    tcb.reason = Event::aborted;
    return Fate::gone;
  }
  // RFC9293-SHLD-3, RFC9293-MAY-1: text that nobody will read is answered with RST. So is a stream that lacks what
  // failed(full) refused: the peer shall not take it for whole.
  if (tcb.text_head != no_index || tcb.out_head != no_index || tcb.is(was_full)) {
    tcb.reason = Event::aborted;
    tcb.set(rst_on_remove);
    return Fate::gone;
  }
  if (cx.params.orphan_limit != 0 && cx.orphans > cx.params.orphan_limit) {
    cx.count(Count::orphans_reset);
    tcb.reason = Event::aborted;
    tcb.set(rst_on_remove);
    return Fate::gone;
  }
  tcb.pending &= static_cast<uint8_t>(~(pend_text | pend_urgent | pend_peer_closed | pend_writable | pend_slow));
  if (!tcb.is(fin_queued)) queue_fin(cx, tcb);
  if (tcb.state == State::fin_wait_2) {
    tcb.life_at = cx.now + cx.params.fin_wait_2;
    cx.arm(tcb, tcb.life_at);
  }
  return Fate::keep;
}

bool set_option(Context& cx, Tcb& tcb, Setting setting, uint64_t value) {
  auto mark = [&](Mark m) { value != 0 ? tcb.set(m) : tcb.clear(m); };
  switch (setting) {
    case Setting::token: tcb.token = value; return true;
    case Setting::no_delay:
      mark(no_delay);
      cx.want_output(tcb);
      return true;
    case Setting::immediate_ack: mark(immediate_ack); return true;
    case Setting::report_sent: mark(report_sent); return true;
    case Setting::no_reports: tcb.no_reports = value != 0; return true;
    case Setting::keepalive:
      if (value > 1'000'000) return false;
      mark(keepalive_on);
      tcb.keepalive_s = static_cast<uint32_t>(value);
      tcb.keepalive_sent = 0;
      tcb.keepalive_at = cx.now + cx.keepalive_time(tcb);
      if (value != 0) cx.arm(tcb, tcb.keepalive_at);
      return true;
    case Setting::keepalive_interval:
      if (value == 0 || value > 65535) return false;
      tcb.keepalive_interval_s = static_cast<uint16_t>(value);
      return true;
    case Setting::keepalive_probes:
      if (value == 0 || value > 255) return false;
      tcb.keepalive_probes = static_cast<uint8_t>(value);
      return true;
    case Setting::dscp:
      if (value > 63) return false;
      tcb.tos = static_cast<uint8_t>(value << 2);  // RFC9293-SHLD-21, -22
      return true;
    case Setting::user_timeout_s:
      if (value == 0 || value > 1'000'000) return false;
      tcb.r2 = seconds(value);
      return true;
    case Setting::send_limit:
      if (value == 0 || value > (1u << 30)) return false;
      tcb.send_limit = static_cast<uint32_t>(value);
      tcb.send_limit_grows = false;
      return true;
  }
  return false;
}

void apply_options(Context& cx, Tcb& tcb, const Options& options) {
  if (options.no_delay) tcb.set(no_delay);
  if (options.immediate_ack || cx.params.immediate_ack) tcb.set(immediate_ack);
  if (options.report_sent) tcb.set(report_sent);
  if (options.keepalive) tcb.set(keepalive_on);
  tcb.no_reports = options.no_reports;
  tcb.quick_acks = cx.params.quick_acks;
  tcb.congestion = options.congestion;
  tcb.ttl = options.ttl != 0 ? options.ttl : cx.params.ttl;
  tcb.tos = static_cast<uint8_t>(options.dscp << 2);  // RFC9293-MUST-48
  tcb.r2 = seconds(options.user_timeout_s);
  tcb.send_limit = options.send_limit != 0 ? options.send_limit : cx.params.send_limit;
  tcb.send_limit_grows = options.send_limit == 0;
  ReceiveBuffer buffer = receive_buffer_of(cx.params, options);
  tcb.receive_buffer = buffer.first;
  tcb.rcv_wscale = buffer.scale;  // 0 is offered too, so that the peer may scale
  if (buffer.first == buffer.most) tcb.grow_at = Instant::never();
}

}  // namespace millrace::tcp
