// SPDX-License-Identifier: BSD-3-Clause
// What the user asks of millrace-load.
#pragma once

#include <millrace/millrace.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "arrivals.h"
#include "http_status.h"
#include "targets.h"

namespace millrace::load {

enum class Program : uint8_t { client, server, pair };
enum class Workload : uint8_t { rps, cps, stream, hold, http };
enum class Side : uint8_t { client, server };
enum class Direction : uint8_t { send, receive, both };  // of the client's
enum class Protocol : uint8_t {
  request,  // so many bytes are answered with so many
  echo,
  http,
  discard,
  chargen,
  stream,  // discard and chargen at once
};

const char* name(Program program);
const char* name(Workload workload);
const char* name(Protocol protocol);

struct HttpPlan {
  std::string url = "/";  // or the whole of it: then the target is in it
  std::string path;       // of it
  std::string method = "GET";
  uint32_t body_size = 0;
  bool close = false;  // a connection for each request
  std::vector<std::string> headers;        // instead of ours, or beside them
  std::vector<std::string> expect_status;  // as asked for
  StatusSet expected;                      // as it comes to; empty: any
};

struct ServerPlan {
  Protocol protocol = Protocol::echo;
  std::vector<std::string> port_ranges = {"8000"};
  std::vector<uint16_t> ports;
  std::string directory;  // http; empty: none
  Duration stall{}, stall_after = seconds(2);
};

struct Plan {
  Program program = Program::pair;
  bool doctor = false;  // only look whether it can be: no target is needed
  Workload workload = Workload::rps;
  Side close_first = Side::client;
  Direction direction = Direction::send;
  uint32_t connections = 64;
  uint32_t size = 64;
  uint32_t request_size = 0, response_size = 0;  // 0: size
  uint32_t pipeline = 1;
  Duration duration{};    // 0: until `requests` are done, or for ever
  uint64_t requests = 0;  // 0: until `duration` is over
  Duration warmup{};
  Duration connect_timeout = seconds(5);
  Rate rate;  // as asked for
  Rate pace;  // as it comes to; none: closed loop
  Arrival arrival = Arrival::fixed;
  uint64_t arrival_seed = 0;     // drawn where config.seed says random
  Duration every = seconds(10);  // hold
  HttpPlan http;
  ServerPlan server;
  std::vector<std::string> to;
  std::vector<Target> targets;
  // pair
  bool apart = false;  // the server has lcores of its own
  uint32_t client_addresses = 16;
  uint32_t server_ports = 4;
  uint32_t server_lcore = 0;  // then its first
  // output
  std::string json, hgrm, html;  // "-": standard output
  bool quiet = false;            // no lines for people

  Share core_share;                // a core's plan: its part of connections, requests and pace
  Config config;                   // the endpoint, or what both of a pair share
  std::string settings;            // all of this as a file, for the report
  std::vector<std::string> given;  // keys that the user set

  bool is_given(const char* key) const { return std::find(given.begin(), given.end(), key) != given.end(); }
  bool has_client() const { return program != Program::server; }
  bool has_server() const { return program != Program::client; }
  bool is_open_loop() const { return !pace.is_none(); }
  // Each connection has one request.
  bool closes_each() const { return workload == Workload::cps || (workload == Workload::http && http.close); }
  uint32_t local_addresses() const {
    return program == Program::pair ? client_addresses : config.address_count;
  }
  uint64_t port_pools() const { return uint64_t{local_addresses()} * targets.size(); }
  uint64_t local_ports() const { return port_pools() * ports_per_pool(); }
  uint32_t cores() const { return config.cores; }  // of each end
  // What one core has of so many, at most.
  uint64_t share(uint64_t whole) const { return (whole + cores() - 1) / cores(); }
  // Threads that run cores of this process.
  uint32_t threads() const { return apart ? 2 * cores() : cores(); }
  uint32_t ports_per_pool() const { return config.last_port - config.first_port + 1u; }
};

// Reads the words after the name of the program, and the file that they name. Prints help and exits with 0,
// or says in one line what is wrong and exits with 2.
Plan make_plan(Program program, int argc, char** argv, bool doctor = false);

// The plan of one core: connections are its own, `requests` and `pace` the run's, of which it has its share.
Plan core_plan(const Plan& plan, uint32_t core);

// The endpoints that a plan takes, of the size that it asks for.
Config client_config(const Plan& plan);
Config server_config(const Plan& plan);
// What every connection is opened with, at both ends.
Options connection_options(const Plan& plan);

}  // namespace millrace::load
