// SPDX-License-Identifier: BSD-3-Clause
// Responses as servers send them: with a length, in chunks, to the connection's end; several at once; cut
// anywhere.
#include <gtest/gtest.h>

#include "load/http_client.h"

namespace millrace::load {
namespace {

Plan http_plan(uint32_t body = 0) {
  Plan plan;
  plan.workload = Workload::http;
  plan.connections = 2;
  plan.response_size = body;
  plan.http.path = "/x";
  plan.targets = {{ipv4(10, 9, 0, 1), 8080}};
  return plan;
}

using Outcome = HttpResponses::Outcome;

// In pieces of so many bytes; then, if wanted, the end of the connection.
Outcome parse(HttpResponses& responses, const std::string& text, size_t piece, bool end = false) {
  Outcome sum;
  responses.begin(0);
  auto add = [&](Outcome one) {
    sum.ended += one.ended;
    sum.is_last |= one.is_last;
    sum.is_wrong |= one.is_wrong;
  };
  for (size_t at = 0; at < text.size() && !sum.is_wrong; at += piece) {
    std::string part = text.substr(at, piece);
    add(responses.parse(0, {reinterpret_cast<const uint8_t*>(part.data()), part.size()}));
  }
  if (end) add(responses.parse(0, {}));
  return sum;
}

const std::string with_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const std::string chunked =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n";

TEST(HttpResponses, are_whole_however_they_are_cut) {
  for (const std::string& text : {with_length, chunked, with_length + chunked + with_length})
    for (size_t piece = 1; piece <= text.size(); ++piece) {
      HttpResponses responses(http_plan(5));
      Outcome outcome = parse(responses, text, piece);
      EXPECT_EQ(outcome.ended, text.size() > 120 ? 3u : 1u);
      EXPECT_FALSE(outcome.is_wrong) << responses.why();
      EXPECT_FALSE(outcome.is_last);
    }
}

TEST(HttpResponses, a_body_may_end_with_its_connection) {
  HttpResponses responses(http_plan());
  Outcome outcome = parse(responses, "HTTP/1.1 200 OK\r\n\r\nall of it", 4);
  EXPECT_EQ(outcome.ended, 0u);
  outcome = parse(responses, "HTTP/1.1 200 OK\r\n\r\nall of it", 4, true);
  EXPECT_EQ(outcome.ended, 1u);
  EXPECT_TRUE(outcome.is_last);
}

TEST(HttpResponses, connection_close_is_seen) {
  HttpResponses responses(http_plan());
  EXPECT_TRUE(
      parse(responses, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 9).is_last);
  EXPECT_TRUE(parse(responses, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 9).is_last);
}

TEST(HttpResponses, what_is_wrong_is_told) {
  struct {
    const char* text;
    bool end;
    const char* why;
  } cases[] = {
      {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, "status 404"},
      {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false, "status 503"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour", false, "a body of 4 bytes, not 5"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfou", true, "unexpected"},
      {"SSH-2.0-OpenSSH\r\n", false, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, "chunk"},
  };
  for (const auto& c : cases) {
    HttpResponses responses(http_plan(5));
    Outcome outcome = parse(responses, c.text, 7, c.end);
    EXPECT_TRUE(outcome.is_wrong) << c.text;
    EXPECT_EQ(outcome.ended, 0u) << c.text;
    EXPECT_NE(responses.why().find(c.why), std::string::npos) << responses.why();
  }
}

TEST(HttpResponses, statuses_are_counted_and_100_is_none) {
  HttpResponses responses(http_plan());
  Outcome outcome = parse(responses, "HTTP/1.1 100 Continue\r\n\r\n" + with_length, 1000);
  EXPECT_EQ(outcome.ended, 1u);
  EXPECT_EQ(responses.statuses(), (std::map<unsigned, uint64_t>{{200, 1}}));
}

TEST(HttpRequest, says_what_the_plan_says) {
  Plan plan = http_plan();
  EXPECT_EQ(request_text(plan),
            "GET /x HTTP/1.1\r\nHost: 10.9.0.1:8080\r\nUser-Agent: millrace-load\r\n\r\n");
  plan.http.method = "POST";
  plan.http.body_size = 3;
  plan.http.close = true;
  plan.http.headers = {"A: b"};
  plan.targets[0].port = 80;
  EXPECT_EQ(request_text(plan),
            "POST /x HTTP/1.1\r\nHost: 10.9.0.1\r\nUser-Agent: millrace-load\r\nConnection: close\r\n"
            "A: b\r\nContent-Length: 3\r\n\r\nabc");
}

}  // namespace
}  // namespace millrace::load
