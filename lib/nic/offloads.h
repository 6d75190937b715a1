// SPDX-License-Identifier: BSD-3-Clause
// What a device does for us: what the configuration wants, as far as the driver offers it. All else is done here, and the
// bytes on the wire are the same. (nic/port.h)
#pragma once

#include <cstdint>
#include <string>

#include "millrace/config.h"
#include "wire/build.h"

struct rte_eth_dev_info;

namespace millrace::nic {

struct Offloads {
  uint64_t rx = 0, tx = 0;         // RTE_ETH_RX_OFFLOAD_..., RTE_ETH_TX_...: asked of the port and its queues
  wire::ChecksumOffload checksums; // of what is sent
  uint64_t believed_rx_flags = 0;  // of an mbuf, about checksums: those asked of the hardware
  uint32_t most_buffers = UINT16_MAX;  // of a frame that hardware cuts
  uint32_t segment_burst = 1;      // segments that may leave as one, cut by the hardware (TSO); 1: it does not
  bool insert_vlan = false;
  bool strip_vlan = false;
  bool filter_vlan = false;        // the device is to be told of our VLAN, or its frames do not come
  bool attach = false;             // a frame may have several buffers, and long text is sent from where it lies
  bool fast_free = false;          // each frame is one buffer of one pool, with one reference

  bool cuts() const { return segment_burst > 1; }
};

// What of a device counts here beside what its driver says.
struct DeviceTraits {
  bool kernel_behind = false;       // net_tap's checksums are software, too, and write ffff where RFC 9293 has 0
  bool keeps_buffers = false;       // net_ring: the peer gets our very buffers
  bool queue_for_each_core = true;  // else a queue sends buffers of several pools
};

// Slices up to so many bytes are copied. Half an MTU at least: then no segment on the wire is gathered from more than 8 buffers,
// which is what some hardware takes.
uint32_t copy_limit_of(const Config& config);

Offloads choose_offloads(const Config& config, const rte_eth_dev_info& info, const DeviceTraits& traits);

// The banner's lines.
std::string describe(const Offloads& offloads, const Config& config);

}  // namespace millrace::nic
