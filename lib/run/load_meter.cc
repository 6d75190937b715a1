// SPDX-License-Identifier: BSD-3-Clause
// Counting cycles. (run/load_meter.h)
#include "run/load_meter.h"

#include <time.h>

#include <utility>

namespace millrace::run {

// Often enough that little CPU time lies between the last look and a long turn, and too seldom to cost anything.
static constexpr uint64_t looks_per_second = 4000;

uint64_t thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

LoadMeter::LoadMeter(uint64_t cycles_per_second, CpuTime cpu_time)
    : cpu_time_(cpu_time),
      cycles_per_ns_(static_cast<double>(cycles_per_second) / 1e9),
      look_interval_(cycles_per_second / looks_per_second) {}

void LoadMeter::count(uint64_t cycles, uint64_t length, bool useful) {
  constexpr auto relaxed = std::memory_order_relaxed;
  if (first_ == 0) {
    first_ = last_ = cycles;
    return;
  }
  last_ = cycles;
  bool is_longest = useful && length > longest_.load(relaxed);
  uint64_t off_cpu = 0;
  if (is_longest || cycles - looked_at_ > look_interval_) off_cpu = look_at_cpu(cycles, length);
  total_.store(cycles - first_, relaxed);
  turns_.store(turns_.load(relaxed) + 1, relaxed);
  if (!useful) return;
  useful_.store(useful_.load(relaxed) + length, relaxed);
  useful_turns_.store(useful_turns_.load(relaxed) + 1, relaxed);
  if (!is_longest) return;
  longest_.store(length, relaxed);
  longest_off_cpu_.store(off_cpu, relaxed);
}

uint64_t LoadMeter::look_at_cpu(uint64_t cycles, uint64_t length) {
  uint64_t cpu_ns = cpu_time_();
  auto had = static_cast<uint64_t>(static_cast<double>(cpu_ns - std::exchange(cpu_ns_, cpu_ns)) * cycles_per_ns_);
  bool is_first = std::exchange(looked_at_, cycles) == 0;
  return is_first || had > length ? 0 : length - had;
}

void LoadMeter::slept(uint64_t begin, uint64_t end, bool was_woken) {
  constexpr auto relaxed = std::memory_order_relaxed;
  total_.store(end - first_, relaxed);  // before what is a part of it
  asleep_.store(asleep_.load(relaxed) + (end - begin), relaxed);
  sleeps_.store(sleeps_.load(relaxed) + 1, relaxed);
  wakeups_.store(wakeups_.load(relaxed) + (was_woken ? 1 : 0), relaxed);
}

Endpoint::Load LoadMeter::read(const nic::Clock& clock) const {
  constexpr auto relaxed = std::memory_order_relaxed;
  Endpoint::Load load{};
  load.useful_cycles = useful_.load(relaxed);
  load.asleep_cycles = asleep_.load(relaxed);
  load.total_cycles = total_.load(relaxed);
  load.turns = turns_.load(relaxed);
  load.useful_turns = useful_turns_.load(relaxed);
  load.sleeps = sleeps_.load(relaxed);
  load.wakeups = wakeups_.load(relaxed);
  load.longest_turn = Duration{clock.at(longest_.load(relaxed)).ns};
  load.longest_turn_off_cpu = Duration{clock.at(longest_off_cpu_.load(relaxed)).ns};
  load.cycles_per_second = static_cast<double>(nic::cycles_per_second());
  return load;
}

}  // namespace millrace::run
