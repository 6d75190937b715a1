// SPDX-License-Identifier: BSD-3-Clause
#include "report.h"

#include <time.h>

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace millrace::load {

using Json = nlohmann::ordered_json;

static double us(uint64_t ns) {
  return static_cast<double>(ns) / 1000;
}

static double per_second(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// "10.8 M", "43.1 K", "512".
static std::string short_number(double value) {
  char out[32];
  if (value >= 1e6)
    std::snprintf(out, sizeof out, "%.2f M", value / 1e6);
  else if (value >= 1e4)
    std::snprintf(out, sizeof out, "%.1f K", value / 1e3);
  else
    std::snprintf(out, sizeof out, "%.0f", value);
  return out;
}

static double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Report::Report(const Arguments& arguments, const Endpoint& client_end, const Endpoint& server_end,
               const Client& client, const Server& server)
    : arguments_(arguments),
      client_end_(client_end),
      server_end_(server_end),
      client_(client),
      server_(server) {}

Report::Reading Report::read() const {
  auto retransmitted = [](const Endpoint& end) { return end.counters()[Count::retransmitted]; };
  return {read_cycles(),
          cpu_seconds(),
          client_.tally(),
          retransmitted(client_end_) + retransmitted(server_end_),
          server_.protocol_errors(),
          server_.failures(),
          client_end_.load(),
          server_end_.load()};
}

double Report::seconds_between(const Reading& from, const Reading& to) const {
  return static_cast<double>(to.cycles - from.cycles) / to.client.cycles_per_second;
}

void Report::begin() {
  first_ = last_ = read();
}

void Report::connecting() const {
  std::printf("connecting: %" PRIu64 " of %u, %" PRIu64 " errors, %" PRIu64 " waits for a port\n",
              client_.connected(), arguments_.connections, client_.tally().errors.sum(),
              client_.tally().port_wait);
  std::fflush(stdout);
}

void Report::progress() {
  Reading now = read();
  double time = seconds_between(last_, now);
  between_.set_difference(client_.latency(), before_);
  before_ = client_.latency();
  std::printf("%4.0f s  %s requests/s  %s connections/s  p99 %.1f us  %" PRIu64 " errors  %" PRIu64
              " retransmissions",
              seconds_between(first_, now),
              short_number(per_second(now.tally.requests - last_.tally.requests, time)).c_str(),
              short_number(per_second(now.tally.finished - last_.tally.finished, time)).c_str(),
              us(between_.percentile(99)), now.errors() - last_.errors(),
              now.retransmitted - last_.retransmitted);
  if (uint64_t waits = now.tally.port_wait - last_.tally.port_wait; waits != 0)
    std::printf("  %" PRIu64 " waits for a port", waits);
  std::printf("\n");
  std::fflush(stdout);
  last_ = now;
}

void Report::end() {
  end_ = read();
  errors_ = end_.errors();
}

Errors Report::errors() const {
  Errors sum = end_.tally.errors;
  sum.protocol += end_.protocol_errors;
  return sum;
}

std::vector<Report::Core> Report::cores() const {
  uint64_t requests = end_.tally.requests - first_.tally.requests;
  auto useful = [](const Endpoint::Load& from, const Endpoint::Load& to) {
    return static_cast<double>(to.useful_cycles - from.useful_cycles);
  };
  auto core = [&](uint32_t number, double cycles) {
    double total = static_cast<double>(end_.cycles - first_.cycles);
    return Core{number, requests == 0 ? 0 : cycles / static_cast<double>(requests),
                100 * cycles / std::max(total, 1.0)};
  };
  double client = useful(first_.client, end_.client), server = useful(first_.server, end_.server);
  if (arguments_.cores == 1) return {core(arguments_.lcore, client + server)};
  return {core(arguments_.lcore, client), core(arguments_.server_lcore, server)};
}

double Report::cpu_percent() const {
  double time = seconds_between(first_, end_) * arguments_.cores;
  return time > 0 ? std::min(100.0, 100 * (end_.cpu_seconds - first_.cpu_seconds) / time) : 100;
}

// --- the summary ---

void Report::print_latencies(const char* what, const Histogram& latencies) const {
  std::printf("%-9s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us\n", what,
              us(latencies.percentile(50)), us(latencies.percentile(90)), us(latencies.percentile(99)),
              us(latencies.percentile(99.9)), us(latencies.max()));
}

void Report::print_summary() const {
  double time = seconds_between(first_, end_);
  uint64_t requests = end_.tally.requests - first_.tally.requests;
  uint64_t finished = end_.tally.finished - first_.tally.finished;
  std::printf("\n%s, %u connections, %u + %u bytes, %.2f s: %" PRIu64 " requests, %s/s",
              name(arguments_.workload), arguments_.connections, arguments_.size, arguments_.size, time,
              requests, short_number(per_second(requests, time)).c_str());
  if (arguments_.workload == Workload::cps)
    std::printf("; %" PRIu64 " connections, %s/s", finished,
                short_number(per_second(finished, time)).c_str());
  std::printf("\n");
  print_latencies("latency", client_.latency());
  if (arguments_.workload == Workload::cps) print_latencies("connect", client_.connect_latency());
  for (const Core& core : cores())
    std::printf("core %-4u %.0f cycles a request, %.0f %% useful\n", core.number, core.cycles_per_request,
                core.useful_percent);
  if (double percent = cpu_percent(); percent < 95)
    std::printf(
        "          (only %.0f %% of the CPU: something else runs here, and the figures are worse for it)\n",
        percent);
  std::printf("turns     longest %.1f us (client), %.1f us (server)\n", us(end_.client.longest_turn.ns),
              us(end_.server.longest_turn.ns));
  Errors e = errors();
  std::printf("errors    %" PRIu64 " refused, %" PRIu64 " reset, %" PRIu64 " timed out, %" PRIu64
              " unreachable, %" PRIu64 " protocol",
              e.refused, e.reset, e.timed_out, e.unreachable, e.protocol);
  if (e.other != 0) std::printf(", %" PRIu64 " without memory", e.other);
  if (end_.failures != 0) std::printf(", %" PRIu64 " ended badly for the server", end_.failures);
  std::printf("; %" PRIu64 " retransmissions, %" PRIu64 " waits for a port\n", end_.retransmitted,
              end_.tally.port_wait);
  std::fflush(stdout);
}

// --- JSON ---

// Divided, not multiplied by a fraction: 13.232 shall not come out as 13.232000000000001.
static double rounded(double value, double parts) {
  return std::round(value * parts) / parts;
}

static Json latencies_of(const Histogram& latencies) {
  auto in_us = [](double ns) { return rounded(ns / 1000, 1000); };
  auto at = [&](double percent) { return in_us(static_cast<double>(latencies.percentile(percent))); };
  return {{"min", in_us(static_cast<double>(latencies.min()))},
          {"mean", in_us(latencies.mean())},
          {"p50", at(50)},
          {"p90", at(90)},
          {"p99", at(99)},
          {"p99_9", at(99.9)},
          {"p99_99", at(99.99)},
          {"max", at(100)}};
}

static Json counters_of(const Counters& client, const Counters& server) {
  Json both, of_client, of_server;
  for (size_t i = 0; i < count_kinds; ++i) {
    auto count = static_cast<Count>(i);
    both[millrace::name(count)] = client[count] + server[count];
    of_client[millrace::name(count)] = client[count];
    of_server[millrace::name(count)] = server[count];
  }
  both["client"] = of_client;
  both["server"] = of_server;
  return both;
}

void Report::write_json() const {
  double time = seconds_between(first_, end_);
  auto rate = [&](uint64_t Tally::*what) {
    return rounded(per_second(end_.tally.*what - first_.tally.*what, time), 10);
  };
  Errors e = errors();
  Json out = {{"workload", name(arguments_.workload)},
              {"mode", "pair"},
              {"duration_s", time},
              {"connections", end_.tally.opened},
              {"requests", end_.tally.requests - first_.tally.requests},
              {"requests_per_second", rate(&Tally::requests)},
              {"connections_per_second", rate(&Tally::finished)},
              {"bytes_sent_per_second", rate(&Tally::bytes_sent)},
              {"bytes_received_per_second", rate(&Tally::bytes_received)},
              {"latency_us", latencies_of(client_.latency())}};
  if (arguments_.workload == Workload::cps)
    out["connect_latency_us"] = latencies_of(client_.connect_latency());
  out["errors"] = {{"refused", e.refused},     {"reset", e.reset},
                   {"timed_out", e.timed_out}, {"unreachable", e.unreachable},
                   {"protocol", e.protocol},   {"other", e.other + end_.failures}};
  out["tcp"] = counters_of(client_end_.counters(), server_end_.counters());
  for (const Core& core : cores())
    out["cores"].push_back({{"core", core.number},
                            {"cycles_per_request", rounded(core.cycles_per_request, 10)},
                            {"useful_percent", rounded(core.useful_percent, 10)}});
  out["cpu_percent"] = rounded(cpu_percent(), 10);
  out["port_wait"] = end_.tally.port_wait;
  std::ofstream(arguments_.json) << out.dump(2) << '\n';
}

}  // namespace millrace::load
