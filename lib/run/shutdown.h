// SPDX-License-Identifier: BSD-3-Clause
// The orderly end: FIN to all, a second of grace, RST to the rest, and all memory back.
#pragma once

#include <memory>
#include <vector>

#include "millrace/endpoint.h"
#include "nic/port.h"
#include "run/worker.h"

namespace millrace::run {

// What the two endpoints of a pair know of each other. Of an endpoint on a device of its own: half of it.
struct Ends {
  std::shared_ptr<nic::Link> link;
  std::vector<Worker*> workers[2];  // by side, and then by core
};

// Ends one side. Returns the exit code: 0, or 1 if a buffer is missing. Takes less than 2.5 s.
int finish(Ends& ends, int side, const Application& application);

}  // namespace millrace::run
