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

// Stretches that the search for one SACK block passes before it waits for the next ACK: who SACKs here and there by
// turns must not make each ACK a walk.
constexpr uint32_t most_steps = 1000;

Flight& at(Context& cx, Tcb& tcb, uint32_t index) { return index == Flight::in_tcb ? tcb.first : cx.flights[index]; }

uint32_t index_of(const Context& cx, const Tcb& tcb, const Flight& f) {
  return &f == &tcb.first ? Flight::in_tcb : static_cast<uint32_t>(&f - &cx.flights[0]);
}

// The places to search from are kept up only while there is something to search for.
bool searching(const Tcb& tcb) { return tcb.absent != 0 || tcb.is(in_recovery | in_loss); }

// A place to search from: no_index stands for the first stretch.
uint32_t place_of(const Context& cx, const Tcb& tcb, const Flight& f) {
  return &f == &tcb.first ? no_index : index_of(cx, tcb, f);
}
Flight& place(Context& cx, Tcb& tcb, uint32_t index) { return index == no_index ? tcb.first : cx.flights[index]; }

// The record `gone` is another's now.
void move_places(Tcb& tcb, uint32_t gone, uint32_t to) {
  auto& from = tcb.from;
  for (uint32_t* p : {&from.sacked[0], &from.sacked[1], &from.sacked[2], &from.lost, &from.undecided})
    if (*p == gone) *p = to;
}

// `f`, which was sent again, stands behind `previous` (no_index: at the front).
void link_resent(Context& cx, Tcb& tcb, Flight& f, uint32_t previous) {
  uint32_t index = index_of(cx, tcb, f);
  uint32_t& link = previous == no_index ? tcb.resent_head : at(cx, tcb, previous).resent.next;
  f.resent = {link, previous};
  link = index;
  (f.resent.next == no_index ? tcb.resent_tail : at(cx, tcb, f.resent.next).resent.prev) = index;
}

void unlink_resent(Context& cx, Tcb& tcb, const Flight& f) {
  (f.resent.prev == no_index ? tcb.resent_head : at(cx, tcb, f.resent.prev).resent.next) = f.resent.next;
  (f.resent.next == no_index ? tcb.resent_tail : at(cx, tcb, f.resent.next).resent.prev) = f.resent.prev;
}

// A connection may have as many records as are free besides: a peer that SACKs single bytes leaves half of them to the
// others' scoreboards.
uint32_t take_record(Context& cx, Tcb& tcb) {
  if (tcb.flights >= cx.flights.free_count()) return no_index;
  ++tcb.flights;
  return cx.flights.take();
}

void give_record(Context& cx, Tcb& tcb, uint32_t index) {
  --tcb.flights;
  cx.flights.give(index);
}

// The record at `index`, the one behind the first, becomes the first.
void move_to_first(Context& cx, Tcb& tcb, uint32_t index) {
  Flight& f = tcb.first = cx.flights[index];
  give_record(cx, tcb, index);
  if (f.is_resent()) {
    (f.resent.prev == no_index ? tcb.resent_head : at(cx, tcb, f.resent.prev).resent.next) = Flight::in_tcb;
    (f.resent.next == no_index ? tcb.resent_tail : at(cx, tcb, f.resent.next).resent.prev) = Flight::in_tcb;
  }
  if (searching(tcb)) move_places(tcb, index, no_index);
}

bool split(Context& cx, Tcb& tcb, Flight& f, Seq where) {
  uint32_t index = take_record(cx, tcb);
  if (index == no_index) return false;
  Flight& rest = cx.flights[index];
  rest = f;
  rest.seq = where;
  rest.set_node(node_of(cx, f.node(), where));
  f.end = where;
  if (&last_flight(cx, tcb) == &f) tcb.flight_tail = index;
  f.next = index;
  if (f.is_resent()) link_resent(cx, tcb, rest, index_of(cx, tcb, f));
  return true;
}

bool alike(const Flight& a, const Flight& b) {
  return a.state == b.state && a.sent_at == b.sent_at && a.sends == b.sends;
}

// `f` swallows the one behind it.
void swallow_next(Context& cx, Tcb& tcb, Flight& f) {
  uint32_t index = f.next;
  const Flight& gone = cx.flights[index];
  if (gone.is_resent()) unlink_resent(cx, tcb, gone);
  if (searching(tcb)) move_places(tcb, index, place_of(cx, tcb, f));
  f.end = gone.end;
  f.next = gone.next;
  if (f.sent_at < gone.sent_at) f.sent_at = gone.sent_at;
  if (tcb.flight_tail == index && &f != &tcb.first) tcb.flight_tail = index_of(cx, tcb, f);
  give_record(cx, tcb, index);
}

// Was it the first transmission that arrived, although there was a second? (RFC8985-6.2.2) The ACK of a duplicate echoes
// an earlier one's timestamp anyhow (RFC7323-5.3R3).
bool answers_an_earlier_sending(const Context& cx, const Tcb& tcb, const Flight& f, const Delivered& told) {
  if (f.sends == 1) return false;
  uint32_t ts_then = static_cast<uint32_t>(f.sent_at.ms()) + tcb.ts_offset;
  bool is_known_late = told.has_echo(tcb) && static_cast<int32_t>(told.by->ts_ecr - ts_then) < 0;
  if (is_known_late && !told.answers_duplicate(tcb)) return true;
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
  if (tcb.absent != 0 && in_round(tcb, tcb.rack.fack) && before(f.end, tcb.rack.fack)) told.reordered = true;
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
    tcb.first = Flight::sent(seq, end, cx.now, node);
    if (tcb.limit == Limit::idle) all_sent(cx, tcb);
    return;
  }
  Flight& last = last_flight(cx, tcb);
  bool alike = last.sent_at == cx.now && last.sends == 1 && last.state == Flight::flying;
  uint32_t index = alike ? no_index : take_record(cx, tcb);
  if (index == no_index) {
    bool flew = last.state == Flight::flying;
    if (!flew) {  // no record is free: what is known of the last is forgotten
      tcb.absent -= last.length();
      if (last.state == Flight::sacked) tcb.sacked -= last.length();
      last.state = Flight::flying;
    }
    if (last.sends > 1) {
      if (flew) unlink_resent(cx, tcb, last);
      link_resent(cx, tcb, last, tcb.resent_tail);
    }
    last.end = end;
    last.sent_at = cx.now;
    return;
  }
  cx.flights[index] = Flight::sent(seq, end, cx.now, node);
  last.next = index;
  tcb.flight_tail = index;
}

void flight_resent(Context& cx, Tcb& tcb, Flight& f, uint32_t length) {
  if (length < f.length()) split(cx, tcb, f, f.seq + length);
  if (f.state == Flight::lost) tcb.absent -= f.length();
  if (f.is_resent()) unlink_resent(cx, tcb, f);
  f.state = Flight::flying;
  f.sent_at = cx.now;
  f.sends = static_cast<uint8_t>(std::min(f.sends + 1, 63)) & 63;
  link_resent(cx, tcb, f, tcb.resent_tail);
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
      f.set_node(node_of(cx, f.node(), una));
      return;
    }
    if (f.is_resent()) unlink_resent(cx, tcb, f);
    uint32_t index = f.next;
    if (index == no_index) {
      f.seq = f.end;
      return;
    }
    move_to_first(cx, tcb, index);
  }
}

namespace {

// From where to search for `left`: the nearest known place before it. nullptr: [left, right) is SACKed already, as
// blocks mostly are that an ACK repeats.
Flight* search_from(Context& cx, Tcb& tcb, Seq left, Seq right) {
  Flight* best = &tcb.first;
  for (uint32_t index : tcb.from.sacked) {
    Flight& f = place(cx, tcb, index);
    if (f.state == Flight::sacked && before_eq(f.seq, left) && before_eq(right, f.end)) return nullptr;
    if (before(f.seq, left) && before(best->seq, f.seq)) best = &f;
  }
  return best;
}

void remember_place(Context& cx, Tcb& tcb, const Flight& f) {
  uint32_t index = place_of(cx, tcb, f);
  auto& known = tcb.from.sacked;
  if (index == known[0]) return;
  if (index != known[1]) known[2] = known[1];
  known[1] = known[0];
  known[0] = index;
}

}  // namespace

// RFC6675-4U, RFC2018-5a: marked, and kept until it is acknowledged.
void flight_sacked(Context& cx, Tcb& tcb, Seq left, Seq right, Delivered& told) {
  if (!searching(tcb)) tcb.from = {};
  Flight* f = search_from(cx, tcb, left, right);
  if (f == nullptr) return;
  Flight* previous = nullptr;
  Flight* seen = f;
  uint32_t steps = 0;
  for (; f != nullptr && before(f->seq, right) && steps < most_steps; previous = f, f = next(cx, *f), ++steps) {
    seen = f;
    if (before_eq(f->end, left) || f->state == Flight::sacked) continue;
    if (before(f->seq, left)) {
      split(cx, tcb, *f, left);  // the rest is the next one
      continue;
    }
    if (after(f->end, right) && !split(cx, tcb, *f, right)) break;
    note_delivery(cx, tcb, *f, f->length(), told);
    if (f->is_resent()) unlink_resent(cx, tcb, *f);
    if (f->state != Flight::lost) tcb.absent += f->length();
    tcb.sacked += f->length();
    f->state = Flight::sacked;
    if (previous != nullptr && previous->state == Flight::sacked) {
      swallow_next(cx, tcb, *previous);
      f = previous;
    }
    while (f->next != no_index && cx.flights[f->next].state == Flight::sacked) swallow_next(cx, tcb, *f);
    seen = f;
  }
  remember_place(cx, tcb, *seen);
}

void flight_lost(Context& cx, Tcb& tcb, Flight& f, uint32_t length) {
  if (f.state != Flight::flying) return;
  if (!searching(tcb)) tcb.from = {};
  if (length < f.length()) split(cx, tcb, f, f.seq + length);
  if (f.is_resent()) unlink_resent(cx, tcb, f);
  bool first = tcb.absent == tcb.sacked || before(f.seq, place(cx, tcb, tcb.from.lost).seq);
  if (first) tcb.from.lost = place_of(cx, tcb, f);
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

// What is marked `as` flies again.
static void forget(Context& cx, Tcb& tcb, Flight::State as) {
  if (!in_flight(tcb)) return;
  tcb.from = {};
  for (Flight* f = &tcb.first; f != nullptr; f = next(cx, *f)) {
    if (f->state != as) continue;
    f->state = Flight::flying;
    tcb.absent -= f->length();
    if (as == Flight::sacked) tcb.sacked -= f->length();
    if (f->sends > 1) link_resent(cx, tcb, *f, tcb.resent_tail);
  }
}
void flight_forget_lost(Context& cx, Tcb& tcb) { forget(cx, tcb, Flight::lost); }
void flight_forget_sacked(Context& cx, Tcb& tcb) { forget(cx, tcb, Flight::sacked); }

void flight_drop(Context& cx, Tcb& tcb) {
  for (uint32_t index = tcb.first.next; in_flight(tcb) && index != no_index;) {
    uint32_t after_it = cx.flights[index].next;
    give_record(cx, tcb, index);
    index = after_it;
  }
  tcb.first.end = tcb.first.seq;
  tcb.first.next = no_index;
  tcb.absent = tcb.sacked = 0;
  tcb.resent_head = tcb.resent_tail = no_index;
}

Flight* first_lost(Context& cx, Tcb& tcb) {
  if (tcb.absent == tcb.sacked) return nullptr;
  Flight* f = &place(cx, tcb, tcb.from.lost);
  if (f->state == Flight::lost) return f;
  for (Flight* n = next(cx, *f); n != nullptr && n->state != Flight::lost; n = next(cx, *f)) {
    // On the way, what was sent again in one turn becomes one stretch.
    if (alike(*f, *n))
      swallow_next(cx, tcb, *f);
    else
      f = n;
  }
  tcb.from.lost = place_of(cx, tcb, *f);
  return next(cx, *f);
}

Duration flight_overdue(Context& cx, Tcb& tcb, Instant sent_at, Seq end, Duration window) {
  Duration wait{};
  auto due = [&](Flight& f) {  // false: it is too early to say, or it left later
    if (sent_at < f.sent_at || (sent_at == f.sent_at && before_eq(end, f.end))) return false;
    if (f.sent_at + window <= cx.now) {
      flight_lost(cx, tcb, f, f.length());
      return true;
    }
    Duration rest = f.sent_at + window - cx.now;
    if (wait.ns == 0 || rest < wait) wait = rest;
    return false;
  };
  // What was sent once left in the order of its numbers; what was sent again has a list.
  Flight* f = searching(tcb) ? &place(cx, tcb, tcb.from.undecided) : &tcb.first;
  for (;; f = next(cx, *f)) {
    if (f->state == Flight::flying && f->sends == 1 && !due(*f)) break;
    if (f->next == no_index) break;
  }
  tcb.from.undecided = place_of(cx, tcb, *f);
  for (uint32_t index = tcb.resent_head; index != no_index;) {
    Flight& resent = at(cx, tcb, index);
    index = resent.resent.next;
    if (!due(resent)) break;
  }
  return wait;
}

}  // namespace millrace::tcp
