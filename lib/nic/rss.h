// SPDX-License-Identifier: BSD-3-Clause
// Agreeing with a NIC on who owns a flow: its RSS key and redirection table are set, read back, and become the port's
// Steering. What cannot be set or read is not relied upon: then each core looks at what it receives (nic/rx).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nic/port.h"

struct rte_eth_conf;
struct rte_eth_dev_info;

namespace millrace::nic {

inline constexpr uint32_t usual_key = 40;  // bytes

// Keys for the owners' rule; a seed of 0 is random. Not any key will do: by its local port a flow must reach each entry of
// the table, or a core may have no port towards some destination.
std::vector<uint8_t> make_rss_key(uint64_t seed, uint32_t length);
// One that gives both directions of a flow one hash: the two ends of a pair then agree on its core.
std::vector<uint8_t> make_symmetric_key(uint64_t seed, uint32_t length);

// Before the port is configured: asks for RSS if there is something to spread and the driver offers it.
void ask_for_rss(Port& port, const Config& config, const rte_eth_dev_info& info, rte_eth_conf& conf);
// After its start: who owns what, and whether the hardware says so too. Nothing to do for one core.
void agree_on_owners(Port& port, const rte_eth_dev_info& info);

// "4 queues for 8 cores; RSS ..." of the banner.
std::string describe_steering(const Port& port);

}  // namespace millrace::nic
