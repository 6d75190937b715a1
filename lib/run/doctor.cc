// SPDX-License-Identifier: BSD-3-Clause
// What examine() looks at, in the order in which things are put right. (run/doctor.h)
#include "run/doctor.h"

#include <algorithm>
#include <cstdlib>

#include "nic/device.h"
#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/port.h"
#include "nic/port_setup.h"
#include "nic/topology.h"
#include "run/settings.h"
#include "stack/stack.h"

namespace millrace {

const char* name(Finding::Verdict verdict) {
  constexpr const char* names[] = {"good", "unseen", "poor", "bad"};
  return names[verdict];
}

std::vector<Finding> examine(std::span<const Config> configs, const std::string& root) {
  run::Findings out;
  if (configs.empty()) return out;
  const run::Case c(configs, root);
  run::examine_device(c, out);
  if (out.back().verdict != Finding::bad)
    for (auto look : {run::examine_driver, run::examine_iommu, run::examine_permissions, run::examine_link,
                      run::examine_queues, run::examine_slot, run::examine_numa})
      look(c, out);
  for (auto look : {run::examine_addresses, run::examine_huge_pages, run::examine_memory,
                    run::examine_transparent_pages, run::examine_buffers, run::examine_cpu, run::examine_isolation,
                    run::examine_governor, run::examine_quota, run::examine_clock})
    look(c, out);
  return out;
}

namespace run {

Case::Case(std::span<const Config> all, const std::string& root)
    : configs(all),
      config(all[0]),
      tree(root),
      rings(all.size() > 1),
      driver(rings                                     ? "net_ring"
             : nic::pci_address(config.device).empty() ? nic::driver_prefix(config.device)
                                                       : ""),
      pci(rings ? "" : nic::pci_address(config.device)) {
  uint32_t most = 0;
  for (const Config& one : all) most = std::max(most, one.cores);
  uint32_t extra = rings && most == 1 ? 0 : nic::extra_buffers(most);
  packet_bytes = nic::eal_base_bytes;
  const nic::Topology topology = nic::read_topology(allowed_cpus(), root);
  for (const Config& one : all) {
    std::vector<uint32_t> chosen = nic::choose_cpus(topology, one.lcore, one.cores, rings ? -1 : nic::device_node(one.device, root));
    cpus.insert(chosen.begin(), chosen.end());
    packet_bytes += nic::packet_bytes(one, extra);
    stack_bytes += one.cores * stack::memory_size(stack_config(one, nic::Port{}));
  }
}

// Where this process may run; if that is not told, wherever there is a CPU.
std::vector<uint32_t> Case::allowed_cpus() const {
  std::string text = tree.line("/sys/devices/system/cpu/online").value_or("0-255");
  for (const std::string& line : tree.lines("/proc/self/status"))
    if (line.rfind("Cpus_allowed_list:", 0) == 0) text = line.substr(line.find_first_of("0123456789"));
  Cpus found = parse_cpus(text);
  return {found.begin(), found.end()};
}

bool Case::may(unsigned capability) const {
  for (const std::string& text : tree.lines("/proc/self/status"))
    if (text.rfind("CapEff:", 0) == 0) return std::strtoull(text.c_str() + 7, nullptr, 16) >> capability & 1;
  return false;
}

int Case::numa_node() const {
  return rings ? -1 : nic::device_node(config.device, tree.path(""));
}

std::string Case::pci_files() const {
  return "/sys/bus/pci/devices/" + pci;
}

std::string Case::iommu_group() const {
  std::string group = tree.link(pci_files() + "/iommu_group");
  return tree.line("/sys/kernel/iommu_groups/" + group + "/name") == "vfio-noiommu" ? "" : group;
}

// A virtio device has them a level deeper.
std::vector<std::string> Case::interfaces() const {
  std::vector<std::string> found = tree.names(pci_files() + "/net");
  for (const std::string& name : tree.names(pci_files()))
    if (name.rfind("virtio", 0) == 0)
      for (const std::string& deeper : tree.names(pci_files() + "/" + name + "/net")) found.push_back(deeper);
  return found;
}

std::string Case::what() const {
  return pci.empty() ? driver : pci;
}

}  // namespace run
}  // namespace millrace
