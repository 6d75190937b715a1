// SPDX-License-Identifier: BSD-3-Clause
// Files of /proc, /sys and /dev as values, below a root that a test can replace. For doctor.h: nothing on a
// packet's way.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "millrace/address.h"

namespace millrace::run {

using Cpus = std::set<uint32_t>;

class Tree {
 public:
  explicit Tree(std::string root) : root_(std::move(root)) {}

  std::string path(const std::string& path) const { return root_ + path; }
  bool exists(const std::string& path) const;
  // May this process open it for reading and writing? (A test that runs as root takes a file away instead.)
  bool may_open(const std::string& path) const;
  // What cannot be read is nothing.
  std::optional<std::string> line(const std::string& path) const;  // the first one
  std::vector<std::string> lines(const std::string& path) const;
  std::optional<int64_t> number(const std::string& path) const;
  std::vector<std::string> names(const std::string& path) const;  // in a directory, sorted
  std::string link(const std::string& path) const;                // the last part of where it leads

 private:
  std::string root_;
};

// The kernel's own IPv4 addresses, from its table of routes.
std::vector<Ipv4Address> kernel_addresses(const Tree& tree);

// "0-2,8" -> {0, 1, 2, 8}.
Cpus parse_cpus(const std::string& text);
std::string to_text(const Cpus& cpus);

}  // namespace millrace::run
