// SPDX-License-Identifier: BSD-3-Clause
// The wheel with 1 K, 64 K and 1 M indices touched at random. Each iteration is one item.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/siphash.h"
#include "bench_memory.h"
#include "timer/wheel.h"

namespace millrace::bench {
namespace {

using timer::Wheel;

struct BenchWheel {
  explicit BenchWheel(uint32_t indices)
      : memory([&](Region& region) { wheel.init(region, indices, Instant{}); }) {}
  Wheel wheel;
  Memory memory;
};

// Retransmission timeouts: 200 to 400 ms.
Duration timeout(Random& random) {
  return milliseconds(200) + nanoseconds(random.below(200'000'000));
}

// What each acknowledgment does: the deadline has moved later, so nothing is done.
void arm_later(benchmark::State& state) {
  uint32_t indices = static_cast<uint32_t>(state.range(0));
  BenchWheel bench(indices);
  Random random(1);
  for (uint32_t i = 0; i < indices; ++i) bench.wheel.arm(i, Instant{} + timeout(random));
  Instant later = Instant{} + seconds(1);
  for (auto _ : state) bench.wheel.arm(random.below(indices), later);
  state.SetItemsProcessed(state.iterations());
}

// The whole life of a deadline: armed on level 1, taken to level 0, fired, armed again. About 32 a turn.
void arm_and_fire(benchmark::State& state) {
  uint32_t indices = static_cast<uint32_t>(state.range(0));
  BenchWheel bench(indices);
  Random random(1);
  for (uint32_t i = 0; i < indices; ++i) bench.wheel.arm(i, Instant{} + timeout(random));
  Instant now;
  Duration turn{300'000'000ull * 32 / indices};
  uint32_t due[64];
  uint64_t fired = 0, turns = 0;
  while (state.KeepRunningBatch(64)) {
    for (uint32_t batch = 0; batch < 64; ++turns) {
      now = now + turn;
      uint32_t count = bench.wheel.advance(now, due);
      for (uint32_t i = 0; i < count; ++i) bench.wheel.arm(due[i], now + timeout(random));
      batch += count;
      fired += count;
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(fired));
  state.counters["fired/turn"] = static_cast<double>(fired) / static_cast<double>(turns);
}

// The end of a connection: one entry taken out from anywhere. The other half of the item arms it again.
void cancel_and_arm(benchmark::State& state) {
  uint32_t indices = static_cast<uint32_t>(state.range(0));
  BenchWheel bench(indices);
  Random random(1);
  for (uint32_t i = 0; i < indices; ++i) bench.wheel.arm(i, Instant{} + timeout(random));
  for (auto _ : state) {
    uint32_t index = random.below(indices);
    bench.wheel.cancel(index);
    bench.wheel.arm(index, Instant{} + timeout(random));
  }
  state.SetItemsProcessed(state.iterations());
}

// A turn in which nothing is due.
void advance_nothing_due(benchmark::State& state) {
  BenchWheel bench(1000);
  for (uint32_t i = 0; i < 1000; ++i) bench.wheel.arm(i, Instant{1ull << 60});
  Instant now;
  uint32_t due[64];
  for (auto _ : state) {
    now = now + nanoseconds(1);
    benchmark::DoNotOptimize(bench.wheel.advance(now, due));
  }
}

// The worst case: a million deadlines within half a second are taken down from one slot of level 2, then from
// those of level 1, and fire, in calls of 64. Each call is timed: the mean hides the longest.
void crowded_turns(benchmark::State& state) {
  constexpr uint32_t indices = 1 << 20;
  BenchWheel bench(indices);
  uint32_t due[64];
  Random random(1);
  std::vector<double> turns;
  Instant base;
  for (auto _ : state) {
    Instant at = bench.wheel.next_deadline();
    if (at == Instant::never()) {
      base = base + seconds(10);
      bench.wheel.advance(base, due);
      for (uint32_t i = 0; i < indices; ++i)
        bench.wheel.arm(i * 0x9e3779b1 % indices, base + seconds(5) + nanoseconds(random.below(500'000'000)));
      at = bench.wheel.next_deadline();
    }
    auto begin = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(bench.wheel.advance(at, due));
    turns.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    state.SetIterationTime(turns.back());
  }
  std::sort(turns.begin(), turns.end());
  state.counters["p99.9_ns"] = turns[turns.size() * 999 / 1000] * 1e9;
  state.counters["p99.99_ns"] = turns[turns.size() * 9999 / 10000] * 1e9;
  state.counters["longest_ns"] = turns.back() * 1e9;
}

BENCHMARK(arm_later)->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20);
BENCHMARK(arm_and_fire)->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20);
BENCHMARK(cancel_and_arm)->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20);
BENCHMARK(advance_nothing_due);
BENCHMARK(crowded_turns)->UseManualTime()->Iterations(100'000);

}  // namespace
}  // namespace millrace::bench

BENCHMARK_MAIN();
