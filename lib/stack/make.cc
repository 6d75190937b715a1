// SPDX-License-Identifier: BSD-3-Clause
// How a Stack is built, in memory that is given to it once, and what can be asked of it from outside.
#include "stack/internals.h"

#include <bit>
#include <new>

namespace millrace::stack {
namespace {

SipKey derived(const SipKey& secret, uint64_t purpose) {
  uint64_t a[1] = {purpose};
  uint64_t b[1] = {purpose | 1ull << 63};
  return {siphash13<1>(secret, a), siphash13<1>(secret, b)};
}

void lay_out(Stack& s, const Config& c, Region& region, Instant now) {
  s.cx.tcbs.init(region, c.max_connections);
  s.cx.nodes.init(region, tcp::Context::nodes_for(c.held_limit, c.max_connections));
  s.cx.runs.init(region, c.held_limit / 4 + 1);  // never the first to be short: may_keep_out_of_order()
  s.cx.flights.init(region, c.held_limit);
  s.cx.wheel.init(region, c.max_connections + c.max_half_open, now);
  s.cx.ack_queue.ring = region.take<tcp::AckQueue::Entry>(std::bit_ceil(c.max_connections));
  s.flows.init(region, c.max_connections + c.max_half_open + c.max_time_wait);
  s.listeners.init(region, c.max_listeners);
  s.listening = region.take<Listener>(c.max_listeners);
  s.ports.init(region, c.max_port_pools, c.first_port, c.last_port, c.seed, c.steering, c.core);
  s.half_opens.init(region, c.max_half_open);
  s.time_waits.init(region, c.max_time_wait);
  s.neighbors.init(region, c.max_neighbors);
  s.paths.init(region, c.max_paths, s.flow_secret);
  for (auto& queue : s.failed) queue.ring = region.take<Event>(FailedQueue::capacity);
}

}  // namespace

size_t memory_size(const Config& config) {
  Region region;
  region.take<Stack>(1);
  Stack scratch;
  lay_out(scratch, config, region, Instant{});
  return region.used() + 64;
}

Stack* make_stack(const Config& config, std::span<std::byte> memory, Instant now) {
  ensure(config.tcp.valid() && config.max_connections > 0 && config.max_connections < 0xffffff);
  auto start = reinterpret_cast<uintptr_t>(memory.data());
  size_t skip = (64 - start % 64) % 64;
  Region region{memory.data() + skip, memory.size() - skip};
  Stack* s = region.take<Stack>(1).data();
  s->config = config;
  s->cx.params = config.tcp;
  s->cx.core = config.core;
  s->cx.now = now;
  s->cx.held_limit = config.held_limit;
  s->cx.segment_burst = config.segment_burst;
  s->cx.own_mss = static_cast<uint16_t>(config.mtu - 40);  // RFC9293-MUST-67, RFC6691-2
  s->cx.isn_secret = derived(config.secret, 1);
  s->flow_secret = derived(config.secret, 2);
  s->cookie_secret = derived(config.secret, 3);
  s->cx.run_salt = static_cast<uint32_t>(derived(config.secret, 4).k0);
  if (config.listener_half_open == 0) s->config.listener_half_open = config.max_half_open - config.max_half_open / 4;
  bool announces = config.steering == nullptr || config.core == 0;  // once for all cores
  s->to_announce = announces ? config.local.count : 0;
  lay_out(*s, config, region, now);
  for (const StaticNeighbor& n : config.neighbors) ensure(s->neighbors.fix(n.address, n.mac));
  s->config.neighbors = {};
  return s;
}

uint32_t attach(Stack& s) {
  ensure(s.channels < limits::channels);
  return s.channels++;
}

bool requests_blocked(const Stack& s, uint32_t channel) {
  return s.failed[channel].room() < limits::requests_per_turn * Request::max_slices;
}

Instant next_deadline(const Stack& s) {
  const auto& cx = s.cx;
  if (!cx.ready_small.empty() || !cx.ready_bulk.empty() || !s.ready_half_opens.empty() || s.neighbors.asking() ||
      s.to_announce > 0)
    return cx.now;
  if (!cx.waiting_for_room.empty() && cx.has_room_again(cx.tcbs[cx.waiting_for_room.first()])) return cx.now;
  Instant at = cx.wheel.next_deadline();
  if (!cx.ack_queue.empty()) at = std::min(at, cx.ack_queue.front().at);
  if (!s.time_waits.empty()) {
    const TimeWait& oldest = s.time_waits[s.time_waits.oldest()];
    at = std::min(at, oldest.since + cx.params.time_wait);
  }
  return std::min(at, s.neighbors.next_deadline());
}

Gauges gauges(const Stack& s) {
  return {s.cx.tcbs.used(), s.half_opens.used(), s.time_waits.alive(), s.cx.nodes.used(), 0};
}

const Counters& counters(const Stack& s) { return s.cx.counters; }
void count(Stack& s, Count what, uint64_t n) { s.cx.counters.add(what, n); }

bool addresses(const Stack& s, ConnectionId connection, wire::FlowKey& out) {
  if (connection.core() != s.config.core || connection.slot() >= s.cx.tcbs.capacity()) return false;
  const Tcb& tcb = s.cx.tcbs[connection.slot()];
  if (tcb.generation != connection.generation()) return false;
  out = tcb.key;
  return true;
}

}  // namespace millrace::stack
