// SPDX-License-Identifier: BSD-3-Clause
// A device's name -> an ethdev port: created if it is virtual, probed if it is a PCI device.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

struct rte_ring;

namespace millrace {
struct Config;
}

namespace millrace::nic {

// What can be known of a device before EAL starts (nic/device_check.cc): permissions, files, interfaces, sockets, the driver
// that a PCI device is bound to. Throws ConfigError, with what mends it.
void check_device(const Config& config);

// What keeps a PCI device from being a port: it is not there, or not bound to a driver that gives it to user space. Empty:
// nothing that can be seen. `root` is for tests.
std::string pci_obstacle(const std::string& pci, const std::string& root = "");

// Both throw ConfigError, with what mends it.
uint16_t create_device(const std::string& device);
uint16_t create_ring_device(const std::string& name, std::span<rte_ring* const> rx, std::span<rte_ring* const> tx);

// Stops, closes and removes; buffers that the driver holds go back to their pools.
void remove_device(uint16_t id);

// Queues that a driver says it has and must not be given: net_tap writes two descriptors for each to an array of
// RTE_MP_MAX_FD_NUM on its stack.
uint32_t most_queues(const std::string& driver);

// The argument by which a virtual device gets more queues ("qpairs"); empty: it has none.
std::string queues_argument(const std::string& driver);

// Receive buffers of a queue that a driver takes for itself, and may have when it is closed: it gives them not back.
uint32_t buffers_kept(const std::string& driver);

// Has it rx interrupts that come, and come in time?
bool rx_interrupts_in_time(const std::string& driver);

// "net_tap" of "net_tap0,iface=mr0".
std::string driver_prefix(const std::string& device);
// "mr0" of it for "iface"; nothing where it is not given.
std::optional<std::string> device_argument(const std::string& device, const std::string& name);
// The kernel's interface that a device is, or lies on: net_tap, net_tun, net_af_packet, net_af_xdp. Empty for others.
std::string interface_of(const std::string& device);

// By driver: a kernel is at the other end of each packet.
bool is_tap(const std::string& driver);
// Or it is an interface of the kernel's, from below.
bool is_on_interface(const std::string& driver);
// Its buffers are touched by this process's CPU alone, whatever memory they lie in.
bool copies_by_cpu(const std::string& device);
// Other ports are behind it, which may be NICs.
bool drives_others(const std::string& driver);

}  // namespace millrace::nic
