// SPDX-License-Identifier: BSD-3-Clause
// An Endpoint: a link, a worker on it, and what stops them. (millrace/endpoint.h)
#include "millrace/endpoint.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/ensure.h"
#include "nic/eal.h"
#include "nic/machine.h"
#include "run/settings.h"
#include "run/shutdown.h"
#include "run/signals.h"
#include "run/worker.h"

namespace millrace {

struct Endpoint::Impl {
  Impl(const Config& given, std::shared_ptr<run::Ends> shared, int which)
      : config(given), ends(std::move(shared)), side(which) {
    // The memory is touched on the CPU that will use it; then the thread is given back as it was, since
    // threads that the application makes inherit where it may run.
    nic::Affinity before;
    before.pin(config.lcore);
    worker = std::make_unique<run::Worker>(config, ends->link->port(side));
    before.restore();
    ends->workers[side] = worker.get();
  }

  ~Impl() {
    if (worker == nullptr || has_left) return;
    worker->leave();
    ends->workers[side] = nullptr;
    ends->link->leave();
  }

  const Config config;
  std::shared_ptr<run::Ends> ends;  // outlives the worker: pools of a pair are used by both
  const int side;
  std::unique_ptr<run::Worker> worker;
  std::atomic<bool> stop{false};
  bool has_left = false;
  int exit_code = 0;
};

static void prepare(const Config& config) {
  run::check(config);
  run::install_signals();
}

Endpoint::Endpoint(const Config& config) {
  prepare(config);
  nic::Affinity before;  // EAL pins the thread that starts it
  auto ends = std::make_shared<run::Ends>();
  ends->link = nic::Link::open(config);
  before.restore();
  impl_ = std::make_unique<Impl>(config, std::move(ends), 0);
}

std::pair<Endpoint, Endpoint> Endpoint::pair(const Config& left, const Config& right) {
  prepare(left);
  prepare(right);
  if (left.address == right.address)
    throw ConfigError("the two ends of a pair need two addresses, not " + to_string(left.address) + " twice");
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

int Endpoint::run(const Application& application) {
  std::fputs(banner().c_str(), stdout);
  std::fflush(stdout);
  if (impl_->config.mode == Mode::thread) return run_beside(application);
  impl_->worker->join();
  while (!stopping()) impl_->worker->looped_turn(application);
  return finish(application);
}

// The application's thread: it polls, as the worker does, and rests where a kernel may need its CPU.
static void call_until(ChannelHost& host, const Application& application, const std::atomic<bool>& end) {
  constexpr uint32_t calls_before_rest = 1000;
  uint32_t idle = 0;
  while (!end.load(std::memory_order_acquire)) {
    bool has_events = host.channel.has_events();
    host.call(application);
    idle = has_events ? 0 : idle + 1;
    if (idle > calls_before_rest)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    else
      __builtin_ia32_pause();
  }
}

int Endpoint::run_beside(const Application& application) {
  ChannelHost& host = impl_->worker->attach(false, impl_->config.ring_size);
  host.begin();
  std::atomic<bool> end{false};
  std::thread thread([&] { call_until(host, application, end); });
  impl_->worker->join();
  while (!stopping()) impl_->worker->looped_turn({});
  // It may wait for room for a request, which the worker's turns make.
  std::atomic<bool> ended{false};
  std::thread join([&] {
    end.store(true, std::memory_order_release);
    thread.join();
    ended.store(true, std::memory_order_release);
  });
  while (!ended.load(std::memory_order_acquire)) impl_->worker->turn({});
  join.join();
  // What comes now is of the end, and read here.
  return finish([&](Channel& unused) {
    host.read_all();
    for (Event& event : unused.events()) static_cast<void>(event);
  });
}

void Endpoint::turn(const Application& application) {
  ensure(!impl_->has_left);
  impl_->worker->join();
  impl_->worker->single_turn(application);
}

int Endpoint::finish(const Application& application) {
  if (impl_->has_left) return impl_->exit_code;
  stop();
  impl_->exit_code = run::finish(*impl_->ends, impl_->side, application);
  impl_->has_left = true;
  impl_->ends->workers[impl_->side] = nullptr;
  return impl_->exit_code;
}

bool Endpoint::stopping() const {
  return impl_->stop.load(std::memory_order_relaxed) || run::interrupted();
}
void Endpoint::stop() {
  impl_->stop.store(true, std::memory_order_relaxed);
}

Channel& Endpoint::attach() {
  return impl_->worker->attach(false, impl_->config.ring_size).channel;
}

const Counters& Endpoint::counters() const {
  return stack::counters(impl_->worker->stack());
}
std::string Endpoint::banner() const {
  return run::banner(impl_->config, impl_->worker->port());
}
Endpoint::Gauges Endpoint::gauges() const {
  stack::Gauges now = stack::gauges(impl_->worker->stack());
  return {now.connections, now.half_open, now.time_wait};
}
Endpoint::Load Endpoint::load() const {
  return impl_->worker->load();
}

std::string version() {
  return std::string("millrace ") + MILLRACE_VERSION + ", " + nic::eal_version();
}

}  // namespace millrace
