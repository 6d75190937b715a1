// SPDX-License-Identifier: BSD-3-Clause
// Mapping a Stack's memory. (run/memory.h)
#include "run/memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <string>

#include "millrace/config.h"

namespace millrace::run {

static constexpr size_t huge_page = size_t{2} << 20;

Memory::Memory(size_t bytes) : mapped_((bytes + 2 * huge_page - 1) & ~(huge_page - 1)), size_(bytes) {
  mapping_ =
      mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED)
    throw ConfigError("no memory for the connections (" + std::to_string(bytes >> 20) +
                      " MB): set fewer with --max-connections");
  uintptr_t aligned = (reinterpret_cast<uintptr_t>(mapping_) + huge_page - 1) & ~(huge_page - 1);
  begin_ = reinterpret_cast<std::byte*>(aligned);
  madvise(begin_, size_, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  // Page faults now and not in the first turns. An older kernel does without.
  if (madvise(begin_, size_, MADV_POPULATE_WRITE) == 0) return;
#endif
  for (size_t at = 0; at < size_; at += 4096) begin_[at] = std::byte{0};
}

Memory::~Memory() {
  munmap(mapping_, mapped_);
}

}  // namespace millrace::run
