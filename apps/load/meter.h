// SPDX-License-Identifier: BSD-3-Clause
// What a run measures: readings at its begin and end, and one row each second. Rates are of the measured time
// alone, which begins when the load does and the warm-up is over; TCP's counters are of the whole run.
#pragma once

#include <millrace/millrace.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "activity.h"
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
  const char* end;  // whose: "client", "server", or "pair" where one lcore runs a core of both
  uint32_t number;  // from 0 on
  uint32_t cpu;     // that it runs on
  double cycles_per_request;
  double useful_percent;
};

// What a device has counted: in the whole run, and a second of the measured time. A bit rate is that of the wire: with
// preamble, checksum and gap of each frame. NAN: the driver counts no bytes.
struct Nic {
  const char* end;  // "client" or "server"
  Endpoint::PortCounters all;
  double rx_packets_per_second, tx_packets_per_second, rx_bits_per_second, tx_bits_per_second;
  uint64_t lost() const { return all.rx_missed + all.rx_no_buffer + all.rx_errors + all.tx_errors + all.tx_refused; }
};

class Meter {
 public:
  Meter(const Plan& plan, Ends ends);

  // On the thread of the client's first core, or the server's where there is no client.
  void begin(uint64_t cycles);  // now
  const Row& second();  // ends a second
  void look(uint64_t now);  // a server's: every few turns
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
  // Connections that count towards a rate: where each has one request, those that have ended in order; else those that
  // were established.
  uint64_t connections() const { return end_.counted(plan_) - first_.counted(plan_); }
  uint64_t bytes_sent() const { return end_.bytes_sent - first_.bytes_sent; }
  uint64_t bytes_received() const { return end_.bytes_received - first_.bytes_received; }
  // What rates are of: the measured time; of a server, without what was idle.
  double active_seconds() const { return plan_.has_client() ? seconds() : activity_.seconds(); }
  // Of the whole run. Connections: those that were established.
  uint64_t opened() const { return end_.opened; }
  Errors errors() const;
  uint64_t server_failures() const { return end_.failures; }
  uint64_t retransmitted() const { return end_.retransmitted; }
  uint64_t port_wait() const { return end_.port_wait; }
  // Open loop: requests that were due in the measured time (or before, and still waited), and those of them that never
  // began.
  uint64_t due() const { return begun_ + not_sent_; }
  uint64_t not_sent() const { return not_sent_; }
  // Closed loop: how many requests may be underway by now, if not yet as many as were asked for; else 0.
  uint64_t beginning() const;
  // What the run had promised and did not do, in a sentence; else empty.
  std::string not_kept() const;
  uint64_t unanswered() const { return unanswered_; }
  std::vector<Core> cores() const;
  double cpu_percent() const;  // how much of its CPUs this process has had
  Duration longest_turn() const { return end_.longest_turn; }
  Duration longest_turn_off_cpu() const { return end_.longest_turn_off_cpu; }  // at least
  uint64_t time_wait_recycled_early() const { return end_.time_wait_recycled_early; }
  // What the devices have counted: which end, since its start, and a second of the measured time.
  std::vector<Nic> nics() const;
  uint64_t most_late_ns() const;
  // Of the measured time, after end().
  std::map<unsigned, uint64_t> http_statuses() const;
  Histogram http_latency(unsigned status_class) const;
  HttpResponses::Surplus http_surplus() const;  // of the whole run
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
      const char* end;
      uint32_t number, cpu;
      uint64_t useful_cycles, requests;
    };
    std::vector<Work> work;  // by lcore
    Duration longest_turn, longest_turn_off_cpu;
    uint64_t time_wait_recycled_early = 0;
    Endpoint::PortCounters client_port{}, server_port{};
    uint64_t counted(const Plan& plan) const { return plan.has_client() && plan.closes_each() ? finished : opened; }
    uint64_t all_errors() const { return errors.sum() + failures; }
  };
  Reading read() const;
  void read_work(Reading& now) const;
  void read_ports(Reading& now);
  static void note_turn(Reading& now, const Endpoint::Load& load);
  double seconds_between(const Reading& from, const Reading& to) const;
  Histogram all_latencies() const;
  Histogram all_connect_latencies() const;
  std::map<unsigned, uint64_t> all_http_statuses() const;
  Histogram all_http_latencies(unsigned status_class) const;

  const Plan& plan_;
  const Ends ends_;
  Reading first_, last_, end_;
  Endpoint::PortCounters client_port_{}, server_port_{};  // as far as they were seen
  const double cycles_per_second_;
  Histogram before_;  // all latencies until the last row
  Histogram warmup_, connect_warmup_;  // and until the begin
  Histogram latency_, connect_latency_;
  std::map<unsigned, uint64_t> http_statuses_warmup_;
  std::array<Histogram, status_classes> http_warmup_;
  std::vector<Row> series_;
  Activity activity_;  // of a server
  uint64_t begun_ = 0, not_sent_ = 0, unanswered_ = 0;
};

}  // namespace millrace::load
