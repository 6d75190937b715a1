// SPDX-License-Identifier: BSD-3-Clause
// millrace-load: the load generator: a client, a server, or both in one process.
#include <millrace/millrace.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "conductor.h"
#include "exchange.h"
#include "plan.h"
#include "server.h"
#include "stream.h"

using namespace millrace;
using namespace millrace::load;

namespace {

constexpr int turns_between_looks = 8;  // with one connection a turn is as short as a look at the time

std::unique_ptr<Load> make_load(const Plan& plan, double cycles_per_second) {
  if (plan.workload == Workload::stream) return std::make_unique<Stream>(plan, cycles_per_second);
  return std::make_unique<Exchange>(plan, cycles_per_second);
}

void print_ports(const Plan& plan) {
  std::printf("%lu pools of %u ports: %lu local ports\n", static_cast<unsigned long>(plan.port_pools()),
              plan.ports_per_pool(), static_cast<unsigned long>(plan.local_ports()));
  std::fflush(stdout);
}

// One end on a device: the application is called in the worker's loop.
template <typename Part>
int run_alone(Endpoint& endpoint, Part& part, Conductor& conductor) {
  int turns = 0;
  int result = endpoint.run([&](Channel& channel) {
    // What comes after Ctrl-C is of the end, and no error.
    if (endpoint.stopping()) conductor.end(true);
    part(channel);
    if (conductor.has_ended() || ++turns % turns_between_looks != 0 || conductor.look()) return;
    conductor.end(false);
    endpoint.stop();
  });
  conductor.end(true);  // if the loop ended before it could
  return result != 0 ? result : conductor.exit_code();
}

int run_client(const Plan& plan) {
  Endpoint endpoint{client_config(plan)};
  std::unique_ptr<Load> load = make_load(plan, endpoint.load().cycles_per_second);
  Meter meter(plan, {.client = &endpoint, .server = nullptr, .load = load.get(), .served = nullptr});
  Conductor conductor(plan, load.get(), nullptr, meter);
  print_ports(plan);
  return run_alone(endpoint, *load, conductor);
}

int run_server(const Plan& plan) {
  std::unique_ptr<Server> server = make_server(plan);
  Endpoint endpoint{server_config(plan)};
  Meter meter(plan, {.client = nullptr, .server = &endpoint, .load = nullptr, .served = server.get()});
  Conductor conductor(plan, nullptr, server.get(), meter);
  bool told = false;
  auto part = [&](Channel& channel) {
    (*server)(channel);
    if (told || !server->is_listening()) return;
    told = true;
    std::printf("listening on %s, %zu ports from %u: %s\n", to_string(plan.config.address).c_str(),
                plan.server.ports.size(), plan.server.ports[0], name(plan.server.protocol));
    std::fflush(stdout);
  };
  return run_alone(endpoint, part, conductor);
}

// The two ends of a pair and how they get their turns: one after the other here, or the server on a thread of
// its own.
class Pair {
 public:
  explicit Pair(const Plan& plan)
      : plan_(plan),
        server_(make_server(plan)),
        ends_(Endpoint::pair(client_config(plan), server_config(plan))),
        load_(make_load(plan, ends_.first.load().cycles_per_second)),
        meter_(
            plan,
            {.client = &ends_.first, .server = &ends_.second, .load = load_.get(), .served = server_.get()}),
        conductor_(plan, load_.get(), server_.get(), meter_) {}

  int run();

 private:
  void start_server();

  const Plan& plan_;
  std::unique_ptr<Server> server_;
  std::pair<Endpoint, Endpoint> ends_;
  std::unique_ptr<Load> load_;
  Meter meter_;
  Conductor conductor_;
  const Application client_turn_ = std::ref(*load_);
  const Application server_turn_ = std::ref(*server_);
  std::thread server_thread_;
  std::atomic<bool> server_may_end_{false};
  int server_result_ = 0;
};

void Pair::start_server() {
  if (plan_.cores == 2)
    server_thread_ = std::thread([this] {
      while (!server_may_end_.load(std::memory_order_relaxed)) ends_.second.turn(server_turn_);
      server_result_ = ends_.second.finish(server_turn_);
    });
  // Before that, a SYN would be refused. No turns of the client yet: they would be its first ones.
  while (!server_->is_listening())
    plan_.cores == 1 ? ends_.second.turn(server_turn_) : std::this_thread::yield();
}

int Pair::run() {
  print_ports(plan_);
  start_server();
  do {
    for (int i = 0; i < turns_between_looks; ++i) {
      ends_.first.turn(client_turn_);
      if (plan_.cores == 1) ends_.second.turn(server_turn_);
    }
  } while (!ends_.first.stopping() && conductor_.look());
  conductor_.end(ends_.first.stopping());
  // What is underway is given up now, and that is no error.
  int result = ends_.first.finish(client_turn_);
  server_may_end_.store(true, std::memory_order_relaxed);
  if (server_thread_.joinable())
    server_thread_.join();
  else
    server_result_ = ends_.second.finish(server_turn_);
  return result != 0 || server_result_ != 0 || conductor_.exit_code() != 0 ? 1 : 0;
}

constexpr const char* usage =
    "The load generator.\n"
    "Usage: millrace-load [EAL options --] client|server|pair [flags]\n\n"
    "  client   loads a server over a device: millrace-load client --help\n"
    "  server   a server to be loaded:        millrace-load server --help\n"
    "  pair     both ends in one process:     millrace-load pair --help\n";

// Takes the word that says what to be out of the others: the first, or the first after EAL's options.
bool take_program(std::vector<char*>& words, Program& program) {
  size_t first = 1;
  for (size_t i = 1; i < words.size(); ++i)
    if (std::strcmp(words[i], "--") == 0) first = i + 1;
  for (size_t at : {first, size_t{1}})
    for (Program p : {Program::client, Program::server, Program::pair})
      if (at < words.size() && std::strcmp(words[at], name(p)) == 0) {
        words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
        program = p;
        return true;
      }
  return false;
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<char*> words(argv, argv + argc);
  Program program{};
  if (!take_program(words, program)) {
    bool wants_help = argc > 1 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0);
    if (wants_help)
      std::fputs(usage, stdout);
    else
      std::fputs("millrace-load: say what to be: client, server or pair (millrace-load --help)\n", stderr);
    return wants_help ? 0 : 2;
  }
  words.push_back(nullptr);
  Plan plan = make_plan(program, static_cast<int>(words.size()) - 1, words.data());
  switch (program) {
    case Program::client: return run_client(plan);
    case Program::server: return run_server(plan);
    default: return Pair(plan).run();
  }
} catch (const ConfigError& error) {
  std::fprintf(stderr, "millrace-load: %s\n", error.what());
  return 2;
}
