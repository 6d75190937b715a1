// SPDX-License-Identifier: BSD-3-Clause
// The writer's side of the flow table.
#include "flow/flow_table.h"

#include <algorithm>

namespace millrace::flow {

void FlowTable::init(Region& region, uint32_t max_entries) {
  ensure(max_entries <= 1u << 30);                          // as many as there are indices
  uint64_t wanted = (uint64_t{max_entries} * 5 + 20) / 21;  // 7 places a bucket, 3/5 of them taken
  auto count = static_cast<uint32_t>(std::bit_ceil(std::max(wanted, uint64_t{2})));  // shift_ stays below 32
  buckets_ = region.take<Bucket>(count);
  shift_ = 32 - static_cast<uint32_t>(std::countr_zero(count));
  mask_ = count - 1;
  max_entries_ = max_entries;
}

bool FlowTable::insert(uint32_t tag, Number number) {
  debug_ensure(number);
  if (size() == max_entries_) return false;
  for (uint32_t b = home(tag);; b = after(b)) {  // ends: there are more places than max_entries
    for (auto& place : buckets_[b].entries) {
      // relaxed: the writer reads its own stores.
      if (place.load(std::memory_order_relaxed) != 0) continue;
      // release: the record is seen before its number. So are the counts of the buckets passed, which were
      // added first; a reader that saw them too early only looks one bucket further.
      place.store(entry_of(tag, number), std::memory_order_release);
      size_.store(size() + 1, std::memory_order_relaxed);  // a count to look at, orders nothing
      return true;
    }
    add(buckets_[b].overflow, 1);
  }
}

void FlowTable::erase(uint32_t tag, Number number) {
  Position at = locate(tag, number);
  // relaxed: a reader that still sees it finds a record that it has to confirm in any case. Cleared before
  // the counts go down; in whatever order a reader sees both, it can only miss what is being removed.
  buckets_[at.bucket].entries[at.place].store(0, std::memory_order_relaxed);
  for (uint32_t b = home(tag); b != at.bucket; b = after(b)) add(buckets_[b].overflow, ~uint64_t{0});
  size_.store(size() - 1, std::memory_order_relaxed);  // a count to look at, orders nothing
}

void FlowTable::rename(uint32_t tag, Number from, Number to) {
  debug_ensure(to);
  Position at = locate(tag, from);
  // release: the new record is seen before its number; a reader finds the one or the other, never neither.
  buckets_[at.bucket].entries[at.place].store(entry_of(tag, to), std::memory_order_release);
}

FlowTable::Position FlowTable::locate(uint32_t tag, Number number) const {
  uint64_t entry = entry_of(tag, number);
  uint32_t b = home(tag);
  for (uint32_t steps = 0; steps <= mask_; ++steps, b = after(b))
    for (uint32_t i = 0; i < places; ++i)
      // relaxed: the writer reads its own stores.
      if (buckets_[b].entries[i].load(std::memory_order_relaxed) == entry) return {b, i};
  ensure_failed("an entry to erase or rename is in the table", __FILE__, __LINE__);
}

uint64_t FlowTable::overflows() const {
  uint64_t sum = 0;
  // relaxed: exact when the writer rests.
  for (const Bucket& bucket : buckets_) sum += bucket.overflow.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace millrace::flow
