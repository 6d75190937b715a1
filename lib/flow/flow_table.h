// SPDX-License-Identifier: BSD-3-Clause
// Key -> number. Fixed size, never rehashed, one writer and any readers.
//
//   bucket   64 bytes, one cache line: 7 entries of {tag, number} in 64-bit atomics, and the overflow count
//
// The tag is the upper half of the key's hash; a bucket is chosen by the tag's upper bits, so an entry can be
// removed or renamed without its key. An entry that finds its bucket full goes to the next one, and each
// bucket that it passed counts it: a lookup goes on only where that count is not zero, and a removal moves
// nothing and leaves no tombstone. The table knows no TCB: who asks confirms candidates by key.
#pragma once

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <atomic>
#include <bit>
#include <cstdint>
#include <span>

#include "base/ensure.h"
#include "base/region.h"

namespace millrace::flow {

// What a number in the table stands for.
enum class Kind : uint32_t { tcb = 1, half_open = 2, time_wait = 3 };

struct Number {
  uint32_t value = 0;  // 2 bits kind, 30 bits index; 0 is "none"
  static constexpr Number make(Kind kind, uint32_t index) {
    return {static_cast<uint32_t>(kind) << 30 | index};
  }
  constexpr Kind kind() const { return static_cast<Kind>(value >> 30); }
  constexpr uint32_t index() const { return value & 0x3fffffff; }
  explicit constexpr operator bool() const { return value != 0; }
  friend constexpr bool operator==(Number, Number) = default;
};

class FlowTable {
 public:
  // Room for `max_entries` with at most 0.6 of the places taken: then fewer than 1 in 25 has left its bucket.
  void init(Region& region, uint32_t max_entries);

  static constexpr uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

  void prefetch(uint32_t tag) const { __builtin_prefetch(&buckets_[home(tag)]); }

  // The first number with this tag for which confirm(Number) is true; else none. Any thread: what a reader
  // finds was there at some time since it began to look, and what stood there all that time it finds.
  template <class Confirm>
  Number find(uint32_t tag, Confirm&& confirm) const;

  // The first number with this tag, unconfirmed: what to prefetch before find().
  Number candidate(uint32_t tag) const {
    return find(tag, [](Number) { return true; });
  }

  // --- the one writer ---

  // False only when max_entries are in. Whether the key is in already is the caller's to know.
  [[nodiscard]] bool insert(uint32_t tag, Number number);
  void erase(uint32_t tag, Number number);            // it is in
  void rename(uint32_t tag, Number from, Number to);  // in place; `from` is in

  // relaxed: a count to look at, orders nothing.
  uint32_t size() const { return size_.load(std::memory_order_relaxed); }
  uint32_t capacity() const { return max_entries_; }

  // The sum of all overflow counts: buckets that entries passed. Walks the table; for tests and statistics.
  uint64_t overflows() const;

 private:
  static constexpr uint32_t places = 7;

  // An entry is tag << 32 | number; 0 is empty, as no number in the table is 0.
  struct alignas(64) Bucket {
    std::atomic<uint64_t> entries[places];
    std::atomic<uint64_t> overflow;
  };
  static_assert(sizeof(Bucket) == 64);

  static uint32_t matches_of(const Bucket& bucket, uint32_t tag);  // a bit for each place
  static constexpr uint64_t entry_of(uint32_t tag, Number number) {
    return uint64_t{tag} << 32 | number.value;
  }
  uint32_t home(uint32_t tag) const { return tag >> shift_; }
  uint32_t after(uint32_t bucket) const { return (bucket + 1) & mask_; }
  struct Position {
    uint32_t bucket;
    uint32_t place;
  };
  Position locate(uint32_t tag, Number number) const;

  // One writer: no other store can come between load and store, so relaxed ones do instead of a locked add.
  static void add(std::atomic<uint64_t>& count, uint64_t n) {
    count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  std::span<Bucket> buckets_;
  uint32_t shift_ = 0;
  uint32_t mask_ = 0;
  uint32_t max_entries_ = 0;
  std::atomic<uint32_t> size_ = 0;
};

// All seven compared without a branch: which one it is cannot be predicted.
inline uint32_t FlowTable::matches_of(const Bucket& bucket, uint32_t tag) {
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
  // Plain loads, of which each half is atomic on this processor; only a hint where to look again.
  const __m128i* line = reinterpret_cast<const __m128i*>(&bucket);
  auto tags = [&](int at) {  // the upper halves of four entries
    return _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(_mm_load_si128(line + at)),
                                           _mm_castsi128_ps(_mm_load_si128(line + at + 1)), 0xdd));
  };
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag));
  auto equal = [&](int at) {
    return static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(tags(at), wanted))));
  };
  return (equal(0) | equal(2) << 4) & 0x7f;  // the eighth is no entry
#else
  uint32_t matches = 0;
  for (uint32_t i = 0; i < places; ++i) {
    // relaxed: only a hint where to look again.
    uint64_t entry = bucket.entries[i].load(std::memory_order_relaxed);
    matches |= static_cast<uint32_t>(static_cast<uint32_t>(entry >> 32) == tag) << i;
  }
  return matches;
#endif
}

template <class Confirm>
inline Number FlowTable::find(uint32_t tag, Confirm&& confirm) const {
  uint32_t number = home(tag);
  for (uint32_t steps = 0; steps <= mask_; ++steps, number = after(number)) {
    const Bucket& bucket = buckets_[number];
    for (uint32_t matches = matches_of(bucket, tag); matches != 0; matches &= matches - 1) {
      // acquire: the record that the number stands for is seen as it was when the writer put the number here.
      uint64_t entry = bucket.entries[std::countr_zero(matches)].load(std::memory_order_acquire);
      Number found{static_cast<uint32_t>(entry)};
      if (found && entry >> 32 == tag && confirm(found)) return found;
    }
    // relaxed: an entry that the reader must find has been counted before it began, and stays counted.
    if (bucket.overflow.load(std::memory_order_relaxed) == 0) break;
  }
  return {};
}

}  // namespace millrace::flow
