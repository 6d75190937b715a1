// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/flight.h"

#include "tcp/accounts.h"
#include "tcp/send_queue.h"

namespace millrace::tcp {

using wire::after;
using wire::after_eq;
using wire::before;
using wire::before_eq;
using wire::distance;

namespace {

bool split(Context& cx, Tcb& tcb, Flight& f, Seq at) {
  uint32_t index = cx.flights.take();
  if (index == no_index) return false;
  Flight& rest = cx.flights[index];
  rest = f;
  rest.seq = at;
  rest.node = node_of(cx, f.node, at);
  f.end = at;
  if (&last_flight(cx, tcb) == &f) tcb.flight_tail = index;
  f.next = index;
  return true;
}

bool alike(const Flight& a, const Flight& b) {
  return a.state == b.state && a.sent_at == b.sent_at && a.sends == b.sends;
}

// `f` swallows the one behind it.
void swallow_next(Context& cx, Tcb& tcb, Flight& f) {
  uint32_t index = f.next;
  const Flight& gone = cx.flights[index];
  f.end = gone.end;
  f.next = gone.next;
  if (f.sent_at < gone.sent_at) f.sent_at = gone.sent_at;
  if (tcb.flight_tail == index && &f != &tcb.first) tcb.flight_tail = static_cast<uint32_t>(&f - &cx.flights[0]);
  cx.flights.give(index);
}

// Was it the first transmission that arrived, although there was a second? (RFC8985-6.2.2)
bool answers_an_earlier_sending(const Context& cx, const Tcb& tcb, const Flight& f, const Delivered& told) {
  if (f.sends == 1) return false;
  uint32_t ts_then = static_cast<uint32_t>(f.sent_at.ms()) + tcb.ts_offset;
  if (told.has_echo(tcb) && static_cast<int32_t>(told.by->ts_ecr - ts_then) < 0) return true;
  return cx.now - f.sent_at < microseconds(tcb.min_rtt);
}

// `f` has arrived.
void note_delivery(const Context& cx, const Tcb& tcb, const Flight& f, uint32_t bytes, Delivered& told) {
  told.bytes += bytes;
  bool last = told.sent_at < f.sent_at || (told.sent_at == f.sent_at && after(f.end, told.end));
  if (last && !answers_an_earlier_sending(cx, tcb, f, told)) {
    told.sent_at = f.sent_at;
    told.end = f.end;
  }
  if (f.sends > 1) return;
  told.sample_at = f.sent_at;
  told.sample_end = f.end;
  if (f.state == Flight::lost) told.original = true;
  if (tcb.absent != 0 && before(f.end, tcb.rack.fack)) told.reordered = true;
}

}  // namespace

Flight& last_flight(Context& cx, Tcb& tcb) {
  return tcb.first.next == no_index ? tcb.first : cx.flights[tcb.flight_tail];
}

Flight& last_segment(Context& cx, Tcb& tcb) {
  Flight& f = last_flight(cx, tcb);
  if (f.length() > tcb.mss) split(cx, tcb, f, f.end - tcb.mss);
  return last_flight(cx, tcb);
}

// RFC8985-6.1
void flight_sent(Context& cx, Tcb& tcb, Seq seq, Seq end, uint32_t node) {
  if (!in_flight(tcb)) {
    tcb.first = {seq, end, cx.now, no_index, node, Flight::flying, 1};
    if (tcb.limit == Limit::idle) all_sent(cx, tcb);
    return;
  }
  Flight& last = last_flight(cx, tcb);
  bool alike = last.sent_at == cx.now && last.sends == 1 && last.state == Flight::flying;
  uint32_t index = alike ? no_index : cx.flights.take();
  if (index == no_index) {
    if (last.state != Flight::flying) {  // no record is free: what is known of the last is forgotten
      tcb.absent -= last.length();
      if (last.state == Flight::sacked) tcb.sacked -= last.length();
      last.state = Flight::flying;
    }
    last.end = end;
    last.sent_at = cx.now;
    return;
  }
  cx.flights[index] = {seq, end, cx.now, no_index, node, Flight::flying, 1};
  last.next = index;
  tcb.flight_tail = index;
}

void flight_resent(Context& cx, Tcb& tcb, Flight& f, uint32_t length) {
  if (length < f.length()) split(cx, tcb, f, f.seq + length);
  if (f.state == Flight::lost) tcb.absent -= f.length();
  f.state = Flight::flying;
  f.sent_at = cx.now;
  if (f.sends < 255) ++f.sends;
}

void flight_acked(Context& cx, Tcb& tcb, Seq una, Delivered& told) {
  while (in_flight(tcb)) {
    Flight& f = tcb.first;
    bool whole = before_eq(f.end, una);
    uint32_t bytes = whole ? f.length() : distance(f.seq, una);
    if (!whole && before_eq(una, f.seq)) return;
    if (f.state == Flight::sacked) {
      tcb.absent -= bytes;
      tcb.sacked -= bytes;
    } else {
      if (f.state == Flight::lost) tcb.absent -= bytes;
      note_delivery(cx, tcb, f, bytes, told);
    }
    if (!whole) {
      f.seq = una;
      f.node = node_of(cx, f.node, una);
      return;
    }
    uint32_t index = f.next;
    if (index == no_index) {
      f.seq = f.end;
      return;
    }
    f = cx.flights[index];
    cx.flights.give(index);
  }
}

// RFC6675-4U, RFC2018-5a: marked, and kept until it is acknowledged.
void flight_sacked(Context& cx, Tcb& tcb, Seq left, Seq right, Delivered& told) {
  Flight* previous = nullptr;
  for (Flight* f = &tcb.first; f != nullptr; previous = f, f = next(cx, *f)) {
    if (before_eq(f->end, left)) continue;
    if (before_eq(right, f->seq)) return;
    if (f->state == Flight::sacked) continue;
    if (before(f->seq, left)) {
      if (!split(cx, tcb, *f, left)) continue;
      continue;  // the rest is the next one
    }
    if (after(f->end, right) && !split(cx, tcb, *f, right)) return;
    note_delivery(cx, tcb, *f, f->length(), told);
    if (f->state != Flight::lost) tcb.absent += f->length();
    tcb.sacked += f->length();
    f->state = Flight::sacked;
    if (previous != nullptr && previous->state == Flight::sacked) {
      swallow_next(cx, tcb, *previous);
      f = previous;
    }
    while (f->next != no_index && cx.flights[f->next].state == Flight::sacked) swallow_next(cx, tcb, *f);
  }
}

void flight_lost(Context& cx, Tcb& tcb, Flight& f, uint32_t length) {
  if (f.state != Flight::flying) return;
  if (length < f.length()) split(cx, tcb, f, f.seq + length);
  f.state = Flight::lost;
  tcb.absent += f.length();
}

bool flight_too_big(Context& cx, Tcb& tcb, Seq from) {
  bool any = false;
  for (Flight* f = in_flight(tcb) ? &tcb.first : nullptr; f != nullptr; f = next(cx, *f)) {
    if (f->state != Flight::flying || before_eq(f->end, from)) continue;
    if (before(f->seq, from) && split(cx, tcb, *f, from)) continue;  // the rest is the next one
    if (f->length() <= tcb.mss) continue;
    flight_lost(cx, tcb, *f, f->length());
    any = true;
  }
  return any;
}

void flight_forget_lost(Context& cx, Tcb& tcb) {
  if (!in_flight(tcb)) return;
  for (Flight* f = &tcb.first; f != nullptr; f = next(cx, *f)) {
    if (f->state != Flight::lost) continue;
    f->state = Flight::flying;
    tcb.absent -= f->length();
  }
}

void flight_forget_sacked(Context& cx, Tcb& tcb) {
  if (!in_flight(tcb)) return;
  for (Flight* f = &tcb.first; f != nullptr; f = next(cx, *f)) {
    if (f->state != Flight::sacked) continue;
    f->state = Flight::flying;
    tcb.absent -= f->length();
    tcb.sacked -= f->length();
  }
}

void flight_drop(Context& cx, Tcb& tcb) {
  for (uint32_t index = tcb.first.next; in_flight(tcb) && index != no_index;) {
    uint32_t after_it = cx.flights[index].next;
    cx.flights.give(index);
    index = after_it;
  }
  tcb.first.end = tcb.first.seq;
  tcb.first.next = no_index;
  tcb.absent = tcb.sacked = 0;
}

Flight* first_lost(Context& cx, Tcb& tcb) {
  if (tcb.absent == tcb.sacked) return nullptr;
  for (Flight* f = &tcb.first; f != nullptr; f = next(cx, *f)) {
    if (f->state == Flight::lost) return f;
    // On the way, what was sent again in one turn becomes one stretch, so that the way stays short.
    for (Flight* n = next(cx, *f); n != nullptr && alike(*f, *n); n = next(cx, *f)) swallow_next(cx, tcb, *f);
  }
  return nullptr;
}

}  // namespace millrace::tcp
