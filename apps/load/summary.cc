// SPDX-License-Identifier: BSD-3-Clause
// What is read on a terminal. (report.h)
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <map>
#include <utility>

#include "report.h"
#include "text.h"

namespace millrace::load {

static double per_second(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
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

// The cores' loads: of several, the least and the most.
static std::string busy(const std::vector<double>& percents) {
  if (percents.empty()) return "";
  auto [least, most] = std::minmax_element(percents.begin(), percents.end());
  char out[48];
  if (percents.size() == 1)
    std::snprintf(out, sizeof out, "busy %.0f %%", *most);
  else
    std::snprintf(out, sizeof out, "busy %.0f to %.0f %%", *least, *most);
  return out;
}

static std::vector<LinePart> progress_parts(const Plan& plan, const Row& row) {
  char time[32];
  std::snprintf(time, sizeof time, "%4.0f s", row.t);
  std::vector<LinePart> parts = {{time, 9}};
  bool is_stream = plan.has_client() && plan.workload == Workload::stream;
  // Of a connection for each request the two rates are one.
  if (!is_stream)
    parts.push_back({short_number(row.requests_per_second) + " requests/s", plan.has_client() && plan.closes_each() ? 0 : 9});
  if (!plan.has_client() || plan.closes_each())
    parts.push_back({short_number(row.connections_per_second) + " connections/s", plan.has_client() ? 8 : 5});
  if (!plan.has_client()) parts.push_back({std::to_string(row.open) + " open", 4});
  if (is_stream || !plan.has_client()) {
    parts.push_back({bit_rate(row.bytes_sent_per_second) + " out", is_stream ? 9 : 3});
    parts.push_back({bit_rate(row.bytes_received_per_second) + " in", is_stream ? 9 : 3});
  }
  if (row.samples != 0) parts.push_back({"p99 " + short_time(1000 * row.p99), 7});
  parts.push_back({std::to_string(row.errors) + " errors", row.errors != 0 ? 8 : 6});
  parts.push_back({std::to_string(row.retransmitted) + " retransmitted", row.retransmitted != 0 ? 5 : 1});
  if (std::string load = busy(row.useful_percent); !load.empty()) parts.push_back({load, 2});
  if (row.port_wait != 0) parts.push_back({std::to_string(row.port_wait) + " waits for a port", 6});
  return parts;
}

void print_progress(const Plan& plan, const Row& row) {
  constexpr size_t columns = 79;  // in the 80th a terminal may break the line
  begin_line();
  std::fputs(fitting_line(progress_parts(plan, row), columns).c_str(), stdout);
  end_line();
}

static void print_latencies(const char* what, const Histogram& latencies) {
  if (latencies.count() == 0) return;
  auto at = [&](double percent) { return short_time(static_cast<double>(latencies.percentile(percent))); };
  std::printf("%-9s p50 %s  p90 %s  p99 %s  p99.9 %s  max %s\n", what, at(50).c_str(), at(90).c_str(), at(99).c_str(),
              at(99.9).c_str(), at(100).c_str());
}

// "rps, 64 at a time, 64 + 64 bytes, 2.00 s: "
static void print_plan(const Plan& plan, double time) {
  if (plan.program == Program::server)
    std::printf("\nserver, %s, %.2f s: ", name(plan.server.protocol), time);
  else if (plan.workload == Workload::stream)
    std::printf("\nstream, %u at a time, %.2f s: ", plan.connections, time);
  else if (plan.workload == Workload::http)
    std::printf("\nhttp, %s %s, %u at a time, %.2f s: ", plan.http.method.c_str(), plan.http.path.c_str(),
                plan.connections, time);
  else
    std::printf("\n%s, %u at a time, %u + %u bytes, %.2f s: ", name(plan.workload), plan.connections,
                plan.request_size, plan.response_size, time);
}

static void print_work(const Meter& meter) {
  const Plan& plan = meter.plan();
  double time = meter.active_seconds();
  print_plan(plan, meter.seconds());
  if (plan.program == Program::server || plan.workload != Workload::stream)
    std::printf("%" PRIu64 " requests, %s/s; ", meter.requests(),
                short_number(per_second(meter.requests(), time)).c_str());
  std::printf("%" PRIu64 " connections", meter.opened());
  if (!plan.has_client() || plan.closes_each())
    std::printf(", %s/s", short_number(per_second(meter.connections(), time)).c_str());
  std::printf("; %s out, %s in\n", bit_rate(per_second(meter.bytes_sent(), time)).c_str(),
              bit_rate(per_second(meter.bytes_received(), time)).c_str());
  if (!plan.has_client()) std::printf("          a second of the %.2f s that were not idle\n", time);
}

static void print_pace(const Meter& meter) {
  const Plan& plan = meter.plan();
  if (!plan.has_client() || !plan.is_open_loop()) return;
  std::printf("open loop %s%s asked for: %" PRIu64 " were due, %" PRIu64 " not sent; the latest began %s after its time",
              plan.pace.text().c_str(), plan.pace.over.ns == 0 ? "/s" : "", meter.due(), meter.not_sent(),
              short_time(static_cast<double>(meter.most_late_ns())).c_str());
  if (meter.unanswered() != 0) std::printf("; %" PRIu64 " had no answer yet at the end", meter.unanswered());
  std::printf("\n");
}

static void print_errors(const Meter& meter) {
  Errors e = meter.errors();
  std::printf("errors    %" PRIu64 " refused, %" PRIu64 " reset, %" PRIu64 " timed out, %" PRIu64
              " unreachable, %" PRIu64 " protocol",
              e.refused, e.reset, e.timed_out, e.unreachable, e.protocol);
  for (auto [count, what] : {std::pair(e.status, "of another status"),
                             std::pair(e.no_memory, "without a place for the connection"),
                             std::pair(e.invalid, "to or from an address that cannot be"),
                             std::pair(e.other_core, "of another core"), std::pair(e.closing, "while ending"),
                             std::pair(e.other, "other"), std::pair(meter.server_failures(), "ended badly for the server")})
    if (count != 0) std::printf(", %" PRIu64 " %s", count, what);
  std::printf("; %" PRIu64 " retransmissions, %" PRIu64 " waits for a port\n", meter.retransmitted(),
              meter.port_wait());
  if (uint64_t count = meter.time_wait_recycled_early(); count != 0)
    std::printf("TIME-WAIT %" PRIu64 " records ended early, for want of a place: --time-wait-records\n", count);
}

static void print_http(const Meter& meter) {
  if (!meter.has_http()) return;
  std::map<unsigned, uint64_t> statuses = meter.http_statuses();
  HttpResponses::Surplus surplus = meter.http_surplus();
  std::string why = meter.http_error();
  uint64_t all = 0, refused = 0;  // the server did not do what it was asked for
  for (auto [status, count] : statuses) {
    all += count;
    if (status >= 400) refused += count;
  }
  if (all != 0 || !why.empty()) {
    std::printf("http     ");
    for (auto [status, count] : statuses) std::printf(" %u: %" PRIu64, status, count);
    if (!why.empty()) std::printf(" (first error: %s)", why.c_str());
    std::printf("\n");
  }
  if (surplus.sum() != 0)
    std::printf("          behind complete responses: %" PRIu64 " connections with bytes, %" PRIu64 " reset; %" PRIu64
                " empty lines\n",
                surplus.bytes, surplus.resets, surplus.empty_lines);
  if (!meter.plan().http.expect_status.empty()) return;  // then what is not expected is an error
  if (refused != 0 && refused == all && statuses.size() == 1)
    std::printf("WARNING   all %" PRIu64 " responses have status %u\n", all, statuses.begin()->first);
  else if (refused != 0)
    std::printf("WARNING   %" PRIu64 " of %" PRIu64 " responses are 4xx or 5xx\n", refused, all);
}

// Where not all are 2xx: an error page comes faster than what was asked for, or slower.
static void print_http_latencies(const Meter& meter) {
  if (!meter.has_http() || meter.http_latency(2).count() == meter.latency().count()) return;
  for (unsigned i = 2; i < status_classes; ++i)
    print_latencies((std::string("  ") + std::to_string(i) + "xx").c_str(), meter.http_latency(i));
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

static void print_nics(const Meter& meter) {
  for (const Nic& nic : meter.nics()) {
    std::printf("NIC       %s: %s packets/s in, %s out", nic.end, short_number(nic.rx_packets_per_second).c_str(),
                short_number(nic.tx_packets_per_second).c_str());
    if (!std::isnan(nic.rx_bits_per_second) && !std::isnan(nic.tx_bits_per_second))
      std::printf("; on the wire %s in, %s out", bit_rate(nic.rx_bits_per_second / 8).c_str(),
                  bit_rate(nic.tx_bits_per_second / 8).c_str());
    std::printf("; %" PRIu64 " lost here\n", nic.lost());
    if (nic.lost() == 0) continue;
    std::printf("WARNING   the NIC of the %s lost frames here, and not on the way:", nic.end);
    const char* comma = " ";
    for (auto [count, what] : {std::pair(nic.all.rx_missed, "no place in its queue (rx_missed)"),
                               std::pair(nic.all.rx_no_buffer, "no buffer (rx_no_buffer)"),
                               std::pair(nic.all.rx_errors, "received with errors (rx_errors)"),
                               std::pair(nic.all.tx_errors, "not sent (tx_errors)"),
                               std::pair(nic.all.tx_refused, "refused by its driver (tx_refused)")})
      if (count != 0) std::printf("%s%" PRIu64 " %s", std::exchange(comma, ", "), count, what);
    std::printf("\n");
  }
}

static void print_cores(const Meter& meter) {
  for (const Core& core : meter.cores()) {
    const char* end = meter.plan().apart ? core.end : "core";
    std::printf("%-6s %-2u CPU %u, ", end, core.number, core.cpu);
    if (core.cycles_per_request > 0) std::printf("%.0f cycles a request, ", core.cycles_per_request);
    std::printf("%.0f %% useful\n", core.useful_percent);
  }
}

void print_summary(const Meter& meter, const std::string& why) {
  end_progress();
  print_work(meter);
  print_latencies("latency", meter.latency());
  print_http_latencies(meter);
  if (meter.plan().closes_each()) print_latencies("connect", meter.connect_latency());
  if (uint64_t window = meter.beginning(); window != 0)
    std::printf("beginning %" PRIu64 " requests underway at a time by now: more would queue for each other, and TCP send again\n",
                window);
  print_pace(meter);
  print_nics(meter);
  print_crossings(meter);
  print_cores(meter);
  if (double percent = meter.cpu_percent(); percent < 95 && meter.plan().program == Program::pair)
    std::printf(
        "          (only %.0f %% of the CPU: something else runs here, and the figures are worse for it)\n",
        percent);
  std::printf("turns     longest %s, of which %s at least off its CPU\n",
              short_time(static_cast<double>(meter.longest_turn().ns)).c_str(),
              short_time(static_cast<double>(meter.longest_turn_off_cpu().ns)).c_str());
  print_errors(meter);
  print_http(meter);
  if (std::string broken = meter.not_kept(); !broken.empty()) std::printf("NOT KEPT  %s\n", broken.c_str());
  if (!why.empty()) std::printf("FAILED    %s\n", why.c_str());
  std::fflush(stdout);
}

}  // namespace millrace::load
