// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/applications.h"

namespace millrace::sim {
namespace {

constexpr uint16_t server_port = 7;
constexpr uint64_t listener_token = 1u << 30;      // no connection's number
constexpr Duration patience = seconds(90);         // then keep-alive finds out whether the peer is there
constexpr Duration crossing_round = seconds(7);    // both ends open at the same time, or try again at the next
constexpr Duration listener_stays = seconds(2);

}  // namespace

Peer::Peer(const Plan& plan, Registry& registry, bool client)
    : plan_(plan), own_(plan.host[client ? 0 : 1]), registry_(registry), client_(client), random_(plan.seed * 31 + client) {
  for (uint32_t i = plan.connections; i < count_of(plan); ++i) crossings_.push_back(i);
}

Options Peer::options() const {
  Options o;
  o.no_delay = plan_.no_delay;
  o.report_sent = 1;
  o.immediate_ack = own_.immediate_ack;
  o.keepalive = own_.keepalive;
  o.congestion = own_.congestion;
  o.user_timeout_s = own_.user_timeout_s;
  return o;
}

// --- what comes ---

Peer::Connection& Peer::open(Host& host, const Event& event, uint32_t number, uint32_t attempt) {
  Connection c;
  c.id = event.connection;
  c.number = number;
  c.attempt = attempt;
  c.script = Script::of(plan_, number, client_);
  c.any_end = may_end_anyhow(plan_, number);
  Script other = Script::of(plan_, number, !client_);
  c.echo = is_echo(plan_, number);
  c.expected = c.echo && client_ ? c.script.length : other.length;
  if (c.echo && !client_) c.script.closes_early = false;
  c.heard_at = host.now;
  return open_.emplace(event.connection.value, c).first->second;
}

bool Peer::opened(Host& host, Event& event) {
  if (open_.count(event.connection.value) != 0) throw Broken{"opened twice"};
  if (event.kind == Event::connected) {
    --waiting_;
    uint32_t number = static_cast<uint32_t>(event.token);
    wire::FlowKey key;
    uint32_t attempt = no_index;
    if (!is_crossing(plan_, number)) attempt = registry_.latest(number);  // it may have ended already, and its slot be another's
    if (!is_crossing(plan_, number) && addresses(*host.stack, event.connection, key))
      attempt = registry_.attempt(key.local_port, host.stack->cx.tcbs[event.connection.slot()].iss, number);
    open(host, event, number, attempt);
    if (is_crossing(plan_, number)) registry_.crossed.insert(number);
    return false;
  }
  wire::FlowKey key;
  if (!addresses(*host.stack, event.connection, key)) return false;
  const tcp::Tcb& tcb = host.stack->cx.tcbs[event.connection.slot()];
  auto known = registry_.by_iss.find({key.remote_port, tcb.irs.value});
  if (known == registry_.by_iss.end()) {
    // One of some millions of numbers is a cookie by chance, and every late ACK is looked at as one.
    if (!registry_.cookies) throw Broken{"accepted what nobody has connected"};
    Request r;
    r.kind = Request::abort;
    r.connection = event.connection;
    host.ask(r);
    return false;
  }
  Registry::Attempt& attempt = registry_.attempts[known->second];
  Connection& c = open(host, event, attempt.number, known->second);
  // A SYN or a cookie that comes once more may open a connection that the client has left behind.
  c.ghost = attempt.served || attempt.client_over;
  attempt.served = true;
  return false;
}

bool Peer::received(Host& host, Connection& c, Event& event) {
  if (c.peer_closed || c.closed) throw Broken{"text after FIN or closed"};
  // An echo gives the client its own bytes back.
  bool from_client = c.echo ? true : !client_;
  if (auto wrong = first_wrong(c.number, from_client, c.received, event.bytes()))
    throw Broken{"connection " + std::to_string(c.number) + ": wrong byte at " + std::to_string(*wrong)};
  c.received += event.length;
  if (c.received > c.expected) throw Broken{"more bytes than were sent"};
  if (c.echo && !client_ && !c.aborted) {
    if (c.blocked || !c.refused.empty())
      c.refused.push_back(event.keep());
    else
      send(host, c, event.keep(), false);
    return true;
  }
  if (plan_.slow_reader && random_.below(3) == 0) {
    uint32_t most = random_.below(100) == 0 ? 20'000 : 500;
    kept_.push_back({event.keep(), host.now + milliseconds(1 + random_.below(most))});
    return true;
  }
  return false;
}

// Urgent data ends where the peer said (RFC9293-MUST-33).
void Peer::urgent(const Connection& c, uint32_t ahead) {
  const auto& ends = registry_.urgent[{c.number, !client_}];
  // What lies further ahead than the pointer's 16 bits can say is told in steps (RFC9293-MUST-31).
  bool on_the_way = !ends.empty() && *ends.rbegin() > c.received + ahead && *ends.rbegin() > 65535;
  if (ends.count(c.received + ahead) == 0 && !on_the_way)
    throw Broken{"connection " + std::to_string(c.number) + ": urgent up to " + std::to_string(c.received + ahead) +
                 ", which nobody said"};
}

void Peer::closed(Connection& c, Event::Reason reason) {
  if (c.closed) throw Broken{"closed twice"};
  c.closed = true;
  ++finished_;
  bool crossing = is_crossing(plan_, c.number);
  bool served = crossing || c.attempt == no_index || registry_.attempts[c.attempt].served;
  if (client_ && !crossing && c.attempt != no_index) registry_.attempts[c.attempt].client_over = true;
  if (c.any_end || c.ghost) return;
  bool gone = reason == Event::reset || reason == Event::timed_out || reason == Event::unreachable;
  if (!client_ && !crossing && registry_.attempts[c.attempt].undone) return;
  // The server has never heard of it: the last ACK of the handshake was lost, or came when there was no place. With
  // cookies it may hear of it only after a bare ACK that had overtaken the first text, and got a RST.
  if (client_ && (!served || registry_.cookies) && gone && c.received == 0 && !c.peer_closed) {
    if (c.attempt != no_index && !crossing) registry_.attempts[c.attempt].undone = true;
    --finished_;
    wait_again(c.number);
    return;
  }
  if (plan_.forgets() && reason == Event::reset && c.received == c.expected && c.peer_closed) return;
  std::string who = "connection " + std::to_string(c.number) + " at the " + (client_ ? "client" : "server");
  if (reason != Event::finished) throw Broken{who + " ended with " + name(reason)};
  if (c.received != c.expected || !c.peer_closed)
    throw Broken{who + " finished with " + std::to_string(c.received) + " of " + std::to_string(c.expected) + " bytes"};
}

void Peer::wait_again(uint32_t number) { (is_crossing(plan_, number) ? crossings_ : again_).push_back(number); }

void Peer::not_connected(const Event& event) {
  --waiting_;
  uint32_t number = static_cast<uint32_t>(event.token);
  bool crossing = is_crossing(plan_, number);
  bool expected = event.reason == Event::timed_out || event.reason == Event::unreachable || event.reason == Event::refused ||
                  event.reason == Event::no_port || event.reason == Event::no_memory ||
                  ((crossing || plan_.wraps >= 0) && event.reason == Event::in_use);
  if (!expected) throw Broken{std::string{"a connect ended with "} + name(event.reason)};
  if (crossing && registry_.crossed.count(number) != 0) {  // the other end had its answer, and has ended since
    if (!may_end_anyhow(plan_, number)) throw Broken{"refused, and the other end is connected"};
    return;
  }
  wait_again(number);
}

bool Peer::failed(Host&, Event& event) {
  auto it = open_.find(event.connection.value);
  if (!event.connection && event.reason != Event::stale) {
    not_connected(event);
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
    if (it != open_.end() && !it->second.aborted && !it->second.any_end && !it->second.ghost && event.reason != Event::stale)
      throw Broken{"a send was refused"};
    return false;
  }
  Connection& c = it->second;
  c.queued -= event.length;
  if (!c.blocked) c.come_back = 0;
  c.blocked = true;
  if (!c.echo || client_) return false;  // made anew when there is room
  c.refused.insert(c.refused.begin() + c.come_back++, event.keep());  // before what came later
  return true;
}

bool Peer::on_event(Host& host, Event& event) {
  auto it = open_.find(event.connection.value);
  switch (event.kind) {
    case Event::listening: return false;
    case Event::failed: return failed(host, event);
    case Event::connected:
    case Event::accepted: return opened(host, event);
    default: break;
  }
  if (it == open_.end()) {
    bool ours = client_ || is_crossing(plan_, event.token);
    if (event.kind == Event::closed && ours) not_connected(event);
    return false;
  }
  Connection& c = it->second;
  c.heard_at = host.now;
  switch (event.kind) {
    case Event::received: return received(host, c, event);
    case Event::urgent: urgent(c, event.length); return false;
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

// --- what is asked ---

void Peer::send(Host& host, Connection& c, const Slice& slice, bool own) {
  Request r;
  r.kind = Request::send;
  r.connection = c.id;
  r.slice_count = 1;
  r.slices[0] = slice;
  c.queued += slice.length;
  if (own && plan_.urgent && random_.below(10) == 0) {
    r.urgent = true;
    registry_.urgent[{c.number, client_}].insert(c.queued);
  }
  r.more = own && c.queued < c.script.length && random_.below(4) == 0;
  host.ask(r);
}

void Peer::send_own(Host& host, Connection& c) {
  for (int n = 0; n < 4 && !c.blocked && c.queued < c.script.length; ++n) {
    uint32_t length = std::min({c.script.chunk, c.script.length - c.queued, 1800u});
    Slice s = host.buffer(length);
    if (!s) return;
    fill(c.number, client_, c.queued, {s.mutable_data(), length});
    send(host, c, s, true);
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

bool Peer::ends_in_the_middle(Host& host, Connection& c) {
  if (!c.script.aborts || (c.received + c.queued <= 500 && random_.below(50) != 0)) return false;
  Request r;
  r.kind = c.script.by_close ? Request::close : Request::abort;
  r.connection = c.id;
  host.ask(r);
  return c.aborted = true;
}

void Peer::work(Host& host, Connection& c) {
  if (c.closed) return;
  if (host.now - c.heard_at > patience && !c.asks) {
    Request r;
    r.kind = Request::set;
    r.connection = c.id;
    r.setting = {Setting::keepalive, 60};
    host.ask(r);
    c.asks = true;
  }
  if (c.aborted || ends_in_the_middle(host, c)) return;
  if (!c.echo || client_) {
    send_own(host, c);
  } else if (!c.refused.empty() && !c.blocked) {  // one a turn: what fits is not known
    send(host, c, c.refused.front(), false);
    c.refused.erase(c.refused.begin());
  }
  finish_sending(host, c);
}

void Peer::listen(Host& host) {
  if (listening_ && host.now < listener_until_) return;
  Request r;
  r.token = listener_token;
  r.backlog = plan_.backlog;
  r.open = {};
  r.open.local_port = server_port;
  r.open.options = options();
  r.kind = listening_ ? Request::unlisten : Request::listen;
  host.ask(r);
  listening_ = !listening_;
  // It leaves once for long, and is back for good.
  listener_until_ = Instant::never();
  if (!plan_.listener_leaves || listener_left_) return;
  if (!listening_) listener_left_ = true;
  listener_until_ = host.now + milliseconds(random_.below(static_cast<uint32_t>(listener_stays.ms())));
}

void Peer::connect(Host& host, uint32_t number) {
  Request r;
  r.kind = Request::connect;
  r.token = number;
  r.open = {};
  wire::LocalAddresses own = plan_.local(client_ ? 0 : 1), other = plan_.local(client_ ? 1 : 0);
  r.open.remote = other.first;
  r.open.remote_port = server_port;
  r.open.options = options();
  if (plan_.is_crowd() && !is_crossing(plan_, number)) {
    constexpr uint32_t nobody = 20;  // addresses behind the peer's that no host has
    r.open.local = Ipv4Address{own.first.value + random_.below(own.count)};
    r.open.remote = Ipv4Address{other.first.value + random_.below(other.count + nobody)};
  }
  if (is_crossing(plan_, number)) {
    r.open.local_port = static_cast<uint16_t>((client_ ? 20'000 : 30'000) + number);
    r.open.remote_port = static_cast<uint16_t>((client_ ? 30'000 : 20'000) + number);
  } else if (plan_.wraps >= 0 && registry_.attempts.empty()) {
    r.open.local_port = host.stack->config.first_port;
  }
  host.ask(r);
  ++waiting_;
}

void Peer::connect_all(Host& host) {
  while (waiting_ + open_.size() < plan_.at_once && (asked_ < plan_.connections || !again_.empty())) {
    if (asked_ < plan_.connections) {
      connect(host, asked_++);
      continue;
    }
    if (random_.below(200) != 0) return;
    connect(host, again_.back());
    again_.pop_back();
  }
}

void Peer::cross(Host& host) {
  uint64_t round = host.now.ns / crossing_round.ns + 1;
  if (crossings_.empty()) return;
  if (round != crossed_) {
    crossed_ = round;
    std::vector<uint32_t> now;
    now.swap(crossings_);
    for (uint32_t number : now) connect(host, number);
  }
  next_work_ = std::min(next_work_, Instant{round * crossing_round.ns});
}

// The server may hear of a connection before the client looks at its events.
void Peer::on_asked(Host& host) {
  if (!client_) registry_.cookies = host.stack->cx.counters[Count::syn_cookies_sent] > 0;
  if (!client_ || waiting_ == 0) return;
  for (uint32_t i = 0; i < host.stack->cx.tcbs.capacity(); ++i) {
    const tcp::Tcb& tcb = host.stack->cx.tcbs[i];
    uint32_t number = static_cast<uint32_t>(tcb.token);
    if (tcb.state != tcp::State::closed && !is_crossing(plan_, number))
      registry_.attempt(tcb.key.local_port, tcb.iss, number);
  }
}

void Peer::on_turn(Host& host) {
  next_work_ = Instant::never();
  if (!client_) {
    listen(host);
    next_work_ = listener_until_;
  } else {
    connect_all(host);
  }
  cross(host);
  for (size_t i = 0; i < kept_.size();) {
    if (kept_[i].until <= host.now) {
      host.recycle(kept_[i].slice);
      kept_.erase(kept_.begin() + static_cast<ptrdiff_t>(i));
    } else {
      next_work_ = std::min(next_work_, kept_[i++].until);
    }
  }
  for (auto& [id, c] : open_) {
    work(host, c);
    // Whoever waits for a buffer or a place asks again soon.
    bool soon = !c.closed && !c.aborted && !c.blocked && (c.queued < c.script.length || !c.refused.empty() || c.script.aborts);
    if (soon) next_work_ = std::min(next_work_, host.now + milliseconds(1));
    if (!c.asks) next_work_ = std::min(next_work_, c.heard_at + patience + milliseconds(1));
  }
  if (client_ && (asked_ < plan_.connections || !again_.empty()))
    next_work_ = std::min(next_work_, host.now + milliseconds(10));
}

bool Peer::done() const {
  return (!client_ || asked_ == plan_.connections) && waiting_ == 0 && again_.empty() && crossings_.empty() && open_.empty() &&
         kept_.empty();
}

std::string Peer::unfinished() const {
  std::string text = std::to_string(waiting_) + " connecting, " + std::to_string(again_.size() + crossings_.size()) +
                     " to try again, " + std::to_string(open_.size()) + " open, " + std::to_string(kept_.size()) + " kept:";
  for (const auto& [id, c] : open_)
    text += " #" + std::to_string(c.number) + (c.echo ? "e" : "") + " queued " + std::to_string(c.queued) + "/" +
            std::to_string(c.script.length) + " received " + std::to_string(c.received) + "/" +
            std::to_string(c.expected) + (c.blocked ? " blocked" : "") + (c.shut ? " shut" : "") +
            (c.peer_closed ? " peer closed" : "") + (c.aborted ? " aborted" : "") + (c.ghost ? " ghost" : "");
  return text;
}

}  // namespace millrace::sim
