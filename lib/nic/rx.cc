// SPDX-License-Identifier: BSD-3-Clause
// The rx burst, and what must hold of each frame before the core sees it. (nic/rx.h)
#include "nic/rx.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>

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
  rte_mbuf* copy = mbuf->pkt_len <= buffer_room ? port_->rx_pool.take() : nullptr;
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

std::span<const wire::Frame> Rx::poll(uint32_t limit) {
  rte_mbuf* mbufs[limits::rx_burst];
  uint16_t got =
      rte_eth_rx_burst(port_->id, 0, mbufs, static_cast<uint16_t>(std::min(limit, limits::rx_burst)));
  for (uint16_t i = 0; i < got; ++i) rte_prefetch0(mbufs[i]);
  uint32_t count = 0;
  for (uint16_t i = 0; i < got; ++i) {
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
  return {frames_, count};
}

}  // namespace millrace::nic
