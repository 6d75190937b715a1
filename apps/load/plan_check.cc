// SPDX-License-Identifier: BSD-3-Clause
// Completing a plan. (plan_check.h)
#include "plan_check.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "plan_http.h"

namespace millrace::load {

static constexpr Ipv4Address pair_server = ipv4(10, 9, 0, 1);
static constexpr uint16_t first_pair_port = 8000;

static void demand(bool holds, const std::string& otherwise, const char* key) {
  if (!holds) throw ConfigError(otherwise, key);
}

// The `count`th CPU after `lcore` of those that this process may use.
static uint32_t cpu_after(uint32_t lcore, uint32_t count) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  uint32_t cpu = lcore;
  if (lcore == Config::any_lcore)
    for (cpu = 0; cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &allowed);) ++cpu;
  for (uint32_t step = 0; step < CPU_SETSIZE && count > 0; ++step) {
    cpu = (cpu + 1) % CPU_SETSIZE;
    if (CPU_ISSET(cpu, &allowed)) --count;
    if (step == CPU_SETSIZE - 1) step = 0;  // around, if there are fewer
  }
  return cpu;
}

static void complete_targets(Plan& plan) {
  if (plan.workload == Workload::http) split_url(plan);
  if (plan.program == Program::pair) {
    for (uint32_t i = 0; i < plan.server_ports; ++i)
      plan.targets.push_back({pair_server, static_cast<uint16_t>(first_pair_port + i)});
    return;
  }
  for (const std::string& text : plan.to)
    demand(parse_target(text, plan.targets), "'" + text + "' is not A.B.C.D:PORT or A.B.C.D:FIRST-LAST",
           "load.to");
  demand(plan.doctor || !plan.targets.empty(), "no target: give --to A.B.C.D:PORT", "load.to");
  for (const Target& target : plan.targets) {
    Ipv4Address a = target.address;
    bool own = a.value - plan.config.address.value < plan.config.address_count;
    bool is_host = !a.is_unspecified() && !a.is_multicast() && !a.is_loopback() && !a.is_limited_broadcast();
    demand(is_host && !own, to_string(a) + " is no address of another host", "load.to");
    uint32_t mask = plan.config.prefix_length == 0 ? 0 : ~uint32_t{0} << (32 - plan.config.prefix_length);
    bool on_link = ((a.value ^ plan.config.address.value) & mask) == 0;
    bool is_broadcast = on_link && plan.config.prefix_length <= 30 && (a.value | mask) == ~uint32_t{0};
    demand(!is_broadcast, to_string(a) + " is the broadcast address of its network", "load.to");
    demand(on_link || !plan.config.gateway.is_unspecified(),
           to_string(a) + " is in another network, and there is no gateway: give --gateway A.B.C.D",
           "load.to");
  }
}

static void complete_client(Plan& plan, const Settings& settings) {
  bool is_exchange = plan.workload == Workload::rps || plan.workload == Workload::http;
  demand(is_exchange || plan.pipeline == 1, "goes with workloads rps and http", "load.pipeline");
  demand(!plan.http.close || plan.pipeline == 1, "a connection for each request has no pipeline",
         "load.pipeline");
  demand(plan.workload == Workload::http || !plan.http.close, "goes with workload http", "load.close");
  demand(plan.workload == Workload::http || plan.http.expect_status.empty(), "goes with workload http",
         "load.expect_status");
  demand(plan.closes_each() || plan.close_first == Side::client,
         "goes with --workload cps, or http with --close", "load.close_first");
  demand(plan.workload == Workload::stream || plan.direction == Direction::send, "goes with workload stream",
         "load.direction");
  demand(plan.workload == Workload::hold || plan.every == seconds(10), "goes with workload hold",
         "load.every");
  demand(plan.workload != Workload::stream || (plan.rate.is_none() && plan.requests == 0),
         "a stream has no requests to count or to pace", plan.requests != 0 ? "load.requests" : "load.rate");
  demand(plan.workload != Workload::hold || plan.rate.is_none(), "hold has its own rate: connections / every",
         "load.rate");
  demand(plan.arrival == Arrival::fixed || !plan.rate.is_none() || plan.workload == Workload::hold,
         "goes with --rate", "load.arrival");
  demand(plan.warmup.ns == 0 || plan.requests == 0, "goes with --duration, not with --requests",
         "load.warmup");
  plan.pace = plan.rate;
  if (plan.workload == Workload::hold)
    plan.pace.from = plan.pace.to = plan.connections / plan.every.seconds();
  if (plan.http.close && !settings.is_set("load.close_first")) plan.close_first = Side::server;
  plan.arrival_seed = plan.config.seed != 0 ? plan.config.seed : std::random_device{}();
  if (plan.workload == Workload::http) complete_http(plan);
  if (plan.requests == 0 && plan.duration.ns == 0) plan.duration = seconds(5);
  complete_targets(plan);
  demand(plan.connections >= plan.cores(), "fewer connections than cores: some would have nothing to do",
         "load.connections");
  demand(plan.requests == 0 || plan.requests >= plan.cores(), "fewer requests than cores", "load.requests");
  // The doctor tells it among what else he finds.
  bool has_room = !settings.is_set("pools.connections") || plan.config.max_connections >= plan.share(plan.connections);
  demand(plan.doctor || has_room,
         std::to_string(plan.config.max_connections) + " places (--max-connections) for " +
             std::to_string(plan.share(plan.connections)) + " connections of a core: more of them, or none given",
         "pools.connections");
  // Kept connections are there at one time, each with a port of its own.
  demand(plan.closes_each() || plan.connections <= plan.local_ports() || plan.targets.empty(),
         std::to_string(plan.local_ports()) + " local ports are all: more addresses, or more targets",
         "load.connections");
  constexpr uint32_t most_pools = 4096;  // 512 MB
  demand(plan.port_pools() <= most_pools,
         std::to_string(plan.port_pools()) + " pools of local ports (addresses x targets): 4096 at most",
         plan.program == Program::pair ? "load.server_ports" : "load.to");
}

static void complete_pair(Plan& plan) {
  ServerPlan& server = plan.server;
  switch (plan.workload) {
    case Workload::http: server.protocol = Protocol::http; break;
    case Workload::stream:
      server.protocol = plan.direction == Direction::send      ? Protocol::discard
                        : plan.direction == Direction::receive ? Protocol::chargen
                                                               : Protocol::stream;
      break;
    default: server.protocol = Protocol::request;
  }
  for (const Target& target : plan.targets) server.ports.push_back(target.port);
  plan.server_lcore = plan.apart ? cpu_after(plan.config.lcore, plan.cores()) : plan.config.lcore;
}

static void complete_server(Plan& plan) {
  for (const std::string& text : plan.server.port_ranges)
    demand(parse_ports(text, plan.server.ports), "'" + text + "' is not PORT or FIRST-LAST", "server.ports");
  std::vector<uint16_t> sorted = plan.server.ports;
  std::sort(sorted.begin(), sorted.end());
  demand(!sorted.empty(), "no port to listen on", "server.ports");
  demand(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "a port is named twice",
         "server.ports");
  demand(sorted.size() <= 64, "64 ports at most", "server.ports");
}

// Found out now, not after an hour of load. What is there already stays as it is until then.
static void demand_writable(const std::string& file, const char* key) {
  if (file.empty() || file == "-") return;
  bool was_there = std::filesystem::exists(file);
  bool ok = static_cast<bool>(std::ofstream(file, std::ios::app));
  demand(ok, "cannot write " + file + ": " + std::strerror(errno), key);
  if (!was_there) std::filesystem::remove(file);
}

void complete(Plan& plan, const Settings& settings) {
  // Of HTTP the body is checked only against a size that was given.
  bool is_http = plan.workload == Workload::http && plan.has_client();
  if (plan.request_size == 0) plan.request_size = plan.size;
  if (plan.response_size == 0 && !is_http) plan.response_size = plan.size;
  demand(is_http || plan.response_size <= 1 << 20, "1048576 bytes at most", "load.response_size");
  if (plan.has_client()) complete_client(plan, settings);
  if (plan.program == Program::pair) complete_pair(plan);
  if (plan.program == Program::server) complete_server(plan);
  demand(plan.server.directory.empty() || std::filesystem::is_directory(plan.server.directory),
         plan.server.directory + " is no directory", "server.directory");
  demand_writable(plan.json, "load.json");
  demand_writable(plan.hgrm, "load.hgrm");
  demand_writable(plan.html, "load.html");
  demand((plan.json == "-") + (plan.hgrm == "-") + (plan.html == "-") <= 1, "standard output can have one report", "load.json");
  refuse_unused(plan, settings);
}

}  // namespace millrace::load
