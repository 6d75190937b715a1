// SPDX-License-Identifier: BSD-3-Clause
// Who listens: (local address or any, port) -> index. Directly indexed by port, as a flood of SYNs asks here
// first; listeners that share a port stand in a short chain, the one for any address last.
#pragma once

#include <cstdint>
#include <span>

#include "base/pool.h"
#include "base/region.h"
#include "millrace/address.h"
#include "millrace/event.h"

namespace millrace::flow {

class Listeners {
 public:
  static constexpr uint32_t max_capacity = 0xffff;

  void init(Region& region, uint32_t capacity);

  struct Added {
    uint32_t index = no_index;
    Event::Reason refused = Event::no_reason;  // in_use or no_memory
  };
  // 0.0.0.0 is any address. A second listener for the same address and port is refused (RFC 9293 3.9.1: OPEN
  // of what is open already); any and a specific address are not the same.
  Added add(Ipv4Address local, uint16_t port);
  void remove(uint32_t index);

  // The listener of this very address, else the one of any address, else no_index.
  uint32_t find(Ipv4Address local, uint16_t port) const {
    uint32_t index = heads_[port] - 1u;  // 0 stands for none
    while (index != no_index) {
      const Listener& listener = listeners_[index];
      if (listener.local == local || listener.local.is_unspecified()) return index;
      index = listener.next - 1u;
    }
    return no_index;
  }
  bool has_port(uint16_t port) const { return size() != 0 && heads_[port] != 0; }
  uint32_t size() const { return listeners_.used(); }

 private:
  struct Listener {
    Ipv4Address local;
    uint16_t port = 0;
    uint16_t next = 0;  // index + 1
  };

  Pool<Listener> listeners_;
  std::span<uint16_t> heads_;  // by port: index + 1
};

}  // namespace millrace::flow
