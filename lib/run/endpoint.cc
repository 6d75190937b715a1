// SPDX-License-Identifier: BSD-3-Clause
// An Endpoint: a link, workers on it, and what stops them. (millrace/endpoint.h)
#include "millrace/endpoint.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/ensure.h"
#include "millrace/process.h"
#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/port_reading.h"
#include "run/memory.h"
#include "run/settings.h"
#include "run/shutdown.h"
#include "run/signals.h"
#include "run/telemetry.h"
#include "run/worker.h"

namespace millrace {

struct Endpoint::Impl {
  Impl(const Config& given, std::shared_ptr<run::Ends> shared, int which)
      : config(given), ends(std::move(shared)), side(which), cores(given.cores) {
    // The memory is touched on the CPU that will use it; then the thread is given back as it was, since
    // threads that the application makes inherit where it may run.
    nic::Affinity before;
    nic::Port& port = ends->link->port(side);
    for (uint32_t i = 0; i < config.cores; ++i) {
      before.pin(port.cores[i].cpu);
      workers.push_back(std::make_unique<run::Worker>(config, port, i, cores));
      ends->workers[side].push_back(workers.back().get());
    }
    before.restore();
    for (auto& worker : workers) told.push_back(std::make_unique<run::Told>(*worker, config));
  }

  ~Impl() {
    told.clear();
    if (workers.empty() || has_left) return;
    for (auto& worker : workers) worker->leave();
    ends->workers[side].clear();
    ends->link->leave();
  }

  const Config config;
  std::shared_ptr<run::Ends> ends;  // outlives the workers: pools of a pair are used by both
  const int side;
  run::Cores cores;
  std::vector<std::unique_ptr<run::Worker>> workers;
  std::vector<std::unique_ptr<run::Told>> told;
  std::atomic<bool> stop{false};
  bool has_left = false;
  int exit_code = 0;
};

static void prepare(std::span<const Config> configs) {
  prepare_process();
  nic::allowed_cpus();  // before any thread is pinned
  for (const Config& config : configs) run::check(config);
  run::check_memory(configs);
  run::install_signals();
}

Endpoint::Endpoint(const Config& config) {
  prepare({&config, 1});
  nic::Affinity before;  // EAL pins the thread that starts it
  auto ends = std::make_shared<run::Ends>();
  ends->link = nic::Link::open(config);
  before.restore();
  impl_ = std::make_unique<Impl>(config, std::move(ends), 0);
}

std::pair<Endpoint, Endpoint> Endpoint::pair(const Config& left, const Config& right) {
  const Config both[] = {left, right};
  prepare(both);
  if (left.address == right.address)
    throw ConfigError("the two ends of a pair need two addresses, not " + to_string(left.address) + " twice");
  if (!left.pcap.empty() && left.pcap == right.pcap)
    throw ConfigError("the two ends of a pair cannot write one capture: " + left.pcap);
  nic::Affinity before;
  auto ends = std::make_shared<run::Ends>();
  ends->link = nic::Link::open_pair(left, right);
  before.restore();
  auto first = std::make_unique<Impl>(left, ends, 0);
  auto second = std::make_unique<Impl>(right, ends, 1);
  return {Endpoint{std::move(first)}, Endpoint{std::move(second)}};
}

Endpoint::Endpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Endpoint::~Endpoint() = default;
Endpoint::Endpoint(Endpoint&&) noexcept = default;
Endpoint& Endpoint::operator=(Endpoint&&) noexcept = default;

// One thread for each core; the caller's for the first.
void Endpoint::loops(const std::function<void(uint32_t)>& loop) {
  std::vector<std::thread> others;
  for (uint32_t i = 1; i < cores(); ++i) others.emplace_back(loop, i);
  loop(0);
  for (std::thread& other : others) other.join();
}

int Endpoint::run(const Application& application) {
  std::fputs(banner().c_str(), stdout);
  std::fflush(stdout);
  if (impl_->config.mode == Mode::thread) return run_beside(application);
  loops([&](uint32_t core) {
    run::Worker& worker = *impl_->workers[core];
    worker.join();
    while (!stopping()) worker.looped_turn(application);
  });
  return finish(application);
}

// As in a worker's loop (run/idle.cc), of all channels.
static Duration until_next_call(const std::vector<ChannelHost*>& hosts) {
  Instant now = hosts[0]->channel.now();
  bool have_all_said = true;
  Instant next = now + seconds(1);
  for (ChannelHost* host : hosts) {
    have_all_said &= host->call_by != Instant{};
    if (host->call_by != Instant{}) next = std::min(next, host->call_by);
  }
  if (!have_all_said) next = std::min(next, now + Channel::longest_between_calls);
  return std::max(next, now) - now;
}

// The application's thread: it polls, as the workers do, and rests where a kernel may need its CPU.
static void call_until_stopped(const Endpoint& endpoint, const std::vector<ChannelHost*>& hosts,
                               const Application& application) {
  constexpr uint32_t calls_before_rest = 1000;
  uint32_t idle = 0;
  std::vector<Channel*> channels;
  for (ChannelHost* host : hosts) channels.push_back(&host->channel);
  bool may_sleep = hosts[0]->worker.port().idle == Idle::sleep;
  while (!endpoint.stopping()) {
    ++idle;
    for (ChannelHost* host : hosts) {
      if (host->channel.has_events()) idle = 0;
      host->call(application);
    }
    if (idle == 0) continue;
    if (may_sleep)
      Channel::wait(channels, until_next_call(hosts));
    else if (idle > calls_before_rest)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    else
      __builtin_ia32_pause();
  }
}

int Endpoint::run_beside(const Application& application) {
  std::vector<ChannelHost*> hosts;
  for (auto& worker : impl_->workers) {
    hosts.push_back(&worker->attach(false, impl_->config.ring_size));
    hosts.back()->begin();
  }
  // It may wait for room for a request, which the workers' turns make: they go on until it has ended.
  std::atomic<bool> ended{false};
  std::thread thread([&] {
    call_until_stopped(*this, hosts, application);
    ended.store(true, std::memory_order_release);
    for (auto& worker : impl_->workers) worker->wake_all();
  });
  loops([&](uint32_t core) {
    run::Worker& worker = *impl_->workers[core];
    worker.join();
    while (!ended.load(std::memory_order_acquire)) worker.looped_turn({});
  });
  thread.join();
  // What comes now is of the end, and read here.
  return finish([&](Channel& unused) {
    for (ChannelHost* host : hosts) host->read_all();
    for (Event& event : unused.events()) static_cast<void>(event);
  });
}

uint32_t Endpoint::cores() const {
  return impl_->config.cores;
}

void Endpoint::turn(const Application& application) {
  ensure(!impl_->has_left);
  for (auto& worker : impl_->workers) {
    worker->join(worker == impl_->workers.front());
    worker->single_turn(application);
  }
}

bool Endpoint::turn(uint32_t core, const Application& application) {
  ensure(!impl_->has_left && core < cores());
  impl_->workers[core]->join();
  return impl_->workers[core]->single_turn(application);
}

void Endpoint::idle(uint32_t core, Duration at_most) {
  impl_->workers[core]->idle(at_most);
}

int Endpoint::finish(const Application& application) {
  if (impl_->has_left) return impl_->exit_code;
  stop();
  impl_->told.clear();
  impl_->exit_code = run::finish(*impl_->ends, impl_->side, application);
  impl_->has_left = true;
  impl_->ends->workers[impl_->side].clear();
  return impl_->exit_code;
}

bool Endpoint::stopping() const {
  return impl_->stop.load(std::memory_order_relaxed) || run::interrupted() || device_is_gone();
}
bool Endpoint::device_is_gone() const {
  return impl_->ends->link->port(impl_->side).is_gone.load(std::memory_order_relaxed);
}
void Endpoint::stop() {
  impl_->stop.store(true, std::memory_order_relaxed);
  for (auto& worker : impl_->workers) worker->wake_all();
}

Channel& Endpoint::attach(uint32_t core) {
  ensure(core < cores());
  return impl_->workers[core]->attach(false, impl_->config.ring_size).channel;
}

const Counters& Endpoint::counters(uint32_t core) const {
  return stack::counters(std::as_const(*impl_->workers[core]).stack());
}
Counters Endpoint::counters() const {
  Counters sum;
  for (uint32_t i = 0; i < cores(); ++i) sum.add(counters(i));
  return sum;
}
std::string Endpoint::banner() const {
  return run::banner(impl_->config, impl_->workers[0]->port());
}
Endpoint::Gauges Endpoint::gauges() const {
  if (cores() == 1) {
    stack::Gauges now = stack::gauges(impl_->workers[0]->stack());
    return {now.connections, now.half_open, now.time_wait};
  }
  Gauges sum{};
  for (auto& worker : impl_->workers) {
    Gauges one = worker->published_gauges();
    sum.connections += one.connections;
    sum.half_open += one.half_open;
    sum.time_wait += one.time_wait;
  }
  return sum;
}
Endpoint::Load Endpoint::load(uint32_t core) const {
  return impl_->workers[core]->load();
}
Endpoint::Load Endpoint::load() const {
  Load sum = load(0);
  for (uint32_t i = 1; i < cores(); ++i) {
    Load one = load(i);
    sum.useful_cycles += one.useful_cycles;
    sum.total_cycles += one.total_cycles;
    sum.asleep_cycles += one.asleep_cycles;
    sum.turns += one.turns;
    sum.useful_turns += one.useful_turns;
    sum.sleeps += one.sleeps;
    sum.wakeups += one.wakeups;
    if (one.longest_turn <= sum.longest_turn) continue;
    sum.longest_turn = one.longest_turn;
    sum.longest_turn_off_cpu = one.longest_turn_off_cpu;
  }
  return sum;
}
uint32_t Endpoint::cpu(uint32_t core) const {
  return impl_->workers[core]->cpu();
}

Endpoint::PortCounters Endpoint::port_counters() const {
  nic::PortReading now = nic::read(impl_->ends->link->port(impl_->side));
  uint64_t refused = 0;
  for (auto& worker : impl_->workers) refused += worker->frames_refused();
  return {now.rx_packets, now.rx_bytes,     now.tx_packets, now.tx_bytes,  now.rx_missed,
          now.rx_no_buffer, now.rx_errors, now.tx_errors,  refused};
}

}  // namespace millrace
