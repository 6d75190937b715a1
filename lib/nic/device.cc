// SPDX-License-Identifier: BSD-3-Clause
// Making ethdev ports appear, and saying why they do not. (nic/device.h)
#include "nic/device.h"

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include <cerrno>
#include <cstring>

#include "millrace/config.h"
#include "nic/machine.h"
#include "nic/overheard.h"

namespace millrace::nic {

static std::string base_name(const std::string& device) {
  return device.substr(0, device.find(','));
}

static ConfigError vdev_trouble(const std::string& device, int error, const std::string& reason) {
  std::string driver = driver_prefix(device);
  // EAL says "no such file" where no driver has the name, and drivers say it where it is theirs to say.
  if ((error == -EFAULT || error == -ENOENT) && !driver.starts_with("net_pcap"))
    return ConfigError("no such device: " + base_name(device) +
                       "; give a virtual one by driver and number (net_tap0,iface=mr0) or a PCI address");
  return ConfigError(driver + " does not make " + device + (reason.empty() ? std::string(" (") + std::strerror(-error) + ")"
                                                                           : reason) +
                     ": check its arguments, and that no other program has it");
}

static ConfigError pci_trouble(const std::string& pci, const std::string& reason) {
  if (std::string obstacle = pci_obstacle(pci); !obstacle.empty()) return ConfigError(obstacle);
  return ConfigError("no DPDK driver takes " + pci + reason + ": run with sudo, or see what it lacks with millrace-load doctor " +
                     "--device " + pci);
}

uint16_t create_device(const std::string& device) {
  std::string pci = pci_address(device);
  std::string name = pci.empty() ? base_name(device) : pci;
  uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0)
    return id;  // EAL options or the probe have made it
  Overheard heard;
  int error = 0;
  if (pci.empty()) {
    size_t comma = device.find(',');
    std::string arguments = comma == std::string::npos ? "" : device.substr(comma + 1);
    error = rte_eal_hotplug_add("vdev", name.c_str(), arguments.c_str());
  } else {
    error = rte_dev_probe(device.c_str());
  }
  if (error == 0 && rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0) return id;
  throw pci.empty() ? vdev_trouble(device, error == 0 ? -ENODEV : error, heard.reason()) : pci_trouble(pci, heard.reason());
}

uint16_t create_ring_device(const std::string& name, std::span<rte_ring* const> rx, std::span<rte_ring* const> tx) {
  int id = rte_eth_from_rings(name.c_str(), rx.data(), static_cast<unsigned>(rx.size()), tx.data(),
                              static_cast<unsigned>(tx.size()), 0);
  if (id < 0) throw ConfigError("net_ring makes no port (" + std::string(rte_strerror(rte_errno)) + ")");
  return static_cast<uint16_t>(id);
}

void remove_device(uint16_t id) {
  Overheard quiet;
  rte_eth_dev_info info;
  rte_device* device = rte_eth_dev_info_get(id, &info) == 0 ? info.device : nullptr;
  rte_eth_dev_stop(id);
  rte_eth_dev_close(id);
  if (device != nullptr) rte_dev_remove(device);
}

}  // namespace millrace::nic
