// SPDX-License-Identifier: BSD-3-Clause
// The workloads of millrace-load pair, and the open loop.
#include <gtest/gtest.h>

#include <cmath>

#include "program.h"

namespace {

void expect_no_errors(const Json& json) {
  for (const auto& [kind, count] : json["errors"].items()) EXPECT_EQ(count, 0) << kind;
  EXPECT_EQ(json["failed"], "");
}

// Of an open loop: what was due, and that nothing of it got lost in the counting.
void expect_due(const Json& json, uint64_t due) {
  const Json& loop = json["open_loop"];
  EXPECT_EQ(loop["due"], due);
  EXPECT_EQ(json["requests"].get<uint64_t>() + loop["not_sent"].get<uint64_t>() + loop["unanswered"].get<uint64_t>(),
            loop["due"].get<uint64_t>());
}

TEST(Work, pipelined_requests_are_all_answered) {
  for (const char* sizes :
       {"--size 64", "--request-size 10 --response-size 4000", "--request-size 3000 --response-size 1"}) {
    Json json = measure(std::string("--pipeline 16 --requests 20000 ") + sizes);
    expect_sound(json, "rps", 20'000, 1);
    expect_no_errors(json);
  }
}

// More text than a connection may queue: what is refused is sent again, in order.
TEST(Work, a_pipeline_deeper_than_the_queues) {
  Json json = measure("--pipeline 64 --requests 5000 --connections 8 --size 30000 --packet-buffers 4096");
  expect_sound(json, "rps", 5000, 1);
  expect_no_errors(json);
}

TEST(Work, different_sizes) {
  Json json = measure("--requests 1000 --request-size 10 --response-size 5000");
  expect_sound(json, "rps", 1000, 1);
  double ratio =
      json["bytes_received_per_second"].get<double>() / json["bytes_sent_per_second"].get<double>();
  EXPECT_NEAR(ratio, 500, 50);  // requests that are underway at the end are sent and not answered
}

TEST(Work, hold_asks_each_connection_so_often) {
  Json json = measure("--workload hold --connections 500 --every 1s --duration 2");
  expect_no_errors(json);
  EXPECT_EQ(json["connections"], 500);
  EXPECT_EQ(json["loop"], "open");
  expect_due(json, 1000);
}

class Streams : public testing::TestWithParam<const char*> {};

TEST_P(Streams, carry_text) {
  std::string direction = GetParam();
  Json json = measure("--workload stream --connections 4 --duration 1 --direction " + direction);
  expect_no_errors(json);
  EXPECT_EQ(json["connections"], 4);
  EXPECT_EQ(json["requests"], 0);
  EXPECT_TRUE(json["latency_us"]["p50"].is_null());
  if (direction != "receive") {
    EXPECT_GT(json["bytes_sent_per_second"], 1e6);
  }
  if (direction != "send") {
    EXPECT_GT(json["bytes_received_per_second"], 1e6);
  }
  if (direction == "send") {
    EXPECT_EQ(json["bytes_received_per_second"], 0);
  }
  if (direction == "receive") {
    EXPECT_EQ(json["bytes_sent_per_second"], 0);
  }
  // What one end has counted the other has, but for what was on its way.
  double counted =
      json["bytes_sent_per_second"].get<double>() + json["bytes_received_per_second"].get<double>();
  EXPECT_LE(counted * json["duration_s"].get<double>(), json["tcp"]["bytes_received"].get<double>());
}
INSTANTIATE_TEST_SUITE_P(directions, Streams, testing::Values("send", "receive", "both"));

TEST(Work, http) {
  Json json = measure("--workload http --url /bytes/1000 --response-size 1000 --requests 5000");
  expect_no_errors(json);
  EXPECT_EQ(json["requests"], 5000);
  EXPECT_EQ(json["http"]["statuses"], Json({{"200", 5000}}));
  json = measure(
      "--workload http --url /bytes/2000000 --response-size 2000000 --connections 3 --requests 50 --pipeline "
      "3");
  expect_no_errors(json);
  EXPECT_EQ(json["requests"], 50);
  json =
      measure("--workload http --url /bytes/10 --method POST --body-size 5000 --pipeline 4 --requests 3000");
  expect_no_errors(json);
  EXPECT_EQ(json["requests"], 3000);
}

TEST(Work, http_with_a_connection_for_each_request) {
  for (const char* who : {"client", "server"}) {
    Json json = measure("--workload http --url /bytes/100000 --close --requests 500 --close-first " +
                        std::string(who));
    expect_no_errors(json);
    EXPECT_EQ(json["requests"], 500) << who;
    EXPECT_EQ(json["connections"], 500) << who;
    EXPECT_EQ(json["tcp"]["resets_sent"], 0) << who;
  }
}

// A refusal is an answer: it has a latency, costs no connection, and is told; it is an error for who says so.
TEST(Work, http_answers_of_error_status_are_answers) {
  std::string file = file_name(".json");
  std::string refused = "pair --workload http --url /none --connections 4 --requests 100 --json " + file;
  for (const char* close : {"", " --close"}) {
    Outcome outcome = run(refused + close);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_NE(outcome.output.find("WARNING   all 100 responses have status 404\n"), std::string::npos) << outcome.output;
    EXPECT_NE(outcome.output.find("  4xx     p50 "), std::string::npos) << outcome.output;
    Json json = Json::parse(content_of(file));
    expect_no_errors(json);
    EXPECT_EQ(json["requests"], 100);
    EXPECT_EQ(json["connections"], *close == '\0' ? 4 : 100);
    EXPECT_EQ(json["http"]["statuses"], Json({{"404", 100}}));
    EXPECT_EQ(json["http"]["latency_us"].size(), 1u);
    expect_latencies(json["http"]["latency_us"]["4xx"]);
  }
}

TEST(Work, http_of_a_status_that_is_not_expected_is_an_error) {
  std::string work = "--workload http --url /none --connections 4 --requests 100 --expect-status ";
  Json json = measure(work + "2xx,3xx", 1);
  EXPECT_EQ(json["requests"], 100);
  EXPECT_EQ(json["connections"], 4);
  EXPECT_EQ(json["errors"]["status"], 100);
  EXPECT_EQ(json["errors"]["protocol"], 0);
  EXPECT_EQ(json["http"]["first_error"], "status 404");
  expect_no_errors(measure(work + "404"));
}

TEST(Work, http_of_another_length_is_an_error) {
  Json json =
      measure("--workload http --url /bytes/7 --response-size 8 --connections 4 --requests 100 --close", 1);
  EXPECT_EQ(json["requests"], 0);
  EXPECT_EQ(json["errors"]["protocol"], 100);
  EXPECT_EQ(json["failed"], "no request was answered");
}

TEST(Work, http_head_has_no_bodies) {
  for (const char* how : {"", " --pipeline 8", " --close", " --rate 20k"}) {
    Json json = measure("--workload http --method HEAD --url /bytes/5000 --connections 4 --requests 400" + std::string(how));
    expect_no_errors(json);
    EXPECT_EQ(json["requests"], 400) << how;
    EXPECT_LT(json["bytes_received_per_second"].get<double>() * json["duration_s"].get<double>(), 400 * 200) << how;
  }
}

TEST(Work, http_latencies_of_a_warm_up_are_in_no_class) {
  Json json = measure("--workload http --url /bytes/10 --rate 2k --stall 500ms --stall-after 200ms --warmup 2s --duration 1");
  EXPECT_LT(json["http"]["latency_us"]["2xx"]["max"], 400'000);
  EXPECT_EQ(json["http"]["statuses"], Json({{"200", json["requests"]}}));
}

// --- open loop ---

TEST(OpenLoop, begins_as_many_as_were_due) {
  for (const char* workload : {"rps", "cps"}) {
    Json json = measure(std::string("--rate 2k --duration 2 --workload ") + workload, kept_or_not);
    expect_no_errors(json);
    expect_due(json, 4000);
    json = measure(std::string("--rate 2k --duration 2 --arrival poisson --workload ") + workload, kept_or_not);
    expect_no_errors(json);
    expect_due(json, json["open_loop"]["due"]);
    EXPECT_NEAR(json["open_loop"]["due"].get<double>(), 4000, 5 * std::sqrt(4000));
  }
}

// The area under the line: half of it as high as it is long.
TEST(OpenLoop, a_ramp_sends_the_area_under_it) {
  Json json = measure("--rate 0.1..1000/4s --duration 4", kept_or_not);
  expect_due(json, 2000);
  expect_due(measure("--rate 0..2k/1s --duration 2 --cores 2 --connections 3", kept_or_not), 3000);
  expect_due(measure("--rate 2k..1/1s --duration 1 --workload cps --cores 3 --connections 8", kept_or_not), 1000);
}

TEST(OpenLoop, cores_are_parts_of_one_process) {
  for (const char* arrival : {"fixed", "poisson"})
    for (const char* workload : {"rps", "cps"}) {
      Json json = measure(std::string("--cores 2 --connections 3 --rate 3k --requests 4001 --arrival ") + arrival +
                          " --workload " + workload);
      expect_no_errors(json);
      expect_due(json, 4001);
      EXPECT_EQ(json["requests"], 4001);
      // Fixed: the last is due at that time, and no core's before the others'.
      if (std::string(arrival) == "fixed") {
        EXPECT_GT(json["duration_s"].get<double>(), 4001 / 3000.0 - 1e-3);
      }
    }
}

// "Connection: close" behind a pipeline: what has no answer coming is due when it was due, and is counted once.
TEST(OpenLoop, a_request_that_is_asked_anew_was_due_once) {
  Json json = measure("--workload http --url /bytes/10 --header 'Connection: close' --pipeline 8 --connections 2 --rate 200k --requests 3000");
  expect_no_errors(json);
  expect_due(json, 3000);
  EXPECT_EQ(json["requests"], 3000);
}

TEST(OpenLoop, says_when_it_could_not_keep_up) {
  std::string overload = "--rate 100M --duration 1 --connections 1";
  Outcome outcome = run("pair " + overload);
  EXPECT_EQ(outcome.exit_code, 3) << outcome.output;
  EXPECT_NE(outcome.output.find("\nNOT KEPT  could not keep up: "), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find(" of 100000000 requests that were due never began"), std::string::npos) << outcome.output;
  Json json = measure(overload, 3);
  expect_due(json, 100'000'000);
  EXPECT_EQ(json["not_kept"].get<std::string>().rfind("could not keep up: ", 0), 0u);
  EXPECT_EQ(json["failed"], "");
}

// An error is worse: its exit code wins.
TEST(OpenLoop, an_error_wins_over_a_promise_that_was_not_kept) {
  Json json = measure("--rate 100M --duration 1 --connections 4 --workload http --url /bytes/7 --response-size 8 --close", 1);
  EXPECT_GT(json["errors"]["protocol"], 0);
  EXPECT_NE(json["not_kept"], "");
}

TEST(OpenLoop, without_a_request_that_is_due_nothing_was_measured) {
  Json json = measure("--rate 0.1 --duration 1", 1);
  EXPECT_EQ(json["failed"], "no request was due in this time");
}

TEST(OpenLoop, a_seed_of_0_is_another_one_each_time) {
  std::string poisson = "--rate 100 --requests 5 --arrival poisson";
  Json first = measure(poisson), second = measure(poisson), third = measure(poisson + " --seed 77");
  EXPECT_NE(first["open_loop"]["seed"], second["open_loop"]["seed"]);
  EXPECT_EQ(third["open_loop"]["seed"], 77);
}

// A server that stalls for 1 s of 10: a tenth of the requests is due in that time, and those wait from 1 s to
// nothing. Of 100 the slowest waits for 0.9 s at least; the closed loop sends nothing meanwhile and sees one
// slow answer for each connection.
TEST(OpenLoop, a_stall_shows_and_a_closed_loop_hides_it) {
  std::string stall = "--duration 10 --stall 1s --stall-after 4s --connections 16";
  Json open = measure("--rate 2k " + stall);
  expect_no_errors(open);
  double p99 = open["latency_us"]["p99"];
  EXPECT_GT(p99, 850'000);
  EXPECT_LT(p99, 1'000'000);
  Json closed = measure(stall);
  EXPECT_LT(closed["latency_us"]["p99"], 100'000);
  EXPECT_GT(closed["latency_us"]["max"], 900'000);
}

TEST(OpenLoop, a_warm_up_is_in_no_figure) {
  // The stall lies in it.
  Json json = measure("--rate 2k --stall 500ms --stall-after 200ms --warmup 2s --duration 1");
  expect_no_errors(json);
  EXPECT_LT(json["latency_us"]["p99"], 400'000);
  EXPECT_LT(json["open_loop"]["latest_start_us"], 400'000);
  EXPECT_NEAR(json["duration_s"].get<double>(), 1, 0.5);
}

}  // namespace
