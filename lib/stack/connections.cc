// SPDX-License-Identifier: BSD-3-Clause
// A connection's slot from OPEN to the last event, and the TIME-WAIT record that follows it.
#include <new>

#include "stack/internals.h"
#include "tcp/flight.h"
#include "tcp/reassembly.h"
#include "tcp/reset.h"
#include "tcp/rtt.h"
#include "tcp/send_queue.h"
#include "tcp/user_calls.h"

namespace millrace::stack {

Tcb* new_tcb(Stack& s, const wire::FlowKey& key, uint32_t tag, uint16_t neighbor, const Options& options,
             uint32_t channel, uint64_t token) {
  uint32_t index = s.cx.tcbs.take();
  if (index == no_index) return nullptr;
  Tcb& tcb = s.cx.tcbs[index];
  uint32_t generation = tcb.generation;
  uint32_t kept_marks = tcb.marks & tcp::in_ack_queue;  // the queue's entry outlives the slot's owner
  new (&tcb) Tcb;  // in place: an assignment builds it beside and copies
  tcb.generation = generation;
  tcb.marks = kept_marks;
  tcb.key = key;
  tcb.tag = tag;
  tcb.neighbor = neighbor;
  tcb.channel = static_cast<uint8_t>(channel);
  tcb.token = token;
  tcp::apply_options(s.cx, tcb, options);
  tcp::rtt_init(tcb, s.cx.params);
  ++s.neighbors[neighbor].users;
  if (!s.paths.empty(s.cx.now)) apply_path_mtu(s, tcb);
  return &tcb;
}

namespace {

// It sends nothing any more: the neighbour's place may become another address's.
void leave_neighbor(Stack& s, Tcb& tcb) {
  --s.neighbors[tcb.neighbor].users;
  tcb.neighbor = Neighbors::none;
}

// All but the table's entry: buffers, timers, lists. `closed` is told when the application has read what came before.
void retire(Stack& s, Tcb& tcb, Event::Reason reason) {
  tcp::Context& cx = s.cx;
  tcp::set_state(tcb, State::closed);
  cx.count(Count::closed);
  if (tcb.is(tcp::app_closed)) --cx.orphans;
  tcp::flight_drop(cx, tcb);
  tcp::drop_send_queue(cx, tcb);
  tcp::drop_out_of_order(cx, tcb);
  if (reason != Event::finished || tcb.is(tcp::app_closed)) tcp::drop_received(cx, tcb);
  if (tcb.port_pool != 0xffff) s.ports.put_back(tcb.port_pool, tcb.key.local_port);
  cx.stop_timer(tcb);
  cx.wheel.cancel(cx.index_of(tcb));
  tcb.wheel_at = tcb.life_at = tcb.keepalive_at = tcb.ack_at = Instant::never();
  cx.unlink_ready(tcb);
  tcp::leave_waiting(cx, tcb);
  if (tcb.is(tcp::in_wait)) {
    s.neighbors[tcb.neighbor].waiting.remove(cx.tcbs, cx.index_of(tcb));
    tcb.clear(tcp::in_wait);
  }
  tcb.acks_due = 0;
  tcb.reason = reason;
  tcb.clear(tcp::send_syn | tcp::resend_first | tcp::probe_due | tcp::tail_probe_due | tcp::keepalive_due);
  tcb.pending &= tcp::pend_opened | tcp::pend_urgent | tcp::pend_text | tcp::pend_sent | tcp::pend_peer_closed;
  if (reason != Event::finished || tcb.is(tcp::app_closed)) tcb.pending &= tcp::pend_opened;
  cx.tell(tcb, tcp::pend_closed);
  if (tcb.is(tcp::rst_on_remove))
    cx.want_output(tcb);
  else
    leave_neighbor(s, tcb);
}

}  // namespace

void remove(Stack& s, Tcb& tcb, Event::Reason reason) {
  if (tcb.state == State::closed) {  // only its RST was still to be sent
    end_reset(s, tcb);
    return;
  }
  s.flows.erase(tcb.tag, Number::make(Kind::tcb, s.cx.index_of(tcb)));
  retire(s, tcb, reason);
}

void end_reset(Stack& s, Tcb& tcb) {
  tcb.clear(tcp::rst_on_remove);
  leave_neighbor(s, tcb);
  free_slot_if_done(s, tcb);
}

void free_slot_if_done(Stack& s, Tcb& tcb) {
  if (tcb.state != State::closed || tcb.is(tcp::in_pending | tcp::in_ready | tcp::in_wait | tcp::rst_on_remove)) return;
  if (++tcb.generation == 0) tcb.generation = 1;
  s.cx.tcbs.give(s.cx.index_of(tcb));
}

// RFC 9293 3.10.7.4, eighth: the last ACK leaves from the record, in the turn in which the FIN came.
void enter_time_wait(Stack& s, Tcb& tcb, const wire::Segment& seg, Output& out) {
  if (s.time_waits.full()) {
    uint32_t oldest = s.time_waits.oldest();
    if (s.time_waits[oldest].alive) {
      s.cx.count(Count::time_wait_recycled_early);
      s.flows.erase(s.time_waits[oldest].tag, Number::make(Kind::time_wait, oldest));
    }
    s.time_waits.drop_oldest();
  }
  TimeWait record;
  record.key = tcb.key;
  record.since = s.cx.now;
  record.snd_nxt = tcb.snd.max;
  record.rcv_nxt = tcb.rcv.nxt;
  record.tag = tcb.tag;
  record.ts_recent = tcb.rcv.ts_recent;
  record.ts_offset = tcb.ts_offset;
  record.wnd = tcp::offer_window(s.cx, tcb);
  record.ttl = tcb.ttl;
  record.tos = tcb.tos;
  record.ts_ok = tcb.is(tcp::ts_ok);
  record.answered_ms = never_answered(s);
  uint32_t index = s.time_waits.append(record);
  s.flows.rename(tcb.tag, Number::make(Kind::tcb, s.cx.index_of(tcb)), Number::make(Kind::time_wait, index));
  s.cx.count(Count::time_wait_entered);
  // The ACK of our FIN is not answered itself, but for what came before it in this burst.
  if (seg.len > 0 || tcb.rcv.last_ack != tcb.rcv.nxt || tcb.acks_due > 0) acknowledge(s, record, seg, out);
  if (tcb.state != State::time_wait) tcp::set_state(tcb, State::time_wait);
  retire(s, tcb, Event::finished);
}

void acknowledge(Stack& s, const TimeWait& record, const wire::Segment& seg, Output& out) {
  if (!answer_room(s, out)) return;
  wire::TxSegment tx = tcp::make_answer(record.key, seg, record.ttl, wire::ack);
  tx.seq = record.snd_nxt;
  tx.ack = record.rcv_nxt;
  tx.wnd = record.wnd;
  tx.tos = record.tos;
  if (record.ts_ok) {
    tx.options = wire::opt_timestamps;
    tx.ts_val = static_cast<uint32_t>(s.cx.now.ms()) + record.ts_offset;
    tx.ts_ecr = record.ts_recent;
  }
  answer(s, tx, out);
}

void end_time_wait(Stack& s, uint32_t index) {
  s.flows.erase(s.time_waits[index].tag, Number::make(Kind::time_wait, index));
  s.time_waits.end(index);
}

void close_all(Stack& s) {
  s.closing = true;
  for (uint32_t i = 0; i < s.half_opens.capacity(); ++i)
    if (s.half_opens[i].in_use) forget_half_open(s, i);
  for (uint32_t i = 0; i < s.cx.tcbs.capacity(); ++i) {
    Tcb& tcb = s.cx.tcbs[i];
    if (tcb.state == State::closed) continue;
    if (tcp::close(s.cx, tcb) == tcp::Fate::gone) remove(s, tcb, tcb.reason);
  }
}

bool abort_some(Stack& s, uint32_t limit, Output& out) {
  s.cx.release = &out.release;
  for (; s.sweep < s.cx.tcbs.capacity() && limit > 0; ++s.sweep) {
    Tcb& tcb = s.cx.tcbs[s.sweep];
    if (tcb.state == State::closed) continue;
    if (tcb.state != State::syn_sent) tcb.set(tcp::rst_on_remove);
    remove(s, tcb, Event::aborted);
    --limit;
  }
  return s.sweep < s.cx.tcbs.capacity();
}

}  // namespace millrace::stack
