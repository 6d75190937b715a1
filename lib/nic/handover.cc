// SPDX-License-Identifier: BSD-3-Clause
// The rings between cores. (nic/handover.h)
#include "nic/handover.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "base/limits.h"
#include "millrace/config.h"
#include "nic/machine.h"
#include "nic/mempool.h"

namespace millrace::nic {

uint32_t Handover::ring_size(uint32_t cores) {
  return std::max(2048u / std::bit_ceil(cores), 2 * limits::rx_burst);
}

void Handover::Unmap::operator()(Handed* slots) const {
  munmap(slots, bytes);
}

// Pages of their own, touched by the calling thread.
Handover::Slots Handover::map(size_t count) {
  size_t bytes = count * sizeof(Handed);
  void* mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (mapping == MAP_FAILED) throw ConfigError("no memory for the rings between cores: ask for fewer --cores");
  return Slots(static_cast<Handed*>(mapping), Unmap{bytes});
}

Handover::Handover(std::span<const uint32_t> cpus, uint32_t queues)
    : cores_(static_cast<uint32_t>(cpus.size())),
      queues_(queues),
      frames_(std::make_unique<Crossing[]>(size_t{queues} * cores_)),
      relays_(std::make_unique<Crossing[]>(cores_ - queues)) {
  Affinity before;
  uint32_t size = ring_size(cores_);
  for (uint32_t core = 0; core < cores_; ++core) {
    before.pin(cpus[core]);
    slots_.push_back(map(core < queues ? size_t{cores_} * size : relay_size));
    Handed* slot = slots_.back().get();
    if (core >= queues) relay(core).init(slot, relay_size);
    for (uint32_t to = 0; core < queues && to < cores_; ++to, slot += size) frames(core, to).init(slot, size);
  }
  before.restore();
}

uint32_t Handover::drain(Crossing& ring) {
  uint32_t count = 0;
  for (uint32_t left = ring.available(); left != 0; left = ring.available()) {
    for (; left > 0; --left, ++count) {
      release(PacketRef{reinterpret_cast<uint8_t*>(ring.front() & ~copy_bit)});
      ring.consume(1);
    }
    ring.give_back();
  }
  return count;
}

uint32_t Handover::drain() {
  uint32_t count = 0;
  for (uint32_t i = 0; i < queues_ * cores_; ++i) count += drain(frames_[i]);
  for (uint32_t i = 0; i < cores_ - queues_; ++i) count += drain(relays_[i]);
  return count;
}

}  // namespace millrace::nic
