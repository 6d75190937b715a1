// SPDX-License-Identifier: BSD-3-Clause
// What happens in the wheel when an entry really moves: put, removed, fired, or taken to a lower level.
#include "timer/wheel.h"

#include <bit>

namespace millrace::timer {
namespace {

// Chunks never run out. A slot of n entries that is not being drained has all chunks full but its last: at
// most n/7 + 1 chunks. One that is being drained may have a partial first chunk too: one more. At most two
// are being drained at a time, the one of current_ and open_. Moving an entry takes it out before it is put.
// So n/7 + slots + 2 bounds the sum; and as no chunk is empty, so does the number of entries. And chunk 0.
constexpr uint32_t chunks_needed(uint32_t indices, uint32_t entries_per_chunk, uint32_t slots) {
  return 1 + std::min(indices, indices / entries_per_chunk + slots + 2);
}

}  // namespace

void Wheel::init(Region& region, uint32_t indices, Instant now) {
  ensure(indices < 1u << 28);  // the links of a chunk have 26 bits
  place_ = region.take<Place>(indices);
  chunks_ = region.take<Chunk>(chunks_needed(indices, entries_per_chunk, slot_count));
  slots_ = region.take<Slot>(slot_count);
  if (region.measuring()) return;
  for (size_t chunk = chunks_.size() - 1; chunk > 0; --chunk) give_chunk(static_cast<uint32_t>(chunk));
  current_ = now.ns >> tick_shift;
}

Instant Wheel::next_deadline() const {
  Event event = next_event();
  return event.tick == no_tick ? Instant::never() : Instant{event.tick << tick_shift};
}

// --- what comes next ---

// While a slot is redistributed nothing else may happen: what it holds may belong before the rest.
Wheel::Event Wheel::next_event() const {
  if (open_ != no_slot) return {current_, open_};
  for (uint32_t level = 0; level < levels; ++level) {
    uint32_t shift = level * 8;
    uint32_t digit = first_filled(level, current_ >> shift & 255);
    if (digit == slots_per_level) continue;
    uint64_t above = current_ >> shift >> 8 << 8;
    return {(above | digit) << shift, level * slots_per_level + digit};
  }
  uint64_t next_epoch = (current_ >> 32) + 1;
  uint32_t far = far_slots + (next_epoch & 1);
  if (slots_[far].head != 0) return {next_epoch << 32, far};
  return {no_tick, no_slot};
}

uint32_t Wheel::first_filled(uint32_t level, uint32_t from) const {
  uint32_t word = from / 64;
  uint64_t bits = filled_[level][word] & ~uint64_t{0} << from % 64;
  while (bits == 0) {
    if (++word == slots_per_level / 64) return slots_per_level;
    bits = filled_[level][word];
  }
  return word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
}

uint64_t Wheel::tick_of(Place place) const {
  if (place.far == 0) return epoch() | place.tick;
  return uint64_t{chunks_[place.chunk].entries[place.position].tick} << 32 | place.tick;
}

// --- entries ---

void Wheel::arm_at(uint32_t index, uint64_t tick) {
  tick = std::max(tick, current_);
  if (armed(index)) {
    if (tick >= tick_of(place_[index])) return;
    remove(index);
  }
  ++size_;
  put(index, tick);
}

// The slot's number and the tick at which it is to be looked at follow from tick ^ current_ alone.
void Wheel::put(uint32_t index, uint64_t tick) {
  uint64_t difference = tick ^ current_;
  uint32_t low = static_cast<uint32_t>(tick);
  if (difference >> 32 != 0) {
    uint64_t next_epoch = (current_ >> 32) + 1;
    append(far_slots + (next_epoch & 1), {index, static_cast<uint32_t>(tick >> 32)}, low);
    next_ = std::min(next_, next_epoch << 32);
    return;
  }
  uint32_t level = (31 - std::countl_zero(static_cast<uint32_t>(difference) | 1)) >> 3;
  uint32_t shift = level * 8;
  append(level * slots_per_level + (low >> shift & 255), {index, low}, low);
  next_ = std::min(next_, tick >> shift << shift);
}

void Wheel::append(uint32_t number, Entry entry, uint32_t low_tick) {
  Slot& slot = slots_[number];
  if (slot.head == 0) {
    slot.head = slot.tail = take_chunk(number);
    slot.end = 0;
    mark(number, true);
  } else if (slot.end == entries_per_chunk) {
    uint32_t chunk = take_chunk(number);
    chunks_[slot.tail].next = chunk;
    chunks_[chunk].previous = slot.tail;
    slot.tail = chunk;
    slot.end = 0;
  }
  chunks_[slot.tail].entries[slot.end] = entry;
  place_[entry.index] = {
      .chunk = slot.tail, .position = slot.end, .far = number >= far_slots, .tick = low_tick};
  ++slot.end;
}

void Wheel::remove(uint32_t index) {
  Place hole = place_[index];
  uint32_t number = chunks_[hole.chunk].slot;
  Slot& slot = slots_[number];
  uint32_t tail = slot.tail;
  --slot.end;
  if (hole.chunk != tail || hole.position != slot.end) {
    Entry last = chunks_[tail].entries[slot.end];
    chunks_[hole.chunk].entries[hole.position] = last;
    place_[last.index].chunk = hole.chunk;
    place_[last.index].position = hole.position;
  }
  place_[index].chunk = 0;
  --size_;

  if (slot.head != tail && slot.end == 0) {
    slot.tail = chunks_[tail].previous;
    slot.end = entries_per_chunk;
    give_chunk(tail);
  } else if (slot.head == tail && slot.end == slot.first) {
    close(number);
  }
}

Wheel::Entry Wheel::take_first(uint32_t number) {
  Slot& slot = slots_[number];
  uint32_t head = slot.head;
  Entry entry = chunks_[head].entries[slot.first++];
  if (head == slot.tail) {
    if (slot.first != slot.end) return entry;
    close(number);
  } else if (slot.first == entries_per_chunk) {
    slot.head = chunks_[head].next;
    slot.first = 0;
    look_ahead(slot.head);
    give_chunk(head);
  }
  return entry;
}

// Begins to load the places of the entries in the chunk after this one. Beyond the tail's end stand old
// entries, whose indices are as good.
void Wheel::look_ahead(uint32_t chunk) const {
  const Chunk& next = chunks_[chunks_[chunk].next];
  for (const Entry& entry : next.entries) __builtin_prefetch(&place_[entry.index], 1);
  __builtin_prefetch(&chunks_[next.next]);
}

// The slot's last chunk, which is its only one, has become empty.
void Wheel::close(uint32_t number) {
  give_chunk(slots_[number].head);
  slots_[number] = {};
  mark(number, false);
  if (number == open_) open_ = no_slot;
}

// --- time ---

uint32_t Wheel::advance_to(uint64_t target, std::span<uint32_t> due) {
  uint32_t count = 0;
  uint64_t moves_left = uint64_t{moves_per_due} * due.size();
  for (;;) {
    Event event = next_event();
    next_ = event.tick;
    if (event.tick > target) break;
    current_ = event.tick;
    if (event.slot < slots_per_level) {
      count += fire(event.slot, due.subspan(count));
    } else {
      open_ = event.slot;
      moves_left -= redistribute(event.slot, moves_left);
    }
    if (slots_[event.slot].head != 0) return count;  // stopped inside the slot: next_ is current_
  }
  current_ = std::max(current_, target);
  return count;
}

uint32_t Wheel::fire(uint32_t slot, std::span<uint32_t> due) {
  uint32_t count = 0;
  look_ahead(slots_[slot].head);
  while (count < due.size() && slots_[slot].head != 0) {
    uint32_t index = take_first(slot).index;
    place_[index].chunk = 0;
    due[count++] = index;
  }
  size_ -= count;
  return count;
}

// Puts up to `limit` entries of a slot, whose first tick is current_, where they belong now. That is never
// the same slot: they share current_'s digit on its level, and the two far slots take turns.
uint64_t Wheel::redistribute(uint32_t slot, uint64_t limit) {
  uint64_t moved = 0;
  look_ahead(slots_[slot].head);
  for (; moved < limit && slots_[slot].head != 0; ++moved) {
    Entry entry = take_first(slot);
    uint64_t tick =
        slot < far_slots ? epoch() | entry.tick : uint64_t{entry.tick} << 32 | place_[entry.index].tick;
    put(entry.index, tick);
  }
  return moved;
}

// --- chunks ---

uint32_t Wheel::take_chunk(uint32_t slot) {
  uint32_t chunk = free_chunk_;
  ensure(chunk != 0);
  free_chunk_ = chunks_[chunk].next;
  chunks_[chunk].next = 0;
  chunks_[chunk].previous = 0;
  chunks_[chunk].slot = slot;
  return chunk;
}

void Wheel::give_chunk(uint32_t chunk) {
  chunks_[chunk].next = free_chunk_;
  free_chunk_ = chunk;
}

void Wheel::mark(uint32_t slot, bool filled) {
  if (slot >= far_slots) return;  // of the far slots, head alone tells
  uint64_t& word = filled_[slot / slots_per_level][slot % slots_per_level / 64];
  uint64_t bit = uint64_t{1} << slot % 64;
  word = filled ? word | bit : word & ~bit;
}

}  // namespace millrace::timer
