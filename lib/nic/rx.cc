// SPDX-License-Identifier: BSD-3-Clause
// The rx burst, and what must hold of each frame before the core sees it. (nic/rx.h)
#include "nic/rx.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <bit>

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
  rte_mbuf* copy = mbuf->pkt_len <= buffer_room ? port_->cores[core_].rx_pool.take() : nullptr;
  if (copy != nullptr) {
    copy->data_off = buffer_headroom;
    copy->data_len = static_cast<uint16_t>(mbuf->pkt_len);
    copy->pkt_len = mbuf->pkt_len;
    copy->ol_flags = mbuf->ol_flags & (RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
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
    for (uint16_t i = 0; i < got; ++i) rte_prefetch0(mbufs[i]);
    if (port_->capture != nullptr) [[unlikely]]
      port_->capture->copy(core_, mbufs, got, Capture::Direction::in);
    return {frames_, convert(mbufs, 0, got)};
  }
  crossed_ = {};
  bool polls = port_->has_queue(core_) && may_poll();
  uint32_t taken = take(mbufs, polls ? (limit + 1) / 2 : limit);
  uint32_t got = taken;
  if (polls)
    got += rte_eth_rx_burst(port_->id, static_cast<uint16_t>(core_), mbufs + taken,
                            static_cast<uint16_t>(limit - taken));
  for (uint32_t i = taken; i < got; ++i) rte_prefetch0(mbufs[i]);
  if (port_->capture != nullptr) [[unlikely]]
    port_->capture->copy(core_, mbufs + taken, got - taken, Capture::Direction::in);
  convert(mbufs, 0, taken);  // all of them: they are in one piece
  for (; copies_ != 0; copies_ &= copies_ - 1) frames_[std::countr_zero(copies_)].copy = true;
  return {frames_, steer(taken, convert(mbufs, taken, got))};
}

// Mbufs [begin, end) -> frames from `begin` on. Returns the end of those.
uint32_t Rx::convert(rte_mbuf* const* mbufs, uint32_t begin, uint32_t end) {
  uint32_t count = begin;
  for (uint32_t i = begin; i < end; ++i) {
    rte_mbuf* mbuf = mbufs[i];
    if (!in_one_piece(mbuf)) [[unlikely]] {
      mbuf = linearise(mbuf);
      if (mbuf == nullptr) continue;
    }
    auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    rte_prefetch0(data);
    // What was not asked of the hardware is not believed: a ring passes on whatever the sender left there.
    uint64_t flags = mbuf->ol_flags & port_->believed_rx_flags;
    frames_[count++] = {PacketRef{reinterpret_cast<uint8_t*>(mbuf)}, data, mbuf->data_len,
                        verdict(flags, RTE_MBUF_F_RX_IP_CKSUM_GOOD, RTE_MBUF_F_RX_IP_CKSUM_BAD),
                        verdict(flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD)};
  }
  return count;
}

}  // namespace millrace::nic
