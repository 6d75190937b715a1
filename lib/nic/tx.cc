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
#include "wire/vlan.h"

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

rte_mbuf* Tx::take_empty() {
  rte_mbuf* mbuf = stock_[--stock_count_];
  // Buffers of a ring pair come back in the order they left; the next ones are likely cold.
  if (stock_count_ >= 2) rte_prefetch0(stock_[stock_count_ - 2]);
  // What a clean buffer (nic/mempool) does not promise is set here.
  mbuf->data_off = buffer_headroom;
  mbuf->ol_flags = 0;
  return mbuf;
}

// One frame. Of the stock `owed` buffers are for the frames behind it.
rte_mbuf* Tx::build(const wire::TxSegment& tx, std::span<const Slice> slices, std::span<const wire::SackBlock> sacks,
                    uint32_t owed) {
  rte_mbuf* mbuf = take_empty();
  const Offloads& offloads = port_->offloads;
  bool is_tcp = tx.kind == wire::TxSegment::tcp;
  wire::ChecksumOffload checksums = is_tcp ? offloads.checksums : wire::ChecksumOffload{};
  auto* begin = rte_pktmbuf_mtod(mbuf, uint8_t*);
  uint32_t tag = port_->vlan != 0 && !offloads.insert_vlan ? wire::vlan_tag : 0;
  uint32_t header = tag + wire::build_header(tx, slices, sacks, port_->mac, checksums, begin + tag);
  if (tag != 0) [[unlikely]]
    wire::put_vlan_tag(begin, tx.destination, port_->mac, port_->vlan);
  if ((tx.segment_size | (offloads.attach ? 1 : 0)) != 0) [[unlikely]] {
    put_text(mbuf, header, slices, std::min(stock_count_ - owed, offloads.most_buffers - 1));
  } else {
    uint8_t* at = begin + header;
    debug_ensure(header + tx.text_len <= pool_->room());
    for (const Slice& slice : slices) {
      rte_memcpy(at, slice.data(), slice.length);
      at += slice.length;
    }
    uint32_t length = static_cast<uint32_t>(at - begin);
    mbuf->data_len = static_cast<uint16_t>(length);
    mbuf->pkt_len = length;
  }
  if (checksums.ip || checksums.l4) ask_hardware(mbuf, tx, checksums, header, tag);
  if (offloads.insert_vlan) [[unlikely]] {
    mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
    mbuf->vlan_tci = port_->vlan;
  }
  return mbuf;
}

// Flags of a TCP frame whose checksums, or more, the hardware is to do.
void Tx::ask_hardware(rte_mbuf* mbuf, const wire::TxSegment& tx, wire::ChecksumOffload checksums, uint32_t header,
                      uint32_t tag) {
  mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | (checksums.ip ? RTE_MBUF_F_TX_IP_CKSUM : 0) |
                    (checksums.l4 ? RTE_MBUF_F_TX_TCP_CKSUM : 0);
  mbuf->tx_offload = 0;
  mbuf->l2_len = ethernet_header + tag;
  mbuf->l3_len = ipv4_header;
  mbuf->l4_len = header - tag - ethernet_header - ipv4_header;
  if (tx.segment_size == 0) return;
  mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
  mbuf->tso_segsz = tx.segment_size;
}

// Text behind the header, in as many buffers as it takes, `spare` at most beside the first. A long slice is sent from where
// it lies, if a buffer can be spared to stand for it and the rest could still be copied.
void Tx::put_text(rte_mbuf* head, uint32_t header, std::span<const Slice> slices, uint32_t spare) {
  const uint32_t room = pool_->room();
  head->data_len = static_cast<uint16_t>(header);
  uint32_t rest = 0, total = header;
  for (const Slice& slice : slices) rest += slice.length;
  rte_mbuf* tail = head;
  uint32_t left = room - header;  // in the tail
  auto add = [&](rte_mbuf* mbuf) {
    debug_ensure(spare > 0);
    tail->next = mbuf;
    tail = mbuf;
    ++head->nb_segs;
    --spare;
  };
  for (const Slice& slice : slices) {
    bool in_place = port_->offloads.attach && slice.length > port_->copy_limit && slice.origin != Slice::registered &&
                    spare > (rest - slice.length + room - 1) / room;
    rest -= slice.length;
    total += slice.length;
    if (in_place) {
      add(take_empty());
      auto* text = reinterpret_cast<rte_mbuf*>(slice.packet.handle);
      rte_pktmbuf_attach(tail, text);
      tail->data_off = static_cast<uint16_t>(slice.data() - static_cast<const uint8_t*>(text->buf_addr));
      tail->data_len = slice.length;
      left = 0;
      continue;
    }
    for (uint32_t at = 0; at < slice.length;) {
      if (left == 0) {
        add(take_empty());
        tail->data_len = 0;
        left = room;
      }
      uint32_t part = std::min<uint32_t>(left, slice.length - at);
      rte_memcpy(rte_pktmbuf_mtod_offset(tail, uint8_t*, tail->data_len), slice.data() + at, part);
      tail->data_len = static_cast<uint16_t>(tail->data_len + part);
      at += part;
      left -= part;
    }
  }
  head->pkt_len = total;
}

// The driver's own check of frames that carry offload flags, asked once per frame. Returns the new end.
uint32_t Tx::check(uint32_t begin, uint32_t end) {
  while (begin < end) {
    begin += rte_eth_tx_prepare(port_->id, queue_, backlog_ + begin, static_cast<uint16_t>(end - begin));
    if (begin == end) break;
    refused_.store(refused() + 1, std::memory_order_relaxed);
    rte_pktmbuf_free(backlog_[begin]);
    std::copy(backlog_ + begin + 1, backlog_ + end, backlog_ + begin);
    --end;
  }
  return end;
}

// What the core has counted for a segment: a buffer for each that is on the wire. Copied text needs no more.
static uint32_t buffers_of(const wire::TxSegment& tx) {
  return tx.segment_size == 0 ? 1 : (tx.text_len + tx.segment_size - 1u) / tx.segment_size;
}

static uint32_t buffers_of(std::span<const wire::TxSegment> segments) {
  uint32_t count = 0;
  for (const wire::TxSegment& tx : segments) count += buffers_of(tx);
  return count;
}

void Tx::send(std::span<const wire::TxSegment> segments, std::span<const Slice> slices,
              std::span<const wire::SackBlock> sacks) {
  if (segments.empty()) return;
  uint32_t owed = static_cast<uint32_t>(segments.size());
  if (port_->offloads.cuts()) [[unlikely]]
    owed = buffers_of(segments);
  ensure(owed <= sure());
  if (tail_ + segments.size() > tx_backlog) {
    std::copy(backlog_ + head_, backlog_ + tail_, backlog_);
    tail_ -= head_;
    head_ = 0;
  }
  uint32_t first = tail_;
  for (const wire::TxSegment& tx : segments) {
    owed -= buffers_of(tx);
    backlog_[tail_++] = build(tx, slices.subspan(tx.first_slice, tx.slice_count),
                              sacks.subspan(tx.first_sack, tx.sack_count), owed);
  }
  if (port_->offloads.checksums.ip || port_->offloads.checksums.l4 || port_->offloads.insert_vlan)
    tail_ = check(first, tail_);
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
  port_->cores[queue_].wakeup->wake();
  return count;
}

bool Tx::is_idle() const {
  if (tail_ != head_) return false;
  for (Handover::Crossing* ring : forwarded_)
    if (ring->available() != 0) return false;
  return true;
}

// What the driver does not take stays in its ring.
void Tx::forward() {
  forwarded_count_ = 0;
  for (Handover::Crossing* ring : forwarded_) {
    rte_mbuf* burst[driver_burst];
    auto count = static_cast<uint16_t>(std::min<uint32_t>(ring->available(), driver_burst));
    if (count == 0) continue;
    for (uint16_t i = 0; i < count; ++i) burst[i] = reinterpret_cast<rte_mbuf*>(ring->front(i));
    uint16_t sent = rte_eth_tx_burst(port_->id, queue_, burst, count);
    forwarded_count_ += sent;
    ring->consume(sent);
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
