// SPDX-License-Identifier: BSD-3-Clause
// The command line of millrace-load, and endpoints of the size that it asks for.
#include "options.h"

#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>

namespace millrace::load {

const char* name(Workload workload) {
  return workload == Workload::rps ? "rps" : "cps";
}

// "5", "0.5", "5s", "200ms", "1m", "1h".
static Duration duration_of(const char* flag, const std::string& text) {
  static const std::map<std::string, double> units = {
      {"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"m", 60e9}, {"h", 3600e9}};
  size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  auto unit = units.find(text.substr(digits));
  bool is_number =
      digits > 0 && digits < 10 && std::count(text.begin(), text.end(), '.') <= 1 && text[0] != '.';
  double ns = is_number && unit != units.end() ? std::stod(text.substr(0, digits)) * unit->second : 0;
  if (ns < 1e6 || ns > 1e18)
    throw CLI::ValidationError(flag, "'" + text + "' is no time: give 5, 5s, 200ms, 1m or 1h");
  return {static_cast<uint64_t>(ns)};
}

static void add_duration(CLI::App& app, const char* flag, Duration& value, const char* help,
                         const char* shown) {
  app.add_option_function<std::string>(
         flag, [flag, &value](const std::string& text) { value = duration_of(flag, text); }, help)
      ->type_name("TIME")
      ->default_str(shown);
}

template <typename T>
static void add_choice(CLI::App& app, const char* flag, T& value, const std::map<std::string, T>& choices,
                       const char* help, const char* shown) {
  std::string names;
  for (auto& [word, ignored] : choices) names += (names.empty() ? "" : "|") + word;
  auto choose = [=, &value](const std::string& text) {
    auto found = choices.find(text);
    if (found == choices.end()) throw CLI::ValidationError(flag, "'" + text + "' is not " + names);
    value = found->second;
  };
  app.add_option_function<std::string>(flag, choose, help)->type_name(names)->default_str(shown);
}

static void add_flags(CLI::App& app, Arguments& a) {
  auto number = [&](const char* flag, auto& value, uint64_t least, uint64_t most, const char* help) {
    return app.add_option(flag, value, help)->check(CLI::Range(least, most))->capture_default_str();
  };
  add_choice<Workload>(app, "--workload", a.workload, {{"rps", Workload::rps}, {"cps", Workload::cps}},
                       "requests and responses on kept connections, or connect, request, response, close",
                       "rps");
  add_choice<Side>(app, "--close-first", a.close_first, {{"client", Side::client}, {"server", Side::server}},
                   "cps: who closes first, and so has the TIME-WAIT", "client");
  number("--connections", a.connections, 1, 4'000'000, "kept connections (rps), connections at a time (cps)");
  number("--size", a.size, 1, 1 << 20, "bytes of a request, and of a response");
  add_duration(app, "--duration", a.duration, "how long to measure", "5s");
  number("--requests", a.requests, 1, UINT64_MAX, "stop after so many")->default_str("");
  number("--cores", a.cores, 1, 2, "1: both ends in turn on one CPU; 2: a CPU each");
  app.add_option("--json", a.json, "write the summary to a file")->type_name("FILE");
  number("--client-addresses", a.client_addresses, 1, 1024, "the client's IP addresses");
  number("--server-ports", a.server_ports, 1, 64, "the server's ports");
  add_duration(app, "--time-wait", a.time_wait, "2MSL", "60s");
  number("--time-wait-records", a.time_wait_records, 1, 1 << 28,
         "places for TIME-WAIT, 64 bytes each; beyond, the oldest ends early")
      ->default_str("one for each local port");
  number("--syn-retries", a.syn_retries, 0, 20, "SYNs sent again before a connect has timed out");
  app.add_option("--lcore", a.lcore, "the CPU to run on; with --cores 2 the server takes the next one")
      ->capture_default_str();
  app.add_option("--seed", a.seed, "makes ports and sequence numbers repeatable; 0: random")
      ->capture_default_str();
}

// The CPU after `lcore` that this process may use.
static uint32_t next_cpu(uint32_t lcore) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (uint32_t step = 1; step < CPU_SETSIZE; ++step)
    if (uint32_t cpu = (lcore + step) % CPU_SETSIZE; CPU_ISSET(cpu, &allowed)) return cpu;
  throw CLI::ValidationError("--cores", "only one CPU is here for this process");
}

// What no single flag can tell.
static void check_together(Arguments& a, const CLI::App& app) {
  if (a.requests == 0 && a.duration.ns == 0) a.duration = seconds(5);
  if (a.workload == Workload::rps && app.count("--close-first") != 0)
    throw CLI::ValidationError("--close-first", "goes with --workload cps");
  // The core has pools for 4 ports of each address, and 64 at least.
  uint32_t most_pools = std::max(64u, 4 * a.client_addresses);
  if (a.port_pools() > most_pools)
    throw CLI::ValidationError("--server-ports",
                               "at most " + std::to_string(most_pools / a.client_addresses) + " with " +
                                   std::to_string(a.client_addresses) + " client addresses");
  if (a.workload == Workload::rps && a.connections > a.local_ports())
    throw CLI::ValidationError(
        "--connections",
        std::to_string(a.local_ports()) + " local ports are all: more --client-addresses or --server-ports");
  if (a.cores == 2) a.server_lcore = next_cpu(a.lcore);
  if (!a.json.empty() && !std::ofstream(a.json))
    throw CLI::FileError("--json: cannot write " + a.json + ": " + std::strerror(errno));
}

static const char* const about =
    "Measures a server with a load generator, both in this process and joined by rings (net_ring): no NIC, "
    "no root, "
    "no huge pages.\n\nLatency runs from handing the request to the stack until the event with the last of "
    "its "
    "response is read, by the time stamp counter. A client sends its next request when it has the response "
    "(closed "
    "loop).\n";

Arguments parse_arguments(int argc, char** argv) {
  Arguments arguments;
  std::vector<std::string> words(argv + std::min(1, argc), argv + argc);
  // What stands before a `--` is EAL's.
  if (auto dashes = std::find(words.begin(), words.end(), "--"); dashes != words.end()) {
    arguments.eal.assign(words.begin(), dashes);
    words.erase(words.begin(), dashes + 1);
  }
  CLI::App app{"The load generator.", "millrace-load [EAL options --]"};
  CLI::App& pair = *app.add_subcommand("pair", about);
  app.require_subcommand(1);
  add_flags(pair, arguments);
  std::reverse(words.begin(), words.end());  // the order that CLI11 takes words in
  try {
    app.parse(words);
    check_together(arguments, pair);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    std::exit(0);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "millrace-load: %s (flags: millrace-load pair --help)\n", error.what());
    std::exit(2);
  }
  return arguments;
}

// --- endpoints ---

// Twice what is asked for: a slot is free again only after its last event has been read.
static uint32_t max_connections(const Arguments& a) {
  return std::max(256u, 2 * a.connections);
}

// A place for each record that can be: more than all ports, or all connections, cannot be in TIME-WAIT.
static uint32_t max_time_wait(const Arguments& a) {
  uint64_t records = a.local_ports();
  if (a.requests != 0) records = std::min(records, a.requests + max_connections(a));
  if (a.time_wait_records != 0) records = a.time_wait_records;
  return static_cast<uint32_t>(std::bit_ceil(std::clamp<uint64_t>(records, 1024, 1 << 28)));
}

// Constant slices count as held buffers until they are acknowledged, so a request for every connection must
// have a place. Beyond the limit sends are refused for a while, which is slow but no loss.
static uint32_t packet_buffers(const Arguments& a) {
  constexpr uint64_t least = 4096, most = 262144;
  uint64_t slices = (a.size + 65159) / 65160;
  return static_cast<uint32_t>(std::clamp<uint64_t>(least + 3 * slices * a.connections, least, most));
}

static Config config_of(const Arguments& a, Side side) {
  Config config;
  config.prefix_length = 16;
  config.max_connections = max_connections(a);
  bool has_time_wait = a.workload == Workload::cps && a.close_first == side;
  config.max_time_wait = has_time_wait ? max_time_wait(a) : 1024;
  config.packet_buffers = packet_buffers(a);
  config.tcp.time_wait = a.time_wait;
  config.tcp.syn_retries = static_cast<uint8_t>(a.syn_retries);
  config.eal = a.eal;
  return config;
}

Config client_config(const Arguments& a) {
  Config config = config_of(a, Side::client);
  config.address = first_client_address;
  config.address_count = a.client_addresses;
  config.lcore = a.lcore;
  config.seed = a.seed;
  return config;
}

Config server_config(const Arguments& a) {
  Config config = config_of(a, Side::server);
  config.address = server_address;
  config.lcore = a.cores == 2 ? a.server_lcore : a.lcore;
  config.seed = a.seed == 0 ? 0 : a.seed + 1;
  return config;
}

Options connection_options(const Arguments& a) {
  Options options;
  options.no_delay = 1;
  options.send_limit = std::max(256u * 1024, 2 * a.size);
  return options;
}

}  // namespace millrace::load
