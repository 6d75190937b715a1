// SPDX-License-Identifier: BSD-3-Clause
// The first call of a turn: frames -> segments -> connections. Three passes over the burst, so that a bucket and a
// record are on their way to the cache while others are worked on.
#include "stack/internals.h"
#include "tcp/isn.h"
#include "tcp/reset.h"

namespace millrace::stack {

using wire::FlowKey;
using wire::Segment;

namespace {

void prefetch_record(Stack& s, Number n) {
  if (!n) return;
  switch (n.kind()) {
    case Kind::tcb: {
      const char* tcb = reinterpret_cast<const char*>(&s.cx.tcbs[n.index()]);
      for (int line = 0; line < 4; ++line) __builtin_prefetch(tcb + 64 * line, 1);
      break;
    }
    case Kind::half_open: __builtin_prefetch(&s.half_opens[n.index()]); break;
    case Kind::time_wait: __builtin_prefetch(&s.time_waits[n.index()]); break;
  }
}

// CLOSED (RFC9293-3.10.7.1): everything but RST is answered with RST.
void arrives_closed(Stack& s, const FlowKey& key, const Segment& seg, Output& out) {
  s.cx.count(Count::drop_closed_state);
  if (seg.has(wire::rst) || !answer_room(s, out)) return;
  const flow::ListenBoard* board = s.config.board;
  if (board != nullptr && seg.has(wire::syn) && !s.closing && board->listeners(key.local_port) != 0)
    s.cx.count(Count::listen_elsewhere);
  s.cx.count(Count::resets_sent);
  answer(s, tcp::make_reset(key, seg, s.cx.params.ttl), out);
}

void arrives_time_wait(Stack& s, uint32_t index, const FlowKey& key, uint32_t tag, const Segment& seg, Output& out) {
  TimeWait& record = s.time_waits[index];
  if (s.cx.params.drop_syn_fin && seg.has(wire::syn) && seg.has(wire::fin)) return;
  auto verdict = tcp::time_wait_arrives(record, seg, s.cx.params.timestamps);
  if (verdict == tcp::TimeWaitVerdict::drop) return;
  if (verdict == tcp::TimeWaitVerdict::reopen) {
    uint32_t listener = s.listeners.find(key.local, key.local_port);
    if (listener != no_index && !s.closing) {
      // The new ISS lies above all that the old connection has sent (RFC9293-MAY-2). A cookie could not promise that:
      // without a record the SYN is dropped, and TIME-WAIT stays.
      bool opened = open_half(s, listener, key, tag, seg, record.snd_nxt + 0x10000);
      s.cx.count(opened ? Count::time_wait_reopened : Count::listen_overflow);
      if (opened) end_time_wait(s, index);
      return;
    }
  }
  if (verdict == tcp::TimeWaitVerdict::restart) {
    TimeWait copy = record;
    copy.since = s.cx.now;
    s.time_waits.end(index);
    if (s.time_waits.full()) s.time_waits.drop_oldest();  // this very record, or one that is dead
    uint32_t moved = s.time_waits.append(copy);
    s.flows.rename(tag, Number::make(Kind::time_wait, index), Number::make(Kind::time_wait, moved));
    index = moved;
  } else if (!answer_due(s, record.answered_ms, seg)) {
    return;
  }
  acknowledge(s, s.time_waits[index], seg, out);
}

// Is this still what the table would say? A record with this key that is in use stands in the table, and nowhere else
// does one with the same key.
bool is_record_of(const Stack& s, Number n, const FlowKey& key) {
  if (!n || s.key_of(n) != key) return false;
  switch (n.kind()) {
    case Kind::tcb: return s.cx.tcbs[n.index()].state != State::closed;
    case Kind::half_open: return s.half_opens[n.index()].in_use;
    default: return s.time_waits[n.index()].alive;
  }
}

// True: the packet was kept.
bool dispatch(Stack& s, const Segment& seg, const FlowKey& key, uint32_t tag, Number candidate, Output& out) {
  Number n = is_record_of(s, candidate, key) ? candidate : s.find(tag, key);
  if (n) {
    switch (n.kind()) {
      case Kind::tcb: {
        Tcb& tcb = s.cx.tcbs[n.index()];
        tcp::Outcome outcome = tcp::segment_arrives(s.cx, tcb, seg);
        if (outcome.fate == tcp::Fate::keep && !outcome.reset) return outcome.kept_packet;
        return settle(s, tcb, outcome, seg, out);
      }
      case Kind::half_open: return arrives_half_open(s, n.index(), seg, out);
      case Kind::time_wait: arrives_time_wait(s, n.index(), key, tag, seg, out); return false;
    }
  }
  uint32_t listener = s.closing ? no_index : s.listeners.find(key.local, key.local_port);
  if (listener != no_index) return arrives_listen(s, listener, key, tag, seg, out);
  arrives_closed(s, key, seg, out);
  return false;
}

}  // namespace

bool settle(Stack& s, Tcb& tcb, const tcp::Outcome& outcome, const Segment& seg, Output& out) {
  if (outcome.reset && answer_room(s, out)) {
    s.cx.count(Count::resets_sent);
    answer(s, tcp::make_reset(tcb.key, seg, tcb.ttl), out);
  }
  if (outcome.fate == tcp::Fate::gone) remove(s, tcb, tcb.reason);
  if (outcome.fate == tcp::Fate::time_wait) enter_time_wait(s, tcb, seg, out);
  return outcome.kept_packet;
}

void receive(Stack& s, std::span<const wire::Frame> frames, Instant now, Output& out) {
  ensure(now >= s.cx.now && frames.size() <= limits::rx_burst);
  s.cx.now = now;
  s.cx.release = &out.release;
  s.cx.ports = out.events;
  wire::ParsedBurst& b = s.burst;
  parse_burst(frames, s.config.local, s.config.mac, b, out.release, s.cx.counters);

  uint32_t tags[limits::rx_burst];
  for (uint32_t i = 0; i < b.segments; ++i) {
    tags[i] = s.tag_of(b.key[i]);
    s.flows.prefetch(tags[i]);
  }
  Number candidates[limits::rx_burst];
  for (uint32_t i = 0; i < b.segments; ++i) {
    candidates[i] = s.flows.candidate(tags[i]);
    prefetch_record(s, candidates[i]);
  }
  for (uint32_t i = 0; i < b.segments; ++i)
    if (!dispatch(s, b.segment[i], b.key[i], tags[i], candidates[i], out)) out.release.push(b.segment[i].packet);
  for (uint32_t i = 0; i < b.others; ++i) receive_other(s, frames[b.other[i].frame], b.other[i], out);
  deliver(s, out);
}

}  // namespace millrace::stack
