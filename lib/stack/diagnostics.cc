// SPDX-License-Identifier: BSD-3-Clause
// What can be asked of a stack's connections, records and listeners, one by one or in bounded steps.
#include "stack/diagnostics.h"

#include "stack/internals.h"
#include "tcp/accounts.h"

namespace millrace::stack {
namespace {

void put_key(const wire::FlowKey& key, Diagnostics& out) {
  out.local = key.local;
  out.remote = key.remote;
  out.local_port = key.local_port;
  out.remote_port = key.remote_port;
}

void put_options(uint8_t options, Diagnostics& out) {
  out.timestamps = options & wire::opt_timestamps;
  out.sack = options & wire::opt_sack_permitted;
  out.window_scaling = options & wire::opt_wscale;
}

void diagnose(const Stack& s, const Tcb& tcb, Instant now, Diagnostics& out) {
  out = {};
  out.connection = s.cx.id_of(tcb);
  put_key(tcb.key, out);
  tcp::diagnose(s.cx, tcb, now, out);
  out.path_mtu = tcb.path_mtu != 0 ? tcb.path_mtu : s.config.mtu;
}

void diagnose(const Stack& s, const HalfOpen& record, Diagnostics& out) {
  out = {};
  put_key(record.key, out);
  out.state = State::syn_received;
  put_options(record.options, out);
  out.ecn = record.ecn;
  out.send_wscale = record.wscale;
  out.receive_wscale = record.own_wscale;
  out.peer_mss = record.mss;
  const Listener* listener = s.listener_of(record.listener);
  out.receive_mss = listener != nullptr ? listener->own_mss : s.cx.own_mss;
  out.send_window = record.wnd;
  out.receive_buffer = record.receive_buffer;
  out.resent_segments = record.sent > 1 ? record.sent - 1u : 0;
  out.timer = record.sent > 0 ? Timer::retransmit : Timer::none;
}

void diagnose(const Stack& s, const TimeWait& record, Diagnostics& out) {
  out = {};
  put_key(record.key, out);
  out.state = State::time_wait;
  out.timestamps = record.ts_ok;
  out.life_at = record.since + s.cx.params.time_wait;
}

}  // namespace

bool diagnostics(const Stack& s, ConnectionId connection, Instant now, Diagnostics& out) {
  const Tcb* tcb = s.find(connection);
  if (tcb != nullptr) diagnose(s, *tcb, now, out);
  return tcb != nullptr;
}

static uint32_t places(const Stack& s, Kind kind) {
  return kind == Kind::tcb ? s.cx.tcbs.capacity() : kind == Kind::half_open ? s.half_opens.capacity()
                                                                            : s.time_waits.capacity();
}

// A kind that has none of the states is passed over in one step.
static bool may_have(Kind kind, const DiagnosticsFilter& filter) {
  if (kind == Kind::half_open) return filter.has(State::syn_received);
  if (kind == Kind::time_wait) return filter.has(State::time_wait);
  constexpr uint32_t never = DiagnosticsFilter::bit(State::time_wait) | DiagnosticsFilter::bit(State::listen) |
                             DiagnosticsFilter::bit(State::closed);
  return (filter.states & ~never) != 0;
}

uint32_t diagnose_next(const Stack& s, Instant now, DiagnosticsCursor& at, uint32_t steps, std::span<Diagnostics> rows,
                       const DiagnosticsFilter& filter) {
  uint32_t filled = 0;
  auto fill = [&](State state, const auto& record, auto... when) {
    if (filter.matches(state, record.key)) diagnose(s, record, when..., rows[filled++]);
  };
  for (; steps > 0 && filled < rows.size() && !at.done(); --steps, ++at.index) {
    if (at.index >= places(s, at.kind) || !may_have(at.kind, filter)) {
      at.over = at.kind == Kind::time_wait;
      at.kind = at.kind == Kind::tcb ? Kind::half_open : Kind::time_wait;
      at.index = UINT32_MAX;  // the next step begins at 0
      continue;
    }
    if (at.kind == Kind::tcb) {
      const Tcb& tcb = s.cx.tcbs[at.index];
      if (tcb.state != State::closed) fill(tcb.state, tcb, now);
    } else if (at.kind == Kind::half_open) {
      if (s.half_opens[at.index].in_use) fill(State::syn_received, s.half_opens[at.index]);
    } else if (s.time_waits[at.index].alive) {
      fill(State::time_wait, s.time_waits[at.index]);
    }
  }
  return filled;
}

uint32_t listener_places(const Stack& s) { return static_cast<uint32_t>(s.listening.size()); }

bool diagnostics(const Stack& s, uint32_t listener, ListenerDiagnostics& out) {
  const Listener& l = s.listening[listener];
  if (l.port == 0 || s.listeners.find(l.address, l.port) != listener) return false;
  out = {};
  out.token = l.token;
  if (!l.address.is_unspecified()) out.address = l.address;
  out.port = l.port;
  out.channel = l.channel;
  out.backlog = l.backlog;
  out.untold = l.untold;
  out.half_open = l.half_open;
  out.accepted = l.accepted;
  out.cookies = s.cx.now < l.cookies_until;
  return true;
}

uint32_t neighbor_places(const Stack& s) { return s.neighbors.size(); }

bool diagnostics(const Stack& s, uint32_t neighbor, NeighborDiagnostics& out) {
  using Shown = NeighborDiagnostics::State;
  const Neighbor& n = s.neighbors[static_cast<uint16_t>(neighbor)];
  if (n.state == Neighbor::State::unused) return false;
  Shown state = n.fixed                                   ? Shown::permanent
                : n.state == Neighbor::State::incomplete ? Shown::incomplete
                : n.state == Neighbor::State::reachable  ? Shown::reachable
                : n.state == Neighbor::State::probing    ? Shown::probe
                                                         : Shown::failed;
  out = {n.address, n.usable() ? MacAddress{n.mac} : MacAddress{}, state, n.users, n.asked, n.next_at};
  return true;
}

}  // namespace millrace::stack
