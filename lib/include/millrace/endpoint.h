// SPDX-License-Identifier: BSD-3-Clause
// An endpoint: a device, its addresses, and the core that runs them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "millrace/channel.h"
#include "millrace/config.h"
#include "millrace/statistics.h"

namespace millrace {

// Called each turn with the application's Channel.
using Application = std::function<void(Channel&)>;

class Endpoint {
 public:
  // Sets up EAL (once in a process), port, memory. Throws ConfigError.
  explicit Endpoint(const Config& config);
  ~Endpoint();
  Endpoint(Endpoint&&) noexcept;
  Endpoint& operator=(Endpoint&&) noexcept;

  // Two endpoints joined by a net_ring pair, for measuring without a NIC. No root, no huge pages.
  static std::pair<Endpoint, Endpoint> pair(const Config& left, const Config& right);

  // Runs the worker loop with an inline application until SIGINT, SIGTERM or stop(); then closes what is open,
  // prints where all buffers went, and returns the exit code: 0, or 1 if a buffer is missing.
  // The caller's thread becomes the lcore. With Config::mode `thread` the application is called on a thread of its own
  // meanwhile, one at a time, with a Channel that crosses to it.
  int run(const Application& application);

  // The same in steps, for who has a loop of its own: one turn; and the orderly end (a second of grace).
  void turn(const Application& application);
  int finish(const Application& application = {});
  // True once SIGINT or SIGTERM came or stop() was called. Any thread.
  bool stopping() const;
  void stop();

  // A Channel for a thread of the application's own, to be made before run(). It lives as long as the endpoint.
  Channel& attach();

  // Any thread, any time.
  const Counters& counters() const;
  // "net_tap0: driver net_tap, 1 queue, ..." as printed at start.
  std::string banner() const;
  // Time stamp counter cycles of the worker so far, in turns that did something, and in all.
  struct Load {
    uint64_t useful_cycles, total_cycles, turns;
    Duration longest_turn;
    double cycles_per_second;
  };
  Load load() const;
  // How many there are now: connections, those not yet acknowledged that peers have opened, TIME-WAIT records. On the
  // worker's own thread.
  struct Gauges {
    uint32_t connections, half_open, time_wait;
  };
  Gauges gauges() const;

 private:
  int run_beside(const Application& application);
  struct Impl;
  explicit Endpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "millrace 0.1.0, DPDK 22.11.11", for reports.
std::string version();

}  // namespace millrace
