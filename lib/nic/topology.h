// SPDX-License-Identifier: BSD-3-Clause
// CPUs and the NUMA nodes that they, a device and memory are on: which lcores a port gets, and what the banner says of it.
// Before the first packet.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace millrace {
struct Config;
}

namespace millrace::nic {

struct Topology {
  struct Cpu {
    uint32_t number;
    int node;  // -1: not said
  };
  std::vector<Cpu> cpus;                       // which this process may use, in the order of their numbers
  std::vector<std::vector<uint32_t>> distance;  // from node to node; what is missing is not said

  uint32_t between(int from, int to) const;
};

// `root` is for the doctor and for tests.
Topology read_topology(std::span<const uint32_t> allowed, const std::string& root = "");
// Why EAL would not start on a CPU, though there are huge pages: none is free on its node (DPDK 22.11 panics then). With what
// mends it, `pages` of 2 MB among that; empty: nothing.
std::string huge_pages_obstacle(uint32_t lcore, std::span<const uint32_t> allowed, size_t pages,
                                const std::string& root = "");
// The node of a PCI device, or of the one that an interface of the kernel's is; -1: there is none, or it is not said.
int device_node(const std::string& device, const std::string& root = "");

// CPUs for `count` lcores. From `first` on those that follow, and around; with Config::any_lcore those of the device's node
// `near`, then by their distance from it. More lcores than CPUs: they take turns.
std::vector<uint32_t> choose_cpus(const Topology& topology, uint32_t first, uint32_t count, int near);
// The same for a configuration on this machine.
std::vector<uint32_t> cpus_for(const Config& config);

// Where a page lies; -1: it is not said (nothing has touched it, or a container forbids to ask).
int node_of_memory(const void* address);

struct Placement {
  uint32_t cpu;
  int cpu_node, memory_node;
};
// Lines of the banner: what is where, and warnings for what is far apart.
std::string describe_nodes(int device_node, std::span<const Placement> cores);

}  // namespace millrace::nic
