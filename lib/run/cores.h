// SPDX-License-Identifier: BSD-3-Clause
// What the workers of one endpoint know of each other. They share nothing else; frames cross in nic.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "flow/listen_board.h"

namespace millrace::run {

struct Cores {
  explicit Cores(uint32_t n) : count(n) {}

  const uint32_t count;
  // Workers that have had their first turn. None takes a frame before all have: it is where applications listen, and a
  // SYN shall not be refused because its owner was late to start.
  std::atomic<uint32_t> begun{0};
  flow::ListenBoard board;

  // After that: a line for each port that only some of the cores listen on.
  std::string listeners_missing() const;
};

}  // namespace millrace::run
