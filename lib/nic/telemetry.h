// SPDX-License-Identifier: BSD-3-Clause
// Questions from outside over rte_telemetry, beside a packet's way: EAL has a thread for each who asks, and a socket
// (RUNTIME_DIR/dpdk/PREFIX/dpdk_telemetry.v2) that millrace-stat and dpdk-telemetry.py know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

struct rte_tel_data;

namespace millrace::nic {

// An answer: named values, numbers and texts, and columns of them. What does not fit in one is DPDK's to drop without
// a word, so the caller counts: `room` bytes of JSON.
class TelemetryAnswer {
 public:
  static constexpr size_t room = 16 * 1024 - 128;  // of all, the braces included
  static constexpr size_t longest_text = 127;
  static constexpr size_t most_names = 256;
  static constexpr size_t most_rows = 512;

  explicit TelemetryAnswer(rte_tel_data* data);
  void number(const std::string& name, uint64_t value);
  void text(const std::string& name, const std::string& value);
  void numbers(const std::string& name, std::span<const uint64_t> values);
  void texts(const std::string& name, std::span<const std::string> values);

 private:
  rte_tel_data* data_;
};

// `parameters`: what stands behind the command's comma. Called on a thread of EAL's, by several at a time.
using TelemetryCommand = void (*)(const std::string& parameters, TelemetryAnswer& answer);
// After EAL has started, once for each command in a process. `help`: at most 63 letters.
void register_telemetry(const char* command, const char* help, TelemetryCommand function);

}  // namespace millrace::nic
