// SPDX-License-Identifier: BSD-3-Clause
// Pools of local ports: found by destination, drawn from, given back to.
#include "flow/local_ports.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace millrace::flow {

void LocalPorts::init(Region& region, uint32_t max_pools, uint16_t first_port, uint16_t last_port,
                      uint64_t seed, const wire::Steering* steering, uint32_t core) {
  ensure(0 < first_port && first_port <= last_port);
  ensure(0 < max_pools && max_pools <= 1u << 24);
  first_port_ = first_port;
  range_ = last_port - first_port + 1u;
  steering_ = steering;
  core_ = core;
  uint32_t longest = steering != nullptr ? std::max(most_owned(), 1u) : range_;
  ring_bits_ = static_cast<uint32_t>(std::bit_width(longest - 1));
  ring_mask_ = (1u << ring_bits_) - 1;
  pools_ = region.take<PortPool>(max_pools);
  chains_ = region.take<uint32_t>(std::bit_ceil(max_pools));
  ports_ = region.take<uint16_t>(uint64_t{max_pools} << ring_bits_);
  if (steering != nullptr) {
    by_class_ = region.take<uint16_t>(range_);
    class_begin_ = region.take<uint32_t>(steering->mask() + 2u);
  }
  Random random(seed);
  secret_ = {random.next(), random.next()};
  if (region.measuring()) return;
  for (uint32_t& chain : chains_) chain = no_index;
  if (steering != nullptr) sort_classes();
  for (uint32_t pool = 0; pool < max_pools; ++pool) {
    if (steering == nullptr) {
      for (uint32_t i = 0; i < range_; ++i) at(pool, i) = static_cast<uint16_t>(first_port + i);
      pools_[pool].tail = pools_[pool].capacity = range_;
    }
    put_idle(pool);
  }
}

// The ports of one destination are those of the classes `c` with owner(c ^ base) == core; of all bases, the most.
uint32_t LocalPorts::most_owned() const {
  uint32_t size[wire::Steering::max_table] = {};
  for (uint32_t i = 0; i < range_; ++i) ++size[class_of(first_port_ + i)];
  uint32_t most = 0;
  for (uint32_t base = 0; base <= steering_->mask(); ++base) {
    uint32_t owned = 0;
    for (uint32_t c = 0; c <= steering_->mask(); ++c)
      if (steering_->at(c ^ base) == core_) owned += size[c];
    most = std::max(most, owned);
  }
  return most;
}

// By counting: first how many are in each class, then where each begins.
void LocalPorts::sort_classes() {
  for (uint32_t i = 0; i < range_; ++i) ++class_begin_[class_of(first_port_ + i) + 1];
  for (uint32_t c = 1; c < class_begin_.size(); ++c) class_begin_[c] += class_begin_[c - 1];
  uint32_t filled[wire::Steering::max_table] = {};
  for (uint32_t i = 0; i < range_; ++i) {
    uint32_t c = class_of(first_port_ + i);
    by_class_[class_begin_[c] + filled[c]++] = static_cast<uint16_t>(first_port_ + i);
  }
}

void LocalPorts::fill(uint32_t pool) {
  PortPool& p = pools_[pool];
  wire::FlowKey flow{p.key.local, p.key.remote, 0, static_cast<uint16_t>(p.key.remote_port), 4};
  uint32_t base = steering_->toeplitz().of(flow);
  p.head = p.tail = 0;
  for (uint32_t c = 0; c <= steering_->mask(); ++c) {
    if (steering_->at(c ^ base) != core_) continue;
    auto ports = by_class_.subspan(class_begin_[c], class_begin_[c + 1] - class_begin_[c]);
    std::copy(ports.begin(), ports.end(), &at(pool, 0) + p.tail);
    p.tail += static_cast<uint32_t>(ports.size());
  }
  p.capacity = p.tail;
}

uint32_t LocalPorts::pool_for(Ipv4Address local, Ipv4Address remote, uint16_t remote_port) {
  Key key{local, remote, remote_port};
  uint64_t hash = hash_of(key);
  uint32_t pool = chains_[hash & (chains_.size() - 1)];
  while (pool != no_index && pools_[pool].key != key) pool = pools_[pool].chain;
  if (pool != no_index) return pool;
  pool = idle_first_;
  if (pool != no_index) take_over(pool, key, hash);
  return pool;
}

bool LocalPorts::take(uint32_t pool, uint16_t& port) {
  PortPool& p = pools_[pool];
  if (p.head == p.tail) return false;
  if (idle(pool)) take_idle(pool);
  if (p.drawn != p.undrawn_end) {
    std::swap(at(pool, p.drawn), at(pool, p.other));
    ++p.drawn;
    draw(pool);
  }
  port = at(pool, p.head++);
  return true;
}

void LocalPorts::put_back(uint32_t pool, uint16_t port) {
  debug_ensure(!idle(pool));
  at(pool, pools_[pool].tail++) = port;
  if (idle(pool)) put_idle(pool);
}

void LocalPorts::put_front(uint32_t pool, uint16_t port) {
  debug_ensure(!idle(pool));
  at(pool, --pools_[pool].head) = port;
  if (idle(pool)) put_idle(pool);
}

uint64_t LocalPorts::hash_of(const Key& key) const {
  return siphash13<2>(secret_, {uint64_t{key.local.value} << 32 | key.remote.value, key.remote_port});
}

// Which of the ports not drawn yet comes next. Keyed, so that who sees some of a pool's ports, or all of
// another's, knows nothing about the rest; with a serial number, so that a destination's second pool has
// another order. A step ahead, for the rings of many pools are more than caches hold.
void LocalPorts::draw(uint32_t pool) {
  PortPool& p = pools_[pool];
  uint64_t bits = siphash13<3>(secret_, {p.hash, p.serial, p.drawn});
  p.other = p.drawn + static_cast<uint32_t>((bits >> 32) * (p.undrawn_end - p.drawn) >> 32);
  __builtin_prefetch(&at(pool, p.other), 1);
}

void LocalPorts::take_over(uint32_t pool, const Key& key, uint64_t hash) {
  PortPool& p = pools_[pool];
  if (p.serial != 0) unchain(pool);
  p.key = key;
  p.hash = hash;
  p.serial = ++serial_;
  if (steering_ != nullptr) fill(pool);
  p.drawn = p.head;
  p.undrawn_end = p.tail;
  draw(pool);
  uint32_t& chain = chains_[hash & (chains_.size() - 1)];
  p.chain = chain;
  chain = pool;
  take_idle(pool);
  put_idle(pool);  // as the last to be taken over
}

void LocalPorts::unchain(uint32_t pool) {
  uint32_t* link = &chains_[pools_[pool].hash & (chains_.size() - 1)];
  while (*link != pool) link = &pools_[*link].chain;
  *link = pools_[pool].chain;
}

void LocalPorts::put_idle(uint32_t pool) {
  PortPool& p = pools_[pool];
  p.idle_previous = idle_last_;
  p.idle_next = no_index;
  (idle_last_ == no_index ? idle_first_ : pools_[idle_last_].idle_next) = pool;
  idle_last_ = pool;
}

void LocalPorts::take_idle(uint32_t pool) {
  PortPool& p = pools_[pool];
  (p.idle_previous == no_index ? idle_first_ : pools_[p.idle_previous].idle_next) = p.idle_next;
  (p.idle_next == no_index ? idle_last_ : pools_[p.idle_next].idle_previous) = p.idle_previous;
}

}  // namespace millrace::flow
