// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/host.h"

#include "stack/diagnostics.h"
#include "tcp/check_tcb.h"
#include "wire/build.h"

namespace millrace::sim {
namespace {

constexpr uint32_t headroom = 128;

stack::Config config_of(const Plan& p, int h, const Random& seed) {
  Random r = seed;
  stack::Config c;
  c.core = static_cast<uint32_t>(h + 1);
  c.max_connections = 128;
  c.max_half_open = c.listener_half_open = 64;
  c.max_time_wait = p.time_wait;
  c.max_port_pools = 4;
  c.max_neighbors = 8;
  c.held_limit = p.held_limit[h];
  c.local = {ipv4(10, 0, 0, static_cast<uint32_t>(1 + h)), 1, 24};
  c.mac = {{2, 0, 0, 0, 0, static_cast<uint8_t>(1 + h)}};
  c.first_port = 40000;
  c.last_port = 40000 + 199;
  c.secret = {r.next(), r.next()};
  c.seed = r.next();
  if (p.cookies) c.tcp.syn_cookies = tcp::SynCookies::always;
  c.tcp.timestamps = p.timestamps[h];
  c.tcp.sack = p.sack[h];
  c.tcp.window_scaling = p.window_scaling[h];
  c.tcp.receive_buffer = p.receive_buffer[h];
  c.tcp.receive_buffer_max = p.receive_buffer_max[h];
  c.tcp.quick_acks = p.quick_acks[h];
  c.tcp.dsack = p.dsack[h];
  if (p.rto_min_of_variance[h]) c.tcp.rto_min_applies_to = tcp::RtoMin::variance;
  c.tcp.send_limit = 40000;
  c.tcp.keepalive_time = seconds(60);
  c.tcp.keepalive_interval = seconds(10);
  return c;
}

}  // namespace

Host::Host(const Plan& plan, int number, Instant start)
    : packets(plan.packets[number]), now(start), plan_(plan), number_(number),
      random_(plan.seed * 2 + static_cast<uint64_t>(number) + 77) {
  stack::Config config = config_of(plan, number, random_);
  memory_.resize(stack::memory_size(config));
  stack = stack::make_stack(config, memory_, start);
  stack::attach(*stack);
  ring_.resize(plan.ring[number]);
  segments_.resize(limits::segments_per_turn);
  slices_.resize(limits::slices_per_turn);
  sacks_.resize(limits::segments_per_turn * limits::sack_blocks);
  release_.resize(stack::release_capacity(config));
  out_.segments = Batch<wire::TxSegment>{segments_};
  out_.slices = Batch<Slice>{slices_};
  out_.sacks = Batch<wire::SackBlock>{sacks_};
  out_.release = Batch<PacketRef>{release_};
  out_.events[0] = {ring_.data(), static_cast<uint32_t>(ring_.size() - 1), 0, static_cast<uint32_t>(ring_.size())};
}

void Host::ask(const Request& request) { asked_.push_back(request); }

Slice Host::buffer(uint32_t length) {
  // In production applications have a pool of their own; here a quarter of the one there is.
  uint8_t* block = lent < plan_.packets[number_] / 4 ? packets.take() : nullptr;
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
    std::vector<uint8_t> bytes = in.take();
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
  stack::EventPort& port = out_.events[0];
  // Sometimes the application does not look.
  bool looks = random_.below(8) != 0;
  while (looks && consumed_ != port.next) {
    Event& e = ring_[consumed_ & port.mask];
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
    request(*stack, 0, {asked_.data() + taken, n}, out_);
    taken += n;
  }
  asked_.erase(asked_.begin(), asked_.begin() + static_cast<ptrdiff_t>(taken));
  requests_wait(*stack, 0, !asked_.empty());
  for (; reclaimed_ != consumed_; ++reclaimed_, ++port.end) reclaim(*stack, ring_[reclaimed_ & port.mask], out_);
}

// The right edge of the window never moves left (RFC9293-SHLD-14), but for rounding to the scale (RFC 7323 2.4).
void Host::check_window(const wire::TxSegment& tx) {
  if (tx.kind != wire::TxSegment::tcp || tx.flags & (wire::syn | wire::rst)) return;
  wire::FlowKey key{tx.local, tx.remote, tx.local_port, tx.remote_port, 4};
  stack::Number n = stack->find(stack->tag_of(key), key);
  if (!n || n.kind() != stack::Kind::tcb) return;
  const tcp::Tcb& tcb = stack->cx.tcbs[n.index()];
  wire::Seq right = tx.ack + (uint32_t{tx.wnd} << tcb.rcv_wscale);
  Edge& edge = edges_[uint64_t{tx.local_port} << 16 | tx.remote_port];
  bool known = edge.iss == tcb.iss;
  if (known && wire::offset(right, edge.right) >= 1 << tcb.rcv_wscale) throw Broken{"the window was pulled back"};
  edge = {tcb.iss, known ? wire::later(edge.right, right) : right};
}

void Host::emit(Link& out, bool faulty) {
  for (const wire::TxSegment& tx : out_.segments) {
    std::vector<uint8_t> bytes(wire::max_header);
    std::span<const Slice> slices{slices_.data() + tx.first_slice, tx.slice_count};
    std::span<const wire::SackBlock> sacks{sacks_.data() + tx.first_sack, tx.sack_count};
    uint32_t n = wire::build_header(tx, slices, sacks, stack->config.mac, {}, bytes.data());
    bytes.resize(n);
    for (const Slice& s : slices) bytes.insert(bytes.end(), s.data(), s.data() + s.length);
    check_window(tx);
    for (uint8_t b : bytes) digest = (digest ^ b) * 0x100000001b3;
    out.send(std::move(bytes), now, faulty);
  }
  for (PacketRef p : out_.release) packets.give(p.handle);
  out_.clear();
}

// What is told of a connection must agree with itself.
static const char* check_told(const Diagnostics& d, const tcp::Tcb& tcb, Instant now) {
  if (!tcp::in(d.state, tcp::synchronized)) return nullptr;
  if (d.bytes_acked > d.delivered || d.delivered > d.bytes_sent) return "acknowledged <= delivered <= sent";
  if (d.bytes_sent - d.bytes_acked < d.in_flight) return "in flight <= sent and not acknowledged";
  if (uint64_t{d.sacked} + d.lost + d.resent > d.in_flight) return "SACKed + lost + sent again <= in flight";
  if (d.text_segments_in > d.segments_in || d.text_segments_out > d.segments_out) return "segments with text <= segments";
  if (d.resent_segments > d.segments_out) return "segments sent again <= segments sent";
  if (d.established > now || d.text_sent > now || d.text_received > now || d.ack_received > now) return "no time lies ahead";
  if (d.busy > now - d.established) return "busy <= life time";
  if (d.limited_by_receiver + d.limited_by_send_buffer + d.limited_by_congestion > d.busy) return "limited <= busy";
  if (tcb.is(tcp::in_ready | tcp::in_wait)) return nullptr;  // output is still to look at it
  if ((d.limit == Limit::idle) != (d.in_flight == 0 && tcb.unsent() == 0)) return "idle: nothing queued, nothing in flight";
  if (d.limit == Limit::receiver && d.unsent == 0 && !tcb.is(tcp::fin_queued)) return "limited by the receiver: something waits";
  return nullptr;
}

void Host::check() const {
  for (uint32_t i = 0; i < stack->cx.tcbs.capacity(); ++i) {
    const tcp::Tcb& tcb = stack->cx.tcbs[i];
    if (const char* broken = tcp::check_tcb(stack->cx, tcb)) throw Broken{broken};
    Diagnostics told;
    if (!stack::diagnostics(*stack, stack->cx.id_of(tcb), now, told)) continue;
    if (const char* broken = check_told(told, tcb, now)) throw Broken{std::string{"told: "} + broken};
  }
  // Conservation: what is not free is held by the core, in the ring, or with the application.
  uint32_t in_ring = 0;
  for (uint32_t i = reclaimed_; i != out_.events[0].next; ++i) in_ring += ring_[i & out_.events[0].mask].packet ? 1 : 0;
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
  now = at;
  collect(in);
  receive(*stack, frames_, now, out_);
  run_application(application);
  uint32_t room = plan_.room[number_] == 64 ? 64 : random_.below(plan_.room[number_] + 1);
  transmit(*stack, faulty ? room : std::max(room, 1u), out_);
  emit(out, faulty);
  check();
}

}  // namespace millrace::sim
