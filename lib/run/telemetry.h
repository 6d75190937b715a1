// SPDX-License-Identifier: BSD-3-Clause
// What millrace-stat is told: the endpoints of this process, over rte_telemetry. apps/stat/README.md has the commands and
// the names, which stay.
#pragma once

#include <memory>

#include "millrace/config.h"
#include "run/worker.h"

namespace millrace::run {

// While one lives, its endpoint can be asked about. Worker, port and config outlive it; it ends before the worker leaves.
// Neither waits longer than it takes to write one answer.
class Told {
 public:
  Told(Worker& worker, const Config& config);
  Told(const Told&) = delete;
  Told& operator=(const Told&) = delete;
  ~Told();

 private:
  Worker& worker_;
};

}  // namespace millrace::run
