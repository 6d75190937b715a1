// SPDX-License-Identifier: BSD-3-Clause
// millrace-load: the load generator. `pair` has both ends in one process.
#include <millrace/millrace.h>

#include <cstdio>
#include <functional>
#include <thread>

#include "client.h"
#include "options.h"
#include "report.h"
#include "server.h"

using namespace millrace;
using namespace millrace::load;

namespace {

// The two ends and how they get their turns: one after the other here, or the server on a thread of its own.
class Pair {
 public:
  explicit Pair(const Arguments& arguments)
      : arguments_(arguments),
        ends_(Endpoint::pair(client_config(arguments), server_config(arguments))),
        client_(arguments, ends_.first.load().cycles_per_second),
        server_(arguments),
        report_(arguments, ends_.first, ends_.second, client_, server_) {}

  int run();

 private:
  void start_server();
  void turn() {
    ends_.first.turn(client_turn_);
    if (arguments_.cores == 1) ends_.second.turn(server_turn_);
  }
  void turns_until(const std::function<bool()>& done, uint64_t deadline,
                   const std::function<void()>& each_second);
  int finish();

  const Arguments& arguments_;
  std::pair<Endpoint, Endpoint> ends_;
  Client client_;
  Server server_;
  Report report_;
  const Application client_turn_ = std::ref(client_);
  const Application server_turn_ = std::ref(server_);
  std::thread server_thread_;
  std::atomic<bool> server_may_end_{false};
  int server_result_ = 0;
};

void Pair::start_server() {
  if (arguments_.cores == 2)
    server_thread_ = std::thread([this] {
      while (!server_may_end_.load(std::memory_order_relaxed)) ends_.second.turn(server_turn_);
      server_result_ = ends_.second.finish(server_turn_);
    });
  // Before that, a SYN would be refused. No turns of the client yet: they would be its first ones.
  while (!server_.is_listening())
    arguments_.cores == 1 ? ends_.second.turn(server_turn_) : std::this_thread::yield();
}

// Looks at the time every few turns: with one connection a turn is as short as the look.
void Pair::turns_until(const std::function<bool()>& done, uint64_t deadline,
                       const std::function<void()>& each_second) {
  constexpr int turns_between_looks = 8;
  auto second = static_cast<uint64_t>(ends_.first.load().cycles_per_second);
  uint64_t next_line = read_cycles() + second;
  while (!ends_.first.stopping() && !done()) {
    for (int i = 0; i < turns_between_looks; ++i) turn();
    uint64_t now = read_cycles();
    if (now < next_line && now < deadline) continue;
    if (now + second / 2 > next_line) each_second();
    if (now >= deadline) return;
    next_line += second;
  }
}

int Pair::run() {
  std::printf("%u pools of %u ports: %lu local ports\n", arguments_.port_pools(), Arguments::ports_per_pool,
              static_cast<unsigned long>(arguments_.local_ports()));
  std::fflush(stdout);
  start_server();
  if (arguments_.workload == Workload::rps)
    turns_until([&] { return client_.is_connected(); }, UINT64_MAX, [&] { report_.connecting(); });
  client_.start_requests();
  report_.begin();
  uint64_t deadline = UINT64_MAX;
  if (arguments_.duration.ns != 0)
    deadline = read_cycles() +
               static_cast<uint64_t>(arguments_.duration.seconds() * ends_.first.load().cycles_per_second);
  turns_until([&] { return client_.is_done(); }, deadline, [&] { report_.progress(); });
  report_.end();
  report_.print_summary();
  if (!arguments_.json.empty()) report_.write_json();
  return finish();
}

// What is underway is given up now, and that is no error.
int Pair::finish() {
  client_.stop();
  server_.stop();
  int result = ends_.first.finish(client_turn_);
  server_may_end_.store(true, std::memory_order_relaxed);
  if (server_thread_.joinable())
    server_thread_.join();
  else
    server_result_ = ends_.second.finish(server_turn_);
  return result != 0 || server_result_ != 0 || report_.has_errors() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) try {
  Arguments arguments = parse_arguments(argc, argv);
  return Pair(arguments).run();
} catch (const ConfigError& error) {
  std::fprintf(stderr, "millrace-load: %s\n", error.what());
  return 2;
}
