// SPDX-License-Identifier: BSD-3-Clause
// Objects addressed by index, from memory taken at start. Free ones form a stack, so that the one given back
// last, whose lines are warm, is taken first.
#pragma once

#include <cstdint>
#include <span>

#include "base/ensure.h"
#include "base/region.h"

namespace millrace {

inline constexpr uint32_t no_index = 0xffffffff;

template <typename T>
class Pool {
 public:
  void init(Region& region, uint32_t capacity) {
    objects_ = region.take<T>(capacity);
    free_ = region.take<uint32_t>(capacity);
    if (region.measuring()) return;
    for (uint32_t i = 0; i < capacity; ++i) free_[i] = capacity - 1 - i;
    free_count_ = capacity;
  }
  uint32_t capacity() const { return static_cast<uint32_t>(objects_.size()); }
  uint32_t free_count() const { return free_count_; }
  uint32_t used() const { return capacity() - free_count_; }

  // An index, or no_index when all are taken. The object is as its last user left it.
  uint32_t take() { return free_count_ == 0 ? no_index : free_[--free_count_]; }
  void give(uint32_t index) {
    debug_ensure(free_count_ < capacity());
    free_[free_count_++] = index;
  }
  T& operator[](uint32_t index) { return objects_[index]; }
  const T& operator[](uint32_t index) const { return objects_[index]; }

 private:
  std::span<T> objects_;
  std::span<uint32_t> free_;
  uint32_t free_count_ = 0;
};

}  // namespace millrace
