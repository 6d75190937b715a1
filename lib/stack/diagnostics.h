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

// Which connections and records are meant. It is asked before anything is copied, so one that is not costs two cache
// lines.
struct DiagnosticsFilter {
  static constexpr uint32_t every_state = ~0u;
  static constexpr uint32_t bit(State state) { return 1u << static_cast<uint32_t>(state); }
  uint32_t states = every_state;  // a bit() for each
  uint16_t port = 0;              // of either end; 0: any
  uint16_t local_port = 0, remote_port = 0;
  Ipv4Address address;            // of either end; unspecified: any

  bool has(State state) const { return states & bit(state); }
  bool matches(State state, const wire::FlowKey& key) const {
    return has(state) && (port == 0 || port == key.local_port || port == key.remote_port) &&
           (local_port == 0 || local_port == key.local_port) && (remote_port == 0 || remote_port == key.remote_port) &&
           (address.is_unspecified() || address == key.local || address == key.remote);
  }
};

// A walk over connections, then half-open records, then TIME-WAIT records. What comes or goes meanwhile may be met or not;
// what stays is met once.
struct DiagnosticsCursor {
  flow::Kind kind = flow::Kind::tcb;
  uint32_t index = 0;
  bool over = false;
  bool done() const { return over; }
};
// At most `steps` places are looked at. Returns how many rows were filled. `filter` is one for the whole walk.
uint32_t diagnose_next(const Stack& stack, Instant now, DiagnosticsCursor& at, uint32_t steps,
                       std::span<Diagnostics> rows, const DiagnosticsFilter& filter = {});

// Listeners have places [0, listener_places). False: this one is empty.
uint32_t listener_places(const Stack& stack);
bool diagnostics(const Stack& stack, uint32_t listener, ListenerDiagnostics& out);

// Neighbours likewise.
uint32_t neighbor_places(const Stack& stack);
bool diagnostics(const Stack& stack, uint32_t neighbor, NeighborDiagnostics& out);

}  // namespace millrace::stack
