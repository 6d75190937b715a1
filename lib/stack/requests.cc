// SPDX-License-Identifier: BSD-3-Clause
// The second call of a turn: user calls. Requests name connections that may be cold, so the whole batch is fetched
// before the first is served.
#include <cstring>

#include "stack/diagnostics.h"
#include "stack/internals.h"
#include "tcp/isn.h"
#include "tcp/user_calls.h"

namespace millrace::stack {

void fail(Stack& s, uint32_t channel, Event::Reason reason, ConnectionId connection, uint64_t token,
          const Slice* slice) {
  s.cx.count(Count::requests_failed);
  Event e;
  e.kind = Event::failed;
  e.reason = reason;
  e.connection = connection;
  e.token = token;
  if (slice != nullptr && slice->origin != Slice::registered) {
    // The window that it was charged to is free of it: it is the application's own now.
    if (slice->lent()) s.cx.uncharge(slice->origin, slice->length);
    e.packet = slice->packet;
    e.offset = slice->offset;
  }
  if (slice != nullptr) e.length = slice->length;
  s.failed[channel].push(e);
}

namespace {

// OPEN, passive: a place in the listener table and nothing else, so it disturbs no connection (RFC9293-MUST-41) and is
// possible whatever state connections with this local port are in (RFC9293-MUST-42).
void listen(Stack& s, uint32_t channel, const Request& request) {
  const OpenArguments& open = request.open;
  Ipv4Address address = open.local.is_unspecified() ? Ipv4Address{} : open.local.v4();
  bool valid = open.local_port != 0 && (address.is_unspecified() || s.config.local.contains(address));
  if (!valid || s.closing) return fail(s, channel, s.closing ? Event::closing : Event::invalid, {}, request.token);
  auto added = s.listeners.add(address, open.local_port);
  if (added.index == no_index) return fail(s, channel, added.refused, {}, request.token);
  Listener& listener = s.listening[added.index];
  uint32_t generation = listener.generation + 1;
  listener = {request.token, address, open.options, generation, std::max<uint32_t>(request.backlog, 1), 0,
              open.local_port, s.cx.advertised_mss(request.max_segment), static_cast<uint8_t>(channel), 0, 0, Instant{}};
  if (s.config.board != nullptr) s.config.board->add(open.local_port);
  Event e;
  e.kind = Event::listening;
  e.token = request.token;
  s.failed[channel].push(e);
}

void unlisten(Stack& s, uint32_t channel, const Request& request) {
  const OpenArguments& open = request.open;
  Ipv4Address address = open.local.is_unspecified() ? Ipv4Address{} : open.local.v4();
  uint32_t index = open.local_port != 0 ? s.listeners.find(address, open.local_port) : no_index;
  if (index == no_index || s.listening[index].address != address)
    return fail(s, channel, Event::invalid, {}, request.token);
  ++s.listening[index].generation;
  s.listeners.remove(index);
  if (s.config.board != nullptr) s.config.board->remove(open.local_port);
}

// May a connection to this address be opened? (RFC9293-MUST-46)
bool connectable(const Stack& s, Ipv4Address remote) {
  return !remote.is_unspecified() && !remote.is_multicast() && !remote.is_limited_broadcast() && !remote.is_loopback() &&
         !s.config.local.is_subnet_broadcast(remote) && !s.config.local.contains(remote);
}

void choose_port(Stack& s, Opening& o) {
  if (o.key.local_port != 0) {
    const wire::Steering* steering = s.config.steering;
    if (steering != nullptr && steering->owner(o.key) != s.config.core) o.refused = Event::other_core;  // its answers go there
    return;
  }
  o.pool = s.ports.pool_for(o.key.local, o.key.remote, o.key.remote_port);
  if (o.pool == no_index)
    o.refused = Event::no_memory;
  else if (!s.ports.take(o.pool, o.key.local_port))
    o.refused = Event::no_port;
}

// What can be said of all OPENs of a burst before the first is done: so that the table's lines come together.
Opening prepare(Stack& s, const OpenArguments& open) {
  Opening o{{}, 0, no_index, Event::no_reason};
  // RFC9293-MUST-43, -44; only our own is taken, below (RFC1122-3.2.1.3b)
  o.key.local = open.local.is_unspecified() ? s.config.local.first : open.local.v4();
  o.key.remote = open.remote.is_v4() ? open.remote.v4() : Ipv4Address{};
  o.key.local_port = open.local_port;
  o.key.remote_port = open.remote_port;
  if (s.closing) {
    o.refused = Event::closing;
  } else if (!connectable(s, o.key.remote) || o.key.remote_port == 0 || !s.config.local.contains(o.key.local)) {
    o.refused = Event::invalid;
  } else {
    choose_port(s, o);
  }
  if (o.refused != Event::no_reason) return o;
  o.tag = s.tag_of(o.key);
  s.flows.prefetch(o.tag);
  return o;
}

struct Taken {
  Event::Reason refused = Event::no_reason;
  wire::Seq above;  // of the TIME-WAIT record that was taken over
  bool took_over = false;
};

// Is this 4-tuple free, or a TIME-WAIT record of ours that may be taken over? That is so once the timestamp clock has
// ticked: then PAWS keeps the old connection's duplicates out (RFC 6191, RFC6056-2.2).
bool free_tuple(Stack& s, const Opening& o, Taken& taken) {
  Number n = s.find(o.tag, o.key);
  if (!n) return true;
  if (n.kind() != Kind::time_wait) return false;
  const TimeWait& record = s.time_waits[n.index()];
  if (!record.ts_ok || s.cx.now.ms() <= record.since.ms()) return false;
  taken.above = record.snd_nxt + 0x10000;
  taken.took_over = true;
  s.cx.count(Count::time_wait_taken_over);
  end_time_wait(s, n.index());
  return true;
}

Taken take_tuple(Stack& s, Opening& o) {
  Taken taken;
  if (o.pool == no_index) {
    if (!free_tuple(s, o, taken)) taken.refused = Event::in_use;
    return taken;
  }
  // A port that cannot be used all the same was chosen explicitly, is a listener's (RFC6056-3.2a), or is in TIME-WAIT
  // too young to be taken over, as all behind it then are: a few tries do.
  for (int tries = 0; tries < 8; ++tries) {
    if (!s.listeners.has_port(o.key.local_port) && free_tuple(s, o, taken)) return taken;
    s.ports.put_back(o.pool, o.key.local_port);
    if (tries == 7 || !s.ports.take(o.pool, o.key.local_port)) break;
    o.tag = s.tag_of(o.key);
  }
  taken.refused = Event::no_port;
  return taken;
}

// OPEN, active (RFC 9293 3.10.1).
void connect(Stack& s, uint32_t channel, const Request& request, Opening& o) {
  const OpenArguments& open = request.open;
  if (o.refused != Event::no_reason) o = prepare(s, open);  // a request before it may have made room meanwhile
  if (o.refused != Event::no_reason) return fail(s, channel, o.refused, {}, request.token);
  uint16_t hop = next_hop(s, o.key.remote);
  bool has_room = s.cx.tcbs.free_count() != 0;
  if (hop == Neighbors::none || !has_room) {
    if (o.pool != no_index) s.ports.put_front(o.pool, o.key.local_port);
    return fail(s, channel, has_room ? Event::unreachable : Event::no_memory, {}, request.token);
  }
  Taken taken = take_tuple(s, o);
  if (taken.refused != Event::no_reason) return fail(s, channel, taken.refused, {}, request.token);

  Tcb* tcb = new_tcb(s, o.key, o.tag, hop, open.options, channel, request.token);
  tcp::Initial initial = tcp::initial_numbers(s.cx.isn_secret, o.key, s.cx.now);
  if (taken.took_over && wire::before(initial.iss, taken.above)) initial.iss = taken.above;
  tcb->port_pool = static_cast<uint16_t>(o.pool);  // no_index becomes none
  tcb->own_mss = s.cx.advertised_mss(request.max_segment);
  tcb->set(tcp::active | tcp::send_syn);
  tcb->iss = initial.iss;
  tcb->snd.una = tcb->snd.nxt = tcb->snd.max = initial.iss;
  tcb->end = initial.iss + 1;
  tcb->ts_offset = initial.ts_offset;
  ensure(s.flows.insert(o.tag, Number::make(Kind::tcb, s.cx.index_of(*tcb))));
  tcp::set_state(*tcb, State::syn_sent);
  s.cx.count(Count::active_opens);
  s.cx.want_output(*tcb);
  if (open.options.report_opening) s.cx.tell(*tcb, tcp::pend_opened);
}

// The answer is written into the buffer that came with the question.
void diagnose(Stack& s, uint32_t channel, const Request& request) {
  const Slice& slice = request.slices[0];
  Diagnostics answer;
  Event::Reason refused = Event::no_reason;
  if (request.slice_count != 1 || slice.lent() || slice.origin == Slice::registered || slice.length < sizeof answer)
    refused = Event::invalid;
  else if (!diagnostics(s, request.connection, s.cx.now, answer))
    refused = Event::stale;
  if (refused != Event::no_reason) {
    fail(s, channel, refused, request.connection, 0, request.slice_count == 1 ? &slice : nullptr);
    return;
  }
  Event e;
  e.kind = Event::diagnosed;
  e.connection = request.connection;
  e.token = answer.token;
  e.packet = slice.packet;
  e.offset = slice.offset;
  e.length = sizeof answer;
  std::memcpy(slice.packet.handle + slice.offset, &answer, sizeof answer);
  s.failed[channel].push(e);
}

void send(Stack& s, uint32_t channel, const Request& request) {
  Tcb* tcb = s.find(request.connection);
  Event::Reason reason = Event::stale;
  uint64_t token = 0;
  if (tcb != nullptr) {
    token = tcb->token;
    reason = tcb->is(tcp::app_closed) ? Event::closing : tcp::send(s.cx, *tcb, request);
  }
  if (reason == Event::no_reason) return;
  if (reason == Event::full) tcb->full_unread = static_cast<uint16_t>(tcb->full_unread + request.slice_count);
  for (uint32_t i = 0; i < request.slice_count; ++i)
    fail(s, channel, reason, request.connection, token, &request.slices[i]);
}

// The calls that only name a connection.
void on_connection(Stack& s, uint32_t channel, const Request& request) {
  Tcb* tcb = s.find(request.connection);
  if (tcb == nullptr) {
    // Closing what is closed already is no mistake: the peer was faster.
    if (request.kind == Request::set || request.kind == Request::shutdown)
      fail(s, channel, Event::stale, request.connection, 0);
    return;
  }
  switch (request.kind) {
    case Request::shutdown:
      if (auto reason = tcp::shutdown(s.cx, *tcb); reason != Event::no_reason) {
        if (reason == Event::full) ++tcb->full_unread;
        fail(s, channel, reason, request.connection, tcb->token);
      }
      break;
    case Request::close:
      if (tcp::close(s.cx, *tcb) == tcp::Fate::gone) remove(s, *tcb, tcb->reason);
      break;
    case Request::abort:  // RFC9293-3.10.5
      if (tcb->state != State::syn_sent) tcb->set(tcp::rst_on_remove);
      s.cx.orphan(*tcb);
      remove(s, *tcb, Event::aborted);
      break;
    default:
      if (!tcp::set_option(s.cx, *tcb, request.setting.setting, request.setting.value))
        fail(s, channel, Event::invalid, request.connection, tcb->token);
  }
}

}  // namespace

void request(Stack& s, uint32_t channel, std::span<const Request> requests, Output& out) {
  s.cx.release = &out.release;
  ensure(requests.size() <= limits::requests_per_turn);
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& r = requests[i];
    if (r.kind == Request::connect) s.openings[i] = prepare(s, r.open);
    bool names_one = r.kind != Request::listen && r.kind != Request::unlisten && r.kind != Request::connect;
    if (!names_one || r.connection.slot() >= s.cx.tcbs.capacity()) continue;
    const char* tcb = reinterpret_cast<const char*>(&s.cx.tcbs[r.connection.slot()]);
    for (int line = 0; line < 4; ++line) __builtin_prefetch(tcb + 64 * line, 1);
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& r = requests[i];
    switch (r.kind) {
      case Request::none: break;
      case Request::listen: listen(s, channel, r); break;
      case Request::unlisten: unlisten(s, channel, r); break;
      case Request::connect: connect(s, channel, r, s.openings[i]); break;
      case Request::send: send(s, channel, r); break;
      case Request::diagnose: diagnose(s, channel, r); break;
      case Request::recycle:
        for (const Slice& slice : std::span{r.slices, r.slice_count}) s.cx.give_back(slice);
        break;
      default: on_connection(s, channel, r);
    }
  }
}

}  // namespace millrace::stack
