// SPDX-License-Identifier: BSD-3-Clause
// Threads and their turns. (crew.h)
#include "crew.h"

#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "exchange.h"
#include "stream.h"

namespace millrace::load {

static constexpr int turns_between_looks = 8;  // with one connection a turn is as short as a look at the time

std::unique_ptr<Load> make_load(const Plan& plan, double cycles_per_second) {
  if (plan.workload == Workload::stream) return std::make_unique<Stream>(plan, cycles_per_second);
  return std::make_unique<Exchange>(plan, cycles_per_second);
}

std::vector<std::unique_ptr<Server>> make_servers(const Plan& plan) {
  std::vector<std::unique_ptr<Server>> out;
  for (uint32_t core = 0; core < plan.cores(); ++core) out.push_back(make_server(plan));
  return out;
}

static std::vector<std::unique_ptr<Load>> make_loads(const Plan& plan, const std::optional<Endpoint>& client) {
  std::vector<std::unique_ptr<Load>> out;
  for (uint32_t core = 0; client && core < plan.cores(); ++core)
    out.push_back(make_load(core_plan(plan, core), client->load(0).cycles_per_second));
  return out;
}

template <typename T>
static std::vector<T*> pointers(const std::vector<std::unique_ptr<T>>& owned) {
  std::vector<T*> out;
  for (const std::unique_ptr<T>& one : owned) out.push_back(one.get());
  return out;
}

Crew::Crew(const Plan& plan, std::optional<Endpoint> client, std::optional<Endpoint> server,
           std::vector<std::unique_ptr<Server>> servers)
    : plan_(plan),
      client_(std::move(client)),
      server_(std::move(server)),
      loads_(make_loads(plan, client_)),
      servers_(std::move(servers)),
      client_cycles_(client_ ? client_->load(0).cycles_per_second : 0),
      meter_(plan, {.client = client_ ? &*client_ : nullptr,
                    .server = server_ ? &*server_ : nullptr,
                    .loads = pointers(loads_),
                    .servers = pointers(servers_)}),
      conductor_(plan, meter_),
      client_turn_([this](Channel& channel) { (*loads_[channel.core()])(channel); }),
      server_turn_([this](Channel& channel) { (*servers_[channel.core()])(channel); }) {}

// What the device says of the end; empty: nothing.
std::string Crew::device_trouble() const {
  return (client_ ? *client_ : *server_).device_is_gone() ? "the device has gone" : "";
}

bool Crew::stopping() const {
  return (client_ ? *client_ : *server_).stopping();
}

// One turn of what the thread runs. True if it did something.
bool Crew::turn(uint32_t thread) {
  bool useful = runs_client(thread) && client_->turn(thread, client_turn_);
  if (runs_server(thread)) useful |= server_->turn(server_core(thread), server_turn_);
  return useful;
}

// Waking up takes a while: shortly before a request is due it spins.
static Duration time_until(uint64_t due, double cycles_per_second) {
  constexpr uint64_t most = 1'000'000, to_wake = 100'000;
  if (due == UINT64_MAX) return nanoseconds(most);
  uint64_t now = read_cycles();
  double ns = due > now ? static_cast<double>(due - now) / cycles_per_second * 1e9 : 0;
  return nanoseconds(ns > most ? most : ns < to_wake ? 0 : static_cast<uint64_t>(ns) - to_wake);
}

void Crew::idle(uint32_t thread) {
  if (!runs_client(thread)) return server_->idle(server_core(thread));
  client_->idle(thread, time_until(loads_[thread]->next_due(), client_cycles_));
}

void Crew::loop(uint32_t thread) {
  while (!over_.load(std::memory_order_relaxed)) {
    bool useful = false;
    for (int i = 0; i < turns_between_looks; ++i) useful |= turn(thread);
    if (thread == 0 && !conductor_.look(stopping())) over_.store(true, std::memory_order_relaxed);
    if (!useful) idle(thread);
  }
  turn(thread);  // what fell due while it slept, or had no CPU, begins before the end
}

// Before that, a SYN would be refused. No turns of the client yet: they would be its first ones.
void Crew::begin_server() {
  auto is_listening = [&] {
    for (const auto& server : servers_)
      if (!server->is_listening() && !server->has_failed()) return false;
    return true;
  };
  while (!is_listening()) server_->turn(server_turn_);
  if (client_) return;
  std::printf("listening on %s, %zu ports from %u: %s\n", to_string(plan_.config.address).c_str(),
              plan_.server.ports.size(), plan_.server.ports[0], name(plan_.server.protocol));
  std::fflush(stdout);
}

// Of a pair there is nothing to say but what will be slow.
void Crew::print_banner() const {
  std::istringstream lines((client_ ? *client_ : *server_).banner());
  bool is_pair = client_.has_value() && server_.has_value();
  for (std::string line; std::getline(lines, line);)
    if (!is_pair || line.find("WARNING") != std::string::npos) std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int Crew::run() {
  print_banner();
  if (server_) begin_server();
  std::vector<std::thread> others;
  for (uint32_t i = 1; i < plan_.threads(); ++i) others.emplace_back([this, i] { loop(i); });
  loop(0);
  for (std::thread& other : others) other.join();
  conductor_.end(stopping(), device_trouble());  // what is underway is given up now, and that is no error
  part();
  return finish();
}

// The loads' connections end in order while there is time for it: a reset would be an error to the peer.
void Crew::part() {
  auto is_parting = [this] {
    for (const auto& load : loads_)
      if (load->is_parting()) return true;
    return false;
  };
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1000);
  while (device_trouble().empty() && is_parting() && std::chrono::steady_clock::now() < until)
    for (uint32_t thread = 0; thread < plan_.threads(); ++thread) turn(thread);
}

int Crew::finish() {
  int result = 0;
  if (server_ && client_) server_->turn(server_turn_);  // its cores are this thread's now: the client's FINs are answered
  if (client_) result |= client_->finish(client_turn_);
  if (server_) result |= server_->finish(server_turn_);
  return result != 0 ? 1 : conductor_.exit_code();
}

}  // namespace millrace::load
