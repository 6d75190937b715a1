// SPDX-License-Identifier: BSD-3-Clause
// The course of a run. (conductor.h)
#include "conductor.h"

#include "report.h"

namespace millrace::load {

static double cycles_per_second_of(const Ends& ends) {
  return (ends.client != nullptr ? ends.client : ends.server)->load().cycles_per_second;
}

Conductor::Conductor(const Plan& plan, Load* load, Server* server, Meter& meter)
    : plan_(plan),
      load_(load),
      server_(server),
      meter_(meter),
      cycles_per_second_(cycles_per_second_of(meter.ends())) {}

bool Conductor::look() {
  uint64_t now = read_cycles();
  if (next_line_ == 0) {
    next_line_ = now + cycles(seconds(1));
    phase_end_ = now + cycles(plan_.connect_timeout);
    bool keeps = load_ != nullptr && !plan_.closes_each();
    if (!keeps && load_ != nullptr) load_->start(now);
    if (!keeps) phase_ = Phase::warming, phase_end_ = now + cycles(plan_.warmup);
  }
  if (server_ != nullptr && server_->has_failed()) {
    why_ = "port " + std::to_string(server_->port_in_use()) + " is in use";
    return false;
  }
  if (phase_ == Phase::connecting && !connect_phase(now)) return false;
  if (phase_ == Phase::warming && now >= phase_end_) begin_measuring(now);
  if (phase_ == Phase::measuring && load_ != nullptr && load_->is_done()) return false;
  return each_second(now);
}

// Over when all are there, or when some are and the time for it is. With none there is nothing to measure.
bool Conductor::connect_phase(uint64_t now) {
  bool none = load_->connected() == 0;
  // All have had their answer, and it was no.
  bool hopeless = none && load_->tally().errors.sum() >= plan_.connections;
  if (!load_->is_connected() && now < phase_end_ && !hopeless) return true;
  if (none) {
    why_ = "no connection could be made";
    return false;
  }
  if (!load_->is_connected()) {
    end_progress();
    std::printf("WARNING   %lu of %u connections after %s: going on with those\n",
                static_cast<unsigned long>(load_->connected()), plan_.connections,
                to_text(plan_.connect_timeout).c_str());
  }
  load_->start(now);
  phase_ = Phase::warming;
  phase_end_ = now + cycles(plan_.warmup);
  return true;
}

void Conductor::begin_measuring(uint64_t now) {
  phase_ = Phase::measuring;
  if (load_ != nullptr && plan_.warmup.ns != 0) load_->forget();
  meter_.begin(now);
  phase_end_ = plan_.duration.ns == 0 ? UINT64_MAX : now + cycles(plan_.duration);
  next_line_ = now + cycles(seconds(1));
}

bool Conductor::each_second(uint64_t now) {
  bool over = phase_ == Phase::measuring && now >= phase_end_;
  if (now < next_line_ && !over) return true;
  // The last second of a run may be cut a little short, and has its line; a fraction has none.
  bool is_whole = now + cycles(milliseconds(500)) > next_line_;
  if (phase_ == Phase::measuring && is_whole)
    print_progress(plan_, meter_.second());
  else if (load_ != nullptr && phase_ == Phase::connecting)
    print_connecting(plan_, *load_);
  next_line_ += cycles(seconds(1));
  return !over;
}

std::string Conductor::what_failed(bool interrupted) const {
  if (!why_.empty()) return why_;
  if (load_ == nullptr || interrupted) return "";
  if (plan_.workload == Workload::stream)
    return meter_.bytes_sent() + meter_.bytes_received() == 0 ? "no byte arrived" : "";
  return meter_.requests() == 0 ? "no request was answered" : "";
}

void Conductor::end(bool interrupted) {
  if (has_ended_) return;
  has_ended_ = true;
  if (load_ != nullptr) load_->stop();
  if (server_ != nullptr) server_->stop();
  meter_.end();
  why_ = what_failed(interrupted);
  print_summary(meter_, why_);
  wrote_ = write_files(meter_, why_);
}

}  // namespace millrace::load
