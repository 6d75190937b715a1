// SPDX-License-Identifier: BSD-3-Clause
// Events are states first: pending bits and undelivered text in a TCB, which stands in its channel's list while any is
// set. The ring is filled from that list as room permits, in order per connection, so no event is ever dropped.
#include "stack/internals.h"
#include "tcp/icmp_error.h"
#include "tcp/user_calls.h"

namespace millrace::stack {
namespace {

Event& push_event(Stack& s, const Tcb& tcb, EventPort& port, Event::Kind kind) {
  Event& e = port.push();
  e = Event{};
  e.kind = kind;
  e.connection = s.cx.id_of(tcb);
  e.token = tcb.token;
  s.cx.count(Count::events_delivered);
  return e;
}

// Told one by one while there is room: text of the connection, in order. True: all of it.
bool deliver_text(Stack& s, Tcb& tcb, EventPort& port) {
  while (tcb.text_head != no_index) {
    if (!port.room()) return false;
    uint32_t index = tcb.text_head;
    const tcp::Node& node = s.cx.nodes[index];
    Event& e = push_event(s, tcb, port, Event::received);
    e.packet = node.slice.packet;
    e.offset = node.slice.offset;
    e.length = node.slice.length;
    tcb.text_head = node.next;
    s.cx.nodes.give(index);
  }
  tcb.text_tail = no_index;
  return true;
}

uint32_t urgent_ahead(const Stack& s, const Tcb& tcb) {
  uint32_t undelivered = 0;
  for (uint32_t i = tcb.text_head; i != no_index; i = s.cx.nodes[i].next) undelivered += s.cx.nodes[i].slice.length;
  wire::Seq end = tcb.rcv.nxt - (tcb.is(tcp::fin_received) ? 1 : 0);  // of the text
  int32_t ahead = wire::offset(end - undelivered, tcb.rcv_up);
  return ahead > 0 ? static_cast<uint32_t>(ahead) : 0;
}

// One state of the connection becomes one event. The bits are told from the lowest up.
void deliver_state(Stack& s, Tcb& tcb, EventPort& port, tcp::Pending what) {
  switch (what) {
    case tcp::pend_opened:
      push_event(s, tcb, port, tcb.tally.established == Instant{}  ? Event::opening
                               : tcb.is(tcp::active) ? Event::connected : Event::accepted);
      if (Listener* listener = s.listener_of(tcb.listener)) --listener->untold;
      break;
    case tcp::pend_urgent:
      push_event(s, tcb, port, Event::urgent).length = urgent_ahead(s, tcb);
      tcb.clear(tcp::urgent_received);
      break;
    case tcp::pend_sent:
      push_event(s, tcb, port, Event::sent).length = tcb.acked_bytes;
      tcb.acked_bytes = 0;
      break;
    case tcp::pend_writable: push_event(s, tcb, port, Event::writable); break;
    case tcp::pend_slow: {
      Event& e = push_event(s, tcb, port, Event::slow);
      if (!tcp::has_soft_error(tcb)) break;
      e.reason = Event::unreachable;
      e.length = tcb.soft_error;
      break;
    }
    case tcp::pend_peer_closed: push_event(s, tcb, port, Event::peer_closed); break;
    case tcp::pend_closed: {
      Event& e = push_event(s, tcb, port, Event::closed);
      e.reason = tcb.reason;
      if (tcp::has_soft_error(tcb) && tcp::explains(tcb.soft_error, tcb.reason)) e.length = tcb.soft_error;
      break;
    }
    default: break;
  }
}

// True: the connection has nothing left to tell.
bool deliver_connection(Stack& s, Tcb& tcb, EventPort& port) {
  while (tcb.pending != 0) {
    if (!port.room()) return false;
    auto what = static_cast<tcp::Pending>(tcb.pending & -tcb.pending);
    if (what == tcp::pend_text) {
      if (!deliver_text(s, tcb, port)) return false;
    } else {
      deliver_state(s, tcb, port, what);
    }
    tcb.pending &= static_cast<uint8_t>(~what);
  }
  return true;
}

}  // namespace

void deliver(Stack& s, Output& out) {
  for (uint32_t c = 0; c < s.channels; ++c) {
    EventPort& port = out.events[c];
    FailedQueue& failed = s.failed[c];
    for (; !failed.empty() && port.room(); ++failed.head) port.push() = failed.front();
    tcp::ToldList& pending = s.cx.pending[c];
    while (!pending.empty()) {
      uint32_t index = pending.first();
      Tcb& tcb = s.cx.tcbs[index];
      if (!deliver_connection(s, tcb, port)) break;
      pending.remove(s.cx.tcbs, index);
      tcb.clear(tcp::in_pending);
      if (tcb.state == State::closed) free_slot_if_done(s, tcb);
    }
  }
}

void requests_wait(Stack& s, uint32_t channel, bool waiting) { s.cx.requests_waiting[channel] = waiting; }

void reclaim(Stack& s, const Event& event, Output& out) {
  s.cx.release = &out.release;
  if (event.kind == Event::failed && event.reason == Event::full) {
    Tcb& tcb = s.cx.tcbs[event.connection.slot()];
    if (tcb.generation == event.connection.generation() && tcb.state != State::closed && --tcb.full_unread == 0)
      tcp::check_writable(s.cx, tcb);
  }
  if (!event.packet) return;
  if (event.kind == Event::received)
    s.cx.uncharge(event.connection.slot() << 8 | (event.connection.generation() & 0xff), event.length);
  out.release.push(event.packet);
}

}  // namespace millrace::stack
