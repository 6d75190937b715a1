// SPDX-License-Identifier: BSD-3-Clause
// What is read on a terminal. (report.h)
#include <unistd.h>

#include <cctype>
#include <cinttypes>
#include <cstdio>

#include "report.h"

namespace millrace::load {

static double us(uint64_t ns) {
  return static_cast<double>(ns) / 1000;
}

static double per_second(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string short_number(double value) {
  char out[32];
  if (value >= 1e9)
    std::snprintf(out, sizeof out, "%.2f G", value / 1e9);
  else if (value >= 1e6)
    std::snprintf(out, sizeof out, "%.2f M", value / 1e6);
  else if (value >= 1e4)
    std::snprintf(out, sizeof out, "%.1f K", value / 1e3);
  else
    std::snprintf(out, sizeof out, "%.0f", value);
  return out;
}

// "56.7 Mbit/s" of bytes a second.
static std::string bit_rate(double bytes) {
  std::string number = short_number(8 * bytes);
  return number + (std::isdigit(static_cast<unsigned char>(number.back())) ? " bit/s" : "bit/s");
}

static bool is_terminal() {
  static const bool is = isatty(STDOUT_FILENO) == 1;
  return is;
}

static bool line_open = false;

static void begin_line() {
  if (is_terminal()) std::printf("\r\033[K");
}

static void end_line() {
  if (!is_terminal()) std::printf("\n");
  line_open = is_terminal();
  std::fflush(stdout);
}

void end_progress() {
  if (line_open) std::printf("\n");
  line_open = false;
}

void print_connecting(const Plan& plan, const Ends& ends) {
  begin_line();
  Tally tally = ends.tally();
  std::printf("connecting: %" PRIu64 " of %u, %" PRIu64 " errors, %" PRIu64 " waits for a port",
              ends.connected(), plan.connections, tally.errors.sum(), tally.port_wait);
  end_line();
}

void print_progress(const Plan& plan, const Row& row) {
  begin_line();
  std::printf("%4.0f s", row.t);
  if (plan.has_client() && plan.workload == Workload::stream)
    std::printf("  %s out  %s in", bit_rate(row.bytes_sent_per_second).c_str(),
                bit_rate(row.bytes_received_per_second).c_str());
  else
    std::printf("  %s requests/s", short_number(row.requests_per_second).c_str());
  if (!plan.has_client() || plan.closes_each())
    std::printf("  %s connections/s", short_number(row.connections_per_second).c_str());
  if (!plan.has_client())
    std::printf("  %" PRIu64 " open  %s out  %s in", row.open, bit_rate(row.bytes_sent_per_second).c_str(),
                bit_rate(row.bytes_received_per_second).c_str());
  if (row.samples != 0) std::printf("  p99 %.1f us", row.p99);
  std::printf("  %" PRIu64 " errors  %" PRIu64 " retransmissions ", row.errors, row.retransmitted);
  for (double percent : row.useful_percent) std::printf(" %3.0f %%", percent);
  if (row.port_wait != 0) std::printf("  %" PRIu64 " waits for a port", row.port_wait);
  end_line();
}

static void print_latencies(const char* what, const Histogram& latencies) {
  if (latencies.count() == 0) return;
  std::printf("%-9s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us\n", what,
              us(latencies.percentile(50)), us(latencies.percentile(90)), us(latencies.percentile(99)),
              us(latencies.percentile(99.9)), us(latencies.max()));
}

static void print_work(const Meter& meter) {
  const Plan& plan = meter.plan();
  double time = meter.seconds();
  if (plan.program == Program::server)
    std::printf("\nserver, %s, %.2f s: ", name(plan.server.protocol), time);
  else if (plan.workload == Workload::stream)
    std::printf("\nstream, %u connections, %.2f s: ", plan.connections, time);
  else if (plan.workload == Workload::http)
    std::printf("\nhttp, %s %s, %u connections, %.2f s: ", plan.http.method.c_str(), plan.http.path.c_str(),
                plan.connections, time);
  else
    std::printf("\n%s, %u connections, %u + %u bytes, %.2f s: ", name(plan.workload), plan.connections,
                plan.request_size, plan.response_size, time);
  if (plan.program == Program::server || plan.workload != Workload::stream)
    std::printf("%" PRIu64 " requests, %s/s; ", meter.requests(),
                short_number(per_second(meter.requests(), time)).c_str());
  if (plan.has_client() && plan.closes_each())
    std::printf("%" PRIu64 " connections, %s/s; ", meter.finished(),
                short_number(per_second(meter.finished(), time)).c_str());
  else
    std::printf("%" PRIu64 " connections; ", meter.opened());
  std::printf("%s out, %s in\n", bit_rate(per_second(meter.bytes_sent(), time)).c_str(),
              bit_rate(per_second(meter.bytes_received(), time)).c_str());
}

static void print_pace(const Meter& meter) {
  const Plan& plan = meter.plan();
  if (!plan.has_client() || !plan.is_open_loop()) return;
  double late = static_cast<double>(meter.most_late_ns()) / 1e6;
  std::printf("open loop %s%s asked for: %" PRIu64 " were due, %" PRIu64 " not sent; the latest began %.3f ms after its time",
              plan.pace.text().c_str(), plan.pace.over.ns == 0 ? "/s" : "", meter.due(), meter.not_sent(), late);
  if (meter.unanswered() != 0) std::printf("; %" PRIu64 " had no answer yet at the end", meter.unanswered());
  std::printf("\n");
}

static void print_errors(const Meter& meter) {
  Errors e = meter.errors();
  std::printf("errors    %" PRIu64 " refused, %" PRIu64 " reset, %" PRIu64 " timed out, %" PRIu64
              " unreachable, %" PRIu64 " protocol",
              e.refused, e.reset, e.timed_out, e.unreachable, e.protocol);
  if (e.other != 0) std::printf(", %" PRIu64 " without memory", e.other);
  if (meter.server_failures() != 0)
    std::printf(", %" PRIu64 " ended badly for the server", meter.server_failures());
  std::printf("; %" PRIu64 " retransmissions, %" PRIu64 " waits for a port\n", meter.retransmitted(),
              meter.port_wait());
  if (!meter.has_http() || (meter.http_statuses().empty() && meter.http_error().empty())) return;
  std::printf("http     ");
  for (auto [status, count] : meter.http_statuses()) std::printf(" %u: %" PRIu64, status, count);
  if (std::string why = meter.http_error(); !why.empty()) std::printf(" (first error: %s)", why.c_str());
  std::printf("\n");
}

// Several cores: what each end has handed from one to another, of all the frames that have come to it.
static void print_crossings(const Meter& meter) {
  for (auto [end, what] : {std::pair(meter.ends().client, "client"), std::pair(meter.ends().server, "server")}) {
    if (end == nullptr || end->cores() == 1) continue;
    Counters counters = end->counters();
    std::printf("steering  %s: %" PRIu64 " of %" PRIu64 " frames handed to their cores", what,
                counters[Count::frames_handed_over], counters[Count::frames_received]);
    if (uint64_t dropped = counters[Count::drop_handover]; dropped != 0) std::printf(", %" PRIu64 " dropped", dropped);
    std::printf("\n");
  }
}

void print_summary(const Meter& meter, const std::string& why) {
  end_progress();
  print_work(meter);
  print_latencies("latency", meter.latency());
  if (meter.plan().closes_each()) print_latencies("connect", meter.connect_latency());
  print_pace(meter);
  print_crossings(meter);
  for (const Core& core : meter.cores()) {
    std::printf("core %-4u ", core.number);
    if (core.cycles_per_request > 0) std::printf("%.0f cycles a request, ", core.cycles_per_request);
    std::printf("%.0f %% useful\n", core.useful_percent);
  }
  if (double percent = meter.cpu_percent(); percent < 95 && meter.plan().program == Program::pair)
    std::printf(
        "          (only %.0f %% of the CPU: something else runs here, and the figures are worse for it)\n",
        percent);
  std::printf("turns     longest %.1f us\n", us(meter.longest_turn().ns));
  print_errors(meter);
  if (std::string broken = meter.not_kept(); !broken.empty()) std::printf("NOT KEPT  %s\n", broken.c_str());
  if (!why.empty()) std::printf("FAILED    %s\n", why.c_str());
  std::fflush(stdout);
}

}  // namespace millrace::load
