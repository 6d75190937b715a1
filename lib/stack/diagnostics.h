// SPDX-License-Identifier: BSD-3-Clause
// Questions to a stack, asked between its turns on its own thread. Nothing is changed by them.
#pragma once

#include <cstdint>
#include <span>

#include "flow/flow_table.h"
#include "millrace/diagnostics.h"
#include "stack/stack.h"

namespace millrace::stack {

// False: stale. `now` is not before the latest turn.
bool diagnostics(const Stack& stack, ConnectionId connection, Instant now, Diagnostics& out);

// A walk over connections, then half-open records, then TIME-WAIT records. What comes or goes meanwhile may be met or not;
// what stays is met once.
struct DiagnosticsCursor {
  flow::Kind kind = flow::Kind::tcb;
  uint32_t index = 0;
  bool over = false;
  bool done() const { return over; }
};
// At most `steps` places are looked at. Returns how many rows were filled.
uint32_t diagnose_next(const Stack& stack, Instant now, DiagnosticsCursor& at, uint32_t steps,
                       std::span<Diagnostics> rows);

// Listeners have places [0, listener_places). False: this one is empty.
uint32_t listener_places(const Stack& stack);
bool diagnostics(const Stack& stack, uint32_t listener, ListenerDiagnostics& out);

}  // namespace millrace::stack
