// SPDX-License-Identifier: BSD-3-Clause
// The memory of a Stack: mapped once, in huge pages where the kernel gives them (no root needed), touched by
// the thread that will use it, so that it lies on that CPU's NUMA node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "millrace/config.h"
#include "run/tree.h"

namespace millrace::run {

// What this machine can still give, or the container that this process is in. Nothing: it is not told.
struct MemoryLeft {
  uint64_t bytes;
  const char* where;  // "this machine"
};
std::optional<MemoryLeft> memory_left(const Tree& tree);

// Throws ConfigError if the endpoints of these configurations would need more: the kernel would end some process, perhaps
// another one, in the midst of the start.
void check_memory(std::span<const Config> configs, const Tree& tree = Tree(""));

class Memory {
 public:
  explicit Memory(size_t bytes);  // throws ConfigError
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();
  std::span<std::byte> bytes() const { return {begin_, size_}; }

 private:
  void* mapping_;
  size_t mapped_;
  std::byte* begin_;
  size_t size_;
};

}  // namespace millrace::run
