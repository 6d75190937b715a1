// SPDX-License-Identifier: BSD-3-Clause
// The visible policy of a stack as public scripts expect it: ordinary configuration keys and nothing else.
#pragma once

#include <string>

#include "stack/stack.h"

namespace millrace::packetdrill {

struct Profile {
  stack::Config config;
  Ipv4Address local = ipv4(192, 168, 0, 2);  // of connections that are not bound
  bool freebsd = false;
  bool sysctls = true;        // scripts configure the stack under test with sysctl: take what they have set
  bool buffers_doubled = true;  // SO_SNDBUF and SO_RCVBUF read back doubled
  uint32_t send_buffer = 512 * 1024;
  Congestion congestion = Congestion::cubic;  // of a socket that asks for none
};

// False: no such algorithm.
bool congestion_of(const std::string& name, Congestion& out);

// The buffer of a connection's beginning; of a profile in which it does not grow, for good.
void set_receive_buffer(Profile& profile, uint64_t bytes);

// From --so_flags: "linux" (the default) or "freebsd", then key=value, separated by commas. Throws
// std::invalid_argument with the keys there are.
Profile profile(const std::string& flags);

// What net.ipv4 says now; or, in the file that MILLRACE_SYSCTLS names, "key value" lines of another kernel.
void take_sysctls(Profile& profile);

}  // namespace millrace::packetdrill
