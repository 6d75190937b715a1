// SPDX-License-Identifier: BSD-3-Clause
// Mapping a Stack's memory, when there is enough. (run/memory.h)
#include "run/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "nic/device.h"
#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/port_setup.h"
#include "run/settings.h"
#include "stack/stack.h"

namespace millrace::run {

static constexpr size_t huge_page = size_t{2} << 20;

// Of a container: what its limit leaves. A limit of nobody's is "max", or near 2^63.
static std::optional<uint64_t> container_left(const Tree& tree) {
  for (auto [limit, used] : {std::pair{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
                             std::pair{"/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                       "/sys/fs/cgroup/memory/memory.usage_in_bytes"}}) {
    int64_t most = tree.number(limit).value_or(0);
    if (most > 0 && most < INT64_MAX / 2)
      return static_cast<uint64_t>(std::max<int64_t>(0, most - tree.number(used).value_or(0)));
  }
  return {};
}

std::optional<MemoryLeft> memory_left(const Tree& tree) {
  std::optional<MemoryLeft> left;
  for (const std::string& line : tree.lines("/proc/meminfo"))
    if (line.rfind("MemAvailable:", 0) == 0)
      left = MemoryLeft{std::strtoull(line.c_str() + 13, nullptr, 10) * 1024, "this machine"};
  if (auto container = container_left(tree); left && container && *container < left->bytes)
    left = MemoryLeft{*container, "this container"};
  return left;
}

void check_memory(std::span<const Config> configs, const Tree& tree) {
  auto left = memory_left(tree);
  if (!left) return;
  uint64_t packets = nic::eal_base_bytes, stacks = 0, in_pages = 0;
  for (const Config& one : configs) {
    uint64_t own = nic::packet_bytes(one, nic::extra_buffers(one.cores));
    packets += own;
    if (!nic::pci_address(one.device).empty()) in_pages += own;
    stacks += one.cores * stack::memory_size(stack_config(one, nic::Port{}));
  }
  packets = nic::free_huge_bytes() >= packets ? 0 : packets + in_pages;  // of a NIC's one in each page (nic/eal.cc)
  if (packets + stacks <= left->bytes) return;
  auto megabytes = [](uint64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20); };
  throw ConfigError("needs " + megabytes(packets + stacks) + " MB of memory (" + megabytes(stacks) + " for connections, " +
                        megabytes(packets) + " for packets), " + left->where + " has " + megabytes(left->bytes) +
                        " left: fewer --max-connections, --time-wait-records or --packet-buffers, or --cores",
                    stacks > packets ? "pools.connections" : "pools.packet_buffers");
}

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
