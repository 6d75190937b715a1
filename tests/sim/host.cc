// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/host.h"

#include "tcp/isn.h"
#include "wire/bytes.h"

namespace millrace::sim {
namespace {

constexpr uint32_t headroom = 128;

stack::Config config_of(const Plan& p, int number, const Random& seed) {
  const HostPlan& h = p.host[number];
  Random r = seed;
  stack::Config c;
  c.core = static_cast<uint32_t>(number + 1);
  c.max_connections = h.max_connections;
  c.max_half_open = c.listener_half_open = h.max_half_open;
  c.max_time_wait = h.time_wait;
  c.max_listeners = 4;
  c.max_port_pools = p.is_crowd() ? 512 : 4;
  c.max_neighbors = h.neighbors;
  c.held_limit = h.held_limit;
  c.local = p.local(number);
  c.mac = {{2, 0, 0, 0, 0, static_cast<uint8_t>(1 + number)}};
  c.mtu = h.mtu;
  c.first_port = 40000;
  c.last_port = static_cast<uint16_t>(c.first_port + h.ports - 1);
  c.segment_burst = h.segment_burst;
  c.tcp = h.tcp;
  c.secret = {r.next(), r.next()};
  c.seed = r.next();
  return c;
}

// Where the clock must start so that the numbers of the first connection, which the client opens from first_port,
// wrap after `before_it` bytes.
uint64_t start_before_wrap(const stack::Stack& s, int number, uint32_t before_it) {
  wire::FlowKey key{ipv4(10, 0, 0, 1), ipv4(10, 0, 0, 2), s.config.first_port, 7, 4};
  if (number == 1) key = {key.remote, key.local, key.remote_port, key.local_port, 4};
  uint32_t at_zero = tcp::initial_numbers(s.cx.isn_secret, key, Instant{}).iss.value;
  return uint64_t{0u - at_zero - before_it} << 12;
}

// Eight bytes at a time: this is most of what a run computes.
uint64_t mix(uint64_t digest, std::span<const uint8_t> bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    digest = (digest ^ wire::load_raw<uint64_t>(&bytes[i])) * 0x9fb21c651e98df25;
    digest ^= digest >> 32;
  }
  for (; i < bytes.size(); ++i) digest = (digest ^ bytes[i]) * 0x100000001b3;
  return digest;
}

}  // namespace

Host::Host(const Plan& plan, int number)
    : packets(plan.host[number].packets), offset{plan.host[number].first_ns}, plan_(plan), number_(number),
      random_(plan.seed * 2 + static_cast<uint64_t>(number) + 77) {
  stack::Config config = config_of(plan, number, random_);
  memory_.resize(stack::memory_size(config));
  stack = stack::make_stack(config, memory_, own(Instant{}));
  if (plan.wraps == number) {
    // The server's are drawn when the SYN comes, after one more exchange.
    uint32_t before_it = 1 + random_.below(10'000) + (number == 1 ? static_cast<uint32_t>(plan.delay.ns * 3 >> 12) : 0);
    offset = nanoseconds(start_before_wrap(*stack, number, before_it));
    std::fill(memory_.begin(), memory_.end(), std::byte{});
    stack = stack::make_stack(config, memory_, own(Instant{}));
  }
  stack::attach(*stack);
  while (stack->cx.flights.free_count() > plan.host[number].flights) drained_.push_back(stack->cx.flights.take());
  checks_.emplace(*stack);
  turn_.init(config, plan.host[number].ring);
}

Instant Host::next(const Link& in, Instant application) const {
  Instant at = next_deadline(*stack);
  if (at != Instant::never()) at = at > own(Instant{}) ? Instant{at.ns - offset.ns} : Instant{};
  if (unread()) at = std::min(at, now + microseconds(100));
  return std::max(std::min({at, in.next(), application}), awake_at_);
}

bool Host::is_empty() const {
  stack::Gauges g = gauges(*stack);
  return g.connections == 0 && g.half_open == 0 && g.time_wait == 0 && g.held == 0 &&
         stack->cx.flights.used() == drained_.size() && stack->cx.runs.used() == 0 && stack->cx.received_held == 0 && stack->cx.own_slices == 0;
}

void Host::ask(const Request& request) { asked_.push_back(request); }

Slice Host::buffer(uint32_t length) {
  // In production applications have a pool of their own; here a quarter of the one there is.
  uint8_t* block = lent < plan_.host[number_].packets / 4 ? packets.take() : nullptr;
  if (block == nullptr) return {};
  ++lent;
  return {PacketRef{block}, Slice::own_buffer, headroom, static_cast<uint16_t>(length)};
}

void Host::recycle(const Slice& slice) {
  Request r;
  r.kind = Request::recycle;
  r.slice_count = 1;
  r.slices[0] = slice;
  ask(r);
}

void Host::collect(Link& in) {
  frames_.clear();
  while (frames_.size() < limits::rx_burst && in.next() <= now) {
    std::span<const uint8_t> bytes = in.take();
    uint8_t* block = packets.take();
    if (block == nullptr) continue;  // the NIC has no buffer: lost
    std::memcpy(block + headroom, bytes.data(), bytes.size());
    wire::Frame f;
    f.packet = PacketRef{block};
    f.data = block + headroom;
    f.length = static_cast<uint32_t>(bytes.size());
    frames_.push_back(f);
  }
}

void Host::run_application(Application& application) {
  stack::EventPort& port = turn_.out.events[0];
  // Sometimes the application does not look.
  bool looks = random_.below(8) != 0;
  while (looks && consumed_ != port.next) {
    Event& e = turn_.ring[consumed_ & port.mask];
    PacketRef packet = e.packet;
    if (packet) ++lent;
    if (!application.on_event(*this, e) && packet) --lent;
    ++consumed_;
  }
  application.on_turn(*this);
  size_t taken = 0;
  while (taken < asked_.size() && !requests_blocked(*stack, 0)) {
    size_t n = std::min<size_t>(asked_.size() - taken, limits::requests_per_turn);
    for (size_t i = taken; i < taken + n; ++i)
      if (asked_[i].kind == Request::send || asked_[i].kind == Request::recycle) lent -= asked_[i].slice_count;
    request(*stack, 0, {asked_.data() + taken, n}, turn_.out);
    taken += n;
  }
  asked_.erase(asked_.begin(), asked_.begin() + static_cast<ptrdiff_t>(taken));
  requests_wait(*stack, 0, !asked_.empty());
  application.on_asked(*this);
  for (; reclaimed_ != consumed_; ++reclaimed_, ++port.end) reclaim(*stack, turn_.ring[reclaimed_ & port.mask], turn_.out);
}

void Host::emit(Link& out, bool faulty) {
  for (const wire::TxSegment& tx : turn_.out.segments) {
    size_t longest = 0;
    turn_.frames(tx, stack->config.mac, [&](std::span<const uint8_t> bytes) {
      if (bytes.size() > Link::largest) throw Broken{"a frame is longer than any link takes"};
      longest = std::max(longest, bytes.size());
      digest = mix(digest, bytes);
      out.send(bytes, now, faulty);
    });
    checks_->segment(tx, static_cast<uint32_t>(longest));
  }
  for (PacketRef p : turn_.out.release) packets.give(p.handle);
  turn_.out.clear();
}

// What is not free is held by the core, in the ring, or with the application.
void Host::check_conservation() const {
  uint32_t in_ring = 0;
  for (uint32_t i = reclaimed_; i != turn_.out.events[0].next; ++i) in_ring += turn_.ring[i & turn_.out.events[0].mask].packet ? 1 : 0;
  uint32_t in_failed = 0;
  const stack::FailedQueue& q = stack->failed[0];
  for (uint32_t i = q.head; i != q.tail; ++i) in_failed += q.ring[i & (q.capacity - 1)].packet ? 1 : 0;
  uint32_t held = stack::gauges(*stack).held;
  uint32_t accounted = held + in_ring + in_failed + lent;
  if (accounted != packets.taken())
    throw Broken{"conservation: " + std::to_string(packets.taken()) + " buffers out, held " + std::to_string(held) +
                 " ring " + std::to_string(in_ring) + " failed " + std::to_string(in_failed) + " lent " +
                 std::to_string(lent)};
}

void Host::turn(Instant at, Link& in, Link& out, bool faulty, Application& application) {
  const HostPlan& h = plan_.host[number_];
  now = at;
  if (now < awake_at_) return;
  // Without records a timeout sends one segment, as all that was lost counts as sent again.
  for (; !faulty && !drained_.empty(); drained_.pop_back()) stack->cx.flights.give(drained_.back());
  collect(in);
  checks_->begin_turn(static_cast<uint32_t>(frames_.size()));
  receive(*stack, frames_, own(now), turn_.out);
  run_application(application);
  uint32_t room = h.room == 64 ? 64 : random_.below(h.room + 1);
  checks_->begin_transmit();
  transmit(*stack, faulty ? room : std::max(room, 1u), turn_.out);
  emit(out, faulty);
  checks_->end_turn();
  check_conservation();
  if (h.stalls && faulty && random_.below(50) == 0)
    awake_at_ = now + microseconds(random_.below(random_.below(10) == 0 ? 2'000'000 : 20'000));
}

}  // namespace millrace::sim
