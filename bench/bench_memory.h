// SPDX-License-Identifier: BSD-3-Clause
// Memory as `run` gives it to a Stack: huge pages where the kernel has them to spare.
#pragma once

#include <sys/mman.h>

#include "base/region.h"

namespace millrace::bench {

class Memory {
 public:
  // Calls init(Region&) twice: to measure, and on the memory.
  template <typename Init>
  explicit Memory(Init init) {
    Region measure;
    init(measure);
    constexpr size_t huge = 2 << 20;
    mapped_ = measure.used() + 2 * huge;
    base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ensure(base_ != MAP_FAILED);
    madvise(base_, mapped_, MADV_HUGEPAGE);
    auto aligned = (reinterpret_cast<uintptr_t>(base_) + huge - 1) & ~(huge - 1);
    Region region(reinterpret_cast<std::byte*>(aligned), measure.used());
    init(region);
  }
  ~Memory() { munmap(base_, mapped_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

 private:
  void* base_;
  size_t mapped_;
};

}  // namespace millrace::bench
