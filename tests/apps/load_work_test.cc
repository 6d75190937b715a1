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
  uint64_t due = json["requests"].get<uint64_t>() + json["open_loop"]["not_sent"].get<uint64_t>() +
                 json["open_loop"]["unanswered"].get<uint64_t>();
  EXPECT_NEAR(static_cast<double>(due), 500 * json["duration_s"].get<double>(), 5);
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
  for (const char* arrival : {"fixed", "poisson"})
    for (const char* workload : {"rps", "cps"}) {
      Json json =
          measure(std::string("--rate 2k --duration 2 --arrival ") + arrival + " --workload " + workload);
      expect_no_errors(json);
      uint64_t due = json["requests"].get<uint64_t>() + json["open_loop"]["not_sent"].get<uint64_t>() +
                     json["open_loop"]["unanswered"].get<uint64_t>();
      double expected = 2000 * json["duration_s"].get<double>();
      EXPECT_NEAR(static_cast<double>(due), expected,
                  std::string(arrival) == "fixed" ? 5 : 5 * std::sqrt(expected));
    }
}

TEST(OpenLoop, says_when_it_could_not_keep_up) {
  Outcome outcome = run("pair --rate 100M --duration 1 --connections 1");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("could not keep up"), std::string::npos) << outcome.output;
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
