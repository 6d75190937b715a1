// SPDX-License-Identifier: BSD-3-Clause
#include "stack/check_stack.h"

#include "tcp/check_tcb.h"

namespace millrace::stack {
namespace {

// A slot that was taken from its pool: it has a connection, events to tell, or a RST to send.
bool in_use(const Tcb& tcb) {
  return tcb.state != State::closed || tcb.is(tcp::in_pending | tcp::in_ready | tcp::in_wait | tcp::rst_on_remove);
}

struct Found {
  uint32_t tcbs = 0;
  uint32_t half_opens = 0;
  uint32_t users = 0;   // of neighbours
  uint32_t ready = 0;
  uint32_t told = 0;
  uint32_t waiting = 0;
  uint32_t full = 0;    // refused a send, and waiting for buffers or for requests to be served
  uint32_t half_open_ready = 0;
  uint32_t half_open_waiting = 0;
};

const char* check_tcbs(const Stack& s, Found& found) {
  for (uint32_t i = 0; i < s.cx.tcbs.capacity(); ++i) {
    const Tcb& tcb = s.cx.tcbs[i];
    if (!in_use(tcb)) continue;
    ++found.tcbs;
    found.users += tcb.neighbor != Neighbors::none;
    found.ready += tcb.is(tcp::in_ready);
    found.told += tcb.is(tcp::in_pending);
    found.waiting += tcb.is(tcp::in_wait);
    found.full += tcb.waits_for != Tcb::WaitsFor::nothing;
    if (tcb.is(tcp::in_ready) && tcb.is(tcp::in_wait)) return "a TCB stands in one list of output at most";
    bool sends = tcb.state != State::closed || tcb.is(tcp::rst_on_remove);
    if (sends && (tcb.neighbor >= s.neighbors.size() || s.neighbors[tcb.neighbor].users == 0))
      return "a TCB that sends has a neighbour, which counts it";
    if (const char* wrong = tcp::check_tcb(s.cx, tcb)) return wrong;
  }
  return found.tcbs == s.cx.tcbs.used() ? nullptr : "each TCB that is not free has a state, an event to tell or a RST to send";
}

const char* check_half_opens(const Stack& s, Found& found) {
  for (uint32_t i = 0; i < s.half_opens.capacity(); ++i) {
    const HalfOpen& record = s.half_opens[i];
    if (!record.in_use) continue;
    ++found.half_opens;
    ++found.users;
    found.half_open_ready += record.queue == HalfOpen::Queue::ready;
    found.half_open_waiting += record.queue == HalfOpen::Queue::wait;
    if (record.neighbor >= s.neighbors.size()) return "a half-open record has a neighbour";
    if (record.queue == HalfOpen::Queue::none && !s.cx.wheel.armed(s.wheel_index(i)))
      return "a half-open record stands in a list or has a timer";
  }
  return found.half_opens == s.half_opens.used() ? nullptr : "each half-open record that is not free is in use";
}

const char* check_neighbors(const Stack& s, const Found& found) {
  uint32_t users = 0, waiting = 0, half_open_waiting = 0;
  for (uint16_t i = 0; i < s.neighbors.size(); ++i) {
    const Neighbor& n = s.neighbors[i];
    users += n.users;
    bool asked = n.state == Neighbor::State::incomplete || n.usable();
    if (!asked && (!n.waiting.empty() || !n.waiting_half_open.empty())) return "a neighbour that is waited for is asked";
    if (n.state == Neighbor::State::incomplete && n.next_at == Instant::never()) return "a neighbour that is asked has a timer";
    for (uint32_t t = n.waiting.first(); t != no_index && waiting <= found.waiting; t = s.cx.tcbs[t].ready.next, ++waiting)
      if (!s.cx.tcbs[t].is(tcp::in_wait) || s.cx.tcbs[t].neighbor != i) return "who waits for a neighbour sends to it";
    for (uint32_t h = n.waiting_half_open.first(); h != no_index && half_open_waiting <= found.half_open_waiting;
         h = s.half_opens[h].ready.next, ++half_open_waiting)
      if (s.half_opens[h].neighbor != i) return "a half-open record waits for its own neighbour";
  }
  if (users != found.users) return "a neighbour's users are counted";
  if (waiting != found.waiting || half_open_waiting != found.half_open_waiting)
    return "what waits for an address stands in a neighbour's list";
  return nullptr;
}

}  // namespace

const char* check_stack(const Stack& s) {
  Found found;
  if (const char* wrong = check_tcbs(s, found)) return wrong;
  if (const char* wrong = check_half_opens(s, found)) return wrong;
  if (const char* wrong = check_neighbors(s, found)) return wrong;
  uint32_t told = 0;
  for (uint32_t c = 0; c < s.channels; ++c) told += s.cx.pending[c].size();
  if (found.told != told) return "a TCB with something to tell stands in its channel's list";
  if (found.ready != s.cx.ready_small.size() + s.cx.ready_bulk.size()) return "a TCB that is ready stands in a ready list";
  if (found.full != s.cx.waiting_for_room.size() + s.cx.waiting_for_requests.size())
    return "a TCB that waits for buffers stands in the list";
  if (found.half_open_ready != s.ready_half_opens.size()) return "a half-open record that is ready stands in the list";
  return nullptr;
}

}  // namespace millrace::stack
