// SPDX-License-Identifier: BSD-3-Clause
// Reading and subtracting. (meter.h)
#include "meter.h"

#include <time.h>

#include <algorithm>

namespace millrace::load {

static double us(uint64_t ns) {
  return static_cast<double>(ns) / 1000;
}

static double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Meter::Meter(const Plan& plan, Ends ends) : plan_(plan), ends_(ends) {}

Meter::Reading Meter::read() const {
  Reading now;
  now.cycles = read_cycles();
  now.cpu_seconds = cpu_seconds();
  for (const Endpoint* end : {ends_.client, ends_.server}) {
    if (end == nullptr) continue;
    now.retransmitted += end->counters()[Count::retransmitted];
    now.work.push_back(end->load());
  }
  if (ends_.load != nullptr) {
    const Tally& tally = ends_.load->tally();
    now.requests = tally.requests;
    now.opened = tally.opened;
    now.finished = tally.finished;
    now.bytes_sent = tally.bytes_sent;
    now.bytes_received = tally.bytes_received;
    now.port_wait = tally.port_wait;
    now.errors = tally.errors;
  }
  if (ends_.served != nullptr) {
    Server::Counts counts = ends_.served->counts();
    now.failures = counts.failures;
    now.errors.protocol += counts.protocol_errors;
    if (ends_.load == nullptr) {
      now.requests = counts.requests;
      now.opened = counts.opened;
      now.finished = counts.finished;
      now.bytes_sent = counts.bytes_sent;
      now.bytes_received = counts.bytes_received;
    }
  }
  return now;
}

double Meter::seconds_between(const Reading& from, const Reading& to) const {
  return to.work.empty() ? 0 : static_cast<double>(to.cycles - from.cycles) / to.work[0].cycles_per_second;
}

// The two ends of a pair may share a core.
std::vector<double> Meter::useful(const Reading& from, const Reading& to) const {
  std::vector<double> out;
  for (size_t i = 0; i < to.work.size(); ++i) {
    auto cycles = static_cast<double>(to.work[i].useful_cycles - from.work[i].useful_cycles);
    if (i > 0 && plan_.cores == 1)
      out[0] += cycles;
    else
      out.push_back(cycles);
  }
  return out;
}

void Meter::begin(uint64_t cycles) {
  before_ = {};
  first_ = read();
  first_.cycles = cycles;  // the load's own begin: this thread may have lost its CPU since
  last_ = first_;
}

const Row& Meter::second() {
  Reading now = read();
  double time = std::max(seconds_between(last_, now), 1e-9);
  auto rate = [&](uint64_t from, uint64_t to) { return static_cast<double>(to - from) / time; };
  Row row;
  row.t = seconds_between(first_, now);
  row.requests_per_second = rate(last_.requests, now.requests);
  row.connections_per_second = plan_.has_client() && plan_.closes_each() ? rate(last_.finished, now.finished)
                                                                         : rate(last_.opened, now.opened);
  row.bytes_sent_per_second = rate(last_.bytes_sent, now.bytes_sent);
  row.bytes_received_per_second = rate(last_.bytes_received, now.bytes_received);
  if (ends_.load != nullptr) {
    Histogram between;
    between.set_difference(ends_.load->latency(), before_);
    before_ = ends_.load->latency();
    row.samples = between.count();
    row.p50 = us(between.percentile(50));
    row.p99 = us(between.percentile(99));
    row.max = us(between.max());
    Load::States states = ends_.load->states();
    row.connecting = states.connecting;
    row.open = states.open;
    row.closing = states.closing;
    row.time_wait = ends_.client->gauges().time_wait;
    if (ends_.server != nullptr && plan_.cores == 1) row.time_wait += ends_.server->gauges().time_wait;
  } else {
    Endpoint::Gauges gauges = ends_.server->gauges();
    row.connecting = gauges.half_open;
    row.open = gauges.connections;
    row.time_wait = gauges.time_wait;
  }
  row.errors = now.all_errors() - last_.all_errors();
  row.retransmitted = now.retransmitted - last_.retransmitted;
  row.port_wait = now.port_wait - last_.port_wait;
  for (double cycles : useful(last_, now))
    row.useful_percent.push_back(
        std::min(100.0, 100 * cycles / static_cast<double>(now.cycles - last_.cycles)));
  last_ = std::move(now);
  series_.push_back(std::move(row));
  return series_.back();
}

void Meter::end() {
  end_ = read();
  if (!has_begun()) first_ = end_;
  if (ends_.load == nullptr) return;
  latency_ = ends_.load->latency();
  connect_latency_ = ends_.load->connect_latency();
  not_sent_ = ends_.load->not_sent(end_.cycles);
  unanswered_ = ends_.load->unanswered();
}

Errors Meter::errors() const {
  return end_.errors;
}

std::vector<Core> Meter::cores() const {
  std::vector<Core> out;
  double total = std::max(static_cast<double>(end_.cycles - first_.cycles), 1.0);
  for (double cycles : useful(first_, end_)) {
    uint32_t number = out.empty() ? plan_.config.lcore : plan_.server_lcore;
    out.push_back({number, requests() == 0 ? 0 : cycles / static_cast<double>(requests()),
                   std::min(100.0, 100 * cycles / total)});
  }
  return out;
}

double Meter::cpu_percent() const {
  double time = seconds() * (plan_.program == Program::pair ? plan_.cores : 1);
  return time > 0 ? std::min(100.0, 100 * (end_.cpu_seconds - first_.cpu_seconds) / time) : 100;
}

Duration Meter::longest_turn() const {
  Duration longest;
  for (const Endpoint::Load& work : end_.work) longest = std::max(longest, work.longest_turn);
  return longest;
}

}  // namespace millrace::load
