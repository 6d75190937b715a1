// SPDX-License-Identifier: BSD-3-Clause
// What the core alone costs: two Stacks answer each other over arrays in memory, with real frames and real
// checksums, without DPDK and without rings. One item is a request and its response, both ends. Also the
// program to run under `valgrind --tool=callgrind`, which counts instructions repeatably:
//   valgrind --tool=callgrind bench/turn_bench --benchmark_filter=rps/256/iterations:20
//   valgrind --tool=callgrind bench/turn_bench --benchmark_filter=rps/256/iterations:120
// The difference is what 102,400 requests cost, without the setting up.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "stack/internals.h"
#include "wire/build.h"

namespace millrace {
void ensure_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: ensure(%s) failed\n", file, line, what);
  std::abort();
}
}  // namespace millrace

namespace {

using namespace millrace;

constexpr uint32_t block_size = 512;
constexpr uint32_t headroom = 128;

// Blocks for both ends; the last one given back is taken first.
struct Blocks {
  std::unique_ptr<uint8_t[]> memory;
  std::vector<uint8_t*> free;
  explicit Blocks(uint32_t count) : memory(new uint8_t[size_t{count} * block_size]()) {
    for (uint32_t i = 0; i < count; ++i) free.push_back(memory.get() + size_t{i} * block_size);
  }
  uint8_t* take() {
    uint8_t* b = free.back();
    free.pop_back();
    return b;
  }
};

struct End {
  std::vector<std::byte> memory;
  stack::Stack* stack;
  std::vector<Event> ring = std::vector<Event>(1024);
  std::vector<wire::TxSegment> segments = std::vector<wire::TxSegment>(limits::segments_per_turn);
  std::vector<Slice> slices = std::vector<Slice>(limits::slices_per_turn);
  std::vector<wire::SackBlock> sacks = std::vector<wire::SackBlock>(limits::segments_per_turn * 4);
  std::vector<PacketRef> release;
  stack::Output out;
  std::vector<wire::Frame> inbox;
  std::vector<Request> requests;
  uint32_t read = 0;

  End(uint32_t number, uint32_t connections) {
    stack::Config c;
    c.core = number;
    c.max_connections = connections + 16;
    c.max_half_open = connections + 16;
    c.held_limit = connections * 4 + 4096;
    c.local = {ipv4(10, 0, 0, number), 1, 24};
    c.mac = {{2, 0, 0, 0, 0, static_cast<uint8_t>(number)}};
    c.secret = {number * 77ull, 99};
    c.max_port_pools = 16;
    memory.resize(stack::memory_size(c));
    stack = stack::make_stack(c, memory, Instant{seconds(1).ns});
    stack::attach(*stack);
    release.resize(stack::release_capacity(c));
    out.segments = Batch<wire::TxSegment>{segments};
    out.slices = Batch<Slice>{slices};
    out.sacks = Batch<wire::SackBlock>{sacks};
    out.release = Batch<PacketRef>{release};
    out.events[0] = {ring.data(), 1023, 0, 1024};
  }
};

template <class Application>
void turn(End& self, End& other, Blocks& blocks, Instant now, Application&& application) {
  size_t n = std::min<size_t>(self.inbox.size(), limits::rx_burst);
  receive(*self.stack, {self.inbox.data(), n}, now, self.out);
  self.inbox.erase(self.inbox.begin(), self.inbox.begin() + static_cast<ptrdiff_t>(n));
  stack::EventPort& port = self.out.events[0];
  self.requests.clear();
  uint32_t end = port.next;
  for (uint32_t i = self.read; i != end; ++i) application(self.ring[i & port.mask], self.requests);
  for (size_t i = 0; i < self.requests.size(); i += limits::requests_per_turn)
    request(*self.stack, 0,
            {self.requests.data() + i, std::min<size_t>(self.requests.size() - i, limits::requests_per_turn)},
            self.out);
  for (; self.read != end; ++self.read, ++port.end)
    reclaim(*self.stack, self.ring[self.read & port.mask], self.out);
  transmit(*self.stack, limits::tx_burst, self.out);
  for (const wire::TxSegment& tx : self.out.segments) {
    uint8_t* block = blocks.take();
    std::span<const Slice> slices{self.slices.data() + tx.first_slice, tx.slice_count};
    std::span<const wire::SackBlock> sacks{self.sacks.data() + tx.first_sack, tx.sack_count};
    uint32_t length = wire::build_header(tx, slices, sacks, self.stack->config.mac, {}, block + headroom);
    for (const Slice& s : slices) {
      std::memcpy(block + headroom + length, s.data(), s.length);
      length += s.length;
    }
    wire::Frame f;
    f.packet = PacketRef{block};
    f.data = block + headroom;
    f.length = length;
    other.inbox.push_back(f);
  }
  for (PacketRef p : self.out.release) blocks.free.push_back(p.handle);
  self.out.clear();
}

uint8_t payload[64];
const Slice constant{PacketRef{payload}, Slice::registered, 0, 64};

Request connect_request() {
  Request r;
  r.kind = Request::connect;
  r.open = {};
  r.open.remote = ipv4(10, 0, 0, 2);
  r.open.remote_port = 7;
  return r;
}

Request close_request(ConnectionId id) {
  Request r;
  r.kind = Request::close;
  r.connection = id;
  return r;
}

Request send_request(ConnectionId id) {
  Request r;
  r.kind = Request::send;
  r.connection = id;
  r.slice_count = 1;
  r.slices[0] = constant;
  return r;
}

void listen(End& server) {
  Request listen;
  listen.kind = Request::listen;
  listen.backlog = 65535;
  listen.open = {};
  listen.open.local_port = 7;
  request(*server.stack, 0, {&listen, 1}, server.out);
}

// Listens on the server and opens `connections` from the client; their ids.
std::vector<ConnectionId> open_all(End& client, End& server, Blocks& blocks, Instant& now,
                                   uint32_t connections) {
  listen(server);
  std::vector<ConnectionId> ids;
  auto note = [&](Event& e, std::vector<Request>&) {
    if (e.kind == Event::connected) ids.push_back(e.connection);
  };
  uint32_t opened = 0;
  while (ids.size() < connections) {
    std::vector<Request> connects;
    for (int i = 0; i < 16 && opened < connections; ++i, ++opened) connects.push_back(connect_request());
    request(*client.stack, 0, connects, client.out);
    now = now + microseconds(100);
    turn(client, server, blocks, now, note);
    turn(server, client, blocks, now, [](Event&, std::vector<Request>&) {});
  }
  return ids;
}

// Turns of both ends until 1000 more are done, again and again. `done` is counted by what sees the events.
template <typename OnClient, typename OnServer>
void measure(benchmark::State& state, End& client, End& server, Blocks& blocks, Instant& now, const uint64_t& done,
             OnClient&& on_client, OnServer&& on_server) {
  uint64_t begin = __builtin_ia32_rdtsc();
  for (auto _ : state) {
    uint64_t goal = done + 1000;
    while (done < goal) {
      now = now + microseconds(3);
      turn(client, server, blocks, now, on_client);
      turn(server, client, blocks, now, on_server);
    }
  }
  auto items = static_cast<double>(done);
  state.counters["cycles"] = static_cast<double>(__builtin_ia32_rdtsc() - begin) / items;
  state.counters["segments"] = static_cast<double>(client.stack->cx.counters[Count::segments_sent] +
                                                   server.stack->cx.counters[Count::segments_sent]) / items;
  state.SetItemsProcessed(static_cast<int64_t>(done));
}

void rps(benchmark::State& state) {
  auto connections = static_cast<uint32_t>(state.range(0));
  Blocks blocks{connections * 4 + 8192};
  End client{1, connections}, server{2, connections};
  Instant now{seconds(1).ns};
  std::vector<ConnectionId> ids = open_all(client, server, blocks, now, connections);
  // 32 in flight at a time: the first of all connections ask in groups, the rest follow round robin.
  uint32_t in_flight = std::min<uint32_t>(connections, 32);
  uint32_t next = 0;
  uint64_t responses = 0;
  auto start_one = [&](std::vector<Request>& out) { out.push_back(send_request(ids[next++ % connections])); };
  auto ask_next = [&](Event& e, std::vector<Request>& out) {
    if (e.kind != Event::received) return;
    ++responses;
    start_one(out);
  };
  auto serve = [&](Event& e, std::vector<Request>& out) {
    if (e.kind == Event::received) out.push_back(send_request(e.connection));
  };
  std::vector<Request> first;
  for (uint32_t i = 0; i < in_flight; ++i) start_one(first);
  request(*client.stack, 0, first, client.out);
  measure(state, client, server, blocks, now, responses, ask_next, serve);
  state.counters["pure_acks"] = static_cast<double>(client.stack->cx.counters[Count::pure_acks_sent] +
                                                    server.stack->cx.counters[Count::pure_acks_sent]);
}
BENCHMARK(rps)->Arg(1)->Arg(16)->Arg(256)->Arg(4096)->Arg(65536);
BENCHMARK(rps)->Arg(256)->Iterations(20);
BENCHMARK(rps)->Arg(256)->Iterations(120);

// Connect, one request, one response, close: the client first, or the server with its response. 32 at a time; the records
// in TIME-WAIT are soon as many as there may be.
void cps(benchmark::State& state) {
  bool server_first = state.range(0) != 0;
  Blocks blocks{8192};
  End client{1, 64}, server{2, 64};
  Instant now{seconds(1).ns};
  listen(server);
  uint64_t closed = 0;
  auto ask = [&](Event& e, std::vector<Request>& out) {
    if (e.kind == Event::connected) out.push_back(send_request(e.connection));
    if (e.kind == (server_first ? Event::peer_closed : Event::received)) out.push_back(close_request(e.connection));
    if (e.kind == Event::closed) ++closed, out.push_back(connect_request());
  };
  auto serve = [&](Event& e, std::vector<Request>& out) {
    if (e.kind == Event::received) out.push_back(send_request(e.connection));
    if (e.kind == (server_first ? Event::received : Event::peer_closed)) out.push_back(close_request(e.connection));
  };
  std::vector<Request> first(32, connect_request());
  request(*client.stack, 0, first, client.out);
  measure(state, client, server, blocks, now, closed, ask, serve);
}
BENCHMARK(cps)->Arg(0)->Arg(1);
BENCHMARK(cps)->Arg(0)->Iterations(5);
BENCHMARK(cps)->Arg(0)->Iterations(25);

}  // namespace

BENCHMARK_MAIN();
