// SPDX-License-Identifier: BSD-3-Clause
// The tenth stage of a packet's way: TxSegment[] -> mbufs -> rte_eth_tx_burst.
//
//   pool --refill--> stock --send--> backlog --flush--> driver
//
// A core that has no queue of its own sends by another's: its frames cross by a ring, which that core empties each turn.
//
// DPDK does not tell beforehand how much a driver will take. So there is a stock of empty buffers and a
// bounded backlog of frames, and room() is what surely fits both: nothing that the core emits is ever dropped
// for shortage.
//
// Text is copied behind its header: 80 cycles for one MTU that is warm, against 70 to attach and free. Slices beyond
// Config::copy_limit (jumbo frames) are attached instead, where the device reads them from where they lie.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/limits.h"
#include "nic/port.h"
#include "wire/build.h"
#include "wire/tx_segment.h"

namespace millrace::nic {

inline constexpr uint32_t tx_stock = 256;
inline constexpr uint32_t tx_backlog = 512;
static_assert(tx_stock >= 2 * limits::segments_per_turn && tx_backlog >= tx_stock);

class Tx {
 public:
  void init(Port& port, uint32_t core = 0);

  // Once per turn, before anything is received: the driver's leftovers first, then the stock.
  void prepare_turn();
  // Frames that can be sent now, whatever the driver takes: the bound of what may be received, since each
  // received frame may need an answer.
  uint32_t sure() const { return stock_count_ < backlog_room() ? stock_count_ : backlog_room(); }
  // What is left for the ready list after the answers.
  uint32_t room() const { return sure() > limits::answer_reserve ? sure() - limits::answer_reserve : 0; }

  // Builds and hands over. At most sure() segments, as they will be on the wire.
  void send(std::span<const wire::TxSegment> segments, std::span<const Slice> slices,
            std::span<const wire::SackBlock> sacks);
  // Offers the backlog to the driver. True when nothing is left of it.
  bool flush();
  // Nothing waits: for the driver, or for this core's queue.
  bool is_idle() const;
  // Frames of cores without a queue that this turn has sent for them.
  uint32_t forwarded() const { return forwarded_count_; }
  // The end: stock and backlog go back to their pool. Returns the number of frames that were never sent.
  uint32_t drop_all();
  // Frames that the driver's check refused (rte_eth_tx_prepare): a fault of ours or of the driver.
  // Any thread.
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  uint32_t backlog_room() const { return tx_backlog - (tail_ - head_); }
  rte_mbuf* take_empty();
  rte_mbuf* build(const wire::TxSegment& tx, std::span<const Slice> slices, std::span<const wire::SackBlock> sacks,
                  uint32_t owed);
  static void ask_hardware(rte_mbuf* mbuf, const wire::TxSegment& tx, wire::ChecksumOffload checksums, uint32_t header,
                           uint32_t tag);
  void put_text(rte_mbuf* head, uint32_t header, std::span<const Slice> slices, uint32_t spare);
  uint32_t check(uint32_t begin, uint32_t end);
  uint16_t offer(rte_mbuf** mbufs, uint16_t count);
  void forward();

  Port* port_ = nullptr;
  PacketPool* pool_ = nullptr;
  uint32_t core_ = 0;
  uint16_t queue_ = 0;
  Handover::Crossing* relay_ = nullptr;           // towards the core whose queue it is
  std::vector<Handover::Crossing*> forwarded_;    // from cores that send by this one's queue
  uint32_t forwarded_count_ = 0;
  uint32_t stock_count_ = 0;
  uint32_t head_ = 0;  // backlog_[head_, tail_) waits for the driver
  uint32_t tail_ = 0;
  std::atomic<uint64_t> refused_{0};
  rte_mbuf* stock_[tx_stock];
  rte_mbuf* backlog_[tx_backlog];
};

}  // namespace millrace::nic
