// SPDX-License-Identifier: BSD-3-Clause
// Making ethdev ports appear, and saying why they do not. (nic/device.h)
#include "nic/device.h"

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_log.h>

#include <cerrno>
#include <cstring>

#include "millrace/config.h"
#include "nic/machine.h"

namespace millrace::nic {

static std::string base_name(const std::string& device) {
  return device.substr(0, device.find(','));
}

std::string driver_prefix(const std::string& device) {
  std::string name = base_name(device);
  size_t end = name.find_last_not_of("0123456789");
  return end == std::string::npos ? name : name.substr(0, end + 1);
}

std::string interface_of(const std::string& device) {
  size_t at = device.find("iface=");
  if (at == std::string::npos) return "";
  return device.substr(at + 6, device.find(',', at) - at - 6);
}

bool is_tap(const std::string& driver) {
  return driver == "net_tap" || driver == "net_tun";
}

bool copies_by_cpu(const std::string& driver) {
  return is_tap(driver) || driver == "net_null" || driver == "net_pcap" || driver == "net_af_packet";
}

bool drives_others(const std::string& driver) {
  return driver == "net_bonding" || driver == "net_failsafe";
}

uint32_t most_queues(const std::string& driver) {
  return is_tap(driver) ? RTE_MP_MAX_FD_NUM / 2 : UINT16_MAX;
}

static ConfigError no_pci_device(const std::string& pci) {
  return ConfigError("no PCI device " + pci +
                     " here; to see which there are: dpdk-devbind.py --status-dev net");
}

void check_device(const std::string& device) {
  std::string pci = pci_address(device);
  if (!pci.empty() && !pci_exists(pci)) throw no_pci_device(pci);
  std::string driver = driver_prefix(device);
  if ((is_tap(driver) || driver == "net_af_xdp") && !may_administer_network())
    throw ConfigError(driver + " needs root or CAP_NET_ADMIN: run with sudo");
  if ((driver == "net_af_packet" || driver == "net_af_xdp") && !may_open_raw_sockets())
    throw ConfigError(driver + " needs root or CAP_NET_RAW: run with sudo");
  constexpr size_t longest_name = 15;  // of a kernel's interface
  if (device.find("iface=") == std::string::npos) return;
  std::string interface = interface_of(device);
  if (interface.empty() || interface.size() > longest_name)
    throw ConfigError("iface=" + interface + " is no name for an interface: give 1 to 15 characters");
  // The driver would join it as one more queue and take half of its frames.
  if (is_tap(driver) && interface_runs(interface))
    throw ConfigError(interface + " is in use by another program: give another name, iface=...");
}

// What keeps a PCI device from being a port: it is not bound to a driver that gives it to user space.
static ConfigError pci_trouble(const std::string& pci) {
  if (!pci_exists(pci)) return no_pci_device(pci);
  std::string driver = pci_kernel_driver(pci);
  if (std::string verbs = verbs_module(driver); !verbs.empty())
    return ConfigError("no DPDK driver takes " + pci + ", which stays with the kernel's " + driver +
                       ": sudo apt install ibverbs-providers && sudo modprobe -a ib_uverbs " + verbs);
  if (driver != "vfio-pci" && driver != "uio_pci_generic" && driver != "igb_uio")
    return ConfigError(pci + " is " +
                       (driver.empty() ? "bound to no driver" : "bound to the kernel's " + driver) +
                       ": sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci " + pci);
  return ConfigError("no DPDK driver takes " + pci +
                     ", or /dev/vfio may not be opened: run with sudo, or see " +
                     "dpdk-devbind.py --status-dev net");
}

static ConfigError vdev_trouble(const std::string& device, int error) {
  std::string driver = driver_prefix(device);
  if (error == -EFAULT || error == -ENOENT)
    return ConfigError("no such device: " + base_name(device) +
                       "; give a virtual one by driver and number (net_tap0,iface=mr0) or a PCI address");
  return ConfigError(driver + " does not make " + device + " (" + std::strerror(-error) +
                     "): check its arguments, and that no other program has it");
}

QuietLog::QuietLog() : level_(rte_log_get_global_level()) {
  rte_log_set_global_level(RTE_LOG_CRIT);
}
QuietLog::~QuietLog() {
  rte_log_set_global_level(level_);
}

uint16_t create_device(const std::string& device) {
  std::string pci = pci_address(device);
  std::string name = pci.empty() ? base_name(device) : pci;
  uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0)
    return id;  // EAL options or the probe have made it
  QuietLog quiet;
  int error = 0;
  if (pci.empty()) {
    size_t comma = device.find(',');
    std::string arguments = comma == std::string::npos ? "" : device.substr(comma + 1);
    error = rte_eal_hotplug_add("vdev", name.c_str(), arguments.c_str());
  } else {
    error = rte_dev_probe(device.c_str());
  }
  if (error == 0 && rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0) return id;
  throw pci.empty() ? vdev_trouble(device, error == 0 ? -ENODEV : error) : pci_trouble(pci);
}

uint16_t create_ring_device(const std::string& name, std::span<rte_ring* const> rx, std::span<rte_ring* const> tx) {
  int id = rte_eth_from_rings(name.c_str(), rx.data(), static_cast<unsigned>(rx.size()), tx.data(),
                              static_cast<unsigned>(tx.size()), 0);
  if (id < 0) throw ConfigError("net_ring makes no port (" + std::string(rte_strerror(rte_errno)) + ")");
  return static_cast<uint16_t>(id);
}

void remove_device(uint16_t id) {
  QuietLog quiet;
  rte_eth_dev_info info;
  rte_device* device = rte_eth_dev_info_get(id, &info) == 0 ? info.device : nullptr;
  rte_eth_dev_stop(id);
  rte_eth_dev_close(id);
  if (device != nullptr) rte_dev_remove(device);
}

}  // namespace millrace::nic
