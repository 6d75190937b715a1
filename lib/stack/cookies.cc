// SPDX-License-Identifier: BSD-3-Clause
// SYN cookies: a SYN for which there is no record is answered all the same, and nothing is remembered but that it
// happened. The answer goes back to where the frame came from; a next hop is looked for when the ACK has proved that
// the peer is there.
#include "stack/internals.h"
#include "tcp/isn.h"
#include "tcp/receive_window.h"
#include "tcp/reset.h"

namespace millrace::stack {

using wire::FlowKey;
using wire::Segment;

void send_cookie(Stack& s, uint32_t listener_index, const FlowKey& key, const Segment& seg, Output& out) {
  if (!answer_room(s, out)) return;
  Listener& listener = s.listening[listener_index];
  listener.cookies_until = s.cx.now + tcp::cookie_life;
  tcp::CookieTerms terms = tcp::cookie_terms(seg.mss, agreed_options(s, seg.options), seg.wscale);
  tcp::CookieFlow flow{key, seg.seq, s.handle_of(listener_index)};
  tcp::ReceiveBuffer buffer = tcp::receive_buffer_of(s.cx.params, listener.options);
  wire::TxSegment tx = tcp::make_answer(key, seg, s.cx.params.ttl, wire::syn | wire::ack);
  tcp::mark_ip(tx, listener.options);
  tx.seq = tcp::cookie_iss(s.cookie_secret, flow, terms, s.cx.now);
  tx.ack = seg.seq + 1;
  tx.wnd = static_cast<uint16_t>(std::min(buffer.first, 65535u));
  tx.options = terms.options | wire::opt_mss | s.cx.syn_order();
  tx.mss = listener.own_mss;
  if (terms.options & wire::opt_timestamps) {
    uint32_t offset = tcp::initial_numbers(s.cx.isn_secret, key, s.cx.now).ts_offset;
    tx.wscale = buffer.scale;
    tx.ts_val = tcp::cookie_ts_val(static_cast<uint32_t>(s.cx.now.ms()) + offset, terms);
    tx.ts_ecr = seg.ts_val;
  }
  s.cx.count(Count::syn_cookies_sent);
  answer(s, tx, out);
}

CookieVerdict returns_cookie(Stack& s, uint32_t listener_index, const FlowKey& key, const Segment& seg,
                             HalfOpen& record) {
  const Listener& listener = s.listening[listener_index];
  if (seg.has(wire::syn) || s.cx.now >= listener.cookies_until) return CookieVerdict::forged;
  tcp::CookieFlow flow{key, seg.seq - 1, s.handle_of(listener_index)};
  bool timestamps = seg.options & wire::opt_timestamps && s.cx.params.timestamps;
  tcp::CookieTerms terms;
  auto verdict = tcp::read_cookie(s.cookie_secret, flow, seg.ack - 1, timestamps, seg.ts_ecr, s.cx.now, terms);
  // A bare ACK has nothing before it that could come again.
  if (verdict == CookieVerdict::out_of_order && seg.len == 0) verdict = CookieVerdict::forged;
  if (verdict != CookieVerdict::valid) {
    s.cx.count(Count::syn_cookies_failed);
    return verdict;
  }
  record.key = key;
  record.listener = flow.listener;
  record.irs = flow.irs;
  record.iss = seg.ack - 1;
  record.mss = terms.mss;
  record.options = terms.options | wire::opt_mss;
  record.wscale = terms.wscale;
  tcp::ReceiveBuffer buffer = tcp::receive_buffer_of(s.cx.params, listener.options);
  record.receive_buffer = buffer.first;
  record.own_wscale = buffer.scale;
  record.ts_recent = seg.ts_val;
  record.ts_offset = tcp::initial_numbers(s.cx.isn_secret, key, s.cx.now).ts_offset;
  record.wnd = seg.wnd;  // unscaled it promises too little at worst; the ACK itself says better at once
  return verdict;
}

bool accept_cookie(Stack& s, HalfOpen& record, uint32_t tag, const Segment& seg, Output& out) {
  record.tag = tag;
  record.neighbor = next_hop(s, record.key.remote);
  if (record.neighbor == Neighbors::none || s.flows.size() == s.flows.capacity()) {
    s.cx.count(Count::drop_no_memory);
    return false;
  }
  Tcb* tcb = establish_passive(s, record, *s.listener_of(record.listener));
  if (tcb == nullptr) return false;
  bool inserted = s.flows.insert(tag, Number::make(Kind::tcb, s.cx.index_of(*tcb)));
  ensure(inserted);
  s.cx.count(Count::syn_cookies_accepted);
  return complete_passive(s, *tcb, seg, out);
}

}  // namespace millrace::stack
