// SPDX-License-Identifier: BSD-3-Clause
// The rings between cores. (nic/handover.h)
#include "nic/handover.h"

#include <algorithm>
#include <bit>

#include "base/limits.h"
#include "nic/mempool.h"

namespace millrace::nic {

uint32_t Handover::ring_size(uint32_t cores) {
  return std::max(2048u / std::bit_ceil(cores), 2 * limits::rx_burst);
}

Handover::Handover(uint32_t cores, uint32_t queues)
    : cores_(cores),
      queues_(queues),
      slots_(size_t{queues} * cores * ring_size(cores) + size_t{cores - queues} * relay_size),
      frames_(std::make_unique<Crossing[]>(size_t{queues} * cores)),
      relays_(std::make_unique<Crossing[]>(cores - queues)) {
  Handed* slot = slots_.data();
  for (uint32_t i = 0; i < queues * cores; ++i, slot += ring_size(cores)) frames_[i].init(slot, ring_size(cores));
  for (uint32_t i = 0; i < cores - queues; ++i, slot += relay_size) relays_[i].init(slot, relay_size);
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
