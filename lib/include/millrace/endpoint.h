// SPDX-License-Identifier: BSD-3-Clause
// An endpoint: a device, its addresses, and the cores that run them. Each core has a share of the flows and all that
// belongs to them; which core a flow is, its addresses and ports decide, for the whole run. One thread at a time runs a
// core; what any thread may call is said at the call.
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

// The application: called each turn with its Channel. It reads events and makes requests, and returns soon: while it
// runs inline, its core receives and sends nothing. It throws nothing. With several cores: each turn of each core, with
// the Channel to that one (Channel::core()), from several threads at a time; each has a first turn, where it listens
// and connects. No core takes a frame before all have had theirs.
using Application = std::function<void(Channel&)>;

class Endpoint {
 public:
  // Sets up EAL (once in a process: later endpoints use what the first one's `lcore`, `eal` and device asked for), the
  // port and all memory; from here on SIGINT and SIGTERM ask for the end, and a second one exits at once with 130. What
  // it cannot have is a ConfigError with what mends it, and nothing is left behind. Prints to stderr only where huge
  // pages are short.
  explicit Endpoint(const Config& config);
  // Without finish() before it: connections are dropped without a segment.
  ~Endpoint();
  Endpoint(Endpoint&&) noexcept;
  Endpoint& operator=(Endpoint&&) noexcept;

  // Two endpoints joined by a net_ring pair, for measuring without a NIC: no root, no huge pages. Their addresses
  // differ, and each is on the other's network; `device` is not looked at. They may run on one thread in turn, or on
  // one each. Throws ConfigError.
  static std::pair<Endpoint, Endpoint> pair(const Config& left, const Config& right);

  // How many Config::cores asked for. Any thread.
  uint32_t cores() const;

  // Prints the banner, runs the workers' loops with an inline application until SIGINT, SIGTERM or stop(), then does
  // what finish() does and gives its exit code. The caller's thread becomes the first core's lcore and is pinned to its
  // CPU, and threads of its own run the others; all start and stop together. With Mode::thread the application is
  // called on a thread of its own meanwhile, one at a time, with Channels that cross to it.
  int run(const Application& application);

  // The same in steps, for who has a loop of its own: one turn of each core, one after the other on this thread, with
  // the application inline (an empty one: nobody reads the events). It never sleeps. Not after finish().
  void turn(const Application& application);
  // ...or of one core, for which the calling thread becomes the lcore: several threads may run several cores. True if
  // it did something; where nothing did, idle() does what Config::idle says, and sleeps until there is work, or the
  // core's next timer, or for `at_most`: who has a clock of its own in its loop says how long that can wait. A thread
  // that runs several cores is woken for this one only.
  bool turn(uint32_t core, const Application& application);
  void idle(uint32_t core, Duration at_most = milliseconds(1));
  // The orderly end: new opens are refused, FIN to all, turns for a second at most until the peers have answered, RST
  // to the rest, TIME-WAIT dropped. The application still gets its events; an empty one has them read and dropped.
  // Prints where all packet buffers went. The exit code: 0, or 1 if a buffer is missing or the device has gone; of a pair
  // the second to finish tells. No other thread calls turn() any more, and of a pair each core of the other end is either run by threads
  // that go on, or by this one. Again: does nothing and gives the same.
  int finish(const Application& application = {});
  // True once SIGINT or SIGTERM came, stop() was called, or the device has gone. Any thread.
  bool stopping() const;
  // The kernel's interface below the device (a tap, net_af_packet's, net_af_xdp's) has been deleted. Any thread.
  bool device_is_gone() const;
  // Asks run() to end after this turn. Any thread, also from within the application.
  void stop();

  // A Channel to one core for a thread of the application's own, to be made before run() or the first turn. It lives as
  // long as the endpoint, and is used by one thread. Who listens for all cores has one to each, and listens by each.
  // Throws ConfigError beyond 7 of a core's.
  Channel& attach(uint32_t core = 0);

  // Any thread, any time (millrace/statistics.h): what one core has counted so far, and the sum of all as it is now.
  const Counters& counters(uint32_t core) const;
  Counters counters() const;
  // What run() prints: "net_tap0: driver net_tap, MAC ..." with queues, checksums, NUMA, buffers and addresses. Any
  // thread.
  std::string banner() const;
  // Time stamp counter cycles of a core so far: in turns that received, sent or were asked something; asleep
  // (Config::idle); and in all, of which the rest went into looking in vain. Of the sleeps, wakeups ended by work and
  // not by a time.
  struct Load {
    uint64_t useful_cycles, asleep_cycles, total_cycles;
    uint64_t turns, useful_turns;
    uint64_t sleeps, wakeups;
    Duration longest_turn;     // of the useful ones
    Duration longest_turn_off_cpu;  // of it the thread was off its CPU for so long, at least: the scheduler's part
    double cycles_per_second;  // of the counter
  };
  // Any thread, any time.
  Load load(uint32_t core) const;
  Load load() const;  // the sums, and the longest turn of all
  uint32_t cpu(uint32_t core) const;  // that it runs on
  // What the device has counted since it started, over all queues; a virtual one may leave some at 0. Lost here: frames
  // that it had no place in a queue for (the core was too slow), or no buffer; that were bad; that it could not send; and
  // those that its driver refused beforehand. Any thread.
  struct PortCounters {
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    uint64_t rx_missed, rx_no_buffer, rx_errors, tx_errors, tx_refused;
  };
  PortCounters port_counters() const;
  // How many there are now: connections, those not yet acknowledged that peers have opened, TIME-WAIT records.
  struct Gauges {
    uint32_t connections, half_open, time_wait;
  };
  // With one core on its own thread; else on any, as they were in each core's last turn.
  Gauges gauges() const;

 private:
  int run_beside(const Application& application);
  void loops(const std::function<void(uint32_t)>& loop);
  struct Impl;
  explicit Endpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "millrace 0.1.0, DPDK 22.11.11", for reports. Any thread.
std::string version();

}  // namespace millrace
