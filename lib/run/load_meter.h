// SPDX-License-Identifier: BSD-3-Clause
// Where the cycles of a core went. Written by the worker, read by anyone.
#pragma once

#include <atomic>
#include <cstdint>

#include "millrace/endpoint.h"
#include "nic/clock.h"

namespace millrace::run {

// CPU time of the calling thread, in nanoseconds. A system call.
uint64_t thread_cpu_ns();

class LoadMeter {
 public:
  using CpuTime = uint64_t (*)();
  explicit LoadMeter(uint64_t cycles_per_second, CpuTime cpu_time = thread_cpu_ns);

  // Turn by turn: the time since the last call belongs to the turn before. One reading of the counter a turn.
  void next_turn(uint64_t cycles, bool last_was_useful) { count(cycles, cycles - last_, last_was_useful); }
  // For turns that are called one by one, with other work between them.
  void single_turn(uint64_t begin, uint64_t end, bool was_useful) { count(end, end - begin, was_useful); }
  // Between turns. No turn's length has this in it: none that slept was useful.
  void slept(uint64_t begin, uint64_t end, bool was_woken);
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  Endpoint::Load read(const nic::Clock& clock) const;

 private:
  void count(uint64_t cycles, uint64_t length, bool useful);
  // Looks at the thread's CPU time. Of a turn of that length that has just ended, at least how many cycles the thread was
  // off its CPU: those beyond all that it has had since the last look.
  uint64_t look_at_cpu(uint64_t cycles, uint64_t length);

  const CpuTime cpu_time_;
  const double cycles_per_ns_;
  const uint64_t look_interval_;
  uint64_t looked_at_ = 0, cpu_ns_ = 0;
  uint64_t first_ = 0;
  uint64_t last_ = 0;
  std::atomic<uint64_t> useful_{0}, total_{0}, turns_{0}, useful_turns_{0}, longest_{0}, longest_off_cpu_{0};
  std::atomic<uint64_t> asleep_{0}, sleeps_{0}, wakeups_{0};
};

}  // namespace millrace::run
