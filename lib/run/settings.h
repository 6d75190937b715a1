// SPDX-License-Identifier: BSD-3-Clause
// From the user's Config to the core's: checked, completed, and turned into one core's share.
#pragma once

#include <string>

#include "flow/listen_board.h"
#include "millrace/config.h"
#include "nic/port.h"
#include "stack/stack.h"

namespace millrace::run {

// Throws ConfigError for what cannot be.
void check(const Config& config);

// The configuration of one core on a port; of several cores all have one board. Seeds come from the system when the user
// gave none.
stack::Config stack_config(const Config& config, const nic::Port& port, uint32_t number = 0,
                           flow::ListenBoard* board = nullptr);

// "10.9.0.2/24"
std::string with_prefix(const Config& config);
wire::LocalAddresses local_addresses(const Config& config);
// Is it on our link: in our network, or the gateway, which with /32 is outside of it?
bool is_neighbor(const Config& config, Ipv4Address address);

// The command that gives the kernel's end of a tap an address in our network.
std::string kernel_end_of_tap(const Config& config);

// The port's banner, the addresses, and for net_tap how the kernel's side gets one, if it has none.
std::string banner(const Config& config, const nic::Port& port);

}  // namespace millrace::run
