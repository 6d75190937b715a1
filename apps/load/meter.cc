// SPDX-License-Identifier: BSD-3-Clause
// Reading and subtracting. (meter.h)
#include "meter.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

namespace millrace::load {

static double us(uint64_t ns) {
  return static_cast<double>(ns) / 1000;
}

static double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Tally Ends::tally() const {
  Tally sum;
  for (const Load* one : loads) sum.add(one->tally());
  return sum;
}

Server::Counts Ends::served() const {
  Server::Counts sum;
  for (const Server* one : servers) sum.add(one->counts());
  return sum;
}

uint64_t Ends::connected() const {
  uint64_t sum = 0;
  for (const Load* one : loads) sum += one->connected();
  return sum;
}

Meter::Meter(const Plan& plan, Ends ends)
    : plan_(plan),
      ends_(std::move(ends)),
      cycles_per_second_((ends_.client != nullptr ? ends_.client : ends_.server)->load(0).cycles_per_second) {}

Meter::Reading Meter::read() const {
  Reading now;
  now.cycles = read_cycles();
  now.cpu_seconds = cpu_seconds();
  for (const Endpoint* end : {ends_.client, ends_.server})
    if (end != nullptr) {
      Counters counters = end->counters();
      now.retransmitted += counters[Count::retransmitted];
      now.time_wait_recycled_early += counters[Count::time_wait_recycled_early];
    }
  read_work(now);
  if (ends_.has_load()) {
    Tally tally = ends_.tally();
    now.requests = tally.requests;
    now.opened = tally.opened;
    now.finished = tally.finished;
    now.bytes_sent = tally.bytes_sent;
    now.bytes_received = tally.bytes_received;
    now.port_wait = tally.port_wait;
    now.errors = tally.errors;
    for (const Load* load : ends_.loads) now.begun += load->begun();
  }
  if (!ends_.servers.empty()) {
    Server::Counts counts = ends_.served();
    now.failures = counts.failures;
    now.errors.protocol += counts.protocol_errors;
    if (!ends_.has_load()) {
      now.requests = counts.requests;
      now.opened = counts.opened;
      now.finished = counts.finished;
      now.bytes_sent = counts.bytes_sent;
      now.bytes_received = counts.bytes_received;
    }
  }
  return now;
}

// What was counted most: a driver may forget when its peer goes (net_memif).
static void keep_most(Endpoint::PortCounters& most, const Endpoint::PortCounters& now) {
  using Counters = Endpoint::PortCounters;
  for (uint64_t Counters::* one : {&Counters::rx_packets, &Counters::rx_bytes, &Counters::tx_packets, &Counters::tx_bytes,
                                   &Counters::rx_missed, &Counters::rx_no_buffer, &Counters::rx_errors, &Counters::tx_errors,
                                   &Counters::tx_refused})
    most.*one = std::max(most.*one, now.*one);
}

// Once a second: a driver may ask its hardware.
void Meter::read_ports(Reading& now) {
  if (ends_.client != nullptr) keep_most(client_port_, ends_.client->port_counters());
  if (ends_.server != nullptr) keep_most(server_port_, ends_.server->port_counters());
  now.client_port = client_port_;
  now.server_port = server_port_;
}

void Meter::note_turn(Reading& now, const Endpoint::Load& load) {
  if (load.longest_turn <= now.longest_turn) return;
  now.longest_turn = load.longest_turn;
  now.longest_turn_off_cpu = load.longest_turn_off_cpu;
}

// An lcore's work is that of a core of one end, or of both.
void Meter::read_work(Reading& now) const {
  bool shared = ends_.client != nullptr && ends_.server != nullptr && !plan_.apart;
  if (ends_.client != nullptr)
    for (uint32_t core = 0; core < ends_.client->cores(); ++core) {
      Endpoint::Load load = ends_.client->load(core);
      now.work.push_back({shared ? "pair" : "client", core, ends_.client->cpu(core), load.useful_cycles,
                          ends_.loads[core]->tally().requests});
      note_turn(now, load);
    }
  if (ends_.server == nullptr) return;
  for (uint32_t core = 0; core < ends_.server->cores(); ++core) {
    Endpoint::Load load = ends_.server->load(core);
    if (shared)
      now.work[core].useful_cycles += load.useful_cycles;
    else
      now.work.push_back(
          {"server", core, ends_.server->cpu(core), load.useful_cycles, ends_.servers[core]->counts().requests});
    note_turn(now, load);
  }
}

double Meter::seconds_between(const Reading& from, const Reading& to) const {
  return static_cast<double>(to.cycles - from.cycles) / cycles_per_second_;
}

Histogram Meter::all_latencies() const {
  Histogram sum;
  for (const Load* load : ends_.loads) sum.merge(load->latency());
  return sum;
}

Histogram Meter::all_connect_latencies() const {
  Histogram sum;
  for (const Load* load : ends_.loads) sum.merge(load->connect_latency());
  return sum;
}

void Meter::begin(uint64_t cycles) {
  if (plan_.warmup.ns != 0) {
    warmup_ = all_latencies();
    connect_warmup_ = all_connect_latencies();
    if (has_http()) {
      http_statuses_warmup_ = all_http_statuses();
      for (unsigned i = 0; i < status_classes; ++i) http_warmup_[i] = all_http_latencies(i);
    }
  }
  before_ = all_latencies();
  first_ = read();
  read_ports(first_);
  first_.cycles = cycles;  // the load's own begin: this thread may have lost its CPU since
  last_ = first_;
}

const Row& Meter::second() {
  Reading now = read();
  read_ports(now);
  double time = std::max(seconds_between(last_, now), 1e-9);
  auto rate = [&](uint64_t from, uint64_t to) { return static_cast<double>(to - from) / time; };
  Row row;
  row.t = seconds_between(first_, now);
  row.requests_per_second = rate(last_.requests, now.requests);
  row.connections_per_second = rate(last_.counted(plan_), now.counted(plan_));
  row.bytes_sent_per_second = rate(last_.bytes_sent, now.bytes_sent);
  row.bytes_received_per_second = rate(last_.bytes_received, now.bytes_received);
  if (ends_.has_load()) {
    Histogram between, all = all_latencies();
    between.set_difference(all, before_);
    before_ = std::move(all);
    row.samples = between.count();
    row.p50 = us(between.percentile(50));
    row.p99 = us(between.percentile(99));
    row.max = us(between.max());
    for (const Load* load : ends_.loads) {
      Load::States states = load->states();
      row.connecting += states.connecting;
      row.open += states.open;
      row.closing += states.closing;
    }
    row.time_wait = ends_.client->gauges().time_wait;
    bool may_ask = !plan_.apart || plan_.cores() > 1;  // of a single core only its own thread may
    if (ends_.server != nullptr && may_ask) row.time_wait += ends_.server->gauges().time_wait;
  } else {
    Endpoint::Gauges gauges = ends_.server->gauges();
    row.connecting = gauges.half_open;
    row.open = gauges.connections;
    row.time_wait = gauges.time_wait;
  }
  row.errors = now.all_errors() - last_.all_errors();
  row.retransmitted = now.retransmitted - last_.retransmitted;
  row.port_wait = now.port_wait - last_.port_wait;
  for (size_t i = 0; i < now.work.size(); ++i) {
    auto cycles = static_cast<double>(now.work[i].useful_cycles - last_.work[i].useful_cycles);
    row.useful_percent.push_back(std::min(100.0, 100 * cycles / static_cast<double>(now.cycles - last_.cycles)));
  }
  last_ = std::move(now);
  series_.push_back(std::move(row));
  return series_.back();
}

void Meter::end(uint64_t over_at) {
  end_ = read();
  read_ports(end_);
  if (!has_begun()) first_ = end_;
  latency_.set_difference(all_latencies(), warmup_);
  connect_latency_.set_difference(all_connect_latencies(), connect_warmup_);
  for (const Load* load : ends_.loads) {
    not_sent_ += load->not_sent(over_at);
    unanswered_ += load->unanswered();
  }
  begun_ = end_.begun - first_.begun;
}

uint64_t Meter::beginning() const {
  uint64_t sum = 0;
  bool all = true;
  for (const Load* load : ends_.loads) {
    all &= load->window() == UINT64_MAX;
    sum += std::min(load->window(), plan_.share(plan_.connections) * plan_.pipeline);
  }
  return all ? 0 : sum;
}

std::string Meter::not_kept() const {
  constexpr uint64_t parts = 100;  // of which one may be missing
  if (!plan_.is_open_loop() || not_sent() * parts <= due()) return "";
  return "could not keep up: " + std::to_string(not_sent()) + " of " + std::to_string(due()) +
         " requests that were due never began, and are in no latency";
}

Errors Meter::errors() const {
  return end_.errors;
}

std::vector<Core> Meter::cores() const {
  std::vector<Core> out;
  double total = std::max(static_cast<double>(end_.cycles - first_.cycles), 1.0);
  for (size_t i = 0; i < end_.work.size(); ++i) {
    auto cycles = static_cast<double>(end_.work[i].useful_cycles - first_.work[i].useful_cycles);
    uint64_t done = end_.work[i].requests - first_.work[i].requests;
    const Reading::Work& work = end_.work[i];
    out.push_back({work.end, work.number, work.cpu, done == 0 ? 0 : cycles / static_cast<double>(done),
                   std::min(100.0, 100 * cycles / total)});
  }
  return out;
}

double Meter::cpu_percent() const {
  uint32_t cpus = std::max(std::thread::hardware_concurrency(), 1u);
  double time = seconds() * (plan_.program == Program::pair ? std::min(plan_.threads(), cpus) : 1);
  return time > 0 ? std::min(100.0, 100 * (end_.cpu_seconds - first_.cpu_seconds) / time) : 100;
}

void Meter::look(uint64_t now) {
  constexpr double step = 0.01;
  double seconds = static_cast<double>(now - first_.cycles) / cycles_per_second_;
  if (seconds - activity_.last_look() < step) return;
  Server::Counts counts = ends_.served();
  activity_.look(seconds, counts.requests + counts.opened + counts.finished + counts.bytes_sent + counts.bytes_received);
}

static void add_rates(Nic& nic, const Endpoint::PortCounters& from, const Endpoint::PortCounters& to, double seconds) {
  constexpr uint64_t around_a_frame = 8 + 4 + 12;  // preamble, checksum, gap
  auto rate = [&](uint64_t a, uint64_t b) { return seconds > 0 ? static_cast<double>(b - a) / seconds : 0; };
  auto bits = [&](uint64_t bytes, double byte_rate, double packet_rate) {
    bool counts_bytes = bytes != 0 || packet_rate == 0;
    return counts_bytes ? 8 * (byte_rate + around_a_frame * packet_rate) : NAN;
  };
  nic.rx_packets_per_second = rate(from.rx_packets, to.rx_packets);
  nic.tx_packets_per_second = rate(from.tx_packets, to.tx_packets);
  nic.rx_bits_per_second = bits(to.rx_bytes, rate(from.rx_bytes, to.rx_bytes), nic.rx_packets_per_second);
  nic.tx_bits_per_second = bits(to.tx_bytes, rate(from.tx_bytes, to.tx_bytes), nic.tx_packets_per_second);
}

std::vector<Nic> Meter::nics() const {
  std::vector<Nic> out;
  auto add = [&](const char* end, const Endpoint::PortCounters& from, const Endpoint::PortCounters& to) {
    out.push_back({.end = end, .all = to});
    add_rates(out.back(), from, to, active_seconds());
  };
  if (ends_.client != nullptr) add("client", first_.client_port, end_.client_port);
  if (ends_.server != nullptr) add("server", first_.server_port, end_.server_port);
  return out;
}

uint64_t Meter::most_late_ns() const {
  uint64_t most = 0;
  for (const Load* load : ends_.loads) most = std::max(most, load->most_late_ns());
  return most;
}

static const Exchange* exchange_of(const Load* load) {
  return dynamic_cast<const Exchange*>(load);
}

static const HttpResponses* http_of(const Load* load) {
  const Exchange* exchange = exchange_of(load);
  return exchange == nullptr ? nullptr : exchange->http();
}

bool Meter::has_http() const {
  return ends_.has_load() && http_of(ends_.loads[0]) != nullptr;
}

std::map<unsigned, uint64_t> Meter::all_http_statuses() const {
  std::map<unsigned, uint64_t> sum;
  for (const Load* load : ends_.loads)
    for (auto [status, count] : http_of(load)->statuses()) sum[status] += count;
  return sum;
}

Histogram Meter::all_http_latencies(unsigned status_class) const {
  Histogram sum;
  for (const Load* load : ends_.loads) sum.merge(exchange_of(load)->http_latency(status_class));
  return sum;
}

std::map<unsigned, uint64_t> Meter::http_statuses() const {
  std::map<unsigned, uint64_t> out = all_http_statuses();
  for (auto [status, count] : http_statuses_warmup_)
    if ((out[status] -= count) == 0) out.erase(status);
  return out;
}

Histogram Meter::http_latency(unsigned status_class) const {
  Histogram out;
  out.set_difference(all_http_latencies(status_class), http_warmup_[status_class]);
  return out;
}

HttpResponses::Surplus Meter::http_surplus() const {
  HttpResponses::Surplus sum;
  for (const Load* load : ends_.loads) sum.add(http_of(load)->surplus());
  return sum;
}

std::string Meter::http_error() const {
  for (const Load* load : ends_.loads)
    if (!http_of(load)->why().empty()) return http_of(load)->why();
  return "";
}

}  // namespace millrace::load
