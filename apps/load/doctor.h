// SPDX-License-Identifier: BSD-3-Clause
// millrace-load doctor: what would keep a plan from being carried out on this machine, and what mends it.
#pragma once

#include "plan.h"

namespace millrace::load {

// Looks, tries, and prints what it found. The exit code: 1 if something would stop the run, else 0.
int run_doctor(const Plan& plan);

}  // namespace millrace::load
