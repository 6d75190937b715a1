// SPDX-License-Identifier: BSD-3-Clause
// What a run measures: readings at its begin and end, and one row each second. Rates are of the measured time
// alone, which begins when the load does and the warm-up is over; TCP's counters are of the whole run.
#pragma once

#include <millrace/millrace.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "exchange.h"
#include "load.h"
#include "plan.h"
#include "server.h"

namespace millrace::load {

// Both are there in a pair, else one. Loads and servers by core. The pointers stay the owner's.
struct Ends {
  const Endpoint* client = nullptr;
  const Endpoint* server = nullptr;
  std::vector<Load*> loads{};
  std::vector<Server*> servers{};

  bool has_load() const { return !loads.empty(); }
  // What all cores have counted so far. Any thread.
  Tally tally() const;
  Server::Counts served() const;
  uint64_t connected() const;
};

struct Row {
  double t = 0;  // seconds since the begin of measuring
  double requests_per_second = 0, connections_per_second = 0, bytes_sent_per_second = 0,
         bytes_received_per_second = 0;
  uint64_t samples = 0;  // latencies of this second; without one the next three mean nothing
  double p50 = 0, p99 = 0, max = 0;
  uint64_t errors = 0, retransmitted = 0, port_wait = 0;
  uint64_t connecting = 0, open = 0, closing = 0, time_wait = 0;
  std::vector<double> useful_percent;  // by core
};

struct Core {
  uint32_t number;
  double cycles_per_request;
  double useful_percent;
};

class Meter {
 public:
  Meter(const Plan& plan, Ends ends);

  // On the thread of the client's first core, or the server's where there is no client.
  void begin(uint64_t cycles);  // now
  const Row& second();  // ends a second
  // When no core has turns any more. What was due by the time that it was over had its chance to begin.
  void end(uint64_t over_at);

  const Plan& plan() const { return plan_; }
  const Ends& ends() const { return ends_; }
  const std::vector<Row>& series() const { return series_; }
  const Histogram& latency() const { return latency_; }
  const Histogram& connect_latency() const { return connect_latency_; }

  // Of the measured time, after end().
  double seconds() const { return seconds_between(first_, end_); }
  uint64_t requests() const { return end_.requests - first_.requests; }
  uint64_t finished() const { return end_.finished - first_.finished; }
  uint64_t bytes_sent() const { return end_.bytes_sent - first_.bytes_sent; }
  uint64_t bytes_received() const { return end_.bytes_received - first_.bytes_received; }
  // Of the whole run.
  uint64_t opened() const { return end_.opened; }
  Errors errors() const;
  uint64_t server_failures() const { return end_.failures; }
  uint64_t retransmitted() const { return end_.retransmitted; }
  uint64_t port_wait() const { return end_.port_wait; }
  // Open loop: requests that were due in the measured time (or before, and still waited), and those of them that never
  // began.
  uint64_t due() const { return begun_ + not_sent_; }
  uint64_t not_sent() const { return not_sent_; }
  // What the run had promised and did not do, in a sentence; else empty.
  std::string not_kept() const;
  uint64_t unanswered() const { return unanswered_; }
  std::vector<Core> cores() const;
  double cpu_percent() const;  // how much of its CPUs this process has had
  Duration longest_turn() const;
  uint64_t most_late_ns() const;
  std::map<unsigned, uint64_t> http_statuses() const;
  std::string http_error() const;  // the first
  bool has_http() const;
  bool has_begun() const { return first_.cycles != 0; }

 private:
  struct Reading {
    uint64_t cycles = 0;
    double cpu_seconds = 0;
    uint64_t requests = 0, opened = 0, finished = 0, bytes_sent = 0, bytes_received = 0, port_wait = 0;
    uint64_t retransmitted = 0, begun = 0;
    Errors errors;
    uint64_t failures = 0;  // connections that ended badly for the server
    struct Work {
      uint32_t cpu;
      uint64_t useful_cycles, requests;
    };
    std::vector<Work> work;  // by lcore
    Duration longest_turn;
    uint64_t all_errors() const { return errors.sum() + failures; }
  };
  Reading read() const;
  void read_work(Reading& now) const;
  double seconds_between(const Reading& from, const Reading& to) const;
  Histogram all_latencies() const;
  Histogram all_connect_latencies() const;

  const Plan& plan_;
  const Ends ends_;
  Reading first_, last_, end_;
  const double cycles_per_second_;
  Histogram before_;  // all latencies until the last row
  Histogram warmup_, connect_warmup_;  // and until the begin
  Histogram latency_, connect_latency_;
  std::vector<Row> series_;
  uint64_t begun_ = 0, not_sent_ = 0, unanswered_ = 0;
};

}  // namespace millrace::load
