// SPDX-License-Identifier: BSD-3-Clause
// What a worker does between turns that have nothing to do. (run/worker.h)
//
// A poll of a NIC or of a ring costs nothing that anybody else could use, so by default none of it sleeps. Behind a tap
// stands a kernel, on a machine of few cores perhaps on this very CPU: there a core spins for a while, then with pauses,
// then it announces that it will sleep, has one more turn to look at all that it reads, and sleeps: until a frame, a
// request, a frame from another core, a question, Ctrl-C, or its next deadline.
#include <sched.h>
#include <time.h>

#include <algorithm>

#include "run/worker.h"

namespace millrace::run {

static constexpr uint32_t turns_until_longer = 128;        // pauses double so often,
static constexpr uint32_t doublings = 6;                   // so many times
static constexpr Duration least_sleep = microseconds(10);  // going to sleep takes a part of it

// Where lcores take turns on a CPU, who waits may wait for one of those: it gives the CPU away at once.
void Worker::pause() const {
  if (shares_cpu_) {
    sched_yield();
    return;
  }
  uint32_t times = port_.idle == Idle::spin ? 0 : std::min(idle_turns_ / turns_until_longer, doublings);
  for (uint32_t left = 1u << times; left > 0; --left) __builtin_ia32_pause();
}

void Worker::idle(Duration at_most) {
  if (idle_turns_++ == 0) idle_since_ = now_;
  bool may_sleep = port_.idle == Idle::sleep && now_ - idle_since_ >= spin_.limit() && may_doze();
  if (!may_sleep || !doze(at_most)) pause();
}

void Worker::rest() {
  pause();
  timespec moment{0, static_cast<long>(2 * least_sleep.ns)};
  if (port_.idle == Idle::sleep) nanosleep(&moment, nullptr);
}

// Whether all that is to be done is in what wakes it: the driver's queue, rings, deadlines.
bool Worker::may_doze() const {
  if (!all_begun_ || !tx_.is_idle() || rx_.is_waiting() || inquiry_.is_asked()) return false;
  for (const auto& channel : channels_)
    if (channel->has_more()) return false;
  return true;
}

// The next turn after the announcement is the second look; with many cores, several. False: it has to spin.
bool Worker::doze(Duration at_most) {
  if (!sleeper_.is_announced()) {
    sleeper_.announce();
    announced_turn_ = meter_.turns();
    return true;
  }
  if (meter_.turns() - announced_turn_ < rx_.polls_for_all()) return true;
  Instant until = std::min(stack::next_deadline(*stack_), now_ + at_most);
  Instant call_by = inline_channel().call_by;
  if (call_by != Instant{}) until = std::min(until, call_by);
  uint64_t begin = nic::read_cycles();
  Instant now = std::max(now_, clock_.at(begin));  // the turn has taken a while
  if (until < now + least_sleep) return false;
  bool was_woken = sleeper_.sleep(until - now);
  uint64_t end = nic::read_cycles();
  meter_.slept(begin, end, was_woken);
  spin_.slept(Duration{clock_.at(end - begin).ns}, was_woken);
  return true;
}

// The loop's own bound.
Duration Worker::longest_idle(const Application& application) {
  bool may_look_at_clock = application && inline_channel().call_by == Instant{};
  return may_look_at_clock ? Channel::longest_between_calls : longest_sleep;
}

void Worker::be_busy() {
  if (idle_turns_ == 0) return;
  idle_turns_ = 0;
  if (port_.idle == Idle::sleep) sleeper_.withdraw();
}

void Worker::wake_all() {
  wakeup().signal();
  for (const auto& channel : channels_) channel->reader.signal();
}

}  // namespace millrace::run
