// SPDX-License-Identifier: BSD-3-Clause
#include "tests/conformance/harness.h"

#include <algorithm>

#include "stack/check_stack.h"
#include "tcp/isn.h"
#include "wire/build.h"

namespace millrace::conformance {
namespace {

constexpr uint32_t headroom = 128;

stack::Config config_for_tests() {
  stack::Config c;
  c.core = 1;
  c.max_connections = 64;
  c.max_half_open = 8;
  c.max_time_wait = 16;
  c.max_listeners = 8;
  c.max_port_pools = 4;
  c.max_neighbors = 8;
  c.held_limit = 1024;
  c.local = {Net::own, 1, 24};
  c.gateway = ipv4(10, 0, 0, 254);
  c.mac = Net::own_mac;
  c.first_port = 40000;
  c.last_port = 40063;
  c.secret = {1, 2};
  c.tcp.receive_buffer = 65535;
  c.tcp.receive_buffer_max = 0;  // it stays, if nothing else is said
  return c;
}

wire::Mac mac_of(Ipv4Address ip) {
  return {{2, 0, 0, 0, 0, static_cast<uint8_t>(ip.value)}};
}

}  // namespace

Net::Net(const Change& change, uint32_t ring) : now(Instant{} + seconds(1000)), config(config_for_tests()) {
  if (change) change(config);
  start_ = now;
  memory_.resize(stack::memory_size(config));
  stack = stack::make_stack(config, memory_, now);
  stack::attach(*stack);
  turn_.init(config, ring);
  frames({encode_arp(true, wire::Mac::broadcast(), peer.mac, peer.ip, own)});
}

Net::~Net() {
  for (const Sent& s : sent) ADD_FAILURE() << "never expected: " << to_string(s.seg) << " (wire numbers)";
  for (const Slice& s : kept) packets_.give(s.packet.handle);
}

// --- packets ---

Bytes Net::frame(const Peer& from, const Seg& seg) {
  Seg s = seg;
  const Learned& l = learned(from);
  bool has_text = s.bytes.has_value();
  std::string text = has_text ? *s.bytes : stream(s.seq + (s.flags & syn ? 1 : 0), s.length);
  if (s.timestamps || (from.ts && s.timestamps_as_agreed)) {
    s.timestamps = true;
    if (!s.ts_val) s.ts_val = peer_clock();
    if (!s.ts_ecr) s.ts_ecr = s.flags & ack_bit ? l.last_ts : 0;
  }
  s.seq += from.iss;
  if (s.flags & ack_bit) s.ack += l.iss;
  for (auto& [left, right] : s.sacks) left += l.iss, right += l.iss;
  if (!s.window) s.window = from.window;
  IpHeader ip;
  ip.to = own_mac;
  ip.from = from.mac;
  ip.source = from.ip;
  ip.destination = own;
  ip.tos = s.ecn_bits.value_or(0);
  return encode_tcp(ip, from.port, from.to, s, text);
}

void Net::burst(std::initializer_list<Seg> segs) {
  std::vector<Bytes> all;
  for (const Seg& seg : segs) all.push_back(frame(peer, seg));
  frames(std::move(all));
}

void Net::frames(std::vector<Bytes> frames) {
  run(std::move(frames));
}

IpHeader Net::icmp_header() const {
  IpHeader ip;
  ip.to = own_mac;
  ip.from = mac_of(config.gateway);
  ip.source = config.gateway;
  ip.destination = own;
  ip.protocol = 1;
  return ip;
}

void Net::icmp(const Sent& about, uint8_t type, uint8_t code, uint16_t mtu) {
  frames({encode_icmp_error(icmp_header(), about, type, code, mtu)});
}

std::vector<std::pair<uint32_t, uint32_t>> Net::take_sent() {
  std::vector<std::pair<uint32_t, uint32_t>> list;
  for (const Sent& s : std::exchange(sent, {})) list.emplace_back(s.seg.seq - own_iss(), s.seg.length);
  return list;
}

Seg Net::offer(Seg s) const {
  s.mss(peer.mss);
  if (peer.wscale >= 0) s.wscale(static_cast<uint8_t>(peer.wscale));
  if (peer.sack) s.sack_ok();
  if (peer.ts) s.ts();
  return s;
}

Seg Net::agreed(Seg s) const {
  s.mss(static_cast<uint16_t>(config.mtu - 40));
  uint8_t scale = 0;
  while ((65535u << scale) < std::max(config.tcp.receive_buffer, config.tcp.receive_buffer_max)) ++scale;
  if (peer.wscale >= 0 && config.tcp.window_scaling) s.wscale(scale);
  if (peer.sack && config.tcp.sack) s.sack_ok();
  if (peer.ts && config.tcp.timestamps) s.ts();
  return s;
}

// --- the application ---

Request Net::on_connection(Request::Kind kind) const {
  Request r;
  r.kind = kind;
  r.connection = id;
  return r;
}

void Net::queue(const Request& request) {
  asked_.push_back(request);
}
void Net::call(const Request& request) {
  queue(request);
  run({});
}

static Request open_request(Request::Kind kind, const OpenArguments& open) {
  Request r;
  r.kind = kind;
  r.token = 0x1234;
  r.open = open;
  return r;
}

void Net::listen(uint16_t port, const Options& options, uint32_t backlog) {
  OpenArguments open;
  open.local_port = port;
  open.options = options;
  Request r = open_request(Request::listen, open);
  r.backlog = backlog;
  call(r);
  expect_event(Event::listening);
  listening_ = true;
}

void Net::unlisten(uint16_t port) {
  OpenArguments open;
  open.local_port = port;
  call(open_request(Request::unlisten, open));
}

void Net::connect(const Options& options, uint16_t local_port) {
  OpenArguments open;
  open.remote = peer.ip;
  open.remote_port = peer.port;
  open.local_port = local_port;
  open.options = options;
  call(open_request(Request::connect, open));
}

Request Net::send_request(const std::string& text) {
  Request r = on_connection(Request::send);
  for (size_t at = 0; at < text.size(); at += 1500) {
    uint8_t* block = packets_.take();
    ensure(block != nullptr && r.slice_count < Request::max_slices);
    size_t n = std::min<size_t>(1500, text.size() - at);
    std::memcpy(block + headroom, text.data() + at, n);
    r.slices[r.slice_count++] = {PacketRef{block}, Slice::own_buffer, headroom, static_cast<uint16_t>(n)};
  }
  return r;
}

void Net::send(uint32_t n, bool more, bool urgent) {
  while (n > 0) {
    uint32_t part = std::min(n, 4500u);
    Request r = send_request(stream(1 + queued_bytes_, part));
    queued_bytes_ += part;
    n -= part;
    r.more = more || n > 0;
    r.urgent = urgent && n == 0;
    queue(r);
  }
  run({});
}

void Net::set(Setting setting, uint64_t value) {
  Request r = on_connection(Request::set);
  r.setting = {setting, value};
  call(r);
}

void Net::recycle_all() {
  for (const Slice& slice : std::exchange(kept, {})) {
    Request r;
    r.kind = Request::recycle;
    r.slice_count = 1;
    r.slices[0] = slice;
    queue(r);
  }
  run({});
}

// --- turns ---

void Net::advance(Duration d) {
  Instant target = now + d;
  do {
    now = room > 0 ? std::clamp(next_deadline(*stack), now, target) : target;
    run({});
  } while (now < target);
}

bool Net::busy() const {
  return !arp_answers_.empty() || next_deadline(*stack) <= now || !asked_.empty() ||
         (reads && consumed_ != turn_.out.events[0].next);
}

// A turn, and those that follow from it at the same time.
void Net::run(std::vector<Bytes> frames) {
  while (frames.size() > limits::rx_burst) {
    auto end = frames.begin() + limits::rx_burst;
    turn({frames.begin(), end});
    frames.erase(frames.begin(), end);
  }
  turn(frames);
  int limit = room > 0 ? 10000 : 4;  // without room it stays busy
  for (; busy() && limit > 0; --limit) {
    if (stack::requests_blocked(*stack, 0) && !reads) break;
    turn(std::exchange(arp_answers_, {}));
  }
  if (limit == 0 && room > 0) ADD_FAILURE() << "the stack is busy for ever";
}

void Net::turn(const std::vector<Bytes>& frames) {
  ++turns;
  std::vector<wire::Frame> burst;
  for (const Bytes& bytes : frames) {
    uint8_t* block = packets_.take();
    ensure(block != nullptr);
    std::memcpy(block + headroom, bytes.data(), bytes.size());
    wire::Frame f;
    f.packet = PacketRef{block};
    f.data = block + headroom;
    f.length = static_cast<uint32_t>(bytes.size());
    burst.push_back(f);
  }
  stack::receive(*stack, burst, now, turn_.out);
  if (reads) read_events();
  size_t taken = 0;
  while (taken < asked_.size() && !stack::requests_blocked(*stack, 0)) {
    size_t n = std::min<size_t>(asked_.size() - taken, limits::requests_per_turn);
    stack::request(*stack, 0, {asked_.data() + taken, n}, turn_.out);
    taken += n;
  }
  asked_.erase(asked_.begin(), asked_.begin() + static_cast<ptrdiff_t>(taken));
  stack::EventPort& port = turn_.out.events[0];
  for (; reclaimed_ != consumed_; ++reclaimed_, ++port.end)
    stack::reclaim(*stack, turn_.ring[reclaimed_ & port.mask], turn_.out);
  stack::transmit(*stack, room, turn_.out);
  emit();
  check();
}

void Net::read_events() {
  stack::EventPort& port = turn_.out.events[0];
  for (; consumed_ != port.next; ++consumed_) {
    Event& e = turn_.ring[consumed_ & port.mask];
    if (on_event) on_event(e);
    if (e.kind == Event::received) {
      received.append(reinterpret_cast<const char*>(e.data()), e.length);
      if (keep) kept.push_back(e.keep());
    } else {
      events.push_back(e);
    }
  }
}

// What the peer learns of the stack's numbers, and ARP that answers itself.
void Net::note(const Sent& packet) {
  if (packet.kind == Sent::arp) {
    if (packet.arp_request && answer_arp && packet.destination != own)
      arp_answers_.push_back(encode_arp(false, own_mac, mac_of(packet.destination), packet.destination, own));
    return;
  }
  if (packet.kind != Sent::tcp) return;
  const Seg& s = packet.seg;
  if ((s.flags & (syn | ack_bit)) == syn && packet.destination == peer.ip &&
      packet.destination_port == peer.port)
    peer.to = packet.source_port;
  Learned& l = learned_[{packet.destination.value, packet.destination_port, packet.source_port}];
  if (s.flags & syn) {
    l.iss = s.seq;
    if (s.timestamps) l.ts_offset = *s.ts_val - static_cast<uint32_t>(packet.at.ms());
    if (s.timestamps && s.flags & ack_bit && counter(Count::syn_cookies_sent) > 0) {
      wire::FlowKey key{own, packet.destination, packet.source_port, packet.destination_port, 4};
      l.ts_offset = tcp::initial_numbers(stack->cx.isn_secret, key, now).ts_offset;
    }
  }
  if (s.timestamps) l.last_ts = *s.ts_val;
}

void Net::emit() {
  for (const wire::TxSegment& tx : turn_.out.segments) {
    ++emitted;
    turn_.frames(tx, config.mac, [this](std::span<const uint8_t> bytes) { note_frame({bytes.begin(), bytes.end()}); });
  }
  for (PacketRef p : turn_.out.release) packets_.give(p.handle);
  turn_.out.clear();
}

void Net::note_frame(const Bytes& bytes) {
  std::string error;
  Sent packet = decode(bytes, error);
  if (!error.empty()) ADD_FAILURE() << error << ": " << to_string(packet.seg);
  if (bytes.size() > 14u + config.mtu) ADD_FAILURE() << "longer than the MTU: " << bytes.size();
  packet.at = now;
  packet.turn = turns;
  note(packet);
  (packet.kind == Sent::arp ? arp : sent).push_back(packet);
}

// What must hold after each turn: the stack is sound, and no buffer is lost.
void Net::check() {
  if (const char* broken = stack::check_stack(*stack)) ADD_FAILURE() << broken;
  uint32_t accounted = stack::gauges(*stack).held + static_cast<uint32_t>(kept.size());
  const stack::EventPort& port = turn_.out.events[0];
  for (uint32_t i = consumed_; i != port.next; ++i) accounted += turn_.ring[i & port.mask].packet ? 1 : 0;
  const stack::FailedQueue& failed = stack->failed[0];
  for (uint32_t i = failed.head; i != failed.tail; ++i)
    accounted += failed.ring[i & (failed.capacity - 1)].packet ? 1 : 0;
  for (const Request& r : asked_)
    accounted += r.kind == Request::send || r.kind == Request::recycle ? r.slice_count : 0;
  if (accounted != packets_.taken())
    ADD_FAILURE() << packets_.taken() << " buffers are out, " << accounted << " are accounted for";
}

// --- states ---

void Net::syn_received_passive() {
  if (!listening_) listen(peer.to);
  in(offer(S(0)));
  expect(agreed(SA(0, 1)));
}

void Net::established_passive() {
  syn_received_passive();
  in(A(1, 1));
  expect_event(Event::accepted);
  EXPECT_EQ(state(), State::established);
}

void Net::syn_sent() {
  if (peer.port == 5000) peer.port = 80;
  connect();
  Seg s = S(0).mss(static_cast<uint16_t>(config.mtu - 40));
  uint8_t scale = 0;
  while ((65535u << scale) < std::max(config.tcp.receive_buffer, config.tcp.receive_buffer_max)) ++scale;
  if (config.tcp.window_scaling) s.wscale(scale);
  if (config.tcp.sack) s.sack_ok();
  if (config.tcp.timestamps) s.ts();
  expect(s);
  EXPECT_EQ(state(), State::syn_sent);
}

void Net::syn_received_simultaneous() {
  syn_sent();
  in(offer(S(0)));
  expect(agreed(SA(0, 1)));
  EXPECT_EQ(state(), State::syn_received);
}

void Net::established_active() {
  syn_sent();
  in(offer(SA(0, 1)));
  expect(A(1, 1));
  expect_event(Event::connected);
  EXPECT_EQ(state(), State::established);
}

void Net::fin_wait_1() {
  established_passive();
  shutdown();
  expect(F(1, 1));
  EXPECT_EQ(state(), State::fin_wait_1);
}

void Net::fin_wait_2() {
  fin_wait_1();
  in(A(1, 2));
  EXPECT_EQ(state(), State::fin_wait_2);
}

void Net::close_wait() {
  established_passive();
  in(F(1, 1));
  expect(A(1, 2));
  expect_event(Event::peer_closed);
  EXPECT_EQ(state(), State::close_wait);
}

void Net::closing() {
  fin_wait_1();
  in(F(1, 1));
  expect(A(2, 2));
  expect_event(Event::peer_closed);
  EXPECT_EQ(state(), State::closing);
}

void Net::last_ack() {
  close_wait();
  close();
  expect(F(1, 2));
  EXPECT_EQ(state(), State::last_ack);
}

void Net::time_wait() {
  fin_wait_2();
  in(F(1, 2));
  expect(A(2, 2));
  expect_event(Event::peer_closed);
  expect_event(Event::closed, Event::finished);
  EXPECT_EQ(state(), State::time_wait);
}

void Net::enter(State s) {
  switch (s) {
    case State::syn_sent: return syn_sent();
    case State::syn_received: return syn_received_passive();
    case State::established: return established_passive();
    case State::fin_wait_1: return fin_wait_1();
    case State::fin_wait_2: return fin_wait_2();
    case State::close_wait: return close_wait();
    case State::closing: return closing();
    case State::last_ack: return last_ack();
    case State::time_wait: return time_wait();
    default: return;
  }
}

}  // namespace millrace::conformance
