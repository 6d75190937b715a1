// SPDX-License-Identifier: BSD-3-Clause
// Passive opens: LISTEN (RFC9293-3.10.7.2), the half-open record, and its promotion to a connection.
#include <new>

#include "stack/internals.h"
#include "tcp/isn.h"
#include "tcp/receive_window.h"
#include "tcp/reset.h"
#include "tcp/rtt.h"
#include "tcp/user_calls.h"

namespace millrace::stack {

using wire::FlowKey;
using wire::Segment;

uint8_t agreed_options(const Stack& s, uint8_t offered) {
  if (!s.cx.params.timestamps) offered &= static_cast<uint8_t>(~wire::opt_timestamps);
  if (!s.cx.params.sack) offered &= static_cast<uint8_t>(~wire::opt_sack_permitted);
  if (!s.cx.params.window_scaling) offered &= static_cast<uint8_t>(~wire::opt_wscale);
  return offered;
}

namespace {

void mark_as_listener(Stack& s, const HalfOpen& record, wire::TxSegment& tx) {
  const Listener* listener = s.listener_of(record.listener);
  if (listener == nullptr) return;
  tcp::mark_ip(tx, listener->options);
  tx.mss = listener->own_mss;
}

void unqueue(Stack& s, uint32_t index) {
  HalfOpen& record = s.half_opens[index];
  if (record.queue == HalfOpen::Queue::ready) s.ready_half_opens.remove(s.half_opens, index);
  if (record.queue == HalfOpen::Queue::wait) s.neighbors[record.neighbor].waiting_half_open.remove(s.half_opens, index);
  record.queue = HalfOpen::Queue::none;
}

void want_syn_ack(Stack& s, uint32_t index) {
  HalfOpen& record = s.half_opens[index];
  if (record.queue != HalfOpen::Queue::none) return;
  record.queue = HalfOpen::Queue::ready;
  s.ready_half_opens.push_back(s.half_opens, index);
}

// All that a record holds but its entry in the table.
void give_back(Stack& s, uint32_t index) {
  HalfOpen& record = s.half_opens[index];
  unqueue(s, index);
  s.cx.wheel.cancel(s.wheel_index(index));
  --s.neighbors[record.neighbor].users;
  if (Listener* listener = s.listener_of(record.listener)) --listener->half_open;
  record.in_use = false;
  s.half_opens.give(index);
}

void reset_stranger(Stack& s, const FlowKey& key, const Segment& seg, Output& out) {
  if (!answer_room(s, out)) return;
  s.cx.count(Count::resets_sent);
  answer(s, tcp::make_reset(key, seg, s.cx.params.ttl), out);
}

// The record becomes a TCB in ESTABLISHED, and the segment that completed the handshake goes on to it.
bool promote(Stack& s, uint32_t index, const Segment& seg, Output& out) {
  HalfOpen& record = s.half_opens[index];
  Listener* listener = s.listener_of(record.listener);
  if (listener == nullptr) {  // unlisten came between
    if (answer_room(s, out)) answer(s, tcp::make_reset(record.key, seg, s.cx.params.ttl), out);
    forget_half_open(s, index);
    return false;
  }
  Tcb* tcb = establish_passive(s, record, *listener);
  if (tcb == nullptr) return false;  // the peer sends again; the record stays
  s.flows.rename(record.tag, Number::make(Kind::half_open, index), Number::make(Kind::tcb, s.cx.index_of(*tcb)));
  give_back(s, index);
  return complete_passive(s, *tcb, seg, out);
}

// An ACK of something that this record has not sent. The peer may have been answered with a cookie before there was
// room for a record, and have sent its SYN a second time.
bool arrives_for_cookie(Stack& s, uint32_t index, const Segment& seg, Output& out) {
  HalfOpen& record = s.half_opens[index];
  HalfOpen from_cookie;
  uint32_t tag = record.tag;
  CookieVerdict verdict = CookieVerdict::forged;
  if (s.listener_of(record.listener) != nullptr)
    verdict = returns_cookie(s, record.listener & 0xffff, record.key, seg, from_cookie);
  if (verdict == CookieVerdict::forged) reset_stranger(s, record.key, seg, out);
  if (verdict != CookieVerdict::valid) return false;
  forget_half_open(s, index);
  return accept_cookie(s, from_cookie, tag, seg, out);
}

}  // namespace

Tcb* establish_passive(Stack& s, const HalfOpen& record, Listener& listener) {
  if (listener.untold >= listener.backlog) {
    s.cx.count(Count::listen_overflow);
    return nullptr;
  }
  Tcb* tcb = new_tcb(s, record.key, record.tag, record.neighbor, listener.options, listener.channel, listener.token);
  if (tcb == nullptr) {
    s.cx.count(Count::drop_no_memory);
    return nullptr;
  }
  ++listener.untold;
  ++listener.accepted;
  tcb->listener = record.listener;
  tcb->own_mss = listener.own_mss;
  tcb->iss = record.iss;
  tcb->snd.una = tcb->snd.nxt = tcb->snd.max = tcb->end = record.iss + 1;
  tcb->ts_offset = record.ts_offset;
  tcb->syn_sent_count = record.sent;
  tcb->receive_buffer = record.receive_buffer;
  Segment syn;
  syn.seq = record.irs;
  syn.options = record.options;
  syn.mss = record.mss;
  syn.wscale = record.wscale;
  syn.wnd = record.wnd;
  syn.ts_val = record.ts_recent;
  tcp::take_syn_options(s.cx, *tcb, syn);
  if (record.ecn) tcb->ecn = tcp::ecn_ok;
  if (record.sent == 1) tcp::handshake_rtt(s.cx, *tcb, s.cx.now - record.sent_at);  // RFC6298-3a
  return tcb;
}

bool complete_passive(Stack& s, Tcb& tcb, const Segment& seg, Output& out) {
  s.cx.count(Count::passive_opens);
  tcp::establish(s.cx, tcb);
  // This segment's own window counts from here on.
  tcb.snd.wl1 = seg.seq - 1;
  tcp::Outcome outcome = tcp::segment_arrives(s.cx, tcb, seg);
  return settle(s, tcb, outcome, seg, out);
}

bool arrives_listen(Stack& s, uint32_t listener_index, const FlowKey& key, uint32_t tag, const Segment& seg,
                    Output& out) {
  // First RST, second ACK, third SYN; anything else is dropped.
  if (seg.has(wire::rst)) return false;
  if (seg.has(wire::ack)) {
    HalfOpen record;
    CookieVerdict verdict = returns_cookie(s, listener_index, key, seg, record);
    if (verdict == CookieVerdict::valid) return accept_cookie(s, record, tag, seg, out);
    if (verdict == CookieVerdict::forged) reset_stranger(s, key, seg, out);
    return false;
  }
  if (!seg.has(wire::syn) || (seg.has(wire::fin) && s.cx.params.drop_syn_fin)) {
    s.cx.count(Count::drop_listen);
    return false;
  }
  tcp::SynCookies cookies = s.cx.params.syn_cookies;
  if (cookies != tcp::SynCookies::always && open_half(s, listener_index, key, tag, seg, wire::Seq{0})) return false;
  // No cookie where its ACK could not be taken either.
  const Listener& listener = s.listening[listener_index];
  bool routed = s.config.local.on_link(key.remote) || !s.config.gateway.is_unspecified();
  if (cookies == tcp::SynCookies::off || listener.untold >= listener.backlog || !routed)
    s.cx.count(Count::listen_overflow);
  else
    send_cookie(s, listener_index, key, seg, out);
  return false;
}

bool open_half(Stack& s, uint32_t listener_index, const FlowKey& key, uint32_t tag, const Segment& seg,
               wire::Seq not_before) {
  Listener& listener = s.listening[listener_index];
  if (listener.untold >= listener.backlog || listener.half_open >= s.config.listener_half_open) return false;
  if (s.half_opens.free_count() == 0 || s.flows.size() == s.flows.capacity()) return false;
  uint16_t hop = next_hop(s, key.remote, true);
  if (hop == Neighbors::none) return false;
  uint32_t index = s.half_opens.take();
  tcp::Initial initial = tcp::initial_numbers(s.cx.isn_secret, key, s.cx.now);
  if (not_before != wire::Seq{0} && wire::before(initial.iss, not_before)) initial.iss = not_before;
  tcp::ReceiveBuffer buffer = tcp::receive_buffer_of(s.cx.params, listener.options);
  HalfOpen& record = s.half_opens[index];
  new (&record) HalfOpen;
  record.key = key;
  record.iss = initial.iss;
  record.irs = seg.seq;
  record.ts_recent = seg.ts_val;
  record.ts_offset = initial.ts_offset;
  record.tag = tag;
  record.listener = s.handle_of(listener_index);
  record.mss = seg.mss;
  record.wnd = seg.wnd;
  record.neighbor = hop;
  record.wscale = seg.wscale;
  record.own_wscale = buffer.scale;
  record.receive_buffer = buffer.first;
  record.in_use = true;
  record.ecn = seg.has(wire::ece) && seg.has(wire::cwr) &&  // RFC 3168 6.1.1
               s.cx.wants_ecn(listener.options.congestion, tcp::EcnMode::passive);
  record.options = agreed_options(s, seg.options);
  record.answered_ms = never_answered(s);
  bool inserted = s.flows.insert(tag, Number::make(Kind::half_open, index));
  ensure(inserted);
  ++listener.half_open;
  ++s.neighbors[hop].users;
  want_syn_ack(s, index);
  return true;
}

void forget_half_open(Stack& s, uint32_t index) {
  s.flows.erase(s.half_opens[index].tag, Number::make(Kind::half_open, index));
  give_back(s, index);
}

bool arrives_half_open(Stack& s, uint32_t index, const Segment& seg, Output& out) {
  HalfOpen& record = s.half_opens[index];
  switch (tcp::half_open_arrives(record, seg, s.cx.params)) {
    case tcp::HalfOpenVerdict::drop: return false;
    case tcp::HalfOpenVerdict::resend: want_syn_ack(s, index); return false;
    case tcp::HalfOpenVerdict::forget:
      if (seg.has(wire::rst)) s.cx.count(Count::resets_received);
      forget_half_open(s, index);
      return false;
    case tcp::HalfOpenVerdict::establish: return promote(s, index, seg, out);
    case tcp::HalfOpenVerdict::reset: return arrives_for_cookie(s, index, seg, out);
    case tcp::HalfOpenVerdict::ack: break;
  }
  if (!answer_due(s, record.answered_ms, seg) || !answer_room(s, out)) return false;
  wire::TxSegment tx = tcp::make_answer(record.key, seg, s.cx.params.ttl, wire::ack);
  mark_as_listener(s, record, tx);
  tx.seq = record.iss + 1;
  tx.ack = record.irs + 1;
  uint8_t scale = record.options & wire::opt_wscale ? record.own_wscale : 0;
  tx.wnd = static_cast<uint16_t>(std::min(record.receive_buffer, 65535u) >> scale);
  if (record.options & wire::opt_timestamps) {
    tx.options = wire::opt_timestamps;
    tx.ts_val = static_cast<uint32_t>(s.cx.now.ms()) + record.ts_offset;
    tx.ts_ecr = record.ts_recent;
  }
  s.cx.count(Count::challenge_acks);
  answer(s, tx, out);
  return false;
}

// The SYN,ACK was not acknowledged in time.
void half_open_timeout(Stack& s, uint32_t index) {
  HalfOpen& record = s.half_opens[index];
  if (!record.in_use) return;
  if (record.sent > s.cx.params.syn_ack_retries || s.listener_of(record.listener) == nullptr) {
    s.cx.count(Count::half_open_expired);
    forget_half_open(s, index);
    return;
  }
  want_syn_ack(s, index);
}

void emit_syn_ack(Stack& s, HalfOpen& record, tcp::Emission& emission) {
  wire::TxSegment& tx = emission.segments->push_new();
  --emission.room;
  tx.flags = static_cast<uint8_t>(wire::syn | wire::ack | (record.ecn ? wire::ece : 0));
  tx.destination = s.neighbors[record.neighbor].mac;
  tx.local = record.key.local;
  tx.remote = record.key.remote;
  tx.local_port = record.key.local_port;
  tx.remote_port = record.key.remote_port;
  tx.seq = record.iss;
  tx.ack = record.irs + 1;
  tx.ttl = s.cx.params.ttl;
  tx.mss = s.cx.own_mss;
  mark_as_listener(s, record, tx);
  tx.wnd = static_cast<uint16_t>(std::min(record.receive_buffer, 65535u));
  tx.options = static_cast<uint8_t>(
      wire::opt_mss | (record.options & (wire::opt_timestamps | wire::opt_sack_permitted | wire::opt_wscale)));
  tx.options |= s.cx.syn_order();
  tx.wscale = record.own_wscale;
  tx.ts_val = static_cast<uint32_t>(s.cx.now.ms()) + record.ts_offset;
  tx.ts_ecr = record.ts_recent;
  s.cx.count(Count::segments_sent);
  if (record.sent++ == 0)
    record.sent_at = s.cx.now;
  else
    s.cx.count(Count::syn_ack_retries);
  Duration wait = s.cx.params.rto_initial * (uint64_t{1} << std::min<uint8_t>(record.sent - 1, 16));
  wait = std::min(wait, s.cx.params.rto_max);
  uint32_t index = static_cast<uint32_t>(&record - &s.half_opens[0]);
  s.cx.wheel.cancel(s.wheel_index(index));
  s.cx.wheel.arm(s.wheel_index(index), s.cx.now + wait);
}

}  // namespace millrace::stack
