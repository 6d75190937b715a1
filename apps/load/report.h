// SPDX-License-Identifier: BSD-3-Clause
// What a run says: a line a second, a summary, and the summary as JSON. Rates are of the measured time alone,
// which begins when the load does; TCP's counters are of the whole run.
#pragma once

#include <millrace/millrace.h>

#include <cstdint>

#include "client.h"
#include "options.h"
#include "server.h"

namespace millrace::load {

class Report {
 public:
  Report(const Arguments& arguments, const Endpoint& client_end, const Endpoint& server_end,
         const Client& client, const Server& server);

  // All on the client's thread.
  void begin();
  void progress();
  void connecting() const;  // the line while there is no load yet
  void end();
  void print_summary() const;
  void write_json() const;
  bool has_errors() const { return errors_ != 0; }

 private:
  struct Reading {
    uint64_t cycles = 0;
    double cpu_seconds = 0;
    Tally tally;
    uint64_t retransmitted = 0;
    uint64_t protocol_errors = 0;  // the server's
    uint64_t failures = 0;         // likewise
    Endpoint::Load client, server;
    uint64_t errors() const { return tally.errors.sum() + protocol_errors + failures; }
  };
  struct Core {
    uint32_t number;
    double cycles_per_request;
    double useful_percent;
  };

  Reading read() const;
  double seconds_between(const Reading& from, const Reading& to) const;
  Errors errors() const;
  std::vector<Core> cores() const;
  double cpu_percent() const;  // how much of its CPUs this process has had
  void print_latencies(const char* what, const Histogram& latencies) const;

  const Arguments& arguments_;
  const Endpoint& client_end_;
  const Endpoint& server_end_;
  const Client& client_;
  const Server& server_;
  Reading first_, last_, end_;
  uint64_t errors_ = 0;
  Histogram before_;   // all latencies until the last line
  Histogram between_;  // those since then
};

}  // namespace millrace::load
