// SPDX-License-Identifier: BSD-3-Clause
// A run as JSON, HdrHistogram's text, and files. (report.h)
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "output.h"
#include "report.h"

namespace millrace::load {

using Json = nlohmann::ordered_json;

// Divided, not multiplied by a fraction: 13.232 shall not come out as 13.232000000000001.
static double rounded(double value, double parts) {
  return std::round(value * parts) / parts;
}

static constexpr double percents[] = {50, 90, 99, 99.9, 99.99};
static constexpr const char* percent_names[] = {"p50", "p90", "p99", "p99_9", "p99_99"};

// Without a sample there is no latency: null, not 0.
static Json latencies_of(const Histogram& latencies) {
  bool none = latencies.count() == 0;
  auto in_us = [&](double ns) { return none ? Json() : Json(rounded(ns / 1000, 1000)); };
  Json out = {{"min", in_us(static_cast<double>(latencies.min()))}, {"mean", in_us(latencies.mean())}};
  for (size_t i = 0; i < std::size(percents); ++i)
    out[percent_names[i]] = in_us(static_cast<double>(latencies.percentile(percents[i])));
  out["max"] = in_us(static_cast<double>(latencies.max()));
  return out;
}

// The curve that a plot shows: pairs of percent and microseconds, finer towards 100.
static Json curve_of(const Histogram& latencies) {
  Json out = Json::array();
  uint64_t count = latencies.count();
  if (count == 0) return out;
  for (double rest = 100; rest * static_cast<double>(count) >= 100; rest /= std::pow(10, 1.0 / 16)) {
    double percent = 100 - rest;
    out.push_back(
        {rounded(percent, 1e9), rounded(static_cast<double>(latencies.percentile(percent)) / 1000, 1000)});
  }
  out.push_back({100, rounded(static_cast<double>(latencies.max()) / 1000, 1000)});
  return out;
}

static Json counters_of(const Ends& ends) {
  Json all, of_client, of_server;
  Counters none;
  Counters client = ends.client != nullptr ? ends.client->counters() : none;
  Counters server = ends.server != nullptr ? ends.server->counters() : none;
  for (size_t i = 0; i < count_kinds; ++i) {
    auto count = static_cast<Count>(i);
    of_client[millrace::name(count)] = client[count];
    of_server[millrace::name(count)] = server[count];
    all[millrace::name(count)] = client[count] + server[count];
  }
  if (ends.client != nullptr && ends.server != nullptr) {
    all["client"] = of_client;
    all["server"] = of_server;
  }
  return all;
}

// What each core of each end has counted, without the zeros.
static Json counters_by_core(const Ends& ends) {
  Json out = Json::array();
  for (const auto& [end, endpoint] : {std::pair{"client", ends.client}, std::pair{"server", ends.server}})
    for (uint32_t core = 0; endpoint != nullptr && core < endpoint->cores(); ++core) {
      Json row = {{"end", end}, {"core", core}};
      const Counters& counters = endpoint->counters(core);
      for (size_t i = 0; i < count_kinds; ++i)
        if (auto count = static_cast<Count>(i); counters[count] != 0) row[millrace::name(count)] = counters[count];
      out.push_back(std::move(row));
    }
  return out;
}

static Json series_of(const Meter& meter) {
  Json out = Json::array();
  for (const Row& row : meter.series()) {
    auto latency = [&](double us) { return row.samples == 0 ? Json() : Json(rounded(us, 1000)); };
    Json line = {{"t", rounded(row.t, 1000)},
                 {"requests_per_second", rounded(row.requests_per_second, 10)},
                 {"connections_per_second", rounded(row.connections_per_second, 10)},
                 {"bytes_sent_per_second", rounded(row.bytes_sent_per_second, 10)},
                 {"bytes_received_per_second", rounded(row.bytes_received_per_second, 10)},
                 {"p50_us", latency(row.p50)},
                 {"p99_us", latency(row.p99)},
                 {"max_us", latency(row.max)},
                 {"errors", row.errors},
                 {"retransmitted", row.retransmitted},
                 {"port_wait", row.port_wait},
                 {"connecting", row.connecting},
                 {"open", row.open},
                 {"closing", row.closing},
                 {"time_wait", row.time_wait}};
    for (double percent : row.useful_percent) line["useful_percent"].push_back(rounded(percent, 10));
    out.push_back(std::move(line));
  }
  return out;
}

static void add_pace(Json& out, const Meter& meter) {
  const Plan& plan = meter.plan();
  if (!plan.has_client() || !plan.is_open_loop()) return;
  out["open_loop"] = {
      {"rate", plan.pace.text()},
      {"arrival", plan.arrival == Arrival::fixed ? "fixed" : "poisson"},
      {"seed", plan.arrival_seed},
      {"due", meter.due()},
      {"not_sent", meter.not_sent()},
      {"unanswered", meter.unanswered()},
      {"latest_start_us", rounded(static_cast<double>(meter.most_late_ns()) / 1000, 1000)}};
}

static void add_http(Json& out, const Meter& meter) {
  if (!meter.has_http()) return;
  Json statuses = Json::object(), latencies = Json::object();
  for (auto [status, count] : meter.http_statuses()) statuses[std::to_string(status)] = count;
  for (unsigned i = 2; i < status_classes; ++i)
    if (Histogram latency = meter.http_latency(i); latency.count() != 0)
      latencies[std::to_string(i) + "xx"] = latencies_of(latency);
  HttpResponses::Surplus surplus = meter.http_surplus();
  out["http"] = {{"statuses", statuses},
                 {"latency_us", latencies},
                 {"behind_responses",
                  {{"bytes", surplus.bytes}, {"empty_lines", surplus.empty_lines}, {"resets", surplus.resets}}},
                 {"first_error", meter.http_error()}};
}

static void add_nics(Json& out, const Meter& meter) {
  auto bits = [](double value) { return std::isnan(value) ? Json() : Json(rounded(value, 10)); };
  for (const Nic& nic : meter.nics())
    out["nic"][nic.end] = {{"rx_packets", nic.all.rx_packets},
                           {"rx_bytes", nic.all.rx_bytes},
                           {"tx_packets", nic.all.tx_packets},
                           {"tx_bytes", nic.all.tx_bytes},
                           {"rx_packets_per_second", rounded(nic.rx_packets_per_second, 10)},
                           {"tx_packets_per_second", rounded(nic.tx_packets_per_second, 10)},
                           {"rx_wire_bits_per_second", bits(nic.rx_bits_per_second)},
                           {"tx_wire_bits_per_second", bits(nic.tx_bits_per_second)},
                           {"rx_missed", nic.all.rx_missed},
                           {"rx_no_buffer", nic.all.rx_no_buffer},
                           {"rx_errors", nic.all.rx_errors},
                           {"tx_errors", nic.all.tx_errors},
                           {"tx_refused", nic.all.tx_refused},
                           {"lost", nic.lost()}};
}

Json make_json(const Meter& meter, const std::string& why) {
  const Plan& plan = meter.plan();
  double time = meter.active_seconds();
  auto rate = [&](uint64_t count) { return time > 0 ? rounded(static_cast<double>(count) / time, 10) : 0.0; };
  Errors e = meter.errors();
  Json out = {{"workload", plan.has_client() ? name(plan.workload) : name(plan.server.protocol)},
              {"mode", name(plan.program)},
              {"loop", !plan.has_client()    ? "none"
                       : plan.is_open_loop() ? "open"
                                             : "closed"},
              {"duration_s", meter.seconds()},
              {"connections", meter.opened()},
              {"requests", meter.requests()},
              {"requests_per_second", rate(meter.requests())},
              {"connections_per_second", rate(meter.connections())},
              {"bytes_sent_per_second", rate(meter.bytes_sent())},
              {"bytes_received_per_second", rate(meter.bytes_received())},
              {"latency_us", latencies_of(meter.latency())},
              {"connect_latency_us", latencies_of(meter.connect_latency())},
              {"errors",
               {{"refused", e.refused},
                {"reset", e.reset},
                {"timed_out", e.timed_out},
                {"unreachable", e.unreachable},
                {"protocol", e.protocol},
                {"status", e.status},
                {"no_memory", e.no_memory},
                {"invalid", e.invalid},
                {"other_core", e.other_core},
                {"closing", e.closing},
                {"other", e.other},
                {"ended_badly_for_server", meter.server_failures()}}}};
  if (!plan.has_client()) out["active_s"] = time;
  out["failed"] = why;
  out["not_kept"] = meter.not_kept();
  out["beginning"] = meter.beginning() == 0 ? Json() : Json(meter.beginning());
  add_pace(out, meter);
  add_http(out, meter);
  add_nics(out, meter);
  out["tcp"] = counters_of(meter.ends());
  out["tcp_by_core"] = counters_by_core(meter.ends());
  for (const Core& core : meter.cores())
    out["cores"].push_back(
        {{"end", core.end},
         {"core", core.number},
         {"cpu", core.cpu},
         {"cycles_per_request", meter.requests() == 0 ? Json() : Json(rounded(core.cycles_per_request, 10))},
         {"useful_percent", rounded(core.useful_percent, 10)}});
  out["cpu_percent"] = rounded(meter.cpu_percent(), 10);
  out["longest_turn_us"] = rounded(static_cast<double>(meter.longest_turn().ns) / 1000, 1000);
  out["longest_turn_off_cpu_us"] = rounded(static_cast<double>(meter.longest_turn_off_cpu().ns) / 1000, 1000);
  out["port_wait"] = meter.port_wait();
  out["time_wait_recycled_early"] = meter.time_wait_recycled_early();
  out["series"] = series_of(meter);
  out["latency_curve"] = curve_of(meter.latency());
  out["versions"] = version();
  out["configuration"] = plan.settings;
  return out;
}

// The format of HdrHistogram's outputPercentileDistribution, five steps to each halving of what is left.
std::string make_hgrm(const Histogram& latencies) {
  std::string out = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
  char line[128];
  uint64_t count = latencies.count();
  auto ms = [](double ns) { return ns / 1e6; };
  double share = 0;
  constexpr int steps_a_halving = 5;
  for (int step = 0; count != 0; ++step) {
    auto value = static_cast<double>(latencies.percentile(100 * share));
    uint64_t below = latencies.count_up_to(static_cast<uint64_t>(value));
    if (below >= count) break;
    std::snprintf(line, sizeof line, "%12.6f %2.12f %10llu %14.2f\n", ms(value), share,
                  static_cast<unsigned long long>(below), 1 / (1 - share));
    out += line;
    double half = std::pow(0.5, (step + 1) / steps_a_halving);
    share = 1 - half * (1 - 0.5 * ((step + 1) % steps_a_halving) / steps_a_halving);
  }
  if (count != 0) {
    std::snprintf(line, sizeof line, "%12.6f %2.12f %10llu %14s\n", ms(static_cast<double>(latencies.max())),
                  1.0, static_cast<unsigned long long>(count), "inf");
    out += line;
  }
  std::snprintf(line, sizeof line, "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n", ms(latencies.mean()),
                ms(latencies.deviation()));
  out += line;
  std::snprintf(line, sizeof line, "#[Max     = %12.6f, Total count    = %12llu]\n",
                ms(static_cast<double>(latencies.max())), static_cast<unsigned long long>(count));
  out += line;
  std::snprintf(line, sizeof line, "#[Buckets = %12u, SubBuckets     = %12u]\n",
                Histogram::top_bit - Histogram::fine_bits, 2u << Histogram::fine_bits);
  return out + line;
}

bool write_files(const Meter& meter, const std::string& why) {
  const Plan& plan = meter.plan();
  bool good = plan.hgrm.empty() || write_output(plan.hgrm, make_hgrm(meter.latency()));
  if (plan.json.empty() && plan.html.empty()) return good;
  Json data = make_json(meter, why);
  good &= write_output(plan.json, data.dump(2) + "\n");
  return (plan.html.empty() || write_output(plan.html, make_page(data))) && good;
}

}  // namespace millrace::load
