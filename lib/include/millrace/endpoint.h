// SPDX-License-Identifier: BSD-3-Clause
// An endpoint: a device, its addresses, and the cores that run them. Each core has a share of the flows and all that
// belongs to them; which core a flow is, its addresses and ports decide, for the whole run.
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

// Called each turn with the application's Channel. With several cores: each turn of each core, with the Channel to that one
// (Channel::core()), from several threads at a time; each has a first turn, where it listens and connects. No core takes a
// frame before all have had theirs.
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

  uint32_t cores() const;

  // Runs the worker loops with an inline application until SIGINT, SIGTERM or stop(); then closes what is open,
  // prints where all buffers went, and returns the exit code: 0, or 1 if a buffer is missing.
  // The caller's thread becomes the first core's lcore, and threads of its own run the others; all start and stop together.
  // With Config::mode `thread` the application is called on a thread of its own meanwhile, one at a time, with Channels
  // that cross to it.
  int run(const Application& application);

  // The same in steps, for who has a loop of its own: one turn of each core, one after the other on this thread...
  void turn(const Application& application);
  // ...or of one core, for which the calling thread becomes the lcore: several threads may run several cores. True if it
  // did something; where nothing did, idle() gives the CPU to whoever else needs it.
  bool turn(uint32_t core, const Application& application);
  void idle(uint32_t core);
  // The orderly end (a second of grace). No other thread calls turn() any more, and of a pair each core of the other end is
  // either run by threads that go on, or by this one.
  int finish(const Application& application = {});
  // True once SIGINT or SIGTERM came or stop() was called. Any thread.
  bool stopping() const;
  void stop();

  // A Channel to one core for a thread of the application's own, to be made before run(). It lives as long as the
  // endpoint. Who listens for all cores has one to each, and listens by each.
  Channel& attach(uint32_t core = 0);

  // Any thread, any time: what one core has counted so far, and the sum of all as it is now.
  const Counters& counters(uint32_t core) const;
  Counters counters() const;
  // "net_tap0: driver net_tap, 1 queue, ..." as printed at start.
  std::string banner() const;
  // Time stamp counter cycles of a core so far, in turns that did something, and in all.
  struct Load {
    uint64_t useful_cycles, total_cycles, turns;
    Duration longest_turn;
    double cycles_per_second;
  };
  Load load(uint32_t core) const;
  Load load() const;  // the sums, and the longest turn of all
  uint32_t cpu(uint32_t core) const;  // that it runs on
  // How many there are now: connections, those not yet acknowledged that peers have opened, TIME-WAIT records. With one core
  // on its own thread; else on any, as they were in each core's last turn.
  struct Gauges {
    uint32_t connections, half_open, time_wait;
  };
  Gauges gauges() const;

 private:
  int run_beside(const Application& application);
  void loops(const std::function<void(uint32_t)>& loop);
  struct Impl;
  explicit Endpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "millrace 0.1.0, DPDK 22.11.11", for reports.
std::string version();

}  // namespace millrace
