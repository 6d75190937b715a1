// SPDX-License-Identifier: BSD-3-Clause
// A device's name -> an ethdev port: created if it is virtual, probed if it is a PCI device.
#pragma once

#include <cstdint>
#include <span>
#include <string>

struct rte_ring;

namespace millrace::nic {

// What can be known of a device before EAL starts: permission, existence, names. Throws ConfigError.
void check_device(const std::string& device);

// Both throw ConfigError, with what mends it.
uint16_t create_device(const std::string& device);
uint16_t create_ring_device(const std::string& name, std::span<rte_ring* const> rx, std::span<rte_ring* const> tx);

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

// Queues that a driver says it has and must not be given: net_tap writes two descriptors for each to an array of
// RTE_MP_MAX_FD_NUM on its stack.
uint32_t most_queues(const std::string& driver);

// "net_tap" of "net_tap0,iface=mr0".
std::string driver_prefix(const std::string& device);
// "mr0" of it; empty: none is named.
std::string interface_of(const std::string& device);

// By driver: a kernel is at the other end; buffers are touched by this process's CPU alone, whatever memory they lie in;
// other ports are behind it, which may be NICs.
bool is_tap(const std::string& driver);
bool copies_by_cpu(const std::string& driver);
bool drives_others(const std::string& driver);

}  // namespace millrace::nic
