// SPDX-License-Identifier: BSD-3-Clause
// What a device tells of itself, read beside a packet's way by a control thread.
#pragma once

#include <cstdint>
#include <string>

#include "nic/port.h"

namespace millrace::nic {

struct PortReading {
  std::string driver;
  bool link_up = false;
  uint32_t link_mbps = 0;  // 0: not known
  // As the driver counts: a virtual one may leave some at 0.
  uint64_t rx_packets = 0, tx_packets = 0, rx_bytes = 0, tx_bytes = 0;
  uint64_t rx_missed = 0;  // no place in the queue: the core was too slow
  uint64_t rx_no_buffer = 0;
  uint64_t rx_errors = 0, tx_errors = 0;
  // Of all cores: buffers, and those that are not in their pool now. Numbers of a moment: the core goes on meanwhile.
  uint64_t rx_buffers = 0, tx_buffers = 0, app_buffers = 0;
  uint64_t rx_used = 0, tx_used = 0, app_used = 0;
};

PortReading read(const Port& port);

}  // namespace millrace::nic
