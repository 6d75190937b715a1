// SPDX-License-Identifier: BSD-3-Clause
// Both sides of the mailbox. (run/inquiry.h)
#include "run/inquiry.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/limits.h"
#include "nic/rx.h"
#include "nic/tx.h"

namespace millrace::run {

// One question's share of a large table: whoever asks goes on with the next one, and sees that the core lives.
static constexpr uint32_t places_per_question = 1 << 14;

// --- the worker ---

void Inquiry::answer_some(const Source& source) {
  uint32_t expected = asked;
  // Whoever asked may just have given up.
  if (!state_.compare_exchange_strong(expected, taken, std::memory_order_acquire)) return;
  bool is_done = step(source);
  state_.store(is_done ? done : asked, std::memory_order_release);
}

bool Inquiry::step_connections(const Source& source) {
  uint32_t rows = std::min(question_.rows, Answer::most_rows);
  uint32_t most = std::min(rows, answer_.rows + limits::diagnosed_rows_per_turn);
  for (uint32_t left = limits::diagnosed_places_per_turn; left > 0 && answer_.rows < most && !answer_.next.done(); --left) {
    answer_.at[answer_.rows] = answer_.next;
    answer_.rows += stack::diagnose_next(source.stack, source.now, answer_.next, 1,
                                         {&answer_.connections[answer_.rows], 1}, question_.filter);
    ++places_;
  }
  answer_.done = answer_.next.done();
  return answer_.done || answer_.rows == rows || places_ >= places_per_question;
}

// Places from `next_index` on, so many of them at a time.
template <typename Row>
static bool step_places(const stack::Stack& stack, uint32_t places, Answer& answer, Row* rows) {
  for (uint32_t left = limits::diagnosed_rows_per_turn; left > 0; --left) {
    answer.done = answer.next_index >= places;
    if (answer.done || answer.rows == Answer::most_rows) return true;
    answer.index_at[answer.rows] = answer.next_index;
    answer.rows += stack::diagnostics(stack, answer.next_index++, rows[answer.rows]) ? 1 : 0;
  }
  return false;
}

bool Inquiry::step(const Source& source) {
  answer_.now = source.now;
  switch (question_.kind) {
    case Question::connections: return step_connections(source);
    case Question::listeners:
      return step_places(source.stack, stack::listener_places(source.stack), answer_, answer_.listeners);
    case Question::neighbors:
      return step_places(source.stack, stack::neighbor_places(source.stack), answer_, answer_.neighbors);
    case Question::state:
      answer_.gauges = stack::gauges(source.stack);
      answer_.frames_linearised = source.rx.linearised();
      answer_.frames_not_linearised = source.rx.dropped();
      answer_.frames_of_other_vlans = source.rx.of_other_vlans();
      answer_.frames_refused = source.tx.refused();
      answer_.done = true;
  }
  return true;
}

// --- a control thread ---

// True: the mailbox is ours again. False: the worker is at it.
bool Inquiry::withdraw() {
  uint32_t expected = asked;
  return state_.compare_exchange_strong(expected, empty, std::memory_order_relaxed);
}

Inquiry::Outcome Inquiry::ask(const Question& question, const std::atomic<uint32_t>& give_up) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::microseconds;
  constexpr auto patience = std::chrono::seconds(2);
  constexpr auto longest_rest = microseconds(200);

  // One that was given up may have been answered since.
  uint32_t found = done;
  state_.compare_exchange_strong(found, empty, std::memory_order_acquire);
  found = state_.load(std::memory_order_acquire);
  if (found != empty) return found == closed ? Outcome::ended : Outcome::silent;

  question_ = question;
  places_ = 0;
  answer_.rows = 0;
  answer_.done = false;
  answer_.next = question.from;
  answer_.next_index = question.from_index;
  if (!state_.compare_exchange_strong(found, asked, std::memory_order_release)) return Outcome::ended;
  worker_.wake();

  auto until = Clock::now() + patience;
  for (auto rest = microseconds(10);; rest = std::min(2 * rest, longest_rest)) {
    std::this_thread::sleep_for(rest);
    uint32_t state = state_.load(std::memory_order_acquire);
    if (state == done) {
      state_.compare_exchange_strong(state, empty, std::memory_order_relaxed);
      return Outcome::answered;
    }
    if (state == closed) return Outcome::ended;
    if (Clock::now() < until && give_up.load(std::memory_order_relaxed) == 0) continue;
    if (withdraw()) return Outcome::silent;
    // A step is short, unless the worker has lost its CPU in the middle of one.
    if (Clock::now() > until + patience) return Outcome::silent;
  }
}

}  // namespace millrace::run
