// SPDX-License-Identifier: BSD-3-Clause
// run/channel with a core that is a script: what crosses the rings, in which order, and that nothing
// deadlocks however small they are.
#include "run/channel.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "nic/eal.h"
#include "nic/machine.h"
#include "run/worker.h"
#include "stack/diagnostics.h"

namespace millrace {

// The fake core. It remembers what it was asked and writes the events it was told to.
namespace {
struct FakeCore {
  std::vector<Request> requests;
  std::vector<Event> reclaimed;
  std::deque<Event> pending;
  bool blocked = false;
  uint32_t calls = 0;
  uint32_t longest_call = 0;
  // Each request is answered with `failed`, as a stale one would be; blocked when so many wait.
  uint32_t failed_limit = UINT32_MAX;
  bool answer_all = false;
};
FakeCore core;
}  // namespace

namespace stack {
size_t memory_size(const Config&) {
  return 64;
}
Stack* make_stack(const Config&, std::span<std::byte> memory, Instant) {
  return reinterpret_cast<Stack*>(memory.data());
}
uint32_t attach(Stack&) {
  static uint32_t next = 0;
  return next++ % limits::channels;
}
void receive(Stack&, std::span<const wire::Frame>, Instant, Output&) {}
bool requests_blocked(const Stack&, uint32_t) {
  return core.blocked || core.pending.size() >= core.failed_limit;
}
void request(Stack& stack, uint32_t channel, std::span<const Request> requests, Output&) {
  EXPECT_FALSE(requests_blocked(stack, channel));
  ++core.calls;
  core.longest_call = std::max(core.longest_call, static_cast<uint32_t>(requests.size()));
  for (const Request& request : requests) {
    core.requests.push_back(request);
    if (!core.answer_all) continue;
    Event event;
    event.kind = Event::failed;
    event.token = core.requests.size();
    core.pending.push_back(event);
  }
}
void requests_wait(Stack&, uint32_t, bool) {}
void reclaim(Stack&, const Event& event, Output&) {
  core.reclaimed.push_back(event);
}
void deliver(Stack&, Output&) {}
void transmit(Stack&, uint32_t, Output&) {}
Instant next_deadline(const Stack&) {
  return Instant::never();
}
void close_all(Stack&) {}
bool abort_some(Stack&, uint32_t, Output&) {
  return false;
}
Gauges gauges(const Stack&) {
  return {};
}
void count(Stack&, Count, uint64_t) {}
const Counters& counters(const Stack&) {
  static Counters none;
  return none;
}
bool diagnostics(const Stack&, ConnectionId, Instant, Diagnostics&) {
  return false;
}
bool addresses(const Stack&, ConnectionId, wire::FlowKey&) {
  return false;
}
uint32_t diagnose_next(const Stack&, Instant, DiagnosticsCursor& at, uint32_t, std::span<Diagnostics>,
                       const DiagnosticsFilter&) {
  at.over = true;
  return 0;
}
uint32_t listener_places(const Stack&) {
  return 0;
}
bool diagnostics(const Stack&, uint32_t, ListenerDiagnostics&) {
  return false;
}
uint32_t neighbor_places(const Stack&) {
  return 0;
}
bool diagnostics(const Stack&, uint32_t, NeighborDiagnostics&) {
  return false;
}
}  // namespace stack

namespace {

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    nic::Affinity before;  // EAL pins this thread, and threads made here would share its CPU
    nic::start_eal(
        {"",
         0,
         0,
         {"--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m", "32", "--log-level=lib.*:error"}});
    before.restore();
    core = {};
    config_.ring_size = 2;
    config_.seed = 1;
    port_.cores.resize(1);
    worker_ = std::make_unique<run::Worker>(config_, port_, 0, cores_);
  }

  ChannelHost& host() { return worker_->inline_channel(); }
  Channel& channel() { return host().channel; }

  // What the core's deliver() does: pending events into free slots.
  void deliver() {
    stack::EventPort& port = worker_->output().events[host().number];
    while (!core.pending.empty() && port.room()) {
      port.push() = core.pending.front();
      core.pending.pop_front();
    }
    host().publish();
  }
  void pend(Event::Kind kind, uint64_t token) {
    Event event;
    event.kind = kind;
    event.token = token;
    core.pending.push_back(event);
  }

  nic::Port port_;
  run::Cores cores_{1};
  Config config_;
  std::unique_ptr<run::Worker> worker_;
};

TEST_F(ChannelTest, events_arrive_in_order_through_a_ring_of_two) {
  for (uint64_t i = 1; i <= 9; ++i) pend(Event::received, i);
  uint64_t expected = 1;
  while (expected <= 9) {
    deliver();
    EXPECT_LE(channel().events().size(), 2u);
    for (Event& event : channel().events()) EXPECT_EQ(event.token, expected++);
    host().look();
    host().reclaim();
  }
  ASSERT_EQ(core.reclaimed.size(), 9u);
  for (uint64_t i = 0; i < 9; ++i) EXPECT_EQ(core.reclaimed[i].token, i + 1);
}

TEST_F(ChannelTest, a_slot_is_not_reused_before_it_is_reclaimed) {
  pend(Event::received, 1);
  pend(Event::received, 2);
  pend(Event::received, 3);
  deliver();
  EXPECT_EQ(core.pending.size(), 1u);
  for (Event& event : channel().events()) EXPECT_NE(event.token, 3u);
  deliver();  // given back, not reclaimed yet
  EXPECT_EQ(core.pending.size(), 1u);
  host().look();
  host().reclaim();
  deliver();
  EXPECT_TRUE(core.pending.empty());
}

TEST_F(ChannelTest, a_kept_buffer_is_not_in_the_reclaimed_event) {
  uint8_t byte = 0;
  for (int i = 0; i < 2; ++i) {
    pend(Event::received, 1);
    core.pending.back().packet = {&byte};
  }
  deliver();
  bool first = true;
  for (Event& event : channel().events()) {
    if (first) event.keep();
    first = false;
  }
  host().look();
  host().reclaim();
  ASSERT_EQ(core.reclaimed.size(), 2u);
  EXPECT_FALSE(core.reclaimed[0].packet);
  EXPECT_TRUE(core.reclaimed[1].packet);
}

TEST_F(ChannelTest, more_requests_than_the_ring_holds_go_to_the_core_at_once) {
  for (uint64_t i = 0; i < 100; ++i) channel().close(ConnectionId{i});
  while (host().take_requests() != 0) {
  }
  ASSERT_EQ(core.requests.size(), 100u);
  for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(core.requests[i].connection.value, i);
  EXPECT_LE(core.longest_call, limits::requests_per_turn);
}

TEST_F(ChannelTest, requests_are_taken_even_while_the_core_is_blocked) {
  core.blocked = true;
  for (uint64_t i = 0; i < 300; ++i) channel().close(ConnectionId{i});
  EXPECT_TRUE(core.requests.empty());
  core.blocked = false;
  for (int turn = 0; turn < 20; ++turn) host().take_requests();
  ASSERT_EQ(core.requests.size(), 300u);
  for (uint64_t i = 0; i < 300; ++i) EXPECT_EQ(core.requests[i].connection.value, i);
  EXPECT_LE(core.longest_call, limits::requests_per_turn);
}

// Rings of two, an application that answers each event with three mistakes before it reads the next.
TEST_F(ChannelTest, an_application_that_answers_before_it_reads_cannot_deadlock) {
  core.answer_all = true;
  core.failed_limit = 2;
  pend(Event::received, 1);
  uint64_t made = 0, seen = 0;
  for (int turn = 0; turn < 2000; ++turn) {
    deliver();
    for (Event& event : channel().events()) {
      seen += event.kind == Event::failed;
      for (int i = 0; i < 3 && made < 300; ++i) channel().close(ConnectionId{made++});
    }
    host().look();
    host().reclaim();
    host().take_requests();
  }
  EXPECT_EQ(made, 300u);
  EXPECT_EQ(core.requests.size(), 300u);
  EXPECT_EQ(seen, 300u);
}

TEST_F(ChannelTest, requests_carry_their_arguments) {
  channel().listen({.address = ipv4(10, 0, 0, 1), .port = 80, .token = 5, .backlog = 9});
  channel().connect({.address = ipv4(10, 0, 0, 2), .port = 81, .local_port = 82, .token = 6});
  uint8_t text[3] = {};
  channel().send(ConnectionId{7}, Channel::registered(text), true);
  channel().set(ConnectionId{8}, Setting::token, 99);
  while (host().take_requests() != 0) {
  }
  ASSERT_EQ(core.requests.size(), 4u);
  EXPECT_EQ(core.requests[0].open.local.v4(), ipv4(10, 0, 0, 1));
  EXPECT_EQ(core.requests[0].open.local_port, 80);
  EXPECT_EQ(core.requests[0].backlog, 9u);
  EXPECT_EQ(core.requests[1].open.remote.v4(), ipv4(10, 0, 0, 2));
  EXPECT_EQ(core.requests[1].open.remote_port, 81);
  EXPECT_EQ(core.requests[1].open.local_port, 82);
  EXPECT_TRUE(core.requests[1].open.local.is_unspecified());
  EXPECT_EQ(core.requests[1].token, 6u);
  EXPECT_EQ(core.requests[2].slices[0].length, 3);
  EXPECT_TRUE(core.requests[2].more);
  EXPECT_FALSE(core.requests[3].more);
  EXPECT_EQ(core.requests[3].setting.value, 99u);
}

TEST_F(ChannelTest, first_turn_is_true_once) {
  int first = 0;
  for (int i = 0; i < 3; ++i) host().call([&](Channel& c) { first += c.first_turn(); });
  EXPECT_EQ(first, 1);
}

TEST_F(ChannelTest, a_thread_waits_for_the_core_and_not_for_ever) {
  ChannelHost& crossing = worker_->attach(false, 2);
  std::thread application([&] {
    for (uint64_t i = 0; i < 10'000; ++i) crossing.channel.close(ConnectionId{i});
  });
  while (core.requests.size() < 5'000)
    if (crossing.take_requests() == 0) std::this_thread::yield();
  crossing.end();  // the rest goes nowhere, and the thread ends
  application.join();
  for (size_t i = 0; i < core.requests.size(); ++i) ASSERT_EQ(core.requests[i].connection.value, i);
}

}  // namespace
}  // namespace millrace
