// SPDX-License-Identifier: BSD-3-Clause
// The parts of examine() (millrace/doctor.h): each looks at one thing and adds what it found. All are given
// the same Case: what is to run, and where to look.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "millrace/doctor.h"
#include "nic/device.h"
#include "run/tree.h"

namespace millrace::run {

struct Case {
  Case(std::span<const Config> all, const std::string& root);

  const std::span<const Config> configs;
  const Config& config;  // the first
  const Tree tree;
  const bool rings;          // Endpoint::pair
  const std::string driver;  // of a virtual device: "net_tap"; empty for PCI
  const std::string pci;     // "0000:3b:00.0"; empty for a virtual device
  Cpus cpus;                 // that poll
  size_t packet_bytes = 0;   // of all packet buffers and EAL: what huge pages are for
  size_t stack_bytes = 0;    // of connections

  bool is(const char* other) const { return driver == other; }
  // The kernel has a part in each packet: the worker rests in system calls.
  bool has_kernel_behind() const { return nic::is_tap(driver) || is("net_af_packet"); }
  // Packets are copied by this process alone, from whatever memory they lie in.
  bool copies_by_cpu() const { return nic::copies_by_cpu(rings ? driver : config.device) || is("net_ring"); }
  std::vector<uint32_t> allowed_cpus() const;
  bool may(unsigned capability) const;          // CAP_... by its number
  int numa_node() const;                        // the device's; -1: none, or it is not said
  std::string what() const;                     // "net_tap", "0000:3b:00.0"
  std::string pci_files() const;                // the directory of a PCI device
  std::vector<std::string> interfaces() const;  // the kernel's, of a PCI device
  // The IOMMU's group of a PCI device; empty: no IOMMU stands behind it, though VFIO may name a group.
  std::string iommu_group() const;
};

inline constexpr unsigned cap_net_admin = 12, cap_net_raw = 13, cap_ipc_lock = 14;

using Findings = std::vector<Finding>;

// doctor_memory.cc
void examine_huge_pages(const Case& c, Findings& out);
void examine_memory(const Case& c, Findings& out);
void examine_transparent_pages(const Case& c, Findings& out);
void examine_buffers(const Case& c, Findings& out);
// doctor_pci.cc
void examine_driver(const Case& c, Findings& out);
void examine_iommu(const Case& c, Findings& out);
void examine_slot(const Case& c, Findings& out);
// doctor_device.cc
void examine_device(const Case& c, Findings& out);
void examine_permissions(const Case& c, Findings& out);
void examine_link(const Case& c, Findings& out);
void examine_queues(const Case& c, Findings& out);
void examine_addresses(const Case& c, Findings& out);
// doctor_cpu.cc
void examine_cpu(const Case& c, Findings& out);
void examine_numa(const Case& c, Findings& out);
void examine_isolation(const Case& c, Findings& out);
void examine_governor(const Case& c, Findings& out);
void examine_quota(const Case& c, Findings& out);
void examine_clock(const Case& c, Findings& out);

}  // namespace millrace::run
