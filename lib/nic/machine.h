// SPDX-License-Identifier: BSD-3-Clause
// What this machine and this process may do, asked before EAL is: an answer here becomes one sentence with
// the command that mends it, where EAL's own would be a page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace millrace::nic {

size_t free_huge_bytes();  // huge pages of all sizes that nobody has reserved
bool cpu_exists(uint32_t cpu);
uint32_t cpu_count();
int numa_node_of_cpu(uint32_t cpu);  // -1: the machine has one node, or does not say
bool may_administer_network();       // CAP_NET_ADMIN
bool may_open_raw_sockets();         // CAP_NET_RAW

// "3:0.0", "0000:03:00.0" -> "0000:03:00.0"; empty for what is no PCI address.
std::string pci_address(const std::string& device);
// The kernel driver that a PCI device is bound to; empty: none, or no such device.
bool pci_exists(const std::string& address);
std::string pci_kernel_driver(const std::string& address);

// Does some program hold the kernel's end of this tap? (An interface that only waits for one is not running.)
bool interface_runs(const std::string& name);

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
