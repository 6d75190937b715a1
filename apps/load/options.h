// SPDX-License-Identifier: BSD-3-Clause
// What the user asks of millrace-load, and the two endpoints that it takes.
#pragma once

#include <millrace/millrace.h>

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::load {

enum class Workload : uint8_t { rps, cps };
enum class Side : uint8_t { client, server };

struct Arguments {
  Workload workload = Workload::rps;
  Side close_first = Side::client;
  uint32_t connections = 64;
  uint32_t size = 64;
  Duration duration;      // 0: until `requests` are done
  uint64_t requests = 0;  // 0: until `duration` is over
  uint32_t cores = 1;
  uint32_t client_addresses = 16;
  uint32_t server_ports = 4;
  Duration time_wait = seconds(60);
  uint64_t time_wait_records = 0;  // 0: enough for all local ports
  uint32_t syn_retries = 7;
  uint32_t lcore = 0;
  uint32_t server_lcore = 0;  // with two cores
  uint64_t seed = 0;
  std::string json;
  std::vector<std::string> eal;

  uint32_t port_pools() const { return client_addresses * server_ports; }
  uint64_t local_ports() const { return uint64_t{port_pools()} * ports_per_pool; }
  static constexpr uint32_t ports_per_pool = 65535 - 1023;
};

inline constexpr Ipv4Address server_address = ipv4(10, 9, 0, 1);
inline constexpr Ipv4Address first_client_address = ipv4(10, 9, 1, 1);
inline constexpr uint16_t first_server_port = 8000;

const char* name(Workload workload);

// Prints help and exits with 0, or says in one line what is wrong and exits with 2.
Arguments parse_arguments(int argc, char** argv);

Config client_config(const Arguments& arguments);
Config server_config(const Arguments& arguments);
// What every connection is opened with, at both ends.
Options connection_options(const Arguments& arguments);

}  // namespace millrace::load
