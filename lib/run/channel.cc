// SPDX-License-Identifier: BSD-3-Clause
// Both sides of a Channel. (millrace/channel.h, run/channel.h)
#include "run/channel.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ensure.h"
#include "base/limits.h"
#include "nic/eal.h"
#include "nic/mempool.h"
#include "run/worker.h"
#include "stack/diagnostics.h"

namespace millrace {

// --- the core's side ---

ChannelHost::ChannelHost(run::Worker& owner, uint32_t channel_number, bool inlined, uint32_t ring_size)
    : worker(owner),
      number(channel_number),
      is_inline(inlined),
      clock(owner.clock()),
      event_slots_(ring_size),
      request_slots_(ring_size, Request{}) {
  channel.host_ = this;
  channel.events_.init(event_slots_.data(), ring_size);
  channel.requests_.init(request_slots_.data(), ring_size);
  // A thread of its own knows itself when it comes first; only inline there are turns to count.
  channel.turn_ = is_inline ? 0 : 1;
  channel.wakes_core_ = !is_inline && worker.wakeup().is_open();
  if (!is_inline) reader.open();
  worker.output().events[number] = {event_slots_.data(), ring_size - 1, 0, ring_size};
}

void ChannelHost::publish() {
  Ring<Event>& ring = channel.events_;
  uint32_t written = worker.output().events[number].next - ring.tail();
  if (written == 0) return;
  ring.advance(written);
  ring.publish();
  if (!is_inline) reader.wake();
}

void ChannelHost::call(const Application& application) {
  if (call_by != Instant{} && call_by <= channel.now()) call_by = {};  // that is now
  application(channel);
  ++channel.turn_;
}

bool ChannelHost::has_more() {
  return !spilled_.empty() || (is_inline && channel.has_events());
}

void ChannelHost::end() {
  ended.store(true, std::memory_order_release);
  reader.signal();
}

void ChannelHost::begin() {
  channel.turn_ = 0;
}

void ChannelHost::look() {
  channel.events_.refresh_head();
}

void ChannelHost::reclaim() {
  Ring<Event>& ring = channel.events_;
  uint32_t head = ring.head_copy();
  if (reclaimed == head) return;
  stack::requests_wait(worker.stack(), number, channel.requests_.available() != 0 || !spilled_.empty());
  for (; reclaimed != head; ++reclaimed) {
    worker.ensure_release_room();
    stack::reclaim(worker.stack(), ring.slot(reclaimed), worker.output());
  }
  worker.output().events[number].end = reclaimed + ring.capacity();
}

uint32_t ChannelHost::take_requests() {
  stack::Stack& stack = worker.stack();
  if (!spilled_.empty()) [[unlikely]] {
    uint32_t taken = take_spilled(limits::requests_per_turn);
    if (!spilled_.empty()) return taken;
  }
  Ring<Request>& ring = channel.requests_;
  uint32_t left = std::min(ring.available(), limits::requests_per_turn);
  uint32_t taken = 0;
  while (left > 0) {
    if (stack::requests_blocked(stack, number)) [[unlikely]] {
      spill();
      break;
    }
    // Up to the end of the slots, then from their beginning.
    uint32_t run = std::min(left, ring.capacity() - (ring.head() & ring.mask()));
    worker.ensure_release_room();
    stack::request(stack, number, {&ring.front(), run}, worker.output());
    ring.consume(run);
    left -= run;
    taken += run;
  }
  if (taken != 0) ring.give_back();
  return taken;
}

uint32_t ChannelHost::take_spilled(uint32_t limit) {
  auto left = static_cast<uint32_t>(std::min<size_t>(limit, spilled_.size() - spilled_head_));
  if (stack::requests_blocked(worker.stack(), number)) {
    spill();  // what has come meanwhile stands behind
    return 0;
  }
  worker.ensure_release_room();
  stack::request(worker.stack(), number, {spilled_.data() + spilled_head_, left}, worker.output());
  spilled_head_ += left;
  if (spilled_head_ == spilled_.size()) {
    spilled_.clear();
    spilled_head_ = 0;
  }
  return left;
}

void ChannelHost::spill() {
  Ring<Request>& ring = channel.requests_;
  uint32_t count = ring.available();
  for (uint32_t i = 0; i < count; ++i) spilled_.push_back(ring.front(i));
  ring.consume(count);
  ring.give_back();
}

void ChannelHost::read_all() {
  for (Event& event : channel.events()) static_cast<void>(event);
}

// Inline the core is at hand and takes requests at once; a thread waits for it. The core always takes some,
// so this ends.
bool ChannelHost::make_room() {
  Ring<Request>& ring = channel.requests_;
  if (is_inline && !ended.load(std::memory_order_relaxed)) {
    while (ring.room() == 0) {
      take_requests();
      if (!spilled_.empty()) spill();
      ring.refresh_head();
    }
    return true;
  }
  constexpr uint32_t pauses_before_yield = 1000;  // the worker may wait for this very CPU
  for (uint32_t pauses = 0; !ended.load(std::memory_order_acquire); ++pauses) {
    ring.refresh_head();
    if (ring.room() != 0) return true;
    if (pauses < pauses_before_yield)
      __builtin_ia32_pause();
    else
      sched_yield();
  }
  return false;
}

void ChannelHost::discard(const Request& request) {
  if (request.kind != Request::send && request.kind != Request::recycle && request.kind != Request::diagnose) return;
  for (uint8_t i = 0; i < request.slice_count; ++i)
    if (request.slices[i] && request.slices[i].origin != Slice::registered)
      nic::release({&request.slices[i].packet, 1});
}

// --- the application's side ---

static ChannelHost& host_of(void* host) {
  return *static_cast<ChannelHost*>(host);
}

Request& Channel::next_request() {
  ChannelHost& host = host_of(host_);
  bool usable = !host.ended.load(std::memory_order_relaxed) && (requests_.room() != 0 || host.make_room());
  Request& request = usable ? requests_.next() : host.discarded;
  request.slice_count = 0;
  request.urgent = false;
  request.more = false;
  request.backlog = 0;
  request.max_segment = 0;
  return request;
}

void Channel::submit() {
  ChannelHost& host = host_of(host_);
  // Between next_request() and here the ring cannot fill up: this thread is its only producer.
  if (host.discarded.kind != Request::none) [[unlikely]] {
    host.discard(host.discarded);
    host.discarded.kind = Request::none;
    return;
  }
  requests_.advance(1);
  requests_.publish();
  if (wakes_core_) wake_core();
}

uint32_t Channel::core() const {
  return host_of(host_).worker.core();
}

uint32_t Channel::owner(Ipv4Address local, uint16_t local_port, Ipv4Address remote, uint16_t remote_port) const {
  const nic::Port& port = std::as_const(host_of(host_).worker).port();
  return port.steering == nullptr ? 0 : port.steering->owner({local, remote, local_port, remote_port, 4});
}

Instant Channel::now() const {
  ChannelHost& host = host_of(host_);
  return host.is_inline ? host.worker.now() : host.clock.at(nic::read_cycles());
}

void Channel::listen(const Listen& arguments) {
  Request& request = next_request();
  request.kind = Request::listen;
  request.backlog = static_cast<uint16_t>(std::min(arguments.backlog, 65535u));
  request.max_segment = arguments.max_segment;
  request.token = arguments.token;
  request.open = {arguments.address, IpAddress{}, arguments.port, 0, arguments.options};
  submit();
}

void Channel::unlisten(uint16_t port, Ipv4Address address) {
  Request& request = next_request();
  request.kind = Request::unlisten;
  request.token = 0;
  request.open = {address, IpAddress{}, port, 0, Options{}};
  submit();
}

void Channel::connect(const Connect& arguments) {
  Request& request = next_request();
  request.kind = Request::connect;
  request.token = arguments.token;
  request.max_segment = arguments.max_segment;
  request.open = {arguments.local, arguments.address, arguments.local_port, arguments.port,
                  arguments.options};
  submit();
}

void Channel::send(ConnectionId connection, Slice slice, bool more) {
  Request& request = next_request();
  request.kind = Request::send;
  request.more = more;
  request.connection = connection;
  request.slice_count = 1;
  request.slices[0] = slice;
  submit();
}

bool Channel::send(ConnectionId connection, std::span<const uint8_t> text) {
  constexpr size_t few = 32;
  ChannelHost& host = host_of(host_);
  size_t room = host.worker.app_pool().room();
  size_t count = (text.size() + room - 1) / room;
  Slice few_slices[few];
  std::vector<Slice> many_slices(count > few ? count : 0);
  std::span<Slice> slices = count > few ? std::span<Slice>(many_slices) : std::span<Slice>(few_slices, count);
  if (!host.is_inline) nic::register_thread();
  if (!nic::take_slices(host.worker.app_pool(), slices)) return false;
  for (size_t i = 0; i < count; ++i) {
    auto part = text.subspan(i * room, std::min(text.size() - i * room, room));
    std::memcpy(slices[i].mutable_data(), part.data(), part.size());
    slices[i].length = static_cast<uint16_t>(part.size());
  }
  for (size_t i = 0; i < count; i += Request::max_slices) {
    Request& request = next_request();
    request.kind = Request::send;
    request.connection = connection;
    request.slice_count = static_cast<uint8_t>(std::min<size_t>(count - i, Request::max_slices));
    request.more = i + request.slice_count < count;
    for (uint8_t k = 0; k < request.slice_count; ++k) request.slices[k] = slices[i + k];
    submit();
  }
  return true;
}

void Channel::recycle(Slice slice) {
  Request& request = next_request();
  request.kind = Request::recycle;
  request.connection = ConnectionId{};
  request.slice_count = 1;
  request.slices[0] = slice;
  submit();
}

void Channel::shutdown(ConnectionId connection) {
  Request& request = next_request();
  request.kind = Request::shutdown;
  request.connection = connection;
  submit();
}

void Channel::close(ConnectionId connection) {
  Request& request = next_request();
  request.kind = Request::close;
  request.connection = connection;
  submit();
}

void Channel::abort(ConnectionId connection) {
  Request& request = next_request();
  request.kind = Request::abort;
  request.connection = connection;
  submit();
}

void Channel::set(ConnectionId connection, Setting setting, uint64_t value) {
  Request& request = next_request();
  request.kind = Request::set;
  request.connection = connection;
  request.setting = {setting, value};
  submit();
}

Slice Channel::allocate() {
  ChannelHost& host = host_of(host_);
  if (!host.is_inline) nic::register_thread();
  return nic::take_slice(host.worker.app_pool());
}

bool Channel::diagnose(ConnectionId connection) {
  Slice buffer = allocate();
  if (!buffer) return false;
  Request& request = next_request();
  request.kind = Request::diagnose;
  request.connection = connection;
  request.slice_count = 1;
  request.slices[0] = buffer;
  submit();
  return true;
}

bool Channel::diagnostics(ConnectionId connection, Diagnostics& out) const {
  ChannelHost& host = host_of(host_);
  ensure(host.is_inline);
  return stack::diagnostics(host.worker.stack(), connection, now(), out);
}

bool Channel::addresses(ConnectionId connection, Ipv4Address& local, uint16_t& local_port,
                        Ipv4Address& remote, uint16_t& remote_port) const {
  ChannelHost& host = host_of(host_);
  ensure(host.is_inline);
  wire::FlowKey key;
  if (!stack::addresses(host.worker.stack(), connection, key)) return false;
  local = key.local;
  local_port = key.local_port;
  remote = key.remote;
  remote_port = key.remote_port;
  return true;
}

const Counters& Channel::counters() const {
  return stack::counters(host_of(host_).worker.stack());
}

}  // namespace millrace
