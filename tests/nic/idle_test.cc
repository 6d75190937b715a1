// SPDX-License-Identifier: BSD-3-Clause
// Cores that sleep: whoever writes into what one reads wakes it, its timers end its sleep, and what it has slept is no turn's
// length. The core that sleeps here has no queue, so nothing but a wakeup or a deadline ends its sleep before a second has
// passed; how many sleeps ended by that second is counted, and no test looks at a clock for its verdict.
#include <gtest/gtest.h>
#include <millrace/millrace.h>

#include <atomic>
#include <span>
#include <thread>
#include <vector>

#include "nic/machine.h"
#include "nic/port.h"
#include "run/worker.h"

namespace millrace::run {
namespace {

constexpr uint32_t asleep = 1;  // the core without a queue
constexpr uint16_t port = 8000;

class IdleTest : public testing::Test {
 protected:
  void open(Idle idle) {
    Config config;
    config.packet_buffers = 8192;
    config.max_connections = 1000;
    config.max_time_wait = 1024;
    config.seed = 1;
    config.neighbors = {{ipv4(10, 9, 0, 77), {{2, 0, 0, 0, 0, 1}}}};  // it never answers
    config.tcp.rto_initial = milliseconds(10);
    config.tcp.rto_min = milliseconds(10);
    config.tcp.syn_retries = 2;
    Config other = config;
    other.address = ipv4(10, 9, 0, 3);
    config.cores = 2;
    config.queues = 1;
    config.idle = idle;
    config.hardware_steering = false;
    other.idle = Idle::spin;
    nic::Affinity before;
    link_ = nic::Link::open_pair(config, other);
    before.restore();
    for (uint32_t core = 0; core < 2; ++core)
      workers_.push_back(std::make_unique<Worker>(config, link_->port(0), core, cores_));
    peer_ = std::make_unique<Worker>(other, link_->port(1), 0, no_cores_);
    channel_ = &workers_[asleep]->attach(false, 64);
  }
  void start(const Application& application = {}) {
    for (auto& worker : workers_)
      threads_.emplace_back([this, &worker, application] {
        worker->join(false);
        while (!stop_) worker->looped_turn(application);
      });
  }
  void stop() {
    stop_ = true;
    for (auto& worker : workers_) worker->wake_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  void TearDown() override {
    stop();
    std::vector<Worker*> all = {workers_[0].get(), workers_[1].get(), peer_.get()};
    for (Worker* worker : all) worker->join(false);
    for (int i = 0; i < 100; ++i)
      for (Worker* worker : all) worker->abort_step();
    for (int i = 0; i < 100; ++i)
      for (Worker* worker : all) worker->drain_step();
    for (Worker* worker : all) worker->leave();
    workers_.clear();
    peer_.reset();
    link_->leave();
    EXPECT_TRUE(link_->leave());
    std::string report;
    EXPECT_TRUE(link_->all_back(report)) << report;
  }

  Worker& sleeper() { return *workers_[asleep]; }
  // It has announced itself, and looks for the last time or sleeps already.
  void wait_for_sleep() {
    while (!sleeper().wakeup().is_announced()) std::this_thread::yield();
  }
  // Of an application's thread. A wait may end sooner.
  bool wait_for_events() {
    for (int tries = 0; tries < 20; ++tries)
      if (channel_->channel.wait(seconds(20))) return true;
    return false;
  }
  uint64_t not_woken() { return sleeper().load().sleeps - sleeper().load().wakeups; }
  // Of so many rounds each of which would have waited for a second. A machine that stops for one may add some.
  void expect_woken(uint64_t rounds) {
    EXPECT_LE(not_woken(), rounds / 10);
    EXPECT_GT(sleeper().load().wakeups, 0u);
  }

  std::shared_ptr<nic::Link> link_;
  Cores cores_{2}, no_cores_{1};
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Worker> peer_;
  ChannelHost* channel_ = nullptr;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
};

// An application's thread asks, and waits for the answer: both sides sleep meanwhile.
TEST_F(IdleTest, ARequestWakesTheCoreAndItsAnswerTheApplication) {
  open(Idle::sleep);
  start();
  constexpr uint32_t rounds = 300;
  uint32_t answered = 0, missing = 0;
  for (uint32_t i = 0; i < rounds; ++i) {
    wait_for_sleep();
    channel_->channel.unlisten(static_cast<uint16_t>(i + 1));  // which nobody listens on
    missing += !wait_for_events();
    for (Event& event : channel_->channel.events()) answered += event.kind == Event::failed;
  }
  EXPECT_EQ(answered, rounds);
  EXPECT_EQ(missing, 0u);
  stop();
  expect_woken(rounds);
}

// An application may leave events for its next call: there it is, though nothing else comes.
TEST_F(IdleTest, UnreadEventsKeepTheCoreAwake) {
  open(Idle::sleep);
  constexpr uint32_t all = 40;
  constexpr uint64_t slow = 50'000;  // cycles of a call: all of them take longer than it spins
  std::atomic<uint32_t> read{0};
  uint64_t sleeps_at_first = 0, sleeps_at_last = 0;
  start([&](Channel& channel) {
    if (channel.core() != asleep) return;
    channel.call_by(Instant::never());
    if (channel.first_turn())
      for (uint16_t i = 1; i <= all; ++i) channel.unlisten(i);  // which nobody listens on: `failed`, each
    for (uint64_t until = nic::read_cycles() + slow; nic::read_cycles() < until;) __builtin_ia32_pause();
    uint32_t in_this_call = 0;
    for (Event& event : channel.events()) {
      if (in_this_call++ == 1) break;
      EXPECT_EQ(event.kind, Event::failed);
      (read == 0 ? sleeps_at_first : sleeps_at_last) = sleeper().load().sleeps;
      ++read;
    }
  });
  while (read < all) std::this_thread::yield();
  stop();
  EXPECT_EQ(sleeps_at_last, sleeps_at_first);
}

// At any moment of its way to sleep, also between its last look and the announcement.
TEST_F(IdleTest, ARequestComesWhileTheCoreGoesToSleep) {
  open(Idle::sleep);
  start();
  constexpr uint32_t rounds = 10'000;
  constexpr uint64_t long_sleep = 800'000, most = 60'000;  // cycles: one that makes it spin shortly, one of all moments then
  constexpr uint64_t stops_of_the_machine = 2;
  uint32_t answered = 0;
  for (uint32_t i = 0; i < rounds && not_woken() <= stops_of_the_machine; ++i) {
    uint64_t moment = nic::read_cycles() + (i % 2 == 0 ? long_sleep : i * 29 % most);
    while (nic::read_cycles() < moment) __builtin_ia32_pause();
    channel_->channel.unlisten(1);
    while (!channel_->channel.has_events()) __builtin_ia32_pause();
    for (Event& event : channel_->channel.events()) answered += event.kind == Event::failed;
  }
  EXPECT_EQ(answered, rounds);
  EXPECT_LE(not_woken(), stops_of_the_machine);
}

// Read events are given back, and what they held may open a window: the core has to see that.
TEST_F(IdleTest, ReadEventsWakeTheCore) {
  open(Idle::sleep);
  start();
  constexpr uint32_t rounds = 50;
  for (uint32_t i = 0; i < rounds; ++i) {
    channel_->channel.unlisten(static_cast<uint16_t>(i + 1));
    ASSERT_TRUE(wait_for_events());
    wait_for_sleep();
    uint64_t before = sleeper().load().wakeups;
    for (Event& event : channel_->channel.events()) EXPECT_EQ(event.kind, Event::failed);
    while (sleeper().load().wakeups == before) std::this_thread::yield();
  }
  stop();
  expect_woken(rounds);
}

TEST_F(IdleTest, AQuestionFromOutsideWakesTheCore) {
  open(Idle::sleep);
  start();
  constexpr uint32_t rounds = 100;
  std::atomic<uint32_t> never{0};
  for (uint32_t i = 0; i < rounds; ++i) {
    wait_for_sleep();
    ASSERT_EQ(sleeper().inquiry().ask({}, never), Inquiry::Outcome::answered);
  }
  stop();
  expect_woken(rounds);
}

// Client and server of one exchange: the client connects by local ports whose flow is the sleeper's.
struct Exchange {
  uint32_t wanted = 0;
  uint32_t answers = 0, failures = 0;
  ConnectionId connection{};
  bool is_open = false, has_asked = false;

  void operator()(Channel& channel) {
    for (Event& event : channel.events()) {
      if (event.kind == Event::connected) {
        connection = event.connection;
        is_open = true;
      }
      if (event.kind == Event::received) {
        ++answers;
        has_asked = false;
      }
      failures += event.kind == Event::closed || event.kind == Event::failed;
    }
  }
  void ask(Channel& channel) {
    uint8_t byte = 7;
    has_asked = channel.send(connection, std::span<const uint8_t>{&byte, 1});
  }
};

// A frame comes to the core with the queue, is handed over, and its answer goes back the same way.
TEST_F(IdleTest, FramesThatAreHandedOverWakeTheirCore) {
  open(Idle::sleep);
  start([](Channel& channel) {
    channel.call_by(Instant::never());
    if (channel.first_turn()) channel.listen({.port = port});
    for (Event& event : channel.events()) {
      if (event.kind == Event::received) channel.send(event.connection, event.keep());
      if (event.kind == Event::peer_closed) channel.close(event.connection);
    }
  });
  constexpr uint32_t rounds = 100;
  Exchange exchange;
  peer_->join(false);
  Application client = [&](Channel& channel) {
    if (channel.first_turn()) {
      uint16_t local = 2000;
      while (channel_->channel.owner(ipv4(10, 9, 0, 2), port, ipv4(10, 9, 0, 3), local) != asleep) ++local;
      channel.connect({.address = ipv4(10, 9, 0, 2), .port = port, .local_port = local});
    }
    exchange(channel);
    if (exchange.is_open && !exchange.has_asked && sleeper().wakeup().is_announced()) exchange.ask(channel);
  };
  while (exchange.answers < rounds && exchange.failures == 0) peer_->turn(client);
  EXPECT_EQ(exchange.answers, rounds);
  EXPECT_EQ(exchange.failures, 0u);
  const Counters& counters = stack::counters(sleeper().stack());
  EXPECT_GE(counters[Count::frames_taken_over], rounds);
  stop();
  EXPECT_GT(sleeper().load().wakeups, rounds / 2);
  // RFC9293-MUST-20: its retransmissions are timers of its own, which end its sleep; so does a second without any.
  EXPECT_LE(not_woken(), rounds);
}

// SYNs at 0, 10 and 30 ms, and the end at 70 ms, while it sleeps in between: few turns, and none too early.
TEST_F(IdleTest, TimersEndItsSleep) {
  open(Idle::sleep);
  start();
  Channel& channel = channel_->channel;
  Instant begin = channel.now();
  channel.connect({.address = ipv4(10, 9, 0, 77), .port = port});
  bool has_timed_out = false;
  for (int waits = 0; waits < 100 && !has_timed_out; ++waits) {
    channel.wait(seconds(1));
    for (Event& event : channel.events()) has_timed_out |= event.kind == Event::closed && event.reason == Event::timed_out;
  }
  Instant end = channel.now();
  stop();
  EXPECT_TRUE(has_timed_out);
  EXPECT_GE(end - begin, milliseconds(70));
  EXPECT_EQ(stack::counters(sleeper().stack())[Count::segments_sent], 3u);
  Endpoint::Load load = sleeper().load();
  EXPECT_GE(load.sleeps, 3u);
  EXPECT_GT(load.asleep_cycles, load.total_cycles / 4);
  EXPECT_LT(load.turns, 100'000u);  // one that spins for 70 ms has a million
}

// Asleep for a second, woken by a request: that was no turn of a second.
TEST_F(IdleTest, SleepIsNoTurnsLength) {
  open(Idle::sleep);
  start();
  while (sleeper().load().sleeps == sleeper().load().wakeups) std::this_thread::yield();  // a whole one
  wait_for_sleep();
  channel_->channel.unlisten(1);
  ASSERT_TRUE(wait_for_events());
  for (Event& event : channel_->channel.events()) static_cast<void>(event);
  stop();
  Endpoint::Load load = sleeper().load();
  EXPECT_LT(load.longest_turn, milliseconds(500));
  EXPECT_LE(load.useful_cycles + load.asleep_cycles, load.total_cycles);
  EXPECT_GT(static_cast<double>(load.asleep_cycles), 0.9 * load.cycles_per_second);
  EXPECT_GE(load.useful_turns, 1u);
  EXPECT_LT(load.useful_turns, load.turns);
}

// An application that says nothing is called every millisecond; who says when is called then.
TEST_F(IdleTest, ApplicationsAreCalledByTheirTime) {
  open(Idle::sleep);
  std::atomic<uint32_t> calls{0}, early{0}, late_by{0};
  start([&](Channel& channel) {
    if (channel.core() != asleep) return;
    thread_local Instant next;
    if (calls < 20) ++calls;
    if (calls < 20) return;
    if (next != Instant{} && channel.now() >= next) ++late_by;
    if (next != Instant{} && channel.now() < next) ++early;
    if (next <= channel.now()) channel.call_by(next = channel.now() + milliseconds(20));
  });
  while (late_by < 5) std::this_thread::yield();
  stop();
  EXPECT_EQ(calls, 20u);
  EXPECT_LT(sleeper().load().turns, 200'000u);
}

// What is not asked to sleep never does, and tells so.
TEST_F(IdleTest, SpinningNeverSleeps) {
  open(Idle::spin);
  start();
  while (sleeper().load().turns < 100'000) std::this_thread::yield();
  EXPECT_FALSE(sleeper().wakeup().is_open());
  stop();
  EXPECT_EQ(sleeper().load().sleeps, 0u);
  EXPECT_EQ(sleeper().load().asleep_cycles, 0u);
}

TEST(Idle, ADeviceWithAKernelBehindSleepsUnlessToldOtherwise) {
  for (const char* driver : {"net_tap", "net_tun", "net_af_packet", "net_af_xdp"})
    EXPECT_EQ(nic::choose_idle(Idle::automatic, driver), Idle::sleep) << driver;
  for (const char* driver : {"net_ring", "net_memif", "net_pcap", "0000:03:00.0"})
    EXPECT_EQ(nic::choose_idle(Idle::automatic, driver), Idle::spin) << driver;
  for (Idle wanted : {Idle::spin, Idle::pause, Idle::sleep}) EXPECT_EQ(nic::choose_idle(wanted, "net_tap"), wanted);
}

// It spins long where that is worth it, and hardly where it is not.
TEST(Idle, SpinningAdapts) {
  Spin spin;
  EXPECT_EQ(spin.limit(), Spin::longest);
  for (int i = 0; i < 20; ++i) spin.slept(milliseconds(1), i % 2 == 0);
  EXPECT_EQ(spin.limit(), Spin::shortest);
  spin.slept(microseconds(50), false);  // a timer's time is no event that came soon
  EXPECT_EQ(spin.limit(), Spin::shortest);
  for (int i = 0; i < 20; ++i) spin.slept(microseconds(50), true);
  EXPECT_EQ(spin.limit(), Spin::longest);
}

}  // namespace
}  // namespace millrace::run
