// SPDX-License-Identifier: BSD-3-Clause
// A million SYNs from forged addresses in four seconds of virtual time, while a thousand clients connect and others
// exchange data. The server takes 32 frames each 100 us from a receive ring of 1024, whose end drops what does not fit:
// now and then the flood comes faster than that, so that clients lose frames, too.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <vector>

#include "stack/internals.h"
#include "tcp/check_tcb.h"
#include "tests/conformance/packet.h"
#include "tests/sim/packets.h"
#include "wire/build.h"

namespace millrace::conformance {
namespace {

constexpr Ipv4Address server_ip = ipv4(10, 0, 0, 1);
constexpr uint32_t headroom = 128;
constexpr uint32_t clients_each = 500;     // that connect during the flood, at either client
constexpr uint32_t steady_each = 16;       // connections that are there before
constexpr uint32_t message = 500;
constexpr uint32_t synned = 1'000'000;
constexpr Duration tick = microseconds(100);

wire::Mac mac_of(uint8_t number) { return {{2, 0, 0, 0, 0, number}}; }
uint8_t content(uint64_t number, uint32_t at) { return static_cast<uint8_t>(number * 37 + at); }

struct Frame {
  Instant at;
  Bytes bytes;
};

// A Stack with its buffers, and its receive ring.
class Machine {
 public:
  Machine(uint8_t number, Instant start, const std::function<void(stack::Config&)>& change) : number_(number) {
    stack::Config c;
    c.core = number;
    c.max_connections = 2048;
    c.max_half_open = 1024;
    c.max_time_wait = 2048;
    c.max_port_pools = 4;
    c.max_neighbors = 64;
    c.local = {ipv4(10, 0, 0, number), 1, 16};
    c.gateway = ipv4(10, 0, 0, 254);
    c.mac = mac_of(number);
    c.secret = {number, 2};
    change(c);
    memory_.resize(stack::memory_size(c));
    stack = stack::make_stack(c, memory_, start);
    stack::attach(*stack);
    out_.segments = Batch<wire::TxSegment>{segments_};
    out_.slices = Batch<Slice>{slices_};
    out_.sacks = Batch<wire::SackBlock>{sacks_};
    release_.resize(stack::release_capacity(c));
    out_.release = Batch<PacketRef>{release_};
    out_.events[0] = {ring_.data(), static_cast<uint32_t>(ring_.size() - 1), 0, static_cast<uint32_t>(ring_.size())};
  }

  void arrive(Instant at, Bytes bytes) { wire_.push_back({at, std::move(bytes)}); }
  // What has come over the wire stands in the ring, if it fits; forged frames are put there directly.
  bool enqueue(Bytes bytes) {
    if (rx_.size() == 1024) return false;
    rx_.push_back(std::move(bytes));
    return true;
  }

  template <class OnEvent, class Send>
  void turn(Instant now, OnEvent&& on_event, Send&& send) {
    for (; !wire_.empty() && wire_.front().at <= now; wire_.pop_front()) enqueue(std::move(wire_.front().bytes));
    std::vector<wire::Frame> burst;
    for (; burst.size() < limits::rx_burst && !rx_.empty(); rx_.pop_front()) burst.push_back(take(rx_.front()));
    receive(*stack, burst, now, out_);
    stack::EventPort& port = out_.events[0];
    uint32_t first = read_;
    for (; read_ != port.next; ++read_) on_event(ring_[read_ & port.mask]);
    for (size_t at = 0; at < asked.size(); at += limits::requests_per_turn)
      request(*stack, 0, std::span{asked}.subspan(at, std::min<size_t>(limits::requests_per_turn, asked.size() - at)), out_);
    asked.clear();
    for (; first != read_; ++first, ++port.end) reclaim(*stack, ring_[first & port.mask], out_);
    transmit(*stack, limits::tx_burst, out_);
    for (const wire::TxSegment& tx : out_.segments) {
      Bytes bytes(wire::max_header);
      std::span<const Slice> text{slices_.data() + tx.first_slice, tx.slice_count};
      std::span<const wire::SackBlock> sacks{sacks_.data() + tx.first_sack, tx.sack_count};
      bytes.resize(build_header(tx, text, sacks, mac_of(number_), {}, bytes.data()));
      for (const Slice& s : text) bytes.insert(bytes.end(), s.data(), s.data() + s.length);
      send(tx.destination, std::move(bytes));
    }
    for (PacketRef p : out_.release) packets.give(p.handle);
    out_.clear();
  }

  Slice text(uint64_t number, uint32_t from, uint32_t n) {
    uint8_t* block = packets.take();
    ensure(block != nullptr);
    for (uint32_t i = 0; i < n; ++i) block[headroom + i] = content(number, from + i);
    return {PacketRef{block}, Slice::own_buffer, headroom, static_cast<uint16_t>(n)};
  }
  Request on(ConnectionId id, Request::Kind kind) {
    Request r;
    r.kind = kind;
    r.connection = id;
    return r;
  }
  uint64_t counter(Count c) const { return stack::counters(*stack)[c]; }
  const char* broken() const {
    for (uint32_t i = 0; i < stack->cx.tcbs.capacity(); ++i)
      if (const char* what = tcp::check_tcb(stack->cx, stack->cx.tcbs[i])) return what;
    return nullptr;
  }

  stack::Stack* stack = nullptr;
  sim::Packets packets{4096};
  std::vector<Request> asked;

 private:
  wire::Frame take(const Bytes& bytes) {
    uint8_t* block = packets.take();
    ensure(block != nullptr);
    std::memcpy(block + headroom, bytes.data(), bytes.size());
    return {PacketRef{block}, block + headroom, static_cast<uint32_t>(bytes.size()), wire::Verdict::good,
            wire::Verdict::good};
  }

  uint8_t number_;
  std::vector<std::byte> memory_;
  std::vector<Event> ring_ = std::vector<Event>(4096);
  uint32_t read_ = 0;
  std::deque<Frame> wire_;
  std::deque<Bytes> rx_;
  std::vector<wire::TxSegment> segments_ = std::vector<wire::TxSegment>(limits::segments_per_turn);
  std::vector<Slice> slices_ = std::vector<Slice>(limits::slices_per_turn);
  std::vector<wire::SackBlock> sacks_ = std::vector<wire::SackBlock>(limits::segments_per_turn * limits::sack_blocks);
  std::vector<PacketRef> release_;
  stack::Output out_;
};

// SYNs of four kinds, with random sources: one in eight claims to be on the link.
class Flood {
 public:
  Flood() {
    IpHeader ip;
    ip.to = mac_of(1);
    ip.from = mac_of(254);
    ip.source = ipv4(10, 0, 9, 9);
    ip.destination = server_ip;
    for (int kind = 0; kind < 4; ++kind) {
      Seg s = S(0);
      if (kind > 0) s.mss(1460);
      if (kind > 1) s.sack_ok().wscale(7);
      if (kind > 2) s.ts(1, 0);
      syns_[static_cast<size_t>(kind)] = encode_tcp(ip, 5000, 80, s, "");
    }
  }
  Bytes next() {
    Bytes syn = syns_[random_.below(4)];
    auto put = [&](size_t at, uint32_t value, size_t n) {
      for (size_t i = 0; i < n; ++i) syn[at + i] = static_cast<uint8_t>(value >> (8 * (n - 1 - i)));
    };
    uint32_t source = random_.below(8) == 0 ? ipv4(10, 0, 1 + random_.below(250), 1 + random_.below(250)).value
                                            : ipv4(20 + random_.below(100), 0, 0, 0).value + random_.below(1 << 24);
    put(26, source, 4);
    put(34, 1024 + random_.below(60000), 2);
    put(38, static_cast<uint32_t>(random_.next()), 4);
    return syn;
  }

 private:
  std::array<Bytes, 4> syns_;
  Random random_{42};
};

// One end of the clients' connections, by token: what it has received, and when it connected.
struct Client {
  Instant asked, connected;
  ConnectionId id;
  uint32_t sent = 0, received = 0;
  bool closed = false;
};

class HandshakeFlood : public testing::Test {
 protected:
  using Clients = std::vector<Client>;

  void ask(size_t at) {
    Clients& list = clients_[at];
    Request r;
    r.kind = Request::connect;
    r.token = list.size();
    r.open = {};
    r.open.remote = server_ip;
    r.open.remote_port = 80;
    machine(at).asked.push_back(r);
    list.push_back({now_, Instant::never(), {}});
  }
  void say(size_t at, uint64_t number) {
    Client& c = clients_[at][number];
    Request r = machine(at).on(c.id, Request::send);
    r.slice_count = 1;
    r.slices[0] = machine(at).text(number, c.sent, message);
    c.sent += message;
    machine(at).asked.push_back(r);
  }
  // A client says something, hears it back, and says more while `steady_` (the first ones) or closes.
  void client_event(size_t at, Event& e) {
    Client& c = clients_[at][e.token];
    switch (e.kind) {
      case Event::connected:
        c.id = e.connection;
        c.connected = now_;
        return say(at, e.token);
      case Event::received:
        for (uint32_t i = 0; i < e.length; ++i)
          if (e.data()[i] != content(e.token, c.received + i)) ++wrong_bytes_;
        c.received += e.length;
        if (c.received != c.sent) return;
        if (e.token < steady_each && flooding_) return say(at, e.token);
        return machine(at).asked.push_back(machine(at).on(c.id, Request::close));
      case Event::closed:
        c.closed = true;
        if (e.reason != Event::finished) ++broken_;
        return;
      default: ++broken_;
    }
  }
  void server_event(Event& e) {
    if (e.kind == Event::received) {
      Request r = server_.on(e.connection, Request::send);
      r.slice_count = 1;
      r.slices[0] = e.keep();
      server_.asked.push_back(r);
    } else if (e.kind == Event::peer_closed) {
      server_.asked.push_back(server_.on(e.connection, Request::close));
    } else if (e.kind == Event::failed || (e.kind == Event::closed && e.reason != Event::finished)) {
      ++broken_;
    }
  }
  void turn() {
    now_ = now_ + tick;
    for (size_t at = 0; at < 2; ++at)
      machine(at).turn(now_, [&](Event& e) { client_event(at, e); },
                       [&](const wire::Mac&, Bytes b) { server_.arrive(now_ + tick, std::move(b)); });
    server_.turn(now_, [&](Event& e) { server_event(e); }, [&](const wire::Mac& to, Bytes b) {
      for (size_t at = 0; at < 2; ++at)
        if (to == mac_of(static_cast<uint8_t>(2 + at)) || to == wire::Mac::broadcast()) machine(at).arrive(now_ + tick, b);
    });
  }
  Machine& machine(size_t at) { return at == 0 ? modern_ : plain_; }
  uint32_t done() const {
    uint32_t n = 0;
    for (const Clients& list : clients_)
      for (const Client& c : list) n += c.closed && c.received == c.sent && c.received > 0 ? 1 : 0;
    return n;
  }

  Instant now_ = Instant{} + seconds(1000);
  Machine server_{1, now_, [](stack::Config&) {}};
  Machine modern_{2, now_, [](stack::Config&) {}};
  Machine plain_{3, now_, [](stack::Config& c) { c.tcp.timestamps = false; }};
  Flood flood_;
  std::array<Clients, 2> clients_;
  bool flooding_ = true;
  uint32_t broken_ = 0;       // events that should not be
  uint32_t wrong_bytes_ = 0;
};

// RFC 4987: 99 of 100 connect at once. The others lost a frame at the full ring, and their SYN's retry, or their text's,
// succeeds; nobody is refused.
TEST_F(HandshakeFlood, ListenStaysOpenForClientsAndEstablishedFlowsLoseNothing) {
  server_.enqueue(encode_arp(true, wire::Mac::broadcast(), mac_of(254), ipv4(10, 0, 0, 254), server_ip));
  Request listen;
  listen.kind = Request::listen;
  listen.backlog = 1024;
  listen.open = {};
  listen.open.local_port = 80;
  server_.asked.push_back(listen);
  turn();
  for (uint32_t i = 0; i < 2 * steady_each; ++i) ask(i % 2);
  for (int i = 0; i < 100; ++i) turn();
  uint32_t said = 0, dropped = 0;
  for (uint32_t t = 0, syns = 0; syns < synned; ++t) {
    uint32_t n = t % 4000 >= 3900 && t % 4000 < 3920 ? 175 : 25;  // ten times too many for the ring
    for (; n > 0 && syns < synned; --n, ++syns) dropped += server_.enqueue(flood_.next()) ? 0 : 1;
    if (t % 36 == 0 && clients_[t / 36 % 2].size() < steady_each + clients_each) ask(t / 36 % 2);
    turn();
    if (t % 1000 == 0) {
      const char* broken = server_.broken();
      ASSERT_EQ(broken, nullptr) << broken;
    }
  }
  ASSERT_EQ(clients_[0].size() + clients_[1].size(), 2 * (steady_each + clients_each));
  for (const Clients& list : clients_)
    for (uint32_t i = 0; i < steady_each; ++i) said += list[i].received / message;
  uint32_t at_once = 0;
  flooding_ = false;
  for (int i = 0; i < 1'000'000 && done() < 2 * (steady_each + clients_each); i += 100)
    for (int k = 0; k < 100; ++k) turn();
  for (const Clients& list : clients_)
    for (uint32_t i = steady_each; i < list.size(); ++i) at_once += list[i].connected - list[i].asked < seconds(1) ? 1 : 0;
  EXPECT_EQ(done(), 2 * (steady_each + clients_each));
  EXPECT_GE(at_once, 2 * clients_each * 99 / 100);
  EXPECT_EQ(broken_, 0u);
  EXPECT_EQ(wrong_bytes_, 0u);
  EXPECT_GT(said, 32u * 1000);
  EXPECT_GT(dropped, 10'000u);
  EXPECT_GT(server_.counter(Count::syn_cookies_sent), synned * 9 / 10);
  EXPECT_GE(server_.counter(Count::syn_cookies_accepted), clients_each);
  EXPECT_EQ(server_.counter(Count::listen_overflow), 0u);
  EXPECT_EQ(server_.counter(Count::drop_answer_room), 0u);
  for (Machine* m : {&server_, &modern_, &plain_}) EXPECT_EQ(m->packets.taken(), 0u);
  EXPECT_EQ(stack::gauges(*server_.stack).connections, 0u);
  RecordProperty("connected_at_once", static_cast<int>(at_once));
  RecordProperty("frames_dropped_at_the_ring", static_cast<int>(dropped));
  RecordProperty("messages_of_established", static_cast<int>(said));
  RecordProperty("cookies_accepted", static_cast<int>(server_.counter(Count::syn_cookies_accepted)));
  RecordProperty("cookies_failed", static_cast<int>(server_.counter(Count::syn_cookies_failed)));
  RecordProperty("retransmitted", static_cast<int>(server_.counter(Count::retransmitted)));
}

}  // namespace
}  // namespace millrace::conformance
