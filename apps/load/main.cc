// SPDX-License-Identifier: BSD-3-Clause
// millrace-load: the load generator: a client, a server, or both in one process.
#include <millrace/millrace.h>

#include <cstdio>
#include <cstring>

#include "crew.h"
#include "doctor.h"
#include "plan.h"

using namespace millrace;
using namespace millrace::load;

namespace {

void print_ports(const Plan& plan) {
  std::printf("%lu pools of %u ports: %lu local ports\n", static_cast<unsigned long>(plan.port_pools()),
              plan.ports_per_pool(), static_cast<unsigned long>(plan.local_ports()));
  std::fflush(stdout);
}

int run_client(const Plan& plan) {
  Crew crew(plan, Endpoint(client_config(plan)), {});
  print_ports(plan);
  return crew.run();
}

int run_server(const Plan& plan) {
  std::vector<std::unique_ptr<Server>> servers = make_servers(plan);  // before a device is touched
  Crew crew(plan, {}, Endpoint(server_config(plan)), std::move(servers));
  return crew.run();
}

int run_pair(const Plan& plan) {
  std::vector<std::unique_ptr<Server>> servers = make_servers(plan);
  auto [client, server] = Endpoint::pair(client_config(plan), server_config(plan));
  Crew crew(plan, std::move(client), std::move(server), std::move(servers));
  print_ports(plan);
  return crew.run();
}

constexpr const char* usage =
    "The load generator.\n"
    "Usage: millrace-load [EAL options --] client|server|pair [flags]\n\n"
    "  client   loads a server over a device: millrace-load client --help\n"
    "  server   a server to be loaded:        millrace-load server --help\n"
    "  pair     both ends in one process:     millrace-load pair --help\n"
    "  doctor   what is in the way of that:   millrace-load doctor client|server|pair [flags]\n";

// Takes a word out of the others: the first, or the first after EAL's options.
bool take(std::vector<char*>& words, const char* word) {
  size_t first = 1;
  for (size_t i = 1; i < words.size(); ++i)
    if (std::strcmp(words[i], "--") == 0) first = i + 1;
  for (size_t at : {first, size_t{1}})
    if (at < words.size() && std::strcmp(words[at], word) == 0) {
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
      return true;
    }
  return false;
}

bool take_program(std::vector<char*>& words, Program& program) {
  for (Program p : {Program::client, Program::server, Program::pair})
    if (take(words, name(p))) {
      program = p;
      return true;
    }
  return false;
}

}  // namespace

int main(int argc, char** argv) try {
  prepare_process();
  std::vector<char*> words(argv, argv + argc);
  Program program = Program::client;
  bool doctor = take(words, "doctor");
  if (!take_program(words, program) && !doctor) {
    bool wants_help = argc > 1 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0);
    if (wants_help)
      std::fputs(usage, stdout);
    else
      std::fputs("millrace-load: say what to be: client, server, pair or doctor (millrace-load --help)\n",
                 stderr);
    return with_output_written(wants_help ? 0 : 2, "millrace-load");
  }
  words.push_back(nullptr);
  Plan plan = make_plan(program, static_cast<int>(words.size()) - 1, words.data(), doctor);
  if (doctor) return with_output_written(run_doctor(plan), "millrace-load");
  switch (program) {
    case Program::client: return run_client(plan);
    case Program::server: return run_server(plan);
    default: return run_pair(plan);
  }
} catch (const ConfigError& error) {
  std::fprintf(stderr, "millrace-load: %s\n", error.what());
  return 2;
}
