// SPDX-License-Identifier: BSD-3-Clause
// A device's name -> an ethdev port: created if it is virtual, probed if it is a PCI device.
#pragma once

#include <cstdint>
#include <string>

struct rte_ring;

namespace millrace::nic {

// Both throw ConfigError, with what mends it.
uint16_t create_device(const std::string& device);
uint16_t create_ring_device(const std::string& name, rte_ring* rx, rte_ring* tx);

// Stops, closes and removes; buffers that the driver holds go back to their pools.
void remove_device(uint16_t id);

// "net_tap" of "net_tap0,iface=mr0".
std::string driver_prefix(const std::string& device);

}  // namespace millrace::nic
