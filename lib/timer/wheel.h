// SPDX-License-Identifier: BSD-3-Clause
// The hierarchical timing wheel: 4 levels of 256 slots, a tick of 2^14 ns (16 us). It holds at most one entry
// for each index (a connection or a half-open record) and is asked "what is due" once a turn.
//
// Deadlines that move later are not told to the wheel: the entry fires early, its owner sees that nothing is
// due and arms again. So an ACK costs nothing here.
//
//   place_[index]  8 bytes: where the entry is (chunk and position), and its tick
//   chunk          64 bytes: 7 entries of {index, tick}, the links to its neighbours, and its slot
//
// A slot is a list of chunks, not of connections: draining reads 7 indices a line and never follows a pointer
// through a cold TCB. Removal moves the slot's last entry into the hole, so memory is bounded by the number
// of indices and no stale entry is ever left behind.
//
// An entry's level is the highest byte in which its tick differs from current_ (so it is on level 0 if it
// fires within the same 256 ticks). Hence all of a level comes before all of the next, the first slot in the
// bitmap of the lowest filled level is the next thing to do, and current_ may jump to it. A slot of a higher
// level is spread over the levels below when current_ reaches its first tick. What lies beyond 2^32 ticks
// (19.5 hours) waits in two far slots used in turn, and is put again when current_ enters the next 2^32.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/ensure.h"
#include "base/region.h"
#include "millrace/time.h"

namespace millrace::timer {

class Wheel {
 public:
  static constexpr uint32_t tick_shift = 14;
  static constexpr uint32_t levels = 4;
  static constexpr uint32_t slots_per_level = 256;

  // Indices are 0 .. indices-1. `now` is where the wheel starts.
  void init(Region& region, uint32_t indices, Instant now);

  // Makes the entry of `index` fire at `at` or earlier-than-asked never: at the first advance() whose time is
  // not before `at` (rounded up to a tick). If it is armed already for the same or an earlier time, it stays.
  void arm(uint32_t index, Instant at) {
    debug_ensure(index < place_.size());
    uint64_t tick = tick_not_before(at);
    Place place = place_[index];
    if (place.chunk != 0 && place.far == 0 && tick >= (epoch() | place.tick)) return;
    arm_at(index, tick);
  }
  bool armed(uint32_t index) const { return place_[index].chunk != 0; }
  void cancel(uint32_t index) {  // no effect if not armed
    if (armed(index)) remove(index);
  }

  // Takes up to due.size() indices whose time has come and returns their number. They are no longer armed.
  // If it returns due.size(), more may be due: they come in the next call, with nothing lost or reordered by
  // more than a tick. A call also stops when it has moved `moves_per_due` times as many entries between
  // levels: then too the next call goes on, and next_deadline() is not after `now` until all is done.
  uint32_t advance(Instant now, std::span<uint32_t> due) {
    uint64_t target = now.ns >> tick_shift;
    if (target >= next_) return advance_to(target, due);
    // No filled slot begins before next_, so no entry's level changes.
    current_ = std::max(current_, target);
    return 0;
  }
  static constexpr uint32_t moves_per_due = 4;

  // No entry fires before this. Instant::never() if there is none. Not later than the earliest entry's
  // deadline rounded up to a tick; may be earlier (the time at which a higher level is to be redistributed).
  Instant next_deadline() const;

  uint32_t size() const { return size_; }  // entries armed

 private:
  static constexpr uint32_t entries_per_chunk = 7;
  static constexpr uint32_t far_slots = levels * slots_per_level;  // the first of two
  static constexpr uint32_t slot_count = far_slots + 2;
  static constexpr uint32_t no_slot = slot_count;
  static constexpr uint64_t no_tick = UINT64_MAX;
  static constexpr uint64_t last_tick = UINT64_MAX >> tick_shift;

  // Chunk 0 is never used and means "none", so that zeroed memory is an empty wheel.
  struct Place {
    uint32_t chunk : 28 = 0;  // 0: not armed
    uint32_t position : 3 = 0;
    uint32_t far : 1 = 0;  // in a far slot
    uint32_t tick = 0;     // lower 32 bits; the upper ones are current_'s, or in the far entry
  };
  struct Entry {
    uint32_t index = 0;
    uint32_t tick = 0;  // lower 32 bits; in a far slot, the upper ones
  };
  struct Chunk {
    Entry entries[entries_per_chunk];
    uint64_t next : 26 = 0;
    uint64_t previous : 26 = 0;
    uint64_t slot : 12 = 0;
  };
  static_assert(sizeof(Place) == 8 && sizeof(Chunk) == 64);

  // A queue: entries are [first, 7) of the head chunk, all of those between, [0, end) of the tail chunk.
  struct Slot {
    uint32_t head = 0;
    uint32_t tail = 0;
    uint32_t first = 0;  // not 0 only while this slot is being drained
    uint32_t end = 0;
  };
  struct Event {
    uint64_t tick;
    uint32_t slot;
  };

  static uint64_t tick_not_before(Instant at) {
    uint64_t partial = (at.ns & ((uint64_t{1} << tick_shift) - 1)) != 0;
    return std::min((at.ns >> tick_shift) + partial, last_tick);
  }
  uint64_t epoch() const { return current_ & ~uint64_t{UINT32_MAX}; }
  uint64_t tick_of(Place place) const;
  Event next_event() const;
  uint32_t first_filled(uint32_t level, uint32_t from) const;

  void arm_at(uint32_t index, uint64_t tick);
  void put(uint32_t index, uint64_t tick);
  void append(uint32_t slot, Entry entry, uint32_t low_tick);
  void remove(uint32_t index);
  Entry take_first(uint32_t slot);
  void close(uint32_t slot);
  void look_ahead(uint32_t chunk) const;

  uint32_t advance_to(uint64_t target, std::span<uint32_t> due);
  uint32_t fire(uint32_t slot, std::span<uint32_t> due);
  uint64_t redistribute(uint32_t slot, uint64_t limit);

  uint32_t take_chunk(uint32_t slot);
  void give_chunk(uint32_t chunk);
  void mark(uint32_t slot, bool filled);

  uint64_t current_ = 0;     // nothing is armed for an earlier tick
  uint64_t next_ = no_tick;  // nothing is to be done before this tick; may be too early after a cancel()
  uint32_t size_ = 0;
  uint32_t open_ = no_slot;  // of a higher level, being redistributed
  uint32_t free_chunk_ = 0;
  std::span<Place> place_;
  std::span<Chunk> chunks_;
  std::span<Slot> slots_;
  uint64_t filled_[levels][slots_per_level / 64]{};
};

}  // namespace millrace::timer
