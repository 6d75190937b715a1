// SPDX-License-Identifier: BSD-3-Clause
// The course of a run. (conductor.h)
#include "conductor.h"

#include "report.h"

namespace millrace::load {

static double cycles_per_second_of(const Ends& ends) {
  return (ends.client != nullptr ? ends.client : ends.server)->load().cycles_per_second;
}

Conductor::Conductor(const Plan& plan, Meter& meter)
    : plan_(plan),
      meter_(meter),
      loads_(meter.ends().loads),
      servers_(meter.ends().servers),
      cycles_per_second_(cycles_per_second_of(meter.ends())) {}

bool Conductor::all(bool (Load::*holds)() const) const {
  for (const Load* load : loads_)
    if (!(load->*holds)()) return false;
  return !loads_.empty();
}

bool Conductor::look(bool interrupted) {
  uint64_t now = read_cycles();
  if (!interrupted && goes_on(now)) return true;
  over_at_ = now;
  return false;
}

bool Conductor::goes_on(uint64_t now) {
  if (next_line_ == 0) {
    next_line_ = now + cycles(seconds(1));
    phase_end_ = now + cycles(plan_.connect_timeout);
    bool keeps = !loads_.empty() && !plan_.closes_each();
    if (!keeps) start_loads(now);
  }
  for (const Server* server : servers_)
    if (server->has_failed()) {
      why_ = "port " + std::to_string(server->port_in_use()) + " is in use";
      return false;
    }
  if (phase_ == Phase::connecting && !connect_phase(now)) return false;
  if (phase_ == Phase::warming && now >= phase_end_) begin_measuring(now);
  if (phase_ == Phase::measuring && loads_.empty()) meter_.look(now);
  if (phase_ == Phase::measuring && all(&Load::is_done)) return false;
  return each_second(now);
}

// Over when all are there, or when some are and the time for it is. With none there is nothing to measure.
bool Conductor::connect_phase(uint64_t now) {
  bool none = meter_.ends().connected() == 0;
  // All have had their answer, and it was no.
  bool hopeless = none && meter_.ends().tally().errors.sum() >= plan_.connections;
  bool all_connected = all(&Load::is_connected);
  if (!all_connected && now < phase_end_ && !hopeless) return true;
  if (none) {
    why_ = "no connection could be made";
    return false;
  }
  if (!all_connected) {
    end_progress();
    std::printf("WARNING   %lu of %u connections after %s: going on with those\n",
                static_cast<unsigned long>(meter_.ends().connected()), plan_.connections,
                to_text(plan_.connect_timeout).c_str());
  }
  start_loads(now);
  return true;
}

// Other threads begin at once: what is measured from the begin on is read before.
void Conductor::start_loads(uint64_t now) {
  phase_ = Phase::warming;
  phase_end_ = now + cycles(plan_.warmup);
  if (plan_.warmup.ns == 0) begin_measuring(now);
  for (Load* load : loads_) load->start(now);
}

void Conductor::begin_measuring(uint64_t now) {
  phase_ = Phase::measuring;
  if (plan_.warmup.ns != 0)
    for (Load* load : loads_) load->forget_late();
  meter_.begin(now);
  phase_end_ = plan_.duration.ns == 0 ? UINT64_MAX : now + cycles(plan_.duration);
  next_line_ = now + cycles(seconds(1));
  constexpr uint64_t rounding = 1;  // both this and the time that a request is due at
  if (plan_.duration.ns != 0)
    for (Load* load : loads_) load->end_at(phase_end_ + rounding);
}

bool Conductor::each_second(uint64_t now) {
  bool over = phase_ == Phase::measuring && now >= phase_end_;
  if (now < next_line_ && !over) return true;
  // The last second of a run may be cut a little short, and has its line; a fraction has none.
  bool is_whole = now + cycles(milliseconds(500)) > next_line_;
  if (phase_ == Phase::measuring && is_whole)
    print_progress(plan_, meter_.second());
  else if (!loads_.empty() && phase_ == Phase::connecting)
    print_connecting(plan_, meter_.ends());
  // What was stopped for a while (SIGSTOP) has one line for all of it, and no next one at once.
  uint64_t second = cycles(seconds(1)), least = now + second / 2;
  if (next_line_ < least) next_line_ += (least - next_line_ + second - 1) / second * second;
  return !over;
}

std::string Conductor::what_failed(bool interrupted) const {
  if (!why_.empty()) return why_;
  if (loads_.empty() || interrupted) return "";
  if (plan_.workload == Workload::stream)
    return meter_.bytes_sent() + meter_.bytes_received() == 0 ? "no byte arrived" : "";
  if (plan_.is_open_loop() && meter_.due() == 0) return "no request was due in this time";
  return meter_.requests() == 0 ? "no request was answered" : "";
}

void Conductor::end(bool interrupted, const std::string& trouble) {
  if (has_ended_) return;
  has_ended_ = true;
  for (Load* load : loads_) load->stop();
  for (Server* server : servers_) server->stop();
  meter_.end(over_at_);
  why_ = trouble.empty() ? what_failed(interrupted) : trouble;
  print_summary(meter_, why_);
  if (plan_.quiet && !why_.empty()) std::fprintf(stderr, "millrace-load: %s\n", why_.c_str());
  wrote_ = write_files(meter_, why_);
}

}  // namespace millrace::load
