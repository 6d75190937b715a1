// SPDX-License-Identifier: BSD-3-Clause
// millrace-load run from a test: what it exits with, what it prints, what it writes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

using Json = nlohmann::json;

extern std::string program;  // its path

struct Outcome {
  int exit_code;
  std::string output;
};

// `redirection` chooses what of the output is kept.
Outcome run(const std::string& arguments, const std::string& redirection = "2>&1");
// A name that no other test has.
std::string file_name(const std::string& ending);
std::string content_of(const std::string& file);
// Runs `pair` to the end, without faults unless told otherwise, and reads its JSON.
Json measure(const std::string& arguments, int exit_code = 0);
// An exit code for runs whose counts are looked at: 0, or 3 where this machine was too slow for their pace, as `not_kept` says.
inline constexpr int kept_or_not = -1;

void expect_latencies(const Json& latencies);
// What holds for every run without faults.
void expect_sound(const Json& json, const std::string& workload, uint64_t requests, uint64_t cores);
