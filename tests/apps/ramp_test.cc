// SPDX-License-Identifier: BSD-3-Clause
// Very many connections begin, in virtual time: a server that takes one request after the other, and an RTO
// for each connection as RFC 6298 has it.
#include "load/ramp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <vector>

namespace millrace::load {
namespace {

constexpr double ms = 1e6;  // nanoseconds
constexpr uint64_t first = 4096;
constexpr double rto_min = 200 * ms;

struct Connection {
  double srtt = 5 * ms, rttvar = 2.5 * ms;  // of its handshake
  double rto() const { return std::max(rto_min, srtt + 4 * rttvar); }
  void sample(double rtt) {
    rttvar = 0.75 * rttvar + 0.25 * std::abs(srtt - rtt);
    srtt = 0.875 * srtt + 0.125 * rtt;
  }
};

struct Result {
  uint64_t requests = 0, retransmitted = 0;
  double all_underway_at = -1, idle = 0;  // of the server
};

// `cost(i)`: what the server takes for its ith request. `paced`: by a ramp, or all at once.
template <typename Cost>
Result run(uint64_t connections, double seconds, bool paced, const Cost& cost, double thinks = 0) {
  Ramp ramp(paced ? connections : 0, first, static_cast<uint64_t>(rto_min / 4), true);
  struct Request {
    uint32_t connection;
    double since, arrives;
  };
  std::vector<Connection> all(connections);
  std::deque<uint32_t> ready;
  for (uint32_t i = 0; i < connections; ++i) ready.push_back(i);
  std::deque<Request> queue;
  Result result;
  double now = 0, free_at = 0;
  while (now < seconds * 1e9) {
    for (int i = 0; i < 64 && !ready.empty() && queue.size() < ramp.window(); ++i) {
      queue.push_back({ready.front(), now, now + thinks});
      ready.pop_front();
    }
    if (queue.size() == connections && result.all_underway_at < 0) result.all_underway_at = now / 1e9;
    Request request = queue.front();
    queue.pop_front();
    double begin = std::max(free_at, request.arrives);
    result.idle += begin - free_at;
    now = free_at = begin + cost(result.requests++);
    // Somebody who thinks has acknowledged the request meanwhile.
    double latency = now - request.since, round_trip = latency - thinks;
    Connection& connection = all[request.connection];
    if (round_trip > connection.rto()) ++result.retransmitted;
    connection.sample(round_trip);
    if (!ramp.is_over()) ramp.answered(static_cast<uint64_t>(latency));
    ready.push_back(request.connection);
  }
  return result;
}

// The first request of each is dear: its memory is touched for the first time.
auto cold(uint64_t connections, double ns) {
  return [=](uint64_t i) { return i < connections ? 4 * ns : ns; };
}

TEST(Ramp, without_it_round_trips_outgrow_what_connections_know_of_them) {
  constexpr uint64_t connections = 1'000'000;
  EXPECT_GT(run(connections, 5, false, cold(connections, 1200)).retransmitted, 400'000u);
}

TEST(Ramp, with_it_hardly_anything_is_sent_again) {
  for (uint64_t connections : {20'000, 100'000, 1'000'000})
    for (double ns : {1000, 4000}) {
      Result result = run(connections, 10, true, cold(connections, ns));
      EXPECT_LT(result.retransmitted * 1000, result.requests) << connections << " of " << ns;
      EXPECT_LT(result.idle, 0.001 * 10e9) << "the server waits for us: " << connections << " of " << ns;
    }
}

// A machine that is slower now and then, by half. (When all are underway that is TCP's to bear.)
TEST(Ramp, bears_a_server_that_slows_down) {
  constexpr uint64_t connections = 300'000;
  Result result =
      run(connections, 2, true, [](uint64_t i) { return i / 100'000 % 2 == 0 ? 1500.0 : 2250.0; });
  EXPECT_LT(result.retransmitted * 1000, result.requests);
}

TEST(Ramp, in_the_end_all_are_underway) {
  Result result = run(100'000, 20, true, cold(100'000, 1000));
  EXPECT_GE(result.all_underway_at, 0);
  EXPECT_LT(result.all_underway_at, 10);
}

// Thinking is no queue: the window doubles with each round trip.
TEST(Ramp, a_server_that_thinks_for_a_second_gets_all_soon) {
  Result result = run(
      100'000, 20, true, [](uint64_t) { return 100.0; }, 1000 * ms);
  EXPECT_GE(result.all_underway_at, 0);
  EXPECT_LE(result.all_underway_at, 7);
}

TEST(Ramp, few_connections_do_not_wait) {
  Ramp ramp(4096, 4096, 50'000'000, true);
  EXPECT_TRUE(ramp.is_over());
  EXPECT_EQ(ramp.window(), UINT64_MAX);
}

// Of connects each is new: the queue is held for ever, and gets shorter again where it was too long.
TEST(Ramp, a_queue_of_connects_is_held) {
  Ramp ramp(1'000'000, first, 50'000'000, false);
  for (int i = 0; i < 100'000; ++i) ramp.answered(1'000'000);
  uint64_t before = ramp.window();
  EXPECT_EQ(before, first + 100'000);
  for (int i = 0; i < 1'000; ++i) ramp.answered(90'000'000);
  EXPECT_LE(ramp.window(), before + 256);
  EXPECT_GE(ramp.window(), before - 250);
  for (int i = 0; i < 1'000'000; ++i) ramp.answered(90'000'000);
  EXPECT_EQ(ramp.window(), first);
}

}  // namespace
}  // namespace millrace::load
