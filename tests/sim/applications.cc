// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/applications.h"

namespace millrace::sim {

Script Script::of(const Plan& plan, uint32_t number, bool client) {
  Random r{plan.seed * 1000003 + number * 2 + client};
  Script s{};
  s.length = r.below(4) == 0 ? r.below(plan.longest_stream) : r.below(3000);
  s.closes_early = client ? r.below(2) : r.below(3) == 0;
  s.aborts = r.below(20) == 0;
  // Each send takes a buffer of its own, however small: what is long is not sent by single bytes.
  s.chunk = 1 + s.length / 500 + (r.below(2) ? r.below(100) : r.below(1800));
  return s;
}

bool is_echo(const Plan& plan, uint32_t number) { return Random{plan.seed * 7 + number}.below(2) == 0; }

uint8_t content(uint32_t number, bool client, uint32_t at) {
  uint64_t word = (uint64_t{number} * 2 + client) * 0x9e3779b97f4a7c15 + at / 8 * 0xbf58476d1ce4e5b9;
  word ^= word >> 29;
  return static_cast<uint8_t>(word >> at % 8 * 8);
}

void Peer::open(Host& host, const Event& event, uint32_t number) {
  Connection c;
  c.id = event.connection;
  c.number = number;
  c.script = Script::of(plan_, number, client_);
  Script other = Script::of(plan_, number, !client_);
  c.echo = is_echo(plan_, number);
  c.expect_abort = other.aborts || c.script.aborts;
  c.expected = c.echo && client_ ? c.script.length : other.length;
  if (c.echo && !client_) c.script.closes_early = false;
  open_.emplace(event.connection.value, c);
  if (!c.expect_abort) return;
  // The peer's RST may be lost: then keep-alive finds out.
  Request r;
  r.kind = Request::set;
  r.connection = c.id;
  r.setting = {Setting::keepalive, 60};
  host.ask(r);
}

void Peer::send(Host& host, Connection& c, const Slice& slice) {
  Request r;
  r.kind = Request::send;
  r.connection = c.id;
  r.slice_count = 1;
  r.slices[0] = slice;
  c.queued += slice.length;
  host.ask(r);
}

bool Peer::received(Host& host, Connection& c, Event& event) {
  if (c.peer_closed || c.closed) throw Broken{"text after FIN or closed"};
  // An echo gives the client its own bytes back.
  bool from_client = c.echo ? true : !client_;
  for (uint32_t i = 0; i < event.length; ++i)
    if (event.data()[i] != content(c.number, from_client, c.received + i))
      throw Broken{"connection " + std::to_string(c.number) + ": wrong byte at " + std::to_string(c.received + i)};
  c.received += event.length;
  if (c.received > c.expected) throw Broken{"more bytes than were sent"};
  if (c.echo && !client_ && !c.aborted) {
    if (c.blocked || !c.refused.empty())
      c.refused.push_back(event.keep());
    else
      send(host, c, event.keep());
    return true;
  }
  if (plan_.slow_reader && random_.below(3) == 0) {
    kept_.push_back({event.keep(), host.now + milliseconds(1 + random_.below(500))});
    return true;
  }
  return false;
}

void Peer::closed(Connection& c, Event::Reason reason) {
  if (c.closed) throw Broken{"closed twice"};
  c.closed = true;
  ++finished_;
  if (c.expect_abort) return;
  // A full ring of TIME-WAIT records forgets the oldest, and the peer's last FIN finds nobody.
  bool forgotten = plan_.time_wait < 1024 && reason == Event::reset && c.received == c.expected && c.peer_closed;
  if (forgotten) return;
  if (reason != Event::finished)
    throw Broken{"connection " + std::to_string(c.number) + " ended with " + name(reason) + " at the " +
                 (client_ ? "client" : "server")};
  if (c.received != c.expected || !c.peer_closed)
    throw Broken{"connection " + std::to_string(c.number) + " finished with " + std::to_string(c.received) + " of " +
                 std::to_string(c.expected) + " bytes"};
}

bool Peer::failed(Host& host, Event& event) {
  auto it = open_.find(event.connection.value);
  if (event.reason == Event::no_port || event.reason == Event::no_memory) {
    --waiting_;
    again_.push_back(static_cast<uint32_t>(event.token));
    return false;
  }
  if (event.reason == Event::full && !event.packet && event.length == 0 && it != open_.end()) {
    it->second.shut = false;  // a shutdown behind refused sends
    return false;
  }
  if (event.reason != Event::full && event.reason != Event::stale && event.reason != Event::closing)
    throw Broken{std::string{"failed: "} + name(event.reason)};
  if (!event.packet) return false;
  if (it == open_.end() || it->second.aborted || event.reason != Event::full) {
    if (it != open_.end() && !it->second.aborted && !it->second.expect_abort) throw Broken{"a send was refused"};
    return false;
  }
  Connection& c = it->second;
  c.queued -= event.length;
  if (!c.blocked) c.come_back = 0;
  c.blocked = true;
  if (!c.echo || client_) return false;  // made anew when there is room
  c.refused.insert(c.refused.begin() + c.come_back++, event.keep());  // before what came later
  (void)host;
  return true;
}

bool Peer::on_event(Host& host, Event& event) {
  auto it = open_.find(event.connection.value);
  switch (event.kind) {
    case Event::listening: return false;
    case Event::failed: return failed(host, event);
    case Event::connected: {
      --waiting_;
      wire::FlowKey key;
      if (!addresses(*host.stack, event.connection, key)) {  // it has ended already, and `closed` follows
        open(host, event, static_cast<uint32_t>(event.token));
        return false;
      }
      open(host, event, static_cast<uint32_t>(event.token));
      return false;
    }
    case Event::accepted: {
      wire::FlowKey key;
      if (it != open_.end()) throw Broken{"accepted twice"};
      if (!addresses(*host.stack, event.connection, key)) return false;
      auto known = registry_.by_client_port.find(key.remote_port);
      if (known == registry_.by_client_port.end()) throw Broken{"accepted what nobody has connected"};
      open(host, event, known->second);
      return false;
    }
    default: break;
  }
  if (it == open_.end()) {
    if (event.kind == Event::closed && client_) {  // never connected
      --waiting_;
      if (event.reason == Event::timed_out || event.reason == Event::unreachable || event.reason == Event::refused)
        again_.push_back(static_cast<uint32_t>(event.token));
      else
        throw Broken{std::string{"a connect ended with "} + name(event.reason)};
    }
    return false;
  }
  Connection& c = it->second;
  switch (event.kind) {
    case Event::received: return received(host, c, event);
    case Event::peer_closed:
      if (c.peer_closed) throw Broken{"FIN told twice"};
      c.peer_closed = true;
      return false;
    case Event::sent:
      c.acked += event.length;
      if (c.acked > c.queued) throw Broken{"more acknowledged than sent"};
      return false;
    case Event::writable: c.blocked = false; return false;
    case Event::closed:
      closed(c, event.reason);
      for (const Slice& s : c.refused) host.recycle(s);
      open_.erase(it);
      return false;
    default: return false;
  }
}

void Peer::finish_sending(Host& host, Connection& c) {
  Request r;
  r.connection = c.id;
  bool echo_server = c.echo && !client_;
  bool all_queued = echo_server ? c.peer_closed && c.refused.empty() && c.queued == c.received && !c.blocked
                                : c.queued == c.script.length;
  if (!all_queued || c.shut) return;
  if (c.peer_closed && c.acked == c.queued) {
    r.kind = Request::close;
  } else if (c.peer_closed) {
    r.kind = Request::shutdown;
  } else if (c.script.closes_early || (client_ && (c.echo || !Script::of(plan_, c.number, false).closes_early))) {
    r.kind = Request::shutdown;  // somebody has to begin
  } else {
    return;
  }
  c.shut = true;
  host.ask(r);
}

void Peer::work(Host& host, Connection& c) {
  if (c.closed || c.aborted) return;
  if (c.script.aborts && (c.received + c.queued > 500 || random_.below(50) == 0)) {
    Request r;
    r.kind = Request::abort;
    r.connection = c.id;
    host.ask(r);
    c.aborted = true;
    return;
  }
  if (c.echo && !client_) {
    while (!c.refused.empty() && !c.blocked) {
      send(host, c, c.refused.front());
      c.refused.erase(c.refused.begin());
      break;  // one a turn: what fits is not known
    }
  } else {
    for (int n = 0; n < 4 && !c.blocked && c.queued < c.script.length; ++n) {
      uint32_t length = std::min({c.script.chunk, c.script.length - c.queued, 1800u});
      Slice s = host.buffer(length);
      if (!s) break;
      for (uint32_t i = 0; i < length; ++i) s.mutable_data()[i] = content(c.number, client_, c.queued + i);
      send(host, c, s);
    }
  }
  finish_sending(host, c);
}

void Peer::on_turn(Host& host) {
  if (!listening_ && !client_) {
    Request r;
    r.kind = Request::listen;
    r.token = 1;
    r.backlog = 64;
    r.open = {};
    r.open.local_port = 7;
    r.open.options.no_delay = plan_.no_delay;
    r.open.options.report_sent = 1;
    host.ask(r);
  }
  listening_ = true;
  while (client_ && waiting_ + open_.size() < 60 && (asked_ < plan_.connections || !again_.empty())) {
    uint32_t number = asked_;
    if (asked_ < plan_.connections) {
      ++asked_;
    } else {
      if (random_.below(200) != 0) break;
      number = again_.back();
      again_.pop_back();
    }
    Request r;
    r.kind = Request::connect;
    r.token = number;
    r.open = {};
    r.open.remote = ipv4(10, 0, 0, 2);
    r.open.remote_port = 7;
    r.open.options.no_delay = plan_.no_delay;
    r.open.options.report_sent = 1;
    host.ask(r);
    ++waiting_;
  }
  next_work_ = Instant::never();
  for (size_t i = 0; i < kept_.size();) {
    if (kept_[i].until <= host.now) {
      host.recycle(kept_[i].slice);
      kept_.erase(kept_.begin() + static_cast<ptrdiff_t>(i));
    } else {
      next_work_ = std::min(next_work_, kept_[i++].until);
    }
  }
  for (auto& [id, c] : open_) work(host, c);
  // Whoever waits for a buffer or a place asks again soon.
  for (auto& [id, c] : open_)
    if (!c.closed && !c.aborted && (c.queued < c.script.length || !c.refused.empty() || c.script.aborts))
      next_work_ = std::min(next_work_, host.now + milliseconds(1));
  if (client_ && (asked_ < plan_.connections || !again_.empty()))
    next_work_ = std::min(next_work_, host.now + milliseconds(10));
  if (!client_) return;
  // The server may hear of a connection before the client looks at its events.
  for (uint32_t i = 0; i < host.stack->cx.tcbs.capacity(); ++i) {
    const tcp::Tcb& tcb = host.stack->cx.tcbs[i];
    if (tcb.state != tcp::State::closed) registry_.by_client_port[tcb.key.local_port] = static_cast<uint32_t>(tcb.token);
  }
}

bool Peer::done() const {
  return (!client_ || (asked_ == plan_.connections && waiting_ == 0 && again_.empty())) && open_.empty() && kept_.empty();
}

std::string Peer::unfinished() const {
  std::string text = std::to_string(waiting_) + " connecting, " + std::to_string(again_.size()) + " to try again, " +
                     std::to_string(open_.size()) + " open, " + std::to_string(kept_.size()) + " kept:";
  for (const auto& [id, c] : open_)
    text += " #" + std::to_string(c.number) + (c.echo ? "e" : "") + " queued " + std::to_string(c.queued) + "/" +
            std::to_string(c.script.length) + " received " + std::to_string(c.received) + "/" +
            std::to_string(c.expected) + (c.blocked ? " blocked" : "") + (c.shut ? " shut" : "") +
            (c.peer_closed ? " peer closed" : "") + (c.aborted ? " aborted" : "");
  return text;
}

}  // namespace millrace::sim
