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
  out.receive_mss = s.cx.own_mss;
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

uint32_t diagnose_next(const Stack& s, Instant now, DiagnosticsCursor& at, uint32_t steps, std::span<Diagnostics> rows) {
  uint32_t filled = 0;
  for (; steps > 0 && filled < rows.size() && !at.done(); --steps, ++at.index) {
    uint32_t places = at.kind == Kind::tcb         ? s.cx.tcbs.capacity()
                      : at.kind == Kind::half_open ? s.half_opens.capacity()
                                                   : s.time_waits.capacity();
    if (at.index == places) {
      at.over = at.kind == Kind::time_wait;
      at.kind = at.kind == Kind::tcb ? Kind::half_open : Kind::time_wait;
      at.index = UINT32_MAX;  // the next step begins at 0
      continue;
    }
    if (at.kind == Kind::tcb) {
      const Tcb& tcb = s.cx.tcbs[at.index];
      if (tcb.state != State::closed) diagnose(s, tcb, now, rows[filled++]);
    } else if (at.kind == Kind::half_open) {
      if (s.half_opens[at.index].in_use) diagnose(s, s.half_opens[at.index], rows[filled++]);
    } else if (s.time_waits[at.index].alive) {
      diagnose(s, s.time_waits[at.index], rows[filled++]);
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

}  // namespace millrace::stack
