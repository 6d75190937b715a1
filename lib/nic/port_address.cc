// SPDX-License-Identifier: BSD-3-Clause
// A port's Ethernet address, and how frames to it come in. IPv4 needs no more than that and broadcasts, which drivers let
// in unasked. (nic/port_setup.h)
#include <rte_ethdev.h>

#include <algorithm>
#include <cstring>

#include "nic/port_setup.h"

namespace millrace::nic {

// The NIC's address, but one of our own where the port has none (net_ring) or where the kernel's side has the
// same (net_tap). It is made from the IP address, so that it is the same at the next start and neighbours
// need not learn anew.
void choose_mac(Port& port, const Config& config, bool own) {
  if (!config.mac.is_unspecified()) {
    port.mac = config.mac;
    return;
  }
  rte_ether_addr address{};
  rte_eth_macaddr_get(port.id, &address);
  if (!own && !rte_is_zero_ether_addr(&address)) {
    std::copy_n(address.addr_bytes, 6, port.mac.bytes.begin());
    return;
  }
  uint32_t ip = config.address.value;
  port.mac = {{0x02, 0x6d, static_cast<uint8_t>(ip >> 24), static_cast<uint8_t>(ip >> 16),
               static_cast<uint8_t>(ip >> 8), static_cast<uint8_t>(ip)}};
}

// net_tap hands over whatever the kernel writes, and its promiscuous mode would be the kernel side's. An interface of the
// kernel's keeps its address, which is not ours to change: so of virtual devices the promiscuous mode alone is asked for, and
// those that have none do not filter.
void let_own_address_in(Port& port) {
  rte_ether_addr drivers{}, own{};
  rte_eth_macaddr_get(port.id, &drivers);
  std::copy_n(port.mac.bytes.begin(), 6, own.addr_bytes);
  if (port.kernel_behind || rte_is_same_ether_addr(&drivers, &own)) return;
  if (!port.is_virtual && rte_eth_dev_default_mac_addr_set(port.id, &own) == 0) return;
  port.promiscuous = rte_eth_promiscuous_enable(port.id) == 0;
  if (!port.promiscuous && !port.is_virtual)
    throw ConfigError(port.name + " lets in frames to its own address alone, " + to_string(MacAddress{port.mac}) +
                          " cannot be set: go without --mac",
                      "port.mac");
}

}  // namespace millrace::nic
