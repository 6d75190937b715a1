// SPDX-License-Identifier: BSD-3-Clause
// Pools of packet buffers: where every mbuf comes from and where release() puts it back, at both ends of a
// packet's way. Multi-producer, multi-consumer with a cache per lcore, because a ring pair, a hand-over or an
// application's thread frees buffers elsewhere.
//
// Invariant: a buffer in a pool is clean: one reference, one segment, not attached. So taking one needs no
// reset (raw get: 2 cycles instead of 11), and putting one back needs only the check that it is clean still.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "millrace/packet.h"

struct rte_mbuf;
struct rte_mempool;

namespace millrace::nic {

inline constexpr uint32_t buffer_headroom = 128;  // before a packet's bytes

// Bytes of a packet that one buffer holds, so that one frame is one buffer: Ethernet, two VLAN tags and a checksum lie around
// the IP packet, and virtio's head before it. In whole KB, for hardware that measures buffers so.
constexpr uint32_t room_for(uint32_t mtu) {
  uint32_t frame = mtu + 14 + 2 * 4 + 4 + 12;
  return frame <= 2048 ? 2048 : (frame + 1023) / 1024 * 1024;
}
// Memory that it takes, its heads included.
constexpr size_t buffer_bytes(uint32_t room) { return room + 384; }

// Buffers that one lcore may have in its cache of one pool. A cache grows to one and a half times of it.
constexpr uint32_t cache_size(uint32_t buffers) {
  uint32_t size = buffers / 32;
  return size > 512 ? 512 : size;
}
// Of several cores each may have a cache of any core's pool: the more, the smaller.
constexpr uint32_t shared_cache_size(uint32_t cores) {
  uint32_t size = 1024 / cores;
  return size > 128 ? 128 : size < 16 ? 16 : size;
}

struct PoolShape {
  uint32_t buffers;
  uint32_t room;         // bytes of each: room_for()
  uint32_t cache;        // buffers of one lcore
  int numa_node;
  bool own_memory;       // this process's anonymous memory, advised to be huge pages, instead of EAL's; not for devices
                         // that share memory or do DMA
  bool does_dma;         // a NIC reads and writes them, by addresses of its own
  bool shares_cpu;       // lcores take turns on a CPU: one that is stopped within the pool's ring must not stop the others
};

class PacketPool {
 public:
  PacketPool() = default;
  // Throws ConfigError when memory is short, saying how much.
  PacketPool(const char* purpose, const PoolShape& shape);
  PacketPool(PacketPool&& other) noexcept { *this = static_cast<PacketPool&&>(other); }
  PacketPool& operator=(PacketPool&& other) noexcept;
  ~PacketPool();

  rte_mempool* get() const { return pool_; }
  const char* purpose() const { return purpose_; }
  uint32_t buffers() const { return buffers_; }
  uint32_t room() const { return room_; }
  // Buffers that are in nobody's hands and yet not in the pool or one of its caches.
  uint32_t missing() const;
  // The NUMA node that its first page lies on; -1: not said.
  int node() const;
  // One buffer, ready to be filled, or null.
  rte_mbuf* take();
  // ... with `length` bytes, which are to be written, and no flags.
  rte_mbuf* take(uint32_t length);

 private:
  rte_mempool* pool_ = nullptr;
  const char* purpose_ = "";
  uint32_t buffers_ = 0;
  uint32_t room_ = 0;
};

// An empty buffer as a slice over all its room; an empty slice when none is free.
Slice take_slice(PacketPool& pool);
// All or nothing.
bool take_slices(PacketPool& pool, std::span<Slice> out);

// Puts packets back to the pools they came from. Any thread.
void release(std::span<const PacketRef> packets);
inline void release(PacketRef packet) { release({&packet, 1}); }

}  // namespace millrace::nic
