// SPDX-License-Identifier: BSD-3-Clause
#include "program.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

std::string program;

Outcome run(const std::string& arguments, const std::string& redirection) {
  std::string command = "'" + program + "' " + arguments + " " + redirection;
  FILE* pipe = popen(command.c_str(), "r");
  Outcome outcome{-1, {}};
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) outcome.output.append(buffer, n);
  int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string file_name(const std::string& ending) {
  return testing::TempDir() + "millrace_load_" + std::to_string(getpid()) + ending;
}

std::string content_of(const std::string& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Json measure(const std::string& arguments, int exit_code) {
  std::string file = file_name(".json");
  Outcome outcome = run("pair " + arguments + " --json " + file);
  EXPECT_NE(outcome.output.find("packet buffers are back"), std::string::npos) << outcome.output;
  Json json = Json::parse(content_of(file), nullptr, false);
  unlink(file.c_str());
  if (exit_code == kept_or_not) exit_code = json.value("not_kept", "") == "" ? 0 : 3;
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.output;
  EXPECT_FALSE(json.is_discarded()) << outcome.output;
  return json;
}

void expect_latencies(const Json& latencies) {
  double last = 0;
  for (const char* name : {"min", "p50", "p90", "p99", "p99_9", "p99_99", "max"}) {
    ASSERT_TRUE(latencies.contains(name)) << name;
    EXPECT_GE(latencies[name].get<double>(), last) << name;
    last = latencies[name];
  }
  EXPECT_GT(latencies["mean"].get<double>(), 0);
}

// What holds for every run without faults.
void expect_sound(const Json& json, const std::string& workload, uint64_t requests, uint64_t cores) {
  EXPECT_EQ(json["workload"], workload);
  EXPECT_EQ(json["mode"], "pair");
  EXPECT_EQ(json["requests"], requests);
  EXPECT_GT(json["duration_s"].get<double>(), 0);
  EXPECT_GT(json["requests_per_second"].get<double>(), 0);
  EXPECT_GT(json["bytes_sent_per_second"].get<double>(), 0);
  EXPECT_GT(json["bytes_received_per_second"].get<double>(), 0);
  expect_latencies(json["latency_us"]);
  for (const char* name : {"refused", "reset", "timed_out", "unreachable", "protocol"})
    EXPECT_EQ(json["errors"].at(name), 0) << name;
  EXPECT_EQ(json["port_wait"], 0);
  const Json& tcp = json["tcp"];
  for (const char* name : {"segments_sent", "retransmitted", "resets_sent", "drop_tcp_checksum"})
    EXPECT_EQ(tcp.at(name).get<uint64_t>(),
              tcp["client"].at(name).get<uint64_t>() + tcp["server"].at(name).get<uint64_t>());
  // Where the CPU was away for long enough, what was sent once more has its answer when the connection has ended: a reset
  // that nobody notices.
  EXPECT_LE(tcp["resets_sent"].get<uint64_t>(),
            tcp["retransmitted"].get<uint64_t>() + tcp["tail_loss_probes"].get<uint64_t>());
  EXPECT_EQ(tcp["drop_tcp_checksum"], 0);
  ASSERT_EQ(json["cores"].size(), cores);
  for (const Json& core : json["cores"]) {
    EXPECT_GT(core.at("cycles_per_request").get<double>(), 0);
    EXPECT_GE(core.at("useful_percent").get<double>(), 0);
    EXPECT_TRUE(core.contains("core"));
  }
}
