// SPDX-License-Identifier: BSD-3-Clause
// What holds for a Stack after each turn, for tests, the simulator and fuzzers: nothing that is in use is forgotten.
#pragma once

#include "stack/internals.h"

namespace millrace::stack {

// nullptr, or which rule is broken. Walks everything: not for the packet path.
const char* check_stack(const Stack& s);

}  // namespace millrace::stack
