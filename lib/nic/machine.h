// SPDX-License-Identifier: BSD-3-Clause
// What this machine and this process may do, asked before EAL is: an answer here becomes one sentence with
// the command that mends it, where EAL's own would be a page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace::nic {

inline const std::string all_huge_pages = "/sys/kernel/mm/hugepages";
// Huge pages of all sizes that nobody has reserved: on all nodes, or on that whose directory it is.
size_t free_huge_bytes(const std::string& directory = all_huge_pages);
size_t huge_bytes();  // and of all
std::vector<std::string> hugetlbfs_mounts();
bool cpu_exists(uint32_t cpu);
uint32_t cpu_count();
// The CPUs that this process may use, as they were when first asked for: a thread that has become an lcore has one.
const std::vector<uint32_t>& allowed_cpus();
// How many CPUs' time the control groups of this process grant; 0: there is no limit. The arguments are for the doctor
// and for tests.
double cpu_quota(const std::string& own_groups = "/proc/self/cgroup", const std::string& root = "/sys/fs/cgroup");
// A line for the banner if so many busy cores would be stopped again and again; else nothing.
std::string quota_warning(uint32_t cores);
bool may_administer_network();       // CAP_NET_ADMIN
bool may_open_raw_sockets();         // CAP_NET_RAW

// "3:0.0", "0000:03:00.0" -> "0000:03:00.0"; empty for what is no PCI address.
std::string pci_address(const std::string& device);
// The kernel driver that a PCI device is bound to; empty: none, or no such device.
bool pci_exists(const std::string& address, const std::string& root = "");
std::string pci_kernel_driver(const std::string& address, const std::string& root = "");
// A bifurcated device stays with such a kernel driver, and DPDK reaches it through verbs: the module that gives them;
// empty for all other drivers.
std::string verbs_module(const std::string& kernel_driver);

// Of an interface in this network namespace: IFF_UP, IFF_RUNNING ... as net/if.h has them, and its MTU. 0: there is none.
unsigned interface_flags(const std::string& name);
uint32_t interface_mtu(const std::string& name);
std::string interface_driver(const std::string& name);  // "veth"

// Pins the calling thread to one CPU, and undoes it.
class Affinity {
 public:
  Affinity();  // remembers what the thread has now
  void pin(uint32_t cpu) const;
  void restore() const;

 private:
  alignas(8) unsigned char saved_[128];  // a cpu_set_t
};

}  // namespace millrace::nic
