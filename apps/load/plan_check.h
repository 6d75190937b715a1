// SPDX-License-Identifier: BSD-3-Clause
// What no single key can tell: which go together, and what follows from them.
#pragma once

#include "plan.h"

namespace millrace::load {

// Both throw ConfigError, naming the key to blame.
void complete(Plan& plan, const Settings& settings);
void refuse_unused(const Plan& plan, const Settings& settings);

}  // namespace millrace::load
