// SPDX-License-Identifier: BSD-3-Clause
// Memory enters a Stack once: one region, carved from front to back while it is built, never given back in parts.
// The same code run on a null region measures: that is how the size of a configuration is known beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "base/ensure.h"

namespace millrace {

class Region {
 public:
  constexpr Region() = default;  // measures only
  constexpr Region(std::byte* memory, size_t size) : memory_(memory), size_(size) {}

  constexpr bool measuring() const { return memory_ == nullptr; }
  constexpr size_t used() const { return used_; }

  // `count` value-initialised objects on a cache line boundary; an empty span when measuring.
  template <typename T>
  constexpr std::span<T> take(size_t count) {
    used_ = (used_ + 63) & ~size_t{63};
    size_t at = used_;
    used_ += count * sizeof(T);
    if (measuring()) return {};
    ensure(used_ <= size_);
    T* first = reinterpret_cast<T*>(memory_ + at);
    for (size_t i = 0; i < count; ++i) new (first + i) T();
    return {first, count};
  }

 private:
  std::byte* memory_ = nullptr;
  size_t size_ = 0;
  size_t used_ = 0;
};

}  // namespace millrace
