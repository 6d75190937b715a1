// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/path.h"

#include <map>

#include "base/ensure.h"

namespace millrace::sim {
namespace {

constexpr uint32_t slice_length = 32 * 1448;
constexpr uint16_t port = 7;
constexpr uint32_t ring_size = 1 << 12;
constexpr Instant start = Instant{} + seconds(1);

Ipv4Address address_of(size_t host) { return ipv4(10, 0, 0, static_cast<uint32_t>(1 + host)); }

stack::Config config_of(const PathPlan& plan, size_t host) {
  Random r{plan.seed * 97 + host};
  stack::Config c;
  c.core = static_cast<uint32_t>(host + 1);
  c.max_connections = 8;
  c.max_half_open = 8;
  c.max_time_wait = 8;
  c.max_port_pools = 4;
  c.max_neighbors = 8;
  c.held_limit = plan.held;
  c.local = {address_of(host), 1, 24};
  c.mac = {{2, 0, 0, 0, 0, static_cast<uint8_t>(1 + host)}};
  c.secret = {r.next(), r.next()};
  c.seed = r.next();
  if (plan.tune) plan.tune(c);
  return c;
}

}  // namespace

uint8_t* Blocks::take() {
  if (free_.empty()) {
    chunks_.push_back(std::make_unique<uint8_t[]>(size_t{per_chunk} * size));
    for (uint32_t i = per_chunk; i-- > 0;) free_.push_back(chunks_.back().get() + size_t{i} * size);
  }
  uint8_t* block = free_.back();
  free_.pop_back();
  return block;
}

void Pipe::push(const OnWire& frame) {
  if (tail_ - head_ == ring_.size()) {
    std::vector<OnWire> larger(ring_.size() * 2);
    for (size_t i = head_; i != tail_; ++i) larger[i & (larger.size() - 1)] = ring_[i & (ring_.size() - 1)];
    ring_ = std::move(larger);
  }
  ring_[tail_++ & (ring_.size() - 1)] = frame;
}

// A Stack, its arrays, and the little application: it listens and reads, or connects and sends for ever.
class PathHost {
 public:
  PathHost(PathWorld& world, const PathPlan& plan, size_t number)
      : next_at(start + (number == 0 ? Duration{} : plan.starts[number - 1])), world_(world), plan_(plan),
        number_(number), random_(plan.seed * 31 + number) {
    stack::Config config = config_of(plan, number);
    memory_.resize(stack::memory_size(config));
    stack = stack::make_stack(config, memory_, start);
    stack::attach(*stack);
    release_.resize(stack::release_capacity(config));
    out_.segments = Batch<wire::TxSegment>{segments_};
    out_.slices = Batch<Slice>{slices_};
    out_.sacks = Batch<wire::SackBlock>{sacks_};
    out_.release = Batch<PacketRef>{release_};
    out_.events[0] = {ring_.data(), ring_size - 1, 0, ring_size};
  }

  void turn(Instant now, Pipe& in) {
    Trace* trace = number_ == 0 ? nullptr : &world_.traces_[number_ - 1];
    uint64_t timeouts = stack->cx.counters[Count::retransmission_timeouts];
    if (trace != nullptr && sending())
      trace->window_time += static_cast<double>(tcb().cwnd) / tcb().mss * (now - last_).seconds();
    last_ = now;
    collect(now, in, trace);
    receive(*stack, {frames_, frame_count_}, now, out_);
    run_application(now);
    transmit(*stack, limits::tx_burst, out_);
    bool timed_out = stack->cx.counters[Count::retransmission_timeouts] != timeouts;
    if (trace != nullptr && trace->keep && timed_out) explain(*trace);
    emit(now);
    Duration pause = plan_.turn;
    if (plan_.jitter.ns != 0) pause = pause + nanoseconds(random_.below(static_cast<uint32_t>(plan_.jitter.ns)));
    last_turn_ = now + pause;
    next_at = std::max(last_turn_, std::min(next_deadline(*stack), in.next()));
  }
  void arrives(Instant at) { next_at = std::min(next_at, std::max(last_turn_, at)); }

  bool sending() const { return id_.value != 0 && connected_; }
  tcp::Tcb& tcb() { return stack->cx.tcbs[id_.slot()]; }

  stack::Stack* stack = nullptr;
  Instant next_at;
  std::map<uint32_t, uint64_t> received;  // by the sender's address

 private:
  void collect(Instant now, Pipe& in, Trace* trace) {
    frame_count_ = 0;
    while (frame_count_ < limits::rx_burst && in.next() <= now) {
      const OnWire& w = in.front();
      if (trace != nullptr)
        trace->shown = std::max(trace->shown, w.order);
      else if (uint32_t from = w.block[29] - 2u; w.order != 0)  // the last byte of the IP header's source
        note_arrival(world_.traces_[from], w);
      wire::Frame& f = frames_[frame_count_++];
      f.packet = PacketRef{w.block};
      f.data = w.block;
      f.length = w.length;
      f.ip_checksum = f.l4_checksum = wire::Verdict::good;
      in.pop();
    }
  }

  static void note_arrival(Trace& trace, const OnWire& w) {
    trace.highest = std::max(trace.highest, w.order);
    trace.arrived += w.length - 34 - uint32_t{w.block[46]} / 16 * 4;  // without the headers, TCP's by its data offset
  }

  void ask(Request& r) { request(*stack, 0, {&r, 1}, out_); }

  void open(Instant) {
    Request r;
    r.token = 1;
    if (number_ == 0) {
      r.kind = Request::listen;
      r.backlog = 8;
      r.open = {};
      r.open.local_port = port;
    } else {
      r.kind = Request::connect;
      r.open = {};
      r.open.remote = IpAddress{address_of(0)};
      r.open.remote_port = port;
      r.open.options.congestion = plan_.congestion;
    }
    ask(r);
    opened_ = true;
  }

  void run_application(Instant now) {
    if (!opened_) open(now);
    stack::EventPort& events = out_.events[0];
    for (; consumed_ != events.next; ++consumed_, ++events.end) {
      Event& e = ring_[consumed_ & (ring_size - 1)];
      switch (e.kind) {
        case Event::accepted:
          by_slot_[e.connection.slot()] = stack->cx.tcbs[e.connection.slot()].key.remote.value & 0xff;
          break;
        case Event::received: received[by_slot_[e.connection.slot()]] += e.length; break;
        case Event::connected:
          id_ = e.connection;
          connected_ = true;
          break;
        case Event::failed: blocked_ = true; break;
        case Event::writable: blocked_ = false; break;
        case Event::closed: connected_ = false; break;
        default: break;
      }
      reclaim(*stack, e, out_);
    }
    for (int i = 0; i < 8 && connected_ && !blocked_ && number_ != 0; ++i) {
      static uint8_t text[slice_length];
      Request r;
      r.kind = Request::send;
      r.connection = id_;
      r.slice_count = 1;
      r.slices[0] = {PacketRef{text}, Slice::registered, 0, slice_length};
      ask(r);
      if (tcb().is(tcp::was_full)) break;
    }
  }

  // A timeout is explained if no ACK that has come back could tell of the latest transmission of what is due, or of
  // anything that left later: all that was lost, too, or is still on its way, or its ACKs were lost.
  void explain(Trace& trace) {
    ++trace.timeouts;
    wire::Seq una = tcb().snd.una;
    for (size_t order = trace.sent.size(); order-- > 0;) {
      const Trace::Sent& s = trace.sent[order];
      if (!wire::before_eq(s.seq, una) || !wire::before(una, s.end)) continue;
      if (order + 1 <= trace.shown || (!s.lost && plan_.ack_loss == 0))
        trace.unexplained.push_back("at " + std::to_string((last_ - Instant{}).seconds()) + " s: transmission " +
                                    std::to_string(order + 1) + (s.lost ? " was lost" : " arrived") +
                                    ", and an ACK came that knew of " + std::to_string(trace.shown));
      return;
    }
    trace.unexplained.push_back("what was never sent timed out");
  }

  void emit(Instant now) {
    for (const wire::TxSegment& tx : out_.segments) {
      uint8_t* block = world_.blocks_.take();
      std::span<const wire::SackBlock> sacks{sacks_ + tx.first_sack, tx.sack_count};
      uint32_t n = wire::build_header(tx, {}, sacks, stack->config.mac, {.ip = true, .l4 = true}, block);
      if (number_ == 0)
        world_.to_sender(tx, block, n, now);
      else
        world_.to_receiver(static_cast<uint32_t>(number_ - 1), tx, block, n, now);
    }
    for (PacketRef p : out_.release) world_.blocks_.give(p.handle);
    out_.clear();
  }

  PathWorld& world_;
  const PathPlan& plan_;
  size_t number_;
  Random random_;
  std::vector<std::byte> memory_;
  std::vector<Event> ring_ = std::vector<Event>(ring_size);
  uint32_t consumed_ = 0;
  wire::Frame frames_[limits::rx_burst];
  uint32_t frame_count_ = 0;
  wire::TxSegment segments_[limits::segments_per_turn];
  Slice slices_[limits::slices_per_turn];
  wire::SackBlock sacks_[limits::segments_per_turn * limits::sack_blocks];
  std::vector<PacketRef> release_;
  stack::Output out_;
  Instant last_ = start;
  Instant last_turn_;
  bool opened_ = false;
  bool connected_ = false;
  bool blocked_ = false;
  ConnectionId id_{};
  uint32_t by_slot_[8] = {};
};

PathWorld::PathWorld(const PathPlan& plan)
    : plan_(plan), random_(plan.seed), back_(plan.starts.size()), traces_(plan.starts.size()), now_(start) {
  if (plan_.queue == 0) plan_.queue = plan_.bdp();
  for (size_t i = 0; i <= plan.starts.size(); ++i) hosts_.push_back(std::make_unique<PathHost>(*this, plan_, i));
}
PathWorld::~PathWorld() = default;

void PathWorld::run_for(Duration time) {
  Instant end = now_ + time;
  for (;;) {
    PathHost* first = hosts_[0].get();
    size_t number = 0;
    for (size_t i = 1; i < hosts_.size(); ++i)
      if (hosts_[i]->next_at < first->next_at) first = hosts_[number = i].get();
    if (first->next_at >= end) break;
    now_ = std::max(now_, first->next_at);
    first->turn(now_, number == 0 ? forward_ : back_[number - 1]);
  }
  now_ = end;
}

uint64_t PathWorld::backlog() const {
  uint64_t now_ps = now_.ns * 1000;
  return busy_until_ps_ > now_ps ? (busy_until_ps_ - now_ps) / ps_per_byte() : 0;
}

void PathWorld::to_receiver(uint32_t sender, const wire::TxSegment& tx, uint8_t* block, uint32_t header, Instant now) {
  uint32_t length = header + tx.text_len;
  uint32_t order = 0;
  Trace& trace = traces_[sender];
  if (tx.kind == wire::TxSegment::tcp && tx.text_len > 0) {
    order = static_cast<uint32_t>(++trace.segments);
    bool lost = (plan_.every != 0 && ++counted_ % plan_.every == 0) ||
                (plan_.loss > 0 && static_cast<double>(random_.next() >> 11) * 0x1p-53 < plan_.loss);
    bool full = backlog() + length > plan_.queue;
    if (trace.keep) trace.sent.push_back({tx.seq, tx.seq + tx.text_len, lost || full});
    trace.lost += lost;
    trace.overflowed += !lost && full;
    if (lost || full) return blocks_.give(block);
  }
  busy_until_ps_ = std::max(busy_until_ps_, now.ns * 1000) + length * ps_per_byte();
  Instant at = Instant{busy_until_ps_ / 1000} + nanoseconds(plan_.rtt.ns / 2);
  forward_.push({at, block, length, order});
  hosts_[0]->arrives(at);
}

void PathWorld::to_sender(const wire::TxSegment& tx, uint8_t* block, uint32_t header, Instant now) {
  uint32_t sender = (tx.remote.value & 0xff) - 2;
  bool lost = plan_.ack_loss > 0 && tx.kind == wire::TxSegment::tcp && !(tx.flags & wire::syn) &&
              static_cast<double>(random_.next() >> 11) * 0x1p-53 < plan_.ack_loss;
  if (sender >= back_.size() || lost) return blocks_.give(block);
  Instant at = now + nanoseconds(plan_.rtt.ns / 2);
  back_[sender].push({at, block, header, traces_[sender].highest});
  hosts_[sender + 1]->arrives(at);
}

uint64_t PathWorld::received(size_t sender) const {
  auto found = hosts_[0]->received.find(static_cast<uint32_t>(sender + 2));
  return found == hosts_[0]->received.end() ? 0 : found->second;
}
tcp::Tcb& PathWorld::sending(size_t sender) { return hosts_[sender + 1]->tcb(); }
bool PathWorld::established(size_t sender) const { return hosts_[sender + 1]->sending(); }
const Counters& PathWorld::counters(size_t sender) const { return stack::counters(*hosts_[sender + 1]->stack); }

int64_t PathWorld::missing() const {
  size_t known = forward_.size();
  for (const Pipe& p : back_) known += p.size();
  known += hosts_[0]->stack->cx.received_held;
  return static_cast<int64_t>(blocks_.taken()) - static_cast<int64_t>(known);
}

}  // namespace millrace::sim
