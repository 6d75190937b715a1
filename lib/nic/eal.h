// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment, started once in a process with options chosen for the device, and the registration of
// threads with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace::nic {

struct EalNeeds {
  std::string device;  // first device; empty: rings only
  uint32_t lcore = 0;
  size_t packet_bytes = 0;           // of all packet pools, as far as known
  std::vector<std::string> options{};  // the user's own; empty: chosen
  std::string share{};                 // the file prefix under which secondary processes attach; empty: none can
  uint32_t cores = 1;                  // of all endpoints
};

// EAL's own tables, the heads of pools and the drivers' rings, beside packet_bytes.
inline constexpr size_t eal_base_bytes = size_t{96} << 20;

// Starts EAL, or does nothing when it runs already. Throws ConfigError.
void start_eal(const EalNeeds& needs);

// The CPUs of EAL's lcores where the user's own options name some (-l, --lcores, -c), as many as `chosen`, else those. After
// start_eal().
std::vector<uint32_t> lcore_cpus(const std::vector<std::string>& options, const std::vector<uint32_t>& chosen);

// True where EAL's memory lies in small pages. Pools then bring memory of their own (nic/mempool).
bool small_pages();

// "DPDK 22.11.11"
std::string eal_version();

// Gives the calling thread an lcore number, so that mempools have a cache for it, until the thread ends. A
// thread that gets none works as well, only slower.
void register_thread();

}  // namespace millrace::nic
