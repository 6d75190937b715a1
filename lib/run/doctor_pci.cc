// SPDX-License-Identifier: BSD-3-Clause
// A PCI device: who drives it, whether an IOMMU lets user space have it, and its slot. (run/doctor.h)
#include <unistd.h>

#include "nic/machine.h"
#include "run/doctor.h"

namespace millrace::run {

static std::string bind(const std::string& pci) {
  return "sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci " + pci;
}

static bool carries_routes(const Case& c, const std::string& interface) {
  for (const std::string& line : c.tree.lines("/proc/net/route"))
    if (line.rfind(interface + "\t", 0) == 0) return true;
  return false;
}

static Finding bound_to_kernel(const Case& c, const std::string& driver) {
  for (const std::string& interface : c.interfaces())
    if (carries_routes(c, interface))
      return {Finding::bad, "driver",
              c.pci + " is the kernel's " + interface + " (" + driver +
                  "), and this machine's routes go over it: perhaps "
                  "also the way by which you are logged in",
              "another port if there is one; else sudo ip link set " + interface + " down && " + bind(c.pci)};
  return {Finding::bad, "driver", c.pci + " is bound to the kernel's " + driver, bind(c.pci)};
}

void examine_driver(const Case& c, Findings& out) {
  if (c.pci.empty()) return;
  std::string driver = c.tree.link(c.pci_files() + "/driver");
  if (driver.empty())
    return out.push_back({Finding::bad, "driver", c.pci + " is bound to no driver", bind(c.pci)});
  if (std::string verbs = nic::verbs_module(driver); !verbs.empty()) {
    if (c.tree.names("/sys/class/infiniband_verbs").empty())
      return out.push_back({Finding::bad, "driver",
                            c.pci + " stays with the kernel's " + driver +
                                " (bifurcated: no binding), whose verbs are not "
                                "loaded",
                            "sudo apt install ibverbs-providers && sudo modprobe -a ib_uverbs " + verbs});
    return out.push_back({Finding::good, "driver",
                          c.pci + " stays with the kernel's " + driver + ": bifurcated, no binding, no VFIO",
                          ""});
  }
  if (driver == "vfio-pci")
    return out.push_back({Finding::good, "driver", c.pci + " is bound to vfio-pci", ""});
  if (driver == "igb_uio" || driver == "uio_pci_generic")
    return out.push_back(
        {Finding::poor, "driver",
         c.pci + " is bound to " + driver + ": root alone may use it, and it writes to any memory",
         bind(c.pci)});
  out.push_back(bound_to_kernel(c, driver));
}

static bool is_bridge(const Case& c, const std::string& pci) {
  return c.tree.line("/sys/bus/pci/devices/" + pci + "/class").value_or("").rfind("0x06", 0) == 0;
}

// An IOMMU isolates groups: all of one go to user space, or none.
static std::string companion(const Case& c, const std::string& group) {
  for (const std::string& other : c.tree.names("/sys/kernel/iommu_groups/" + group + "/devices")) {
    std::string driver = c.tree.link("/sys/bus/pci/devices/" + other + "/driver");
    if (other != c.pci && !driver.empty() && driver != "vfio-pci" && driver != "pci-stub" &&
        !is_bridge(c, other))
      return other + " (" + driver + ")";
  }
  return "";
}

static Finding no_iommu(const Case& c) {
  std::string unsafe = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
  if (c.tree.line(unsafe).value_or("N") == "Y")
    return {Finding::poor, "IOMMU",
            "none: VFIO goes without (enable_unsafe_noiommu_mode), so only root may use the device", ""};
  bool is_virtual = false, intel = false;
  for (const std::string& line : c.tree.lines("/proc/cpuinfo")) {
    is_virtual |= line.rfind("flags", 0) == 0 && line.find(" hypervisor") != std::string::npos;
    intel |= line.find("GenuineIntel") != std::string::npos;
  }
  if (is_virtual)
    return {Finding::bad, "IOMMU", "this virtual machine has none, and VFIO is not told to go without",
            "sudo modprobe vfio enable_unsafe_noiommu_mode=1; echo 1 | sudo tee " + unsafe};
  return {Finding::bad, "IOMMU", "none is at work",
          std::string("switch ") + (intel ? "VT-d" : "the IOMMU (AMD-Vi)") +
              " on in the firmware, and boot the kernel with " +
              (intel ? "intel_iommu=on iommu=pt" : "iommu=pt") +
              " (GRUB_CMDLINE_LINUX in /etc/default/grub, sudo update-grub, reboot)"};
}

void examine_iommu(const Case& c, Findings& out) {
  if (c.pci.empty())
    return out.push_back(
        {Finding::good, "IOMMU, VFIO", "not needed for " + c.driver + ", nor is a binding", ""});
  std::string driver = c.tree.link(c.pci_files() + "/driver");
  if (!nic::verbs_module(driver).empty() || driver == "igb_uio" || driver == "uio_pci_generic") return;
  std::string group = c.iommu_group();
  if (group.empty()) return out.push_back(no_iommu(c));
  if (std::string other = companion(c, group); !other.empty())
    return out.push_back({Finding::bad, "IOMMU",
                          other + " is in the device's group " + group +
                              ", and not VFIO's: all of a "
                              "group go to user space, or none",
                          bind(other.substr(0, other.find(' ')))});
  out.push_back({Finding::good, "IOMMU", "group " + group, ""});
}

void examine_slot(const Case& c, Findings& out) {
  if (c.pci.empty()) return;
  auto width = c.tree.number(c.pci_files() + "/current_link_width"),
       widest = c.tree.number(c.pci_files() + "/max_link_width");
  auto speed = c.tree.line(c.pci_files() + "/current_link_speed"),
       fastest = c.tree.line(c.pci_files() + "/max_link_speed");
  if (!width || !widest || !speed || !fastest || *width == 0 || *speed == "Unknown")
    return out.push_back(
        {Finding::unseen, "PCIe slot", "its width is not shown (a virtual machine's device has none)", ""});
  std::string now = *speed + " x" + std::to_string(*width);
  if (*width < *widest || *speed != *fastest)
    return out.push_back(
        {Finding::poor, "PCIe slot",
         now + ", where the device can " + *fastest + " x" + std::to_string(*widest),
         "another slot, or bifurcation and power saving (ASPM) in the firmware; sudo lspci -vv -s " + c.pci});
  out.push_back({Finding::good, "PCIe slot", now, ""});
}

}  // namespace millrace::run
