// SPDX-License-Identifier: BSD-3-Clause
// Local ports for connections that this endpoint opens. Each (local address, remote address, remote port) in
// use has a pool of its own: the free ports in a queue, the one free longest first, in an order that nobody
// can guess from outside (RFC6056-3.3). A port is had in O(1), with no probing, down to the last.
//
//   ring      [head, tail) are the free ports; used ones are in nobody's queue
//   shuffle   Fisher-Yates, one step a take(): [drawn, undrawn_end) are in no order yet. What comes back
//             is appended behind them, so a port is used again only after all others.
//
// A pool whose ports are all free may be taken over for another destination: its ring, a permutation of all
// ports by then, is where the new shuffle begins. So nothing here is ever longer than a few steps.
//
// With several cores a pool holds the ports that make the flow this core's own (wire/steering), so that its answers
// need not be handed over. As Toeplitz is linear, ports fall into classes once and for all: a class is what a port
// contributes to the hash, as far as the table looks. A destination's own part then says which classes are ours, and
// a pool that is taken over is filled with those: copies of whole classes, a few microseconds for each new destination.
#pragma once

#include <cstdint>
#include <span>

#include "base/pool.h"
#include "base/region.h"
#include "base/siphash.h"
#include "millrace/address.h"
#include "wire/steering.h"

namespace millrace::flow {

// RFC6056-3.2b: all that are not well-known, not only the dynamic ones.
inline constexpr uint16_t first_ephemeral_port = 1024;
inline constexpr uint16_t last_ephemeral_port = 65535;

class LocalPorts {
 public:
  // 128 KB a pool for the default range; `steering`, if there is one, shares that out among its cores.
  void init(Region& region, uint32_t max_pools, uint16_t first_port, uint16_t last_port, uint64_t seed,
            const wire::Steering* steering = nullptr, uint32_t core = 0);

  // The pool of this destination, a new one at its first use; no_index if all have ports in use. A pool
  // without ports in use is good only until the next pool_for().
  uint32_t pool_for(Ipv4Address local, Ipv4Address remote, uint16_t remote_port);

  bool take(uint32_t pool, uint16_t& port);      // false: none is free
  void put_back(uint32_t pool, uint16_t port);   // used until now: comes last
  void put_front(uint32_t pool, uint16_t port);  // taken, but not used: comes next

  uint32_t free_count(uint32_t pool) const { return pools_[pool].tail - pools_[pool].head; }
  uint32_t capacity(uint32_t pool) const { return pools_[pool].capacity; }

 private:
  struct Key {
    Ipv4Address local;
    Ipv4Address remote;
    uint64_t remote_port = 0;
    friend constexpr bool operator==(const Key&, const Key&) = default;
  };
  // Positions run freely and are masked on use.
  struct PortPool {
    Key key;
    uint64_t hash = 0;
    uint64_t serial = 0;  // of this use of the pool; 0: never used
    uint32_t head = 0;
    uint32_t tail = 0;
    uint32_t drawn = 0;
    uint32_t undrawn_end = 0;
    uint32_t other = 0;         // what the next step of the shuffle changes places with
    uint32_t capacity = 0;  // ports that are its, free and used
    uint32_t chain = no_index;  // of the same hash
    uint32_t idle_next = no_index;
    uint32_t idle_previous = no_index;
  };

  uint16_t& at(uint32_t pool, uint32_t position) {
    return ports_[(uint64_t{pool} << ring_bits_) + (position & ring_mask_)];
  }
  uint64_t hash_of(const Key& key) const;
  void draw(uint32_t pool);
  void take_over(uint32_t pool, const Key& key, uint64_t hash);
  void unchain(uint32_t pool);
  void put_idle(uint32_t pool);
  void take_idle(uint32_t pool);
  bool idle(uint32_t pool) const { return free_count(pool) == pools_[pool].capacity; }

  uint32_t class_of(uint32_t port) const {
    return steering_->toeplitz().of_local_port(static_cast<uint16_t>(port)) & steering_->mask();
  }
  uint32_t most_owned() const;
  void sort_classes();
  void fill(uint32_t pool);

  std::span<PortPool> pools_;
  std::span<uint32_t> chains_;  // by hash
  std::span<uint16_t> ports_;   // the rings, one behind the other
  // With several cores: all ports by class, and where each class begins.
  const wire::Steering* steering_ = nullptr;
  uint32_t core_ = 0;
  std::span<uint16_t> by_class_;
  std::span<uint32_t> class_begin_;
  SipKey secret_;
  uint64_t serial_ = 0;
  uint16_t first_port_ = 0;
  uint32_t range_ = 0;
  uint32_t ring_bits_ = 0;
  uint32_t ring_mask_ = 0;
  uint32_t idle_first_ = no_index;  // idle longest: taken over first
  uint32_t idle_last_ = no_index;
};

}  // namespace millrace::flow
