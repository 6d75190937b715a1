// SPDX-License-Identifier: BSD-3-Clause
// The memory of a Stack: mapped once, in huge pages where the kernel gives them (no root needed), touched by
// the thread that will use it, so that it lies on that CPU's NUMA node.
#pragma once

#include <cstddef>
#include <span>

namespace millrace::run {

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
