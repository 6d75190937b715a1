// SPDX-License-Identifier: BSD-3-Clause
// What the stack tells, the clock, and calls that wait.
#include "tests/packetdrill/sockets.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace millrace::packetdrill {
namespace {

constexpr int64_t epoch_s = 1'700'000'000;
constexpr Duration longest_wait = seconds(3600);

// The time at which this thread's call was done. The script's thread goes on with the clock meanwhile, but this one
// reads it once more to say when its call returned.
thread_local Instant call_done_at = Instant::never();

int error_of(Event::Reason reason) {
  switch (reason) {
    case Event::reset: return ECONNRESET;
    case Event::refused: return ECONNREFUSED;
    case Event::timed_out: return ETIMEDOUT;
    case Event::unreachable: return EHOSTUNREACH;
    case Event::in_use: return EADDRINUSE;
    case Event::no_port: return EADDRNOTAVAIL;
    case Event::no_memory: return ENOMEM;
    case Event::invalid: return EINVAL;
    default: return 0;
  }
}

}  // namespace

int fail(int error) {
  errno = error;
  return -1;
}

int fail_ipv6() {
  std::fprintf(stderr, "millrace: there is no IPv6 here: --ip_version=ipv4, or ipv4-mapped-ipv6\n");
  return fail(EAFNOSUPPORT);
}

Sockets::Sockets(Profile profile)
    : machine_(std::move(profile), [this](Event& e) { on_event(e); }), states_file_(std::getenv("MILLRACE_SOCKETS")) {}

Sockets::~Sockets() {
  if (machine_.sent.empty()) return;
  std::fprintf(stderr, "millrace: %zu packets were sent that no line of the script expects\n", machine_.sent.size());
}

// --- tables ---

Socket* Sockets::find(int fd) {
  auto at = sockets_.find(fd);
  return at == sockets_.end() ? nullptr : at->second.get();
}

// A connection's, when it has a name; before, it has but its token. What is accepted has its listener's for some time.
Socket* Sockets::of(const Event& e) {
  for (auto& [fd, s] : sockets_)
    if (e.connection && s->id == e.connection) return s.get();
  auto at = by_token_.find(e.token);
  return at != by_token_.end() && at->second->kind != Socket::listening ? at->second : nullptr;
}

Socket& Sockets::add(bool ipv6) {
  auto s = std::make_unique<Socket>();
  s->ipv6 = ipv6;
  s->fd = eventfd(0, EFD_CLOEXEC);
  s->token = next_token_++;
  s->send_buffer = machine_.profile.send_buffer;
  by_token_[s->token] = s.get();
  // A number that was closed behind our back, and given to us again.
  if (Socket* old = find(s->fd)) {
    old->fd = -1;
    closed_.push_back(std::move(sockets_[s->fd]));
  }
  Socket& added = *s;
  sockets_[s->fd] = std::move(s);
  return added;
}

// --- what the stack tells ---

void Sockets::on_event(Event& e) {
  switch (e.kind) {
    case Event::accepted: return on_accepted(e);
    case Event::failed: return on_failed(e);
    default: break;
  }
  Socket* found = of(e);
  if (found == nullptr) return;
  Socket& s = *found;
  switch (e.kind) {
    case Event::connected:
      s.id = e.connection;
      s.kind = Socket::connected;
      s.text_at = machine_.now();
      learn_addresses(s);
      end_connect_timeout(s);
      set_keepalive(s);
      ++s.outs;
      break;
    case Event::received:
      if (e.length == 0) break;
      if (s.read_shut && machine_.profile.freebsd) break;  // taken, and read by nobody
      s.text_bytes += e.length;
      s.text.push_back(e.keep());
      s.text_at = machine_.now();
      ++s.ins;
      break;
    case Event::peer_closed:
      s.peer_closed = true;
      ++s.ins;
      break;
    case Event::sent: ++s.outs; break;
    case Event::closed: return on_closed(s, e);
    default: break;
  }
}

void Sockets::learn_addresses(Socket& s) {
  wire::FlowKey key;
  if (!stack::addresses(machine_.stack(), s.id, key)) return;
  s.local = {key.local, key.local_port};
  s.remote = {key.remote, key.remote_port};
}

// TCP_KEEPINIT was of the handshake alone: from here on the user timeout is the usual one again.
void Sockets::end_connect_timeout(Socket& s) {
  if (s.connect_timeout_s == 0) return;
  uint64_t usual = s.user_timeout_ms > 0 ? (s.user_timeout_ms + 999) / 1000 : machine_.params().r2.ms() / 1000;
  set_live(s, Setting::user_timeout_s, usual);
}

void Sockets::on_accepted(const Event& e) {
  auto at = by_token_.find(e.token);
  if (at == by_token_.end() || at->second->kind != Socket::listening) return;
  Socket& listener = *at->second;
  Socket& s = add(listener.ipv6);
  s.kind = Socket::connected;
  s.id = e.connection;
  s.text_at = machine_.now();
  s.local = listener.local;
  s.options = listener.options;
  s.send_buffer = listener.send_buffer;
  s.max_segment = listener.max_segment;
  s.corked = listener.corked;
  s.user_timeout_ms = listener.user_timeout_ms;
  s.values = listener.values;
  learn_addresses(s);
  Request r = request(s, Request::set);
  r.setting = {Setting::token, s.token};
  machine_.ask(r);
  set_keepalive(s);
  listener.waiting.push_back(&s);
  ++listener.ins;
}

void Sockets::on_closed(Socket& s, const Event& e) {
  // FreeBSD tells what ICMP has refused as if the peer had.
  bool refused = e.reason == Event::reset || (e.reason == Event::unreachable && machine_.profile.freebsd);
  s.last_error = s.error = s.kind == Socket::connecting && refused ? ECONNREFUSED : error_of(e.reason);
  if (e.reason == Event::finished) s.peer_closed = true;
  s.kind = Socket::gone;
  ++s.ins;
  ++s.outs;
}

void Sockets::on_failed(Event& e) {
  if (e.packet) return;  // a send that came too late; the machine takes the buffer back with the event
  auto at = by_token_.find(e.token);
  if (at == by_token_.end()) return;
  Socket& s = *at->second;
  if (s.kind != Socket::connecting && s.kind != Socket::listening) return;
  s.error = error_of(e.reason);
  s.kind = Socket::gone;
}

// --- the clock and those who wait for it ---

void Sockets::settle() {
  for (bool again = true; again;) {
    let_go_due();
    machine_.run();
    again = false;
    for (auto at = waiters_.begin(); at != waiters_.end();) {
      Waiter& w = **at;
      bool done = w.attempt();
      if (!done && w.deadline > machine_.now()) {
        ++at;
        continue;
      }
      w.done = true;
      w.at = machine_.now();
      at = waiters_.erase(at);
      again = true;
    }
  }
  write_states();
  woken_.notify_all();
}

bool Sockets::block(Lock& lock, const Attempt& attempt, Instant deadline) {
  settle();
  if (attempt()) {
    settle();
    return true;
  }
  if (deadline <= machine_.now()) return false;
  if (std::this_thread::get_id() == script_) return wait_alone(attempt, deadline);
  bool succeeded = false;
  Waiter w{[&] { return succeeded = attempt(); }, deadline, false, {}};
  waiters_.push_back(&w);
  woken_.wait(lock, [&] { return w.done; });
  call_done_at = w.at;
  return succeeded;
}

Instant Sockets::next_event() const {
  Instant at = machine_.next_deadline();
  for (const Waiter* w : waiters_) at = std::min(at, w->deadline);
  for (const auto& [fd, s] : sockets_) at = std::min(at, s->kept.until);
  return at;
}

// A call of the thread that moves the clock: of timers it can be told, of packets it cannot.
bool Sockets::wait_alone(const Attempt& attempt, Instant deadline) {
  Instant limit = std::min(deadline, machine_.now() + longest_wait);
  while (machine_.now() < limit) {
    Instant at = std::max(std::min(next_event(), limit), machine_.now());
    machine_.advance(at);
    settle();
    if (attempt()) {
      settle();
      return true;
    }
  }
  if (limit < deadline)
    std::fprintf(stderr, "millrace: a call that the script does not expect to wait would wait for ever\n");
  return false;
}

void Sockets::move_to(Instant to) {
  while (next_event() <= to) {
    Instant at = std::max(next_event(), machine_.now());
    machine_.advance(at);
    settle();
  }
  machine_.advance(to);
}

int Sockets::sleep(uint64_t us) {
  Lock lock(mutex_);
  move_to(machine_.now() + microseconds(us));
  return 0;
}

int Sockets::time_of_day(timeval* tv) {
  Lock lock(mutex_);
  Instant at = std::exchange(call_done_at, Instant::never());
  if (at == Instant::never()) {
    // Whoever spins on the clock must see it move.
    move_to(machine_.now() + microseconds(1));
    at = machine_.now();
  }
  tv->tv_sec = epoch_s + static_cast<int64_t>(at.us() / 1'000'000);
  tv->tv_usec = static_cast<suseconds_t>(at.us() % 1'000'000);
  return 0;
}

// --- the wire ---

int Sockets::packet_in(const void* packet, size_t length) {
  Lock lock(mutex_);
  std::span<const uint8_t> bytes{static_cast<const uint8_t*>(packet), length};
  if (length < 20) return fail(EINVAL);
  if (bytes[0] >> 4 != 4) {  // with IPv4 in IPv6's clothes the RST that ends a script comes so, too
    if (!heard_ipv4_) fail_ipv6();
    return 0;
  }
  heard_ipv4_ = true;
  if (!machine_.started()) machine_.start(ipv4(bytes[16], bytes[17], bytes[18], bytes[19]));
  machine_.inject(bytes);
  settle();
  return 0;
}

// From timer to timer until there is a packet. With a bound: keep-alives of an idle connection never end.
int Sockets::packet_out(void* packet, size_t* length, long long* time_us) {
  Lock lock(mutex_);
  Instant limit = machine_.now() + longest_wait;
  while (machine_.sent.empty()) {
    Instant at = next_event();
    if (at > limit) {
      *length = 0;
      return 0;
    }
    machine_.advance(std::max(at, machine_.now()));
    settle();
  }
  Packet p = std::move(machine_.sent.front());
  machine_.sent.pop_front();
  if (p.ip.size() > *length) return fail(EMSGSIZE);
  std::memcpy(packet, p.ip.data(), p.ip.size());
  *length = p.ip.size();
  *time_us = epoch_s * 1'000'000 + static_cast<long long>(p.at.us());
  return 0;
}

}  // namespace millrace::packetdrill
