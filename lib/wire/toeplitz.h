// SPDX-License-Identifier: BSD-3-Clause
// The Toeplitz hash that NICs spread flows with (RSS). It is linear: the hash of a tuple is the exclusive or of what each
// of its bytes contributes, so a table for each byte computes it, and a port's part of it is known beforehand.
#pragma once

#include <cstdint>
#include <span>

#include "wire/flow_key.h"

namespace millrace::wire {

class Toeplitz {
 public:
  static constexpr uint32_t ipv4_tuple = 12;              // bytes: source, destination, their ports
  static constexpr uint32_t least_key = ipv4_tuple + 4;   // bytes of a key that count for IPv4

  // At least least_key bytes; what is behind them belongs to longer tuples.
  explicit Toeplitz(std::span<const uint8_t> key);

  // Of a segment that arrives in this flow: its source is `remote`.
  uint32_t of(const FlowKey& key) const {
    return of_addresses(key.remote, key.local) ^ of_port(8, key.remote_port) ^ of_local_port(key.local_port);
  }
  // Of what has no ports: fragments.
  uint32_t of_addresses(Ipv4Address source, Ipv4Address destination) const {
    return of_word(0, source.value) ^ of_word(4, destination.value);
  }
  // What the local port contributes: of(key) is of(key with port 0) ^ of_local_port(port).
  uint32_t of_local_port(uint16_t port) const { return of_port(10, port); }
  uint32_t of_remote_port(uint16_t port) const { return of_port(8, port); }

 private:
  uint32_t of_port(uint32_t at, uint16_t port) const { return table_[at][port >> 8] ^ table_[at + 1][port & 255]; }
  uint32_t of_word(uint32_t at, uint32_t word) const {
    return table_[at][word >> 24] ^ table_[at + 1][word >> 16 & 255] ^ table_[at + 2][word >> 8 & 255] ^
           table_[at + 3][word & 255];
  }

  uint32_t table_[ipv4_tuple][256];
};

}  // namespace millrace::wire
