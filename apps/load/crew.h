// SPDX-License-Identifier: BSD-3-Clause
// The threads of a run: one for each lcore, which runs a core of the client, of the server, or (of a pair) one of each in
// turn. The first is the caller's, and looks at the time.
#pragma once

#include <millrace/millrace.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conductor.h"

namespace millrace::load {

std::unique_ptr<Load> make_load(const Plan& plan, double cycles_per_second);
std::vector<std::unique_ptr<Server>> make_servers(const Plan& plan);  // one for each core

class Crew {
 public:
  // One end, or both. `servers` are those of the server's cores.
  Crew(const Plan& plan, std::optional<Endpoint> client, std::optional<Endpoint> server,
       std::vector<std::unique_ptr<Server>> servers = {});

  // Until it is over: the exit code.
  int run();

 private:
  bool stopping() const;
  std::string device_trouble() const;
  bool turn(uint32_t thread);
  void idle(uint32_t thread);
  void loop(uint32_t thread);
  void print_banner() const;
  void begin_server();
  void part();
  int finish();
  bool runs_client(uint32_t thread) const { return client_.has_value() && thread < plan_.cores(); }
  // The core of the server that a thread runs.
  uint32_t server_core(uint32_t thread) const { return plan_.apart ? thread - plan_.cores() : thread; }
  bool runs_server(uint32_t thread) const {
    return server_.has_value() && server_core(thread) < plan_.cores();
  }

  const Plan& plan_;
  std::optional<Endpoint> client_, server_;
  std::vector<std::unique_ptr<Load>> loads_;
  std::vector<std::unique_ptr<Server>> servers_;
  const double client_cycles_;  // a second
  Meter meter_;
  Conductor conductor_;
  const Application client_turn_, server_turn_;
  std::atomic<bool> over_{false};
};

}  // namespace millrace::load
