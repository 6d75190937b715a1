// SPDX-License-Identifier: BSD-3-Clause
// NUMA: read, chosen from, told. (nic/topology.h)
#include "nic/topology.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "millrace/config.h"
#include "nic/device.h"
#include "nic/machine.h"

namespace millrace::nic {

uint32_t Topology::between(int from, int to) const {
  constexpr uint32_t local = 10, unknown = 20;  // as firmware tells them
  if (from == to) return local;
  auto row = static_cast<size_t>(from), column = static_cast<size_t>(to);
  return from >= 0 && to >= 0 && row < distance.size() && column < distance[row].size() ? distance[row][column] : unknown;
}

// "0-2,8" holds 1.
static bool holds(const std::string& list, uint32_t cpu) {
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) {
    char* rest = nullptr;
    unsigned long first = std::strtoul(part.c_str(), &rest, 10), last = first;
    if (rest == part.c_str()) continue;
    if (*rest == '-') last = std::strtoul(rest + 1, nullptr, 10);
    if (first <= cpu && cpu <= last) return true;
  }
  return false;
}

// Rising; they may have holes.
static std::vector<int> numbers_of_nodes(const std::string& directory) {
  std::vector<int> out;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory, none))
    if (int node = 0; std::sscanf(entry.path().filename().c_str(), "node%d", &node) == 1) out.push_back(node);
  std::sort(out.begin(), out.end());
  return out;
}

Topology read_topology(std::span<const uint32_t> allowed, const std::string& root) {
  Topology out;
  for (uint32_t cpu : allowed) out.cpus.push_back({cpu, -1});
  const std::string nodes = root + "/sys/devices/system/node/";
  for (int node : numbers_of_nodes(nodes)) {
    std::string files = nodes + "node" + std::to_string(node), list;
    std::getline(std::ifstream(files + "/cpulist") >> std::ws, list);
    for (Topology::Cpu& cpu : out.cpus)
      if (holds(list, cpu.number)) cpu.node = node;
    out.distance.resize(static_cast<size_t>(node) + 1);
    std::ifstream distances(files + "/distance");
    for (uint32_t distance = 0; distances >> distance;) out.distance.back().push_back(distance);
  }
  return out;
}

std::string huge_pages_obstacle(uint32_t lcore, std::span<const uint32_t> allowed, size_t pages,
                                const std::string& root) {
  std::vector<uint32_t> cpus(allowed.begin(), allowed.end());
  cpus.push_back(lcore);
  Topology topology = read_topology(cpus, root);
  auto files = [](int node) { return "/sys/devices/system/node/node" + std::to_string(node) + "/hugepages"; };
  int here = topology.cpus.back().node;
  std::error_code none;
  if (here < 0 || !std::filesystem::exists(root + files(here), none) || free_huge_bytes(root + files(here)) != 0)
    return "";
  for (const Topology::Cpu& cpu : topology.cpus)
    if (cpu.node >= 0 && free_huge_bytes(root + files(cpu.node)) != 0)
      return "no huge page is free on node " + std::to_string(here) + ", that of lcore " + std::to_string(lcore) +
             ", but on node " + std::to_string(cpu.node) + ": --lcore " + std::to_string(cpu.number) +
             ", or reserve some: echo " + std::to_string(pages) + " | sudo tee " + files(here) +
             "/hugepages-2048kB/nr_hugepages";
  return "";
}

int device_node(const std::string& device, const std::string& root) {
  std::string pci = pci_address(device), interface = interface_of(device);
  if (pci.empty() && interface.empty()) return -1;
  int node = -1;
  std::ifstream(root + (pci.empty() ? "/sys/class/net/" + interface + "/device" : "/sys/bus/pci/devices/" + pci) +
                "/numa_node") >> node;
  return node;
}

std::vector<uint32_t> choose_cpus(const Topology& topology, uint32_t first, uint32_t count, int near) {
  std::vector<Topology::Cpu> cpus = topology.cpus;
  std::vector<uint32_t> out;
  size_t at = 0;
  if (first != Config::any_lcore) {
    while (at < cpus.size() && cpus[at].number < first) ++at;
    // One that was asked for and is not among them may be tried all the same.
    if (at == cpus.size() || cpus[at].number != first) out.push_back(first);
  } else if (near >= 0) {
    std::stable_sort(cpus.begin(), cpus.end(), [&](const Topology::Cpu& a, const Topology::Cpu& b) {
      return topology.between(near, a.node) < topology.between(near, b.node);
    });
  }
  for (; out.size() < count; ++at) out.push_back(cpus[at % cpus.size()].number);
  return out;
}

std::vector<uint32_t> cpus_for(const Config& config) {
  return choose_cpus(read_topology(allowed_cpus()), config.lcore, config.cores, device_node(config.device));
}

int node_of_memory(const void* address) {
  int node = -1;
  long result = syscall(SYS_get_mempolicy, &node, nullptr, 0, address, MPOL_F_NODE | MPOL_F_ADDR);
  return result == 0 ? node : -1;
}

std::string describe_nodes(int device, std::span<const Placement> cores) {
  std::string out = "  NUMA: device " + (device < 0 ? "on any node" : "on node " + std::to_string(device)), far, apart;
  for (const Placement& core : cores) {
    out += (&core == cores.data() ? ", lcore " : "; ") + std::to_string(core.cpu) + " on node " +
           std::to_string(std::max(core.cpu_node, 0));
    if (device >= 0 && core.cpu_node >= 0 && device != core.cpu_node)
      far += (far.empty() ? "" : ", ") + std::to_string(core.cpu);
    if (core.cpu_node >= 0 && core.memory_node >= 0 && core.cpu_node != core.memory_node)
      apart += "  WARNING: packet buffers of lcore " + std::to_string(core.cpu) + " lie on node " +
               std::to_string(core.memory_node) + ", not on its node " + std::to_string(core.cpu_node) +
               ", which has no memory for them: reserve huge pages there, or choose another --lcore\n";
  }
  out += "\n";
  if (!far.empty())
    out += "  WARNING: lcore " + far + " sits on another NUMA node than the device: choose --lcore from node " +
           std::to_string(device) + ", or leave it out\n";
  return out + apart;
}

}  // namespace millrace::nic
