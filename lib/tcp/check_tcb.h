// SPDX-License-Identifier: BSD-3-Clause
// What must hold for every TCB between turns. Run by tests and, after every turn, by the simulator.
#pragma once

#include "tcp/context.h"

namespace millrace::tcp {

// Nothing, or the text of the invariant that is broken.
const char* check_tcb(const Context& cx, const Tcb& tcb);

}  // namespace millrace::tcp
