// SPDX-License-Identifier: BSD-3-Clause
// Frames that cross to the core that owns them. (nic/rx.h, nic/handover.h)
//
// Nothing here waits, and nothing that has crossed crosses again: it is looked at where it came in, once.
#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include <algorithm>
#include <bit>
#include <cstdio>

#include "nic/rx.h"
#include "wire/bytes.h"

namespace millrace::nic {

static constexpr uint32_t patience = 1000;        // polls that a full ring holds a queue up
static constexpr uint32_t hashes_to_check = 64;   // a queue's first

static rte_mbuf* mbuf_of(const wire::Frame& frame) {
  return reinterpret_cast<rte_mbuf*>(frame.packet.handle);
}

static void set(uint64_t* cores, uint32_t core) {
  cores[core / 64] |= uint64_t{1} << core % 64;
}

template <typename Do>
static void for_each(const uint64_t* cores, Do&& what) {
  for (uint32_t word = 0; word < wire::Steering::max_cores / 64; ++word)
    for (uint64_t bits = cores[word]; bits != 0; bits &= bits - 1)
      what(64 * word + static_cast<uint32_t>(std::countr_zero(bits)));
}

static uint64_t crossed_to(const uint64_t* cores) {
  uint64_t any = 0;
  for (uint32_t word = 0; word < wire::Steering::max_cores / 64; ++word) any |= cores[word];
  return any;
}

// From each ring in turn, so that none is forgotten.
uint32_t Rx::take(rte_mbuf** mbufs, uint32_t limit) {
  uint32_t count = 0, sources = handover_->queues();
  for (uint32_t looks = std::min(sources, sources_per_poll); looks > 0 && count < limit; --looks) {
    uint32_t from = next_source_;
    next_source_ = from + 1 == sources ? 0 : from + 1;
    if (from == core_) continue;
    Crossing& ring = handover_->frames(from, core_);
    uint32_t burst = std::min(ring.available(), limit - count);
    if (burst == 0) continue;
    for (uint32_t i = 0; i < burst; ++i, ++count) {
      Handover::Handed frame = ring.front(i);
      mbufs[count] = reinterpret_cast<rte_mbuf*>(frame & ~Handover::copy_bit);
      copies_ |= static_cast<uint32_t>(frame & Handover::copy_bit) << count;
      rte_prefetch0(mbufs[count]);
    }
    ring.consume(burst);
    ring.give_back();
  }
  crossed_.taken_over = count - static_cast<uint32_t>(std::popcount(copies_));
  return count;
}

// A core that does not keep up holds up the queues that bring its frames, for a moment: most often it only has not had
// its CPU. After that its frames are dropped, and nobody else's.
bool Rx::may_poll() {
  bool any = false;
  for_each(full_, [&](uint32_t to) {
    Crossing& ring = handover_->frames(core_, to);
    ring.refresh_head();
    if (ring.room() >= limits::rx_burst)
      full_[to / 64] &= ~(uint64_t{1} << to % 64);
    else
      any = true;
  });
  waited_ = any ? waited_ + 1 : 0;
  return !any || waited_ > patience;
}

// The hash that the NIC has computed, if it proved right: then the addresses need not be looked at.
uint32_t Rx::destination(const wire::Frame& frame) {
  const rte_mbuf* mbuf = mbuf_of(frame);
  constexpr uint32_t ethernet = 14, least = ethernet + 20 + 4;
  constexpr uint32_t ipv4_without_options = 0x0800'45;
  const uint8_t* data = frame.data;
  bool plain = (mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0 && port_->steering_mode == SteeringMode::hardware &&
               frame.length >= least && (wire::load_be32(data + 11) & 0xffffff) == ipv4_without_options &&
               (wire::load_be16(data + 20) & 0x3fff) == 0 && data[23] == 6;
  if (!plain || port_->rss_doubted.load(std::memory_order_relaxed)) return port_->steering->destination(frame, core_);
  if (hashes_checked_ >= hashes_to_check) [[likely]]
    return port_->steering->at(mbuf->hash.rss);
  check_hash(mbuf, port_->steering->toeplitz().of({{wire::load_be32(data + 30)},
                                                    {wire::load_be32(data + 26)},
                                                    wire::load_be16(data + 36),
                                                    wire::load_be16(data + 34),
                                                    4}));
  return port_->steering->destination(frame, core_);
}

void Rx::check_hash(const rte_mbuf* mbuf, uint32_t hash) {
  ++hashes_checked_;
  if (mbuf->hash.rss == hash || port_->rss_doubted.exchange(true)) return;
  std::fprintf(stderr, "millrace: %s: RSS does not hash as it says (%08x, not %08x): steering in software\n",
               port_->name.c_str(), mbuf->hash.rss, hash);
}

// Frames [begin, end) have come by this core's queue. What is its own moves up; returns the end of that.
uint32_t Rx::steer(uint32_t begin, uint32_t end) {
  Cores touched{};
  uint32_t kept = begin;
  for (uint32_t i = begin; i < end; ++i) {
    uint32_t to = destination(frames_[i]);
    if (to == wire::Steering::everyone) {
      copy_to_others(frames_[i], touched);
      to = core_;
    }
    if (to == core_) {
      if (kept != i) frames_[kept] = frames_[i];
      ++kept;
    } else {
      crossed_.handed_over += hand_over(to, reinterpret_cast<Handover::Handed>(mbuf_of(frames_[i])), touched);
    }
  }
  publish(touched);
  return kept;
}

// Returns how many went: 1, or 0.
uint32_t Rx::hand_over(uint32_t to, Handover::Handed frame, Cores& touched) {
  Crossing& ring = handover_->frames(core_, to);
  if (ring.room() == 0) [[unlikely]] {
    release(PacketRef{reinterpret_cast<uint8_t*>(frame & ~Handover::copy_bit)});
    ++crossed_.dropped;
    return 0;
  }
  ring.next() = frame;
  ring.advance(1);
  set(touched, to);
  return 1;
}

// A copy for each: what is learned from is released by each core for itself.
void Rx::copy_to_others(const wire::Frame& frame, Cores& touched) {
  for (uint32_t to = 0; to < handover_->cores(); ++to) {
    if (to == core_) continue;
    rte_mbuf* copy = port_->cores[core_].rx_pool.take(frame.length);
    if (copy == nullptr) {
      ++crossed_.dropped;
      continue;
    }
    rte_memcpy(rte_pktmbuf_mtod(copy, uint8_t*), frame.data, frame.length);
    hand_over(to, reinterpret_cast<Handover::Handed>(copy) | Handover::copy_bit, touched);
  }
}

void Rx::publish(const Cores& touched) {
  for_each(touched, [&](uint32_t to) {
    Crossing& ring = handover_->frames(core_, to);
    ring.publish();
    if (ring.room() >= limits::rx_burst) return;
    ring.refresh_head();
    if (ring.room() < limits::rx_burst) set(full_, to);
  });
  if (port_->idle != Idle::sleep || crossed_to(touched) == 0) return;
  Wakeup::fence();
  for_each(touched, [&](uint32_t to) { port_->cores[to].wakeup->wake_after_fence(); });
}

}  // namespace millrace::nic
