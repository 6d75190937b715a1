// SPDX-License-Identifier: BSD-3-Clause
// The flow table with 4 K to 4 M flows, touched at random, as a burst of 32 frames does it: hash all and
// begin to load the buckets, then the records, then confirm. Each key is one item.
#include <benchmark/benchmark.h>

#include <vector>

#include "base/siphash.h"
#include "bench_memory.h"
#include "flow/flow_table.h"
#include "wire/flow_key.h"

namespace millrace::bench {
namespace {

using flow::FlowTable;
using flow::Number;
using wire::FlowKey;

constexpr SipKey secret{0x0123456789abcdef, 0xfedcba9876543210};
constexpr uint32_t burst = 32;

FlowKey key_of(uint32_t i) {
  return {ipv4(10, 0, 0, 1),
          {ipv4(10, 1, 0, 0).value + i / 50'000},
          80,
          static_cast<uint16_t>(1024 + i % 50'000)};
}

// One cache line for each flow, with its key, as in a TCB.
struct alignas(64) Record {
  FlowKey key;
  uint32_t tag;
};

struct Flows {
  explicit Flows(uint32_t count)
      : memory([&](Region& region) {
          table.init(region, count);
          records = region.take<Record>(count);
        }) {
    for (uint32_t i = 0; i < count; ++i) {
      records[i] = {key_of(i), FlowTable::tag_of(hash(secret, key_of(i)))};
      ensure(table.insert(records[i].tag, Number::make(flow::Kind::tcb, i)));
    }
  }
  FlowTable table;
  std::span<Record> records;
  Memory memory;
};

template <bool prefetch>
void find(benchmark::State& state) {
  uint32_t count = static_cast<uint32_t>(state.range(0));
  Flows flows(count);
  Random random(1);
  FlowKey keys[burst];
  uint32_t tags[burst];
  while (state.KeepRunningBatch(burst)) {
    for (FlowKey& key : keys) key = key_of(random.below(count));
    for (uint32_t i = 0; i < burst; ++i) {
      tags[i] = FlowTable::tag_of(hash(secret, keys[i]));
      if (prefetch) flows.table.prefetch(tags[i]);
    }
    if (prefetch)
      for (uint32_t tag : tags) __builtin_prefetch(&flows.records[flows.table.candidate(tag).index()]);
    for (uint32_t i = 0; i < burst; ++i)
      benchmark::DoNotOptimize(
          flows.table.find(tags[i], [&](Number n) { return flows.records[n.index()].key == keys[i]; }));
  }
  state.SetItemsProcessed(state.iterations());
}

// Keys that are not in: a SYN, or a flood of them.
void find_nothing(benchmark::State& state) {
  uint32_t count = static_cast<uint32_t>(state.range(0));
  Flows flows(count);
  Random random(1);
  uint32_t tags[burst];
  while (state.KeepRunningBatch(burst)) {
    for (uint32_t& tag : tags) {
      tag = FlowTable::tag_of(hash(secret, key_of(count + random.below(1 << 30))));
      flows.table.prefetch(tag);
    }
    for (uint32_t tag : tags) benchmark::DoNotOptimize(flows.table.find(tag, [](Number) { return false; }));
  }
  state.SetItemsProcessed(state.iterations());
}

// A connection ends and another begins; its tag stands in its record.
void erase_and_insert(benchmark::State& state) {
  uint32_t count = static_cast<uint32_t>(state.range(0));
  Flows flows(count);
  Random random(1);
  uint32_t indices[burst];
  while (state.KeepRunningBatch(burst)) {
    uint32_t start = random.below(count);
    for (uint32_t i = 0; i < burst; ++i) {
      indices[i] = (start + i * 0x9e3779b1) & (count - 1);  // far apart and all different
      __builtin_prefetch(&flows.records[indices[i]]);
    }
    for (uint32_t index : indices) flows.table.prefetch(flows.records[index].tag);
    for (uint32_t index : indices)
      flows.table.erase(flows.records[index].tag, Number::make(flow::Kind::tcb, index));
    for (uint32_t index : indices) {
      Number number = Number::make(flow::Kind::tcb, index);
      benchmark::DoNotOptimize(flows.table.insert(flows.records[index].tag, number));
    }
  }
  state.SetItemsProcessed(state.iterations());
}

void hash_only(benchmark::State& state) {
  Random random(1);
  while (state.KeepRunningBatch(burst))
    for (uint32_t i = 0; i < burst; ++i)
      benchmark::DoNotOptimize(hash(secret, key_of(random.below(1 << 22))));
  state.SetItemsProcessed(state.iterations());
}

void sizes(benchmark::internal::Benchmark* b) {
  for (int64_t count : {4 << 10, 64 << 10, 1 << 20, 4 << 20}) b->Arg(count);
}

BENCHMARK(hash_only);
BENCHMARK(find<true>)->Name("find")->Apply(sizes);
BENCHMARK(find<false>)->Name("find_without_prefetch")->Apply(sizes);
BENCHMARK(find_nothing)->Apply(sizes);
BENCHMARK(erase_and_insert)->Apply(sizes);

}  // namespace
}  // namespace millrace::bench

BENCHMARK_MAIN();
