// SPDX-License-Identifier: BSD-3-Clause
// Which ports the cores of an endpoint listen on: how many listeners each port has, on all of them. A core asks when it
// is about to refuse a SYN, so that a listener which stands on the wrong core is told of and not searched for. Any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace::flow {

class ListenBoard {
 public:
  void add(uint16_t port) { listeners_[port].fetch_add(1, std::memory_order_relaxed); }
  void remove(uint16_t port) { listeners_[port].fetch_sub(1, std::memory_order_relaxed); }
  // relaxed: a count to look at, orders nothing.
  uint32_t listeners(uint16_t port) const { return listeners_[port].load(std::memory_order_relaxed); }

 private:
  std::atomic<uint16_t> listeners_[0x10000]{};
};

}  // namespace millrace::flow
