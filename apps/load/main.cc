// SPDX-License-Identifier: BSD-3-Clause
// millrace-load: the load generator: a client, a server, or both in one process.
#include <millrace/millrace.h>

#include <cstdio>
#include <cstring>

#include "crew.h"
#include "doctor.h"
#include "output.h"
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
    "  doctor   what is in the way of that:   millrace-load doctor --help\n\n"
    "millrace-load --version shows the version, and DPDK's.\n";

constexpr const char* usage_of_doctor =
    "Says what is in the way of a run, and which command mends it: the driver, IOMMU, permissions, link, addresses, huge\n"
    "pages, CPUs and quotas, as far as the device needs them, and the pools against the load; then it tries the target.\n"
    "Usage: millrace-load [EAL options --] doctor client|server|pair [flags of that run]\n\n"
    "  --json FILE   the findings as JSON; -: to standard output\n\n"
    "The flags of each: millrace-load doctor client --help. The exit code is 0, or 1 if something is in the way.\n";

bool is_help(const char* word) {
  return std::strcmp(word, "--help") == 0 || std::strcmp(word, "-h") == 0;
}

// Without a mode: help, the version, or what is wrong.
int without_mode(const std::vector<char*>& words, bool doctor) {
  const char* word = words.size() > 1 ? words.back() : "";
  if (is_help(word)) return std::fputs(doctor ? usage_of_doctor : usage, stdout), 0;
  if (std::strcmp(word, "--version") == 0) return std::puts(version().c_str()), 0;
  std::string meant = word[0] == '-' ? "" : nearest(word, {"client", "server", "pair", "doctor"});
  std::fprintf(stderr, "millrace-load: say what to be: client, server, pair or doctor%s (millrace-load --help)\n",
               meant.empty() ? "" : ("; " + std::string(word) + " is perhaps " + meant).c_str());
  return 2;
}

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
  bool has_mode = take_program(words, program);
  bool asks = words.size() == 2 && (is_help(words[1]) || std::strcmp(words[1], "--version") == 0);
  if (!has_mode && (!doctor || asks)) return with_output_written(without_mode(words, doctor), "millrace-load");
  words.push_back(nullptr);
  Plan plan = make_plan(program, static_cast<int>(words.size()) - 1, words.data(), doctor);
  direct_output(plan);
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
