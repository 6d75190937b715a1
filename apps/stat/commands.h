// SPDX-License-Identifier: BSD-3-Clause
// What millrace-stat shows. Each prints to stdout, and throws Failure.
#pragma once

#include <string>
#include <vector>

#include "client.h"

namespace millrace::stat {

struct Wishes {
  std::string prefix;
  int endpoint = -1;  // all
  bool json = false;
  // conns
  std::vector<std::string> states;
  int port = 0, local_port = 0, remote_port = 0;
  std::string address;
  bool info = false, all = false, listening = false;
  // stats
  bool zeros = false;
  // top
  double interval = 1;
  unsigned count = 0;  // without end
};

void show_programs(const Wishes& wishes);
void show_connections(const Wishes& wishes);
void show_stats(const Wishes& wishes);
void show_ports(const Wishes& wishes);
void show_neighbors(const Wishes& wishes);
void show_top(const Wishes& wishes);

// The words of ss and of RFC 9293 for states, as --state takes them, into "SYN-SENT+ESTABLISHED". Throws Failure (2).
std::string states_of(const Wishes& wishes);
// The endpoints that are meant. Throws Failure (2) if there is no such one.
std::vector<EndpointName> chosen(const Program& program, const Wishes& wishes);

}  // namespace millrace::stat
