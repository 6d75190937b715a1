// SPDX-License-Identifier: BSD-3-Clause
// The steps from a device to a port that runs, for the Link that takes them. (nic/port.h)
#pragma once

#include "nic/port.h"

namespace millrace::nic {

// Queues that a configuration would have, if the device has so many.
uint32_t queues_wanted(const Config& config);

// What the pools of one core need beyond Config::packet_buffers, when `cores` of them may have its buffers underway.
uint32_t extra_buffers(uint32_t cores);

struct PoolNeeds {
  uint32_t rx_buffers;  // for a ring pair few, since what it receives lies in the peer's tx pool
  uint32_t extra;       // as extra_buffers() has it
  uint32_t lcores;      // that touch them
  bool own_memory;      // this and does_dma: PoolShape
  bool does_dma;
};
// Each core's CPU and pools.
void make_pools(Port& port, const Config& config, const PoolNeeds& needs);

// Port::mac; `own`: not the device's.
void choose_mac(Port& port, const Config& config, bool own);
// Has a started device take frames to that address, if it is not its own. Throws ConfigError where it cannot.
void let_own_address_in(Port& port);

// Offloads, queues, RSS, the start, and the banner. Throws ConfigError.
void start_port(Port& port, const Config& config, bool own_mac);

}  // namespace millrace::nic
