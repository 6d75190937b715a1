// SPDX-License-Identifier: BSD-3-Clause
// The second stage of a packet's way: rte_mbuf*[32] -> Frame[32].
#pragma once

#include <cstdint>
#include <span>

#include "base/limits.h"
#include "nic/port.h"
#include "wire/frame.h"

namespace millrace::nic {

class Rx {
 public:
  void init(Port& port) { port_ = &port; }

  // At most `limit` frames (and limits::rx_burst). They are the caller's, who gives them to release() once.
  std::span<const wire::Frame> poll(uint32_t limit);

  // Frames that came as a chain or in foreign memory and were copied into one buffer, and those that could
  // not be.
  uint64_t linearised() const { return linearised_; }
  uint64_t dropped() const { return dropped_; }

 private:
  rte_mbuf* linearise(rte_mbuf* mbuf);

  Port* port_ = nullptr;
  uint64_t linearised_ = 0;
  uint64_t dropped_ = 0;
  wire::Frame frames_[limits::rx_burst];
};

}  // namespace millrace::nic
