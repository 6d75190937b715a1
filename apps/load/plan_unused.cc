// SPDX-License-Identifier: BSD-3-Clause
// Flags that would do nothing for this run: who gives one expects something of it. Files may hold them, for other runs.
// (plan_check.h)
#include "plan_check.h"

namespace millrace::load {

namespace {

struct Unused {
  const char* key;
  bool (*is_unused)(const Plan&);
  const char* why;
};

bool is_pair(const Plan& p) {
  return p.program == Program::pair;
}
bool has_no_http(const Plan& p) {
  return p.has_client() && p.workload != Workload::http;
}
// Of requests and responses that are bytes and nothing more.
bool has_no_sizes(const Plan& p) {
  if (p.program == Program::server) return p.server.protocol != Protocol::request;
  return p.workload == Workload::stream || p.workload == Workload::http;
}
bool serves_no_files(const Plan& p) {
  return p.program == Program::server ? p.server.protocol != Protocol::http : p.workload != Workload::http;
}

constexpr const char* of_rings = "a pair is joined by rings in this process: no device, and addresses of its own";
constexpr const char* of_http = "goes with workload http";
constexpr const char* of_sizes = "goes with workloads rps, cps and hold, and with protocol request";

constexpr Unused all[] = {
    {"port.device", is_pair, of_rings},
    {"port.address", is_pair, of_rings},
    {"port.addresses", is_pair, "of a pair there are --client-addresses"},
    {"port.gateway", is_pair, of_rings},
    {"port.mac", is_pair, of_rings},
    {"port.neighbors", is_pair, of_rings},
    {"port.vlan_tags", [](const Plan& p) { return p.config.vlan == 0; }, "goes with --vlan"},
    {"tcp.syn_retries", [](const Plan& p) { return !p.has_client(); }, "a server connects to nobody"},
    {"load.url", has_no_http, of_http},
    {"load.method", has_no_http, of_http},
    {"load.body_size", has_no_http, of_http},
    {"load.headers", has_no_http, of_http},
    {"load.expect_status", has_no_http, of_http},
    {"load.size", has_no_sizes, of_sizes},
    {"load.request_size", has_no_sizes, of_sizes},
    {"load.response_size", [](const Plan& p) { return has_no_sizes(p) && (has_no_http(p) || !p.has_client()); },
     "goes with workloads rps, cps, hold and http, and with protocol request"},
    {"load.direction", [](const Plan& p) { return p.workload != Workload::stream; }, "goes with workload stream"},
    {"load.every", [](const Plan& p) { return p.workload != Workload::hold; }, "goes with workload hold"},
    {"load.hgrm", [](const Plan& p) { return p.workload == Workload::stream; }, "a stream has no latencies"},
    {"server.directory", serves_no_files, "goes with http"},
    {"server.stall_after", [](const Plan& p) { return p.server.stall.ns == 0; }, "goes with --stall"},
};

}  // namespace

void refuse_unused(const Plan& plan, const Settings& settings) {
  for (const Unused& one : all)
    if (settings.is_flag(one.key) && one.is_unused(plan)) throw ConfigError(one.why, one.key);
}

}  // namespace millrace::load
