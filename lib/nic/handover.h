// SPDX-License-Identifier: BSD-3-Clause
// How frames cross between the cores of one port: single-producer, single-consumer rings of mbufs, written and read in
// bursts. A flow's frames come on one queue, so they cross by one ring and stay in order.
//
//   core that polls a queue --frames(from, to)--> core that owns the flow
//   core without a queue    --relay(core)------>  core whose queue it sends by
//
// Queue q is polled, and written, by core q alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "millrace/ring.h"

struct rte_mbuf;

namespace millrace::nic {

class Handover {
 public:
  // An mbuf's address. The lowest bit marks a copy of what is for every core: learned from, not answered.
  using Handed = uintptr_t;
  using Crossing = Ring<Handed>;
  static constexpr Handed copy_bit = 1;
  static constexpr uint32_t relay_size = 512;

  // The cores' CPUs: each ring lies on the node of the core that writes to it.
  Handover(std::span<const uint32_t> cpus, uint32_t queues);

  // Frames that one ring holds: of all that leave one core, about two thousand, and never less than two bursts.
  static uint32_t ring_size(uint32_t cores);
  // All that may be underway from one polling core: its pool must have so many more.
  static uint32_t underway(uint32_t cores) { return cores * ring_size(cores); }

  uint32_t cores() const { return cores_; }
  uint32_t queues() const { return queues_; }
  Crossing& frames(uint32_t from, uint32_t to) { return frames_[from * cores_ + to]; }
  Crossing& relay(uint32_t core) { return relays_[core - queues_]; }

  // The end, when no core runs any more: what is still underway goes back to its pools. Returns how many there were.
  uint32_t drain();

 private:
  struct Unmap {
    size_t bytes;
    void operator()(Handed* slots) const;
  };
  using Slots = std::unique_ptr<Handed[], Unmap>;
  static Slots map(size_t count);
  static uint32_t drain(Crossing& ring);

  const uint32_t cores_;
  const uint32_t queues_;
  std::vector<Slots> slots_;  // by the core that writes them
  std::unique_ptr<Crossing[]> frames_;
  std::unique_ptr<Crossing[]> relays_;
};

}  // namespace millrace::nic
