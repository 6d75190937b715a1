// SPDX-License-Identifier: BSD-3-Clause
// Stateless answers, and ARP (RFC 826). They go back to where the frame came from: nothing has to be resolved, and
// nothing is remembered.
#include "stack/internals.h"
#include "tcp/timeouts.h"

namespace millrace::stack {

bool answer_room(Stack& s, Output& out) {
  if (out.segments.room() > 0) return true;
  s.cx.count(Count::drop_answer_room);
  return false;
}

void answer(Stack& s, const wire::TxSegment& tx, Output& out) {
  out.segments.push(tx);
  if (tx.kind != wire::TxSegment::tcp) return;  // counted by their own names
  s.cx.count(Count::segments_sent);
  s.cx.count(Count::answers_sent);
}

uint32_t never_answered(const Stack& s) {
  return static_cast<uint32_t>(s.cx.now.ms() - s.cx.params.record_ack_interval.ms());
}

// RFC5961-7: a TIME-WAIT record here and a half-open one there, or two that disagree, would answer each other's answers
// as fast as the wire goes. Neither text nor a SYN alone is an answer.
bool answer_due(Stack& s, uint32_t& answered_ms, const wire::Segment& seg) {
  if (seg.text_len > 0 || (seg.flags & (wire::syn | wire::ack)) == wire::syn) return true;
  uint32_t now_ms = static_cast<uint32_t>(s.cx.now.ms());
  if (now_ms - answered_ms < s.cx.params.record_ack_interval.ms()) {
    s.cx.count(Count::challenge_acks_suppressed);
    return false;
  }
  answered_ms = now_ms;
  return true;
}

namespace {

void receive_arp(Stack& s, std::span<const uint8_t> bytes, bool copy, Output& out) {
  wire::ArpPacket arp;
  // A packet that claims one of our addresses is no news of a neighbour.
  if (!wire::parse_arp(bytes, arp) || s.config.local.contains(arp.sender)) {
    s.cx.count(Count::drop_arp);
    return;
  }
  s.cx.count(Count::arp_received);
  bool for_us = s.config.local.contains(arp.target);
  // RFC826-rx, RFC5227: update what is known from any packet, add only when we are the target.
  uint16_t i = s.neighbors.find(arp.sender);
  bool on_link = s.config.local.on_link(arp.sender) || arp.sender == s.config.gateway;
  if (i == Neighbors::none && for_us && on_link && !arp.sender.is_unspecified())
    i = s.neighbors.find_or_add(arp.sender);
  if (i != Neighbors::none) {
    s.neighbors.confirm(i, arp.sender_mac, s.cx.now);
    wake_waiting(s, s.neighbors[i]);
  }
  if (!arp.request || !for_us || copy || !answer_room(s, out)) return;
  wire::TxSegment tx;
  tx.kind = wire::TxSegment::arp_reply;
  tx.destination = arp.sender_mac;
  tx.local = arp.target;
  tx.remote = arp.sender;
  s.cx.count(Count::arp_replies_sent);
  answer(s, tx, out);
}

}  // namespace

void receive_other(Stack& s, const wire::Frame& frame, const wire::OtherFrame& other, Output& out) {
  if (other.kind == wire::Other::arp)
    receive_arp(s, {frame.data + other.offset, other.length}, frame.copy, out);
  else
    receive_icmp(s, frame, other, out);
  out.release.push(frame.packet);
}

uint16_t next_hop(Stack& s, Ipv4Address remote, bool stranger) {
  const wire::LocalAddresses& local = s.config.local;
  Ipv4Address hop = local.on_link(remote) ? remote : s.config.gateway;  // RFC1122-3.3.1.1
  if (hop.is_unspecified()) return Neighbors::none;
  if (stranger && s.neighbors.find(hop) == Neighbors::none && s.neighbors.crowded()) return Neighbors::none;
  return s.neighbors.find_or_add(hop);
}

void wake_waiting(Stack& s, Neighbor& n) {
  while (!n.waiting.empty()) {
    Tcb& tcb = s.cx.tcbs[n.waiting.first()];
    n.waiting.remove(s.cx.tcbs, n.waiting.first());
    tcb.clear(tcp::in_wait);
    s.cx.want_output(tcb);
  }
  while (!n.waiting_half_open.empty()) {
    uint32_t i = n.waiting_half_open.first();
    n.waiting_half_open.remove(s.half_opens, i);
    s.half_opens[i].queue = HalfOpen::Queue::ready;
    s.ready_half_opens.push_back(s.half_opens, i);
  }
}

void neighbor_failed(Stack& s, uint16_t index, Output& out) {
  s.cx.count(Count::neighbor_failed);
  Neighbor& n = s.neighbors[index];
  while (!n.waiting.empty()) {
    Tcb& tcb = s.cx.tcbs[n.waiting.first()];
    n.waiting.remove(s.cx.tcbs, n.waiting.first());
    tcb.clear(tcp::in_wait);
    // A soft error for who is connected (RFC9293-MUST-56): its timers go on. For who is opening it is the end.
    if (tcb.state == State::syn_sent || tcb.state == State::closed)
      remove(s, tcb, Event::unreachable);
    else
      tcp::wait_for_path(s.cx, tcb);
  }
  while (!n.waiting_half_open.empty()) {
    uint32_t i = n.waiting_half_open.first();
    n.waiting_half_open.remove(s.half_opens, i);
    s.half_opens[i].queue = HalfOpen::Queue::none;
    s.cx.count(Count::half_open_expired);
    forget_half_open(s, i);  // nobody is there; who is will send its SYN again
  }
  (void)out;
}

}  // namespace millrace::stack
