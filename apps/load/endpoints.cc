// SPDX-License-Identifier: BSD-3-Clause
// Endpoints of the size that a plan asks for. What the user gave a number for stays as it is. (plan.h)
#include <algorithm>
#include <bit>

#include "plan.h"

namespace millrace::load {

static constexpr Ipv4Address pair_server = ipv4(10, 9, 0, 1);
static constexpr Ipv4Address first_pair_client = ipv4(10, 9, 1, 1);

// Twice what is asked for: a slot is free again only after its last event has been read.
static uint32_t max_connections(const Plan& plan) {
  return std::max(256u, 2 * static_cast<uint32_t>(plan.share(plan.connections)));
}

// A place for each record that can be: more than all ports, or all connections, cannot be in TIME-WAIT.
static uint32_t max_time_wait(const Plan& plan) {
  uint64_t records = plan.share(plan.local_ports());
  if (plan.cores() > 1) records += records / 8;  // shares are not quite equal
  if (plan.requests != 0) records = std::min(records, plan.requests + max_connections(plan));
  return static_cast<uint32_t>(std::bit_ceil(std::clamp<uint64_t>(records, 1024, 1 << 28)));
}

// Constant slices count as held buffers until they are acknowledged, so a request for every connection must
// have a place. Beyond the limit sends are refused for a while, which is slow but no loss.
static uint32_t packet_buffers(const Plan& plan) {
  constexpr uint64_t least = 4096, most = 262144;
  uint64_t text = std::max(plan.request_size, plan.response_size);
  if (plan.workload == Workload::stream || plan.workload == Workload::http)
    text = std::max<uint64_t>(text, 262144);
  uint64_t slices = (text + 65159) / 65160 * plan.pipeline;
  return static_cast<uint32_t>(std::clamp<uint64_t>(least + 3 * slices * plan.share(plan.connections), least, most));
}

static Config config_of(const Plan& plan, Side side) {
  Config config = plan.config;
  if (!plan.is_given("pools.connections")) config.max_connections = max_connections(plan);
  if (!plan.is_given("pools.packet_buffers")) config.packet_buffers = packet_buffers(plan);
  if (!plan.is_given("pools.time_wait")) {
    bool has_time_wait = plan.closes_each() && plan.close_first == side;
    config.max_time_wait = has_time_wait ? max_time_wait(plan) : 1024;
  }
  if (!plan.is_given("pools.destinations"))
    config.port_pools = std::max(64u, static_cast<uint32_t>(plan.port_pools()));
  if (plan.program == Program::pair) {
    config.mac = {};
    config.neighbors.clear();
    config.gateway = {};
    config.prefix_length = 16;
  }
  return config;
}

Plan core_plan(const Plan& plan, uint32_t core) {
  Plan out = plan;
  out.core_share = Share(core, plan.cores(), plan.connections);
  out.connections = out.core_share.connections();
  return out;
}

Config client_config(const Plan& plan) {
  Config config = config_of(plan, Side::client);
  if (plan.program != Program::pair) return config;
  config.address = first_pair_client;
  config.address_count = plan.client_addresses;
  return config;
}

Config server_config(const Plan& plan) {
  if (plan.program != Program::pair) return plan.config;
  Config config = config_of(plan, Side::server);
  config.address = pair_server;
  config.address_count = 1;
  config.pcap.clear();  // the client's frames are all frames
  config.lcore = plan.server_lcore;
  config.seed = plan.config.seed == 0 ? 0 : plan.config.seed + 1;
  return config;
}

Options connection_options(const Plan& plan) {
  Options options;
  options.no_delay = 1;
  uint32_t text = std::max(plan.request_size, std::min(plan.response_size, 1u << 20));
  options.send_limit = std::max(256u * 1024, 2 * text * plan.pipeline);
  return options;
}

}  // namespace millrace::load
