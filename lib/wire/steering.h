// SPDX-License-Identifier: BSD-3-Clause
// Which core a flow belongs to. One rule, known to every core and fixed for the run:
//
//   owner(flow) = table[Toeplitz(key, 4-tuple) & mask]
//
// It is what a NIC does with its RSS key and redirection table. Hardware is set up to agree, and checked; where there is
// none, or it does otherwise, the frame is handed over by this rule. Who received it decides nothing.
#pragma once

#include <cstdint>
#include <span>

#include "wire/frame.h"
#include "wire/toeplitz.h"

namespace millrace::wire {

class Steering {
 public:
  static constexpr uint32_t max_cores = 256;   // what a ConnectionId can tell apart
  static constexpr uint32_t max_table = 4096;
  static constexpr uint32_t everyone = UINT32_MAX;

  // `owners`: a power of two of core numbers, max_table at most.
  Steering(std::span<const uint8_t> key, std::span<const uint8_t> owners);

  uint32_t owner(const FlowKey& key) const { return at(hash_.of(key)); }
  uint32_t at(uint32_t hash) const { return owners_[hash & mask_]; }

  // Where a frame that has arrived on core `here` is to go: a core, or `everyone` for what all of them learn from (ARP).
  // A TCP segment goes to its flow's owner, an ICMP error to the owner of what it quotes, a fragment to the core of its
  // addresses, where all of its datagram come together. What is nobody's stays. Reads headers that nothing has checked
  // yet, and only within the frame: a frame that is sent astray by a broken header is dropped there as it would be here.
  uint32_t destination(const Frame& frame, uint32_t here) const;

  // For the choice of local ports (flow/local_ports): classes of hashes, and what decides between them.
  const Toeplitz& toeplitz() const { return hash_; }
  uint32_t mask() const { return mask_; }

 private:
  uint32_t of_icmp(std::span<const uint8_t> message, uint32_t here) const;

  Toeplitz hash_;
  uint32_t mask_;
  uint8_t owners_[max_table];
};

}  // namespace millrace::wire
