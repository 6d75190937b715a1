// SPDX-License-Identifier: BSD-3-Clause
// The course of a run: connecting, warming up, measuring, over. It is asked now and then what time it is.
#pragma once

#include <string>

#include "meter.h"

namespace millrace::load {

class Conductor {
 public:
  // Without loads a server alone is measured from the beginning.
  Conductor(const Plan& plan, Meter& meter);

  // Every few turns, on the thread of the first core. False: it is over, and from here on nothing more falls due.
  bool look(bool interrupted);
  // Once, when no core has turns any more: readings, summary, files. `interrupted`: it is over because somebody said so;
  // `trouble`: because of that.
  void end(bool interrupted, const std::string& trouble = "");
  bool has_ended() const { return has_ended_; }
  // 0, or 1 if something went wrong, or 3 if nothing did and yet a promise was not kept.
  int exit_code() const {
    if (!why_.empty() || meter_.errors().sum() + meter_.server_failures() != 0 || !wrote_) return 1;
    return meter_.not_kept().empty() ? 0 : 3;
  }

 private:
  enum class Phase : uint8_t { connecting, warming, measuring, over };
  bool goes_on(uint64_t now);
  void start_loads(uint64_t now);
  void begin_measuring(uint64_t now);
  bool connect_phase(uint64_t now);
  bool each_second(uint64_t now);
  std::string what_failed(bool interrupted) const;
  uint64_t cycles(Duration time) const { return static_cast<uint64_t>(time.seconds() * cycles_per_second_); }

  bool all(bool (Load::*holds)() const) const;

  const Plan& plan_;
  Meter& meter_;
  const std::vector<Load*>& loads_;
  const std::vector<Server*>& servers_;
  const double cycles_per_second_;
  Phase phase_ = Phase::connecting;
  uint64_t phase_end_ = 0;
  uint64_t next_line_ = 0;
  uint64_t over_at_ = 0;
  bool all_connected_ = true;
  bool has_ended_ = false;
  bool wrote_ = true;
  std::string why_;
};

}  // namespace millrace::load
