// SPDX-License-Identifier: BSD-3-Clause
// The second stage of a packet's way: rte_mbuf*[32] -> Frame[32]. With several cores frames that are another's leave here
// (nic/handover), and those that others had come in: each frame is this core's own when the stack sees it.
#pragma once

#include <cstdint>
#include <span>

#include "base/limits.h"
#include "nic/port.h"
#include "wire/frame.h"

namespace millrace::nic {

class Rx {
 public:
  void init(Port& port, uint32_t core = 0);

  // At most `limit` frames (and limits::rx_burst). They are the caller's, who gives them to release() once.
  std::span<const wire::Frame> poll(uint32_t limit);

  // Frames that came as a chain or in foreign memory and were copied into one buffer, and those that could
  // not be.
  uint64_t linearised() const { return linearised_; }
  uint64_t dropped() const { return dropped_; }
  // Frames dropped because they have another tag than ours, or none.
  uint64_t of_other_vlans() const { return of_other_vlans_; }

  // What has crossed in the last poll().
  struct Crossed {
    uint32_t handed_over = 0;
    uint32_t taken_over = 0;
    uint32_t dropped = 0;  // the other core does not keep up
  };
  const Crossed& crossed() const { return crossed_; }
  // Frames that the last poll() found, those that it dropped or gave away among them.
  uint32_t came() const { return came_; }
  // What it has is held up by a core that does not keep up.
  bool is_waiting() const { return waited_ != 0; }
  // Calls of poll() that look at all there is.
  uint32_t polls_for_all() const {
    return handover_ == nullptr ? 1 : (handover_->queues() + sources_per_poll - 1) / sources_per_poll;
  }

 private:
  static constexpr uint32_t sources_per_poll = 32;  // rings that one looks into
  using Crossing = Handover::Crossing;
  using Cores = uint64_t[wire::Steering::max_cores / 64];  // a bit for each

  rte_mbuf* linearise(rte_mbuf* mbuf);
  bool untag(rte_mbuf* mbuf);
  uint32_t convert(rte_mbuf* const* mbufs, uint32_t begin, uint32_t end, bool tagged);
  uint32_t take(rte_mbuf** mbufs, uint32_t limit);
  bool may_poll();
  uint32_t steer(uint32_t begin, uint32_t end);
  uint32_t destination(const wire::Frame& frame);
  void check_hash(const rte_mbuf* mbuf, uint32_t hash);
  uint32_t hand_over(uint32_t to, Handover::Handed frame, Cores& touched);
  void copy_to_others(const wire::Frame& frame, Cores& touched);
  void publish(const Cores& touched);

  Port* port_ = nullptr;
  uint32_t core_ = 0;
  uint32_t came_ = 0;
  uint64_t linearised_ = 0;
  uint64_t dropped_ = 0;
  uint64_t of_other_vlans_ = 0;
  wire::Frame frames_[limits::rx_burst];

  // Several cores.
  Handover* handover_ = nullptr;
  Crossed crossed_;
  uint32_t copies_ = 0;  // of the mbufs that take() brought: a bit for each
  uint32_t next_source_ = 0;
  uint32_t waited_ = 0;        // polls since a ring was full
  uint32_t hashes_checked_ = 0;
  Cores full_{};               // rings that have no room for a whole burst
};

}  // namespace millrace::nic
