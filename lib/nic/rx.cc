// SPDX-License-Identifier: BSD-3-Clause
// The rx burst, and what must hold of each frame before the core sees it. (nic/rx.h)
#include "nic/rx.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <bit>

#include "wire/vlan.h"

namespace millrace::nic {

using wire::Verdict;

// The core's law: a frame is one piece and lies at most 64 KB behind its handle.
static bool in_one_piece(const rte_mbuf* mbuf) {
  uintptr_t begin = reinterpret_cast<uintptr_t>(mbuf->buf_addr) + mbuf->data_off;
  uintptr_t behind = begin + mbuf->data_len - reinterpret_cast<uintptr_t>(mbuf);
  return mbuf->nb_segs == 1 && behind <= UINT16_MAX;
}

static Verdict verdict(uint64_t flags, uint64_t good, uint64_t bad) {
  switch ((flags & good ? 1 : 0) | (flags & bad ? 2 : 0)) {
    case 1: return Verdict::good;
    case 2: return Verdict::bad;
    case 3: return Verdict::intact;  // NONE: not computed, but never left the machine
    default: return Verdict::unknown;
  }
}

static_assert(RTE_MBUF_F_RX_IP_CKSUM_NONE == (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_BAD));
static_assert(RTE_MBUF_F_RX_L4_CKSUM_NONE == (RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD));

// The path of chains and external buffers. Null: dropped.
rte_mbuf* Rx::linearise(rte_mbuf* mbuf) {
  constexpr uint64_t kept = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_VLAN_STRIPPED;
  rte_mbuf* copy = port_->cores[core_].rx_pool.take(mbuf->pkt_len);
  if (copy != nullptr) {
    copy->ol_flags = mbuf->ol_flags & kept;
    copy->vlan_tci = mbuf->vlan_tci;
    auto* to = rte_pktmbuf_mtod(copy, uint8_t*);
    const void* from = rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, to);
    if (from != to) std::copy_n(static_cast<const uint8_t*>(from), mbuf->pkt_len, to);
    ++linearised_;
  } else {
    ++dropped_;
  }
  rte_pktmbuf_free(mbuf);
  return copy;
}

// Is it of our VLAN? Without its tag then.
bool Rx::untag(rte_mbuf* mbuf) {
  if (!port_->offloads.strip_vlan || (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == 0) {
    if (!wire::take_vlan_tag(rte_pktmbuf_mtod(mbuf, uint8_t*), mbuf->data_len, mbuf->vlan_tci)) return false;
    mbuf->data_off += wire::vlan_tag;
    mbuf->data_len -= wire::vlan_tag;
    mbuf->pkt_len -= wire::vlan_tag;
  }
  return (mbuf->vlan_tci & wire::vlan_id_mask) == port_->vlan;
}

void Rx::init(Port& port, uint32_t core) {
  port_ = &port;
  core_ = core;
  handover_ = port.handover.get();
}

std::span<const wire::Frame> Rx::poll(uint32_t limit) {
  rte_mbuf* mbufs[limits::rx_burst];
  limit = std::min(limit, limits::rx_burst);
  if (handover_ == nullptr) [[likely]] {
    uint16_t got = rte_eth_rx_burst(port_->id, 0, mbufs, static_cast<uint16_t>(limit));
    came_ = got;
    for (uint16_t i = 0; i < got; ++i) rte_prefetch0(mbufs[i]);
    if (port_->capture != nullptr) [[unlikely]]
      port_->capture->copy(core_, mbufs, got, Capture::Direction::in);
    return {frames_, convert(mbufs, 0, got, port_->vlan != 0)};
  }
  crossed_ = {};
  bool polls = port_->has_queue(core_) && may_poll();
  uint32_t taken = take(mbufs, polls ? (limit + 1) / 2 : limit);
  uint32_t got = taken;
  if (polls)
    got += rte_eth_rx_burst(port_->id, static_cast<uint16_t>(core_), mbufs + taken,
                            static_cast<uint16_t>(limit - taken));
  came_ = got;
  for (uint32_t i = taken; i < got; ++i) rte_prefetch0(mbufs[i]);
  if (port_->capture != nullptr) [[unlikely]]
    port_->capture->copy(core_, mbufs + taken, got - taken, Capture::Direction::in);
  convert(mbufs, 0, taken, false);  // all of them: they are in one piece
  for (; copies_ != 0; copies_ &= copies_ - 1) frames_[std::countr_zero(copies_)].copy = true;
  return {frames_, steer(taken, convert(mbufs, taken, got, port_->vlan != 0))};
}

// Mbufs [begin, end) -> frames from `begin` on. Returns the end of those. `tagged`: with a VLAN's tag, if they are ours.
uint32_t Rx::convert(rte_mbuf* const* mbufs, uint32_t begin, uint32_t end, bool tagged) {
  uint32_t count = begin;
  for (uint32_t i = begin; i < end; ++i) {
    rte_mbuf* mbuf = mbufs[i];
    if (!in_one_piece(mbuf)) [[unlikely]] {
      mbuf = linearise(mbuf);
      if (mbuf == nullptr) continue;
    }
    if (tagged && !untag(mbuf)) [[unlikely]] {
      ++of_other_vlans_;
      rte_pktmbuf_free(mbuf);
      continue;
    }
    auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    rte_prefetch0(data);
    // What was not asked of the hardware is not believed: a ring passes on whatever the sender left there.
    uint64_t flags = mbuf->ol_flags & port_->offloads.believed_rx_flags;
    frames_[count++] = {PacketRef{reinterpret_cast<uint8_t*>(mbuf)}, data, mbuf->data_len,
                        verdict(flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD, RTE_MBUF_F_RX_IP_CKSUM_BAD),
                        verdict(flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD)};
  }
  return count;
}

}  // namespace millrace::nic
