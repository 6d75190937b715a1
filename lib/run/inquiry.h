// SPDX-License-Identifier: BSD-3-Clause
// A mailbox for questions from outside, beside a packet's way: a control thread puts one in, the worker answers it in
// bounded steps at the end of its turns. An empty one costs the worker one load and one branch a turn, of a line that
// nobody writes.
#pragma once

#include <atomic>
#include <cstdint>

#include "millrace/diagnostics.h"
#include "nic/wakeup.h"
#include "stack/diagnostics.h"
#include "stack/stack.h"

namespace millrace::nic {
class Rx;
class Tx;
}  // namespace millrace::nic

namespace millrace::run {

struct Question {
  enum Kind : uint8_t { state, connections, listeners, neighbors };
  Kind kind = state;
  stack::DiagnosticsFilter filter;   // connections
  stack::DiagnosticsCursor from;     // connections
  uint32_t from_index = 0;           // listeners, neighbors
  uint32_t rows = UINT32_MAX;        // connections: no more than these, and Answer::most_rows
};

struct Answer {
  static constexpr uint32_t most_rows = 160;
  Instant now;                       // of the turn that ended it
  uint32_t rows = 0;
  bool done = false;                 // there are no more behind these
  stack::DiagnosticsCursor next;     // connections: behind the last one
  uint32_t next_index = 0;           // listeners, neighbors
  // Of each row: where a walk that is to begin with it begins.
  stack::DiagnosticsCursor at[most_rows];
  uint32_t index_at[most_rows];
  Diagnostics connections[most_rows];
  ListenerDiagnostics listeners[most_rows];
  NeighborDiagnostics neighbors[most_rows];
  // state
  stack::Gauges gauges{};
  uint64_t frames_linearised = 0, frames_not_linearised = 0, frames_of_other_vlans = 0, frames_refused = 0;
};

class Inquiry {
 public:
  explicit Inquiry(nic::Wakeup& worker) : worker_(worker) {}

  enum class Outcome : uint8_t {
    answered,
    silent,  // the core takes no turns, or none in time
    ended,   // the endpoint has ended
  };

  // What the worker answers from.
  struct Source {
    const stack::Stack& stack;
    Instant now;
    const nic::Rx& rx;
    const nic::Tx& tx;
  };

  // --- the worker ---
  bool is_asked() const { return state_.load(std::memory_order_relaxed) == asked; }
  // Some of the answer: at most limits::diagnosed_places_per_turn looked at, limits::diagnosed_rows_per_turn copied.
  void answer_some(const Source& source);
  // The endpoint ends: who waits is told at once, and who comes later, too.
  void close() { state_.store(closed, std::memory_order_release); }

  // --- a control thread, one at a time ---
  // Waits for the answer, two seconds at most, or until `give_up`. answer() is the caller's until the next ask().
  Outcome ask(const Question& question, const std::atomic<uint32_t>& give_up);
  const Answer& answer() const { return answer_; }

 private:
  enum State : uint32_t { empty, asked, taken, done, closed };
  bool step(const Source& source);
  bool step_connections(const Source& source);
  bool withdraw();

  alignas(64) std::atomic<uint32_t> state_{empty};
  alignas(64) Question question_;
  nic::Wakeup& worker_;
  uint32_t places_ = 0;  // looked at so far
  Answer answer_;
};

}  // namespace millrace::run
