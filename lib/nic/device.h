// SPDX-License-Identifier: BSD-3-Clause
// A device's name -> an ethdev port: created if it is virtual, probed if it is a PCI device.
#pragma once

#include <cstdint>
#include <string>

struct rte_ring;

namespace millrace::nic {

// What can be known of a device before EAL starts: permission, existence, names. Throws ConfigError.
void check_device(const std::string& device);

// Both throw ConfigError, with what mends it.
uint16_t create_device(const std::string& device);
uint16_t create_ring_device(const std::string& name, rte_ring* rx, rte_ring* tx);

// Stops, closes and removes; buffers that the driver holds go back to their pools.
void remove_device(uint16_t id);

// While one lives, drivers keep their complaints to themselves; what counts is said in one sentence.
class QuietLog {
 public:
  QuietLog();
  ~QuietLog();
  QuietLog(const QuietLog&) = delete;

 private:
  uint32_t level_;
};

// "net_tap" of "net_tap0,iface=mr0".
std::string driver_prefix(const std::string& device);

}  // namespace millrace::nic
