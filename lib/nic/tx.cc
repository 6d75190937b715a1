// SPDX-License-Identifier: BSD-3-Clause
// Building frames in fresh buffers and getting them into the driver. (nic/tx.h)
#include "nic/tx.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_mempool.h>

#include <algorithm>
#include <cstring>

#include "base/ensure.h"

namespace millrace::nic {

static constexpr uint32_t ethernet_header = 14;
static constexpr uint32_t ipv4_header = 20;
static constexpr uint16_t driver_burst = 64;

void Tx::init(Port& port, uint32_t core) {
  port_ = &port;
  core_ = core;
  pool_ = &port.cores[core].tx_pool;
  queue_ = port.queue_of(core);
  if (port.handover == nullptr) return;
  if (!port.has_queue(core)) {
    relay_ = &port.handover->relay(core);
    return;
  }
  for (auto other = static_cast<uint32_t>(port.queues); other < port.cores.size(); ++other)
    if (port.queue_of(other) == queue_) forwarded_.push_back(&port.handover->relay(other));
}

void Tx::prepare_turn() {
  if (!forwarded_.empty()) [[unlikely]]
    forward();
  if (tail_ != head_) flush();
  if (stock_count_ >= tx_stock / 2) return;
  // All or nothing is mempool's way: near the end of the pool a smaller wish is still met.
  for (uint32_t wish = tx_stock - stock_count_; wish > 0; wish /= 2)
    if (rte_mempool_get_bulk(pool_->get(), reinterpret_cast<void**>(stock_ + stock_count_), wish) == 0) {
      stock_count_ += wish;
      return;
    }
}

// Payload is copied here, up to one MTU: 80 cycles warm, against 70 to attach and free. Larger segments (TSO)
// would be attached; the core emits none yet.
void Tx::build(rte_mbuf* mbuf, const wire::TxSegment& tx, std::span<const Slice> slices,
               std::span<const wire::SackBlock> sacks) {
  // What a clean buffer (nic/mempool) does not promise is set here.
  mbuf->data_off = buffer_headroom;
  mbuf->ol_flags = 0;
  bool is_tcp = tx.kind == wire::TxSegment::tcp;
  wire::ChecksumOffload offload = is_tcp ? port_->tx_offload : wire::ChecksumOffload{};
  auto* begin = rte_pktmbuf_mtod(mbuf, uint8_t*);
  uint32_t header = wire::build_header(tx, slices, sacks, port_->mac, offload, begin);
  uint8_t* at = begin + header;
  debug_ensure(header + tx.text_len <= buffer_room);
  for (const Slice& slice : slices) {
    rte_memcpy(at, slice.data(), slice.length);
    at += slice.length;
  }
  uint32_t length = static_cast<uint32_t>(at - begin);
  mbuf->data_len = static_cast<uint16_t>(length);
  mbuf->pkt_len = length;
  if (offload.ip || offload.l4) {
    mbuf->ol_flags = RTE_MBUF_F_TX_IPV4 | (offload.ip ? RTE_MBUF_F_TX_IP_CKSUM : 0) |
                     (offload.l4 ? RTE_MBUF_F_TX_TCP_CKSUM : 0);
    mbuf->tx_offload = 0;
    mbuf->l2_len = ethernet_header;
    mbuf->l3_len = ipv4_header;
    mbuf->l4_len = header - ethernet_header - ipv4_header;
  }
}

// The driver's own check of frames that carry offload flags, asked once per frame. Returns the new end.
uint32_t Tx::check(uint32_t begin, uint32_t end) {
  while (begin < end) {
    begin += rte_eth_tx_prepare(port_->id, queue_, backlog_ + begin, static_cast<uint16_t>(end - begin));
    if (begin == end) break;
    ++refused_;
    rte_pktmbuf_free(backlog_[begin]);
    std::copy(backlog_ + begin + 1, backlog_ + end, backlog_ + begin);
    --end;
  }
  return end;
}

void Tx::send(std::span<const wire::TxSegment> segments, std::span<const Slice> slices,
              std::span<const wire::SackBlock> sacks) {
  if (segments.empty()) return;
  ensure(segments.size() <= sure());
  if (tail_ + segments.size() > tx_backlog) {
    std::copy(backlog_ + head_, backlog_ + tail_, backlog_);
    tail_ -= head_;
    head_ = 0;
  }
  uint32_t first = tail_;
  for (const wire::TxSegment& tx : segments) {
    rte_mbuf* mbuf = stock_[--stock_count_];
    // Buffers of a ring pair come back in the order they left; the next ones are likely cold.
    if (stock_count_ >= 2) rte_prefetch0(stock_[stock_count_ - 2]);
    build(mbuf, tx, slices.subspan(tx.first_slice, tx.slice_count),
          sacks.subspan(tx.first_sack, tx.sack_count));
    backlog_[tail_++] = mbuf;
  }
  if (port_->tx_offload.ip || port_->tx_offload.l4) tail_ = check(first, tail_);
  // Here and not where the driver takes them: what it leaves is offered again.
  if (port_->capture != nullptr) [[unlikely]]
    port_->capture->copy(core_, backlog_ + first, tail_ - first, Capture::Direction::out);
  flush();
}

// To the driver, or to the core that has one. Returns how many were taken.
uint16_t Tx::offer(rte_mbuf** mbufs, uint16_t count) {
  if (relay_ == nullptr) [[likely]]
    return rte_eth_tx_burst(port_->id, queue_, mbufs, count);
  if (relay_->room() < count) relay_->refresh_head();
  count = static_cast<uint16_t>(std::min<uint32_t>(count, relay_->room()));
  for (uint16_t i = 0; i < count; ++i) {
    relay_->next() = reinterpret_cast<Handover::Handed>(mbufs[i]);
    relay_->advance(1);
  }
  relay_->publish();
  return count;
}

// What the driver does not take stays in its ring.
void Tx::forward() {
  for (Handover::Crossing* ring : forwarded_) {
    rte_mbuf* burst[driver_burst];
    auto count = static_cast<uint16_t>(std::min<uint32_t>(ring->available(), driver_burst));
    if (count == 0) continue;
    for (uint16_t i = 0; i < count; ++i) burst[i] = reinterpret_cast<rte_mbuf*>(ring->front(i));
    ring->consume(rte_eth_tx_burst(port_->id, queue_, burst, count));
    ring->give_back();
  }
}

// Never loops on a driver that takes nothing: with both ends of a ring pair on one lcore it would wait for
// itself.
bool Tx::flush() {
  while (head_ < tail_) {
    uint16_t offered = static_cast<uint16_t>(std::min<uint32_t>(tail_ - head_, driver_burst));
    uint16_t taken = offer(backlog_ + head_, offered);
    head_ += taken;
    if (taken < offered) return false;
  }
  head_ = tail_ = 0;
  return true;
}

uint32_t Tx::drop_all() {
  uint32_t unsent = tail_ - head_;
  for (; head_ < tail_; ++head_) rte_pktmbuf_free(backlog_[head_]);
  head_ = tail_ = 0;
  if (stock_count_ != 0)
    rte_mempool_put_bulk(pool_->get(), reinterpret_cast<void* const*>(stock_), stock_count_);
  stock_count_ = 0;
  return unsent;
}

}  // namespace millrace::nic
