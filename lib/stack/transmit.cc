// SPDX-License-Identifier: BSD-3-Clause
// The third call of a turn: what is due, then the ready lists: handshakes and short answers first, then the rest round
// robin. Whatever finds no room stays marked for the next turn.
#include "stack/internals.h"
#include "tcp/timeouts.h"
#include "tcp/user_calls.h"

namespace millrace::stack {
namespace {

void connection_timeout(Stack& s, uint32_t index) {
  Tcb& tcb = s.cx.tcbs[index];
  tcp::TimeoutOutcome outcome = tcp::timeout(s.cx, tcb);
  if (outcome.advise_neighbor) s.neighbors.doubt(tcb.neighbor, s.cx.now);  // RFC9293-MUST-20
  if (outcome.path_mtu != 0) note_path_mtu(s, tcb.key.remote, outcome.path_mtu);
  if (outcome.fate == tcp::Fate::gone) return remove(s, tcb, tcb.reason);
  // Another connection may have learned why this one gets no answer.
  if (!s.paths.empty(s.cx.now) && tcb.state != State::closed) apply_path_mtu(s, tcb);
}

void run_timers(Stack& s) {
  tcp::Context& cx = s.cx;
  for (uint32_t n = 0; n < limits::timers_per_turn && !cx.ack_queue.empty(); ++n) {
    tcp::AckQueue::Entry entry = cx.ack_queue.front();
    if (entry.at > cx.now) break;
    ++cx.ack_queue.head;
    Tcb& tcb = cx.tcbs[entry.index];
    tcb.clear(tcp::in_ack_queue);
    if (tcb.state != State::closed) tcp::delayed_ack_timeout(cx, tcb);
  }
  uint32_t due[limits::timers_per_turn];
  uint32_t count = cx.wheel.advance(cx.now, due);
  for (uint32_t i = 0; i < count; ++i)
    if (due[i] < s.config.max_connections) {
      const char* tcb = reinterpret_cast<const char*>(&cx.tcbs[due[i]]);
      __builtin_prefetch(tcb, 1);
      __builtin_prefetch(tcb + 64, 1);
    }
  for (uint32_t i = 0; i < count; ++i) {
    if (due[i] < s.config.max_connections)
      connection_timeout(s, due[i]);
    else
      half_open_timeout(s, due[i] - s.config.max_connections);
  }
}

// TIME-WAIT TIMEOUT (RFC 9293 3.10.8): the ring is in the order of the ends.
void end_old_time_waits(Stack& s) {
  Duration two_msl = s.cx.params.time_wait;
  for (uint32_t n = 0; n < limits::time_wait_per_turn && !s.time_waits.empty(); ++n) {
    uint32_t oldest = s.time_waits.oldest();
    const TimeWait& record = s.time_waits[oldest];
    if (record.alive) {
      if (record.since + two_msl > s.cx.now) break;
      s.flows.erase(record.tag, Number::make(Kind::time_wait, oldest));
    }
    s.time_waits.drop_oldest();
  }
}

void emit_arp_request(Stack& s, const wire::Mac& to, Ipv4Address sender, Ipv4Address target, tcp::Emission& e) {
  wire::TxSegment& tx = e.segments->push_new();
  --e.room;
  tx.kind = wire::TxSegment::arp_request;
  tx.destination = to;
  tx.local = sender;
  tx.remote = target;
  s.cx.count(Count::arp_requests_sent);
}

// Timers of neighbours, and what they ask; a gratuitous request for each own address at start.
void run_neighbors(Stack& s, tcp::Emission& e, Output& out) {
  for (; s.to_announce > 0 && e.room > 0; --s.to_announce) {
    Ipv4Address own{s.config.local.first.value + s.config.local.count - s.to_announce};
    emit_arp_request(s, wire::Mac::broadcast(), own, own, e);
  }
  if (s.cx.now >= s.neighbors.next_deadline()) {
    for (uint16_t i = 0; i < s.neighbors.size(); ++i)
      if (s.cx.now >= s.neighbors[i].next_at && s.neighbors.timeout(i, s.cx.now)) neighbor_failed(s, i, out);
    s.neighbors.refresh_deadline();
  }
  if (!s.neighbors.asking()) return;
  bool more = false;
  for (uint16_t i = 0; i < s.neighbors.size(); ++i) {
    Neighbor& n = s.neighbors[i];
    if (!n.ask) continue;
    if (e.room == 0) {
      more = true;
      break;
    }
    n.ask = false;
    bool known = n.state == Neighbor::State::probing;  // asked by name first (RFC1122-2.3.2.1a)
    emit_arp_request(s, known ? n.mac : wire::Mac::broadcast(), s.config.local.first, n.address, e);
  }
  s.neighbors.set_asking(more);
}

void visit(Stack& s, Tcb& tcb, tcp::Emission& e) {
  Neighbor& hop = s.neighbors[tcb.neighbor];
  if (!hop.usable()) {
    s.neighbors.want(tcb.neighbor, s.cx.now);
    tcb.set(tcp::in_wait);
    hop.waiting.push_back(s.cx.tcbs, s.cx.index_of(tcb));
    return;
  }
  uint32_t first = e.segments->size();
  bool over = tcb.state == State::closed;  // but for its RST
  bool done = true;
  if (over)
    tcp::emit_reset(s.cx, tcb, e);
  else
    done = tcp::output(s.cx, tcb, e);
  for (uint32_t i = first; i < e.segments->size(); ++i) (*e.segments)[i].destination = hop.mac;
  if (over) end_reset(s, tcb);
  if (!done) s.cx.want_output(tcb);
}

// Rounds, in each of which everybody who stands in the list has one visit: who is not done goes to the end, behind all
// others. A flow that is alone has all of the room, and a driver its burst.
void visit_ready(Stack& s, tcp::ReadyList& list, tcp::Emission& e) {
  for (uint32_t room = e.room + 1; e.room > 0 && e.room < room && !list.empty();) {
    room = e.room;
    e.quantum = std::max(limits::quantum_segments, room / list.size());
    for (uint32_t left = list.size(); left > 0 && e.room > 0 && !list.empty(); --left) {
      Tcb& tcb = s.cx.tcbs[list.pop_front(s.cx.tcbs)];
      tcb.clear(tcp::in_ready | tcp::in_bulk);
      if (!list.empty()) __builtin_prefetch(&s.cx.tcbs[list.first()], 1);
      visit(s, tcb, e);
    }
  }
}

void send_syn_acks(Stack& s, tcp::Emission& e) {
  while (!s.ready_half_opens.empty() && e.room > 0) {
    uint32_t index = s.ready_half_opens.first();
    HalfOpen& record = s.half_opens[index];
    s.ready_half_opens.remove(s.half_opens, index);
    if (s.neighbors[record.neighbor].usable()) {
      record.queue = HalfOpen::Queue::none;
      emit_syn_ack(s, record, e);
    } else {
      s.neighbors.want(record.neighbor, s.cx.now);
      record.queue = HalfOpen::Queue::wait;
      s.neighbors[record.neighbor].waiting_half_open.push_back(s.half_opens, index);
      // If no answer comes at all, the record's own life ends it.
      s.cx.wheel.arm(s.wheel_index(index), s.cx.now + s.cx.params.rto_initial * 64);
    }
  }
}

}  // namespace

void transmit(Stack& s, uint32_t room, Output& out) {
  s.cx.release = &out.release;
  run_timers(s);
  end_old_time_waits(s);
  tcp::check_waiting(s.cx);
  tcp::Emission e{&out.segments, &out.slices, &out.sacks, std::min({room, out.segments.room(), limits::tx_burst})};
  send_syn_acks(s, e);
  visit_ready(s, s.cx.ready_small, e);
  visit_ready(s, s.cx.ready_bulk, e);
  run_neighbors(s, e, out);
  deliver(s, out);
}

}  // namespace millrace::stack
