// SPDX-License-Identifier: BSD-3-Clause
// A device's own counters. (nic/port_reading.h)
#include "nic/port_reading.h"

#include <rte_ethdev.h>

namespace millrace::nic {

PortReading read(const Port& port) {
  PortReading out;
  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(port.id, &info) == 0) out.driver = info.driver_name;
  out.link_up = port.watch == nullptr || port.watch->up();
  // Of a virtual device the speed is a word only.
  rte_eth_link link{};
  if (!port.is_virtual && rte_eth_link_get_nowait(port.id, &link) == 0 && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
    out.link_mbps = link.link_speed;
  rte_eth_stats stats{};
  if (rte_eth_stats_get(port.id, &stats) == 0) {
    out.rx_packets = stats.ipackets;
    out.tx_packets = stats.opackets;
    out.rx_bytes = stats.ibytes;
    out.tx_bytes = stats.obytes;
    out.rx_missed = stats.imissed;
    out.rx_no_buffer = stats.rx_nombuf;
    out.rx_errors = stats.ierrors;
    out.tx_errors = stats.oerrors;
  }
  for (const CorePort& core : port.cores) {
    out.rx_buffers += core.rx_pool.buffers();
    out.tx_buffers += core.tx_pool.buffers();
    out.app_buffers += core.app_pool.buffers();
    out.rx_used += core.rx_pool.missing();
    out.tx_used += core.tx_pool.missing();
    out.app_used += core.app_pool.missing();
  }
  return out;
}

}  // namespace millrace::nic
