// SPDX-License-Identifier: BSD-3-Clause
// Where connections go: every pair of a local address and a destination in turn, so that all their pools of
// local ports are drained alike.
#pragma once

#include <millrace/millrace.h>

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::load {

struct Target {
  Ipv4Address address;
  uint16_t port = 0;
};

// "10.9.0.1:80" or "10.9.0.1:8000-8003": appends what it means.
bool parse_target(const std::string& text, std::vector<Target>& out);
// "80" or "8000-8003".
bool parse_ports(const std::string& text, std::vector<uint16_t>& out);

class Rotation {
 public:
  Rotation(Ipv4Address first_local, uint32_t locals, std::vector<Target> targets)
      : first_(first_local), locals_(locals), targets_(std::move(targets)) {}

  // All local addresses, then with the next target.
  void next(Ipv4Address& local, Target& target) {
    local = {first_.value + local_};
    target = targets_[target_];
    if (++local_ < locals_) return;
    local_ = 0;
    if (++target_ == targets_.size()) target_ = 0;
  }

 private:
  const Ipv4Address first_;
  const uint32_t locals_;
  const std::vector<Target> targets_;
  uint32_t local_ = 0;
  uint32_t target_ = 0;
};

}  // namespace millrace::load
