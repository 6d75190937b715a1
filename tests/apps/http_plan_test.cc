// SPDX-License-Identifier: BSD-3-Clause
// What a user says of HTTP: the URL, header lines, statuses; and the request that it makes.
#include <gtest/gtest.h>

#include <algorithm>

#include "load/http_client.h"
#include "load/plan_http.h"

namespace millrace::load {
namespace {

Plan client_plan() {
  Plan plan;
  plan.program = Program::client;
  plan.workload = Workload::http;
  return plan;
}

std::string refusal(const std::function<void()>& what) {
  try {
    what();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(HttpUrl, is_a_target_and_a_path) {
  struct {
    const char *url, *target, *path;
  } cases[] = {
      {"http://10.9.0.1/", "10.9.0.1:80", "/"},
      {"http://10.9.0.1", "10.9.0.1:80", "/"},
      {"http://10.9.0.1:8080/bytes/64", "10.9.0.1:8080", "/bytes/64"},
      {"HTTP://10.9.0.1/A", "10.9.0.1:80", "/A"},
      {"Http://10.9.0.1:81", "10.9.0.1:81", "/"},
      {"http://10.9.0.1/a?b=c", "10.9.0.1:80", "/a?b=c"},
      {"http://10.9.0.1/a?", "10.9.0.1:80", "/a?"},
      {"http://10.9.0.1?b=c", "10.9.0.1:80", "/?b=c"},
      {"http://10.9.0.1/a#there", "10.9.0.1:80", "/a"},
      {"http://10.9.0.1#there", "10.9.0.1:80", "/"},
      {"http://10.9.0.1/a?b#c?d", "10.9.0.1:80", "/a?b"},
      {"http://10.9.0.1/a@b", "10.9.0.1:80", "/a@b"},
      {"http://10.9.0.1/%7Ea", "10.9.0.1:80", "/%7Ea"},
  };
  for (const auto& c : cases) {
    Plan plan = client_plan();
    plan.http.url = c.url;
    EXPECT_EQ(refusal([&] { split_url(plan); }), "") << c.url;
    ASSERT_EQ(plan.targets.size(), 1u) << c.url;
    EXPECT_EQ(to_string(plan.targets[0].address) + ":" + std::to_string(plan.targets[0].port), c.target)
        << c.url;
    EXPECT_EQ(plan.http.path, c.path) << c.url;
  }
}

TEST(HttpUrl, may_be_a_path_alone) {
  struct {
    const char *url, *path;
  } cases[] = {{"/", "/"}, {"/a?b", "/a?b"}, {"/a#b", "/a"}, {"/#", "/"}, {"//a/b", "//a/b"}};
  for (const auto& c : cases) {
    Plan plan = client_plan();
    plan.http.url = c.url;
    split_url(plan);
    EXPECT_EQ(plan.http.path, c.path);
    EXPECT_TRUE(plan.targets.empty());
  }
}

TEST(HttpUrl, is_refused_in_one_line) {
  struct {
    const char *url, *why;
  } cases[] = {
      {"", "empty"},
      {"http://user:secret@10.9.0.1/", "credentials"},
      {"http://user@10.9.0.1/", "credentials"},
      {"http://user:secret@10.9.0.1:80?a", "credentials"},
      {"https://10.9.0.1/", "neither"},
      {"ftp://10.9.0.1/", "neither"},
      {"10.9.0.1/a", "neither"},
      {"a", "neither"},
      {"#a", "neither"},
      {"http:///a", "neither"},
      {"http://10.9.0.1:99999/", "neither"},
      {"http://10.9.0.1:0/", "port 0"},
      {"http://10.9.0.1:x/", "neither"},
      {"http://example.org/", "names are not looked up"},
      {"http://10.9.0.256/", "names are not looked up"},
      {"http://[::1]/", "names are not looked up"},
      {"/a b", "%XX"},
      {"/a\tb", "%XX"},
      {"/a\r\nX: y", "%XX"},
      {"/\xc3\xa4", "%XX"},
      {"http://10.9.0.1/\x7f", "%XX"},
  };
  for (const auto& c : cases) {
    Plan plan = client_plan();
    plan.http.url = c.url;
    std::string why = refusal([&] { split_url(plan); });
    EXPECT_NE(why.find(c.why), std::string::npos) << c.url << ": '" << why << "'";
    EXPECT_EQ(std::count(why.begin(), why.end(), '\n'), 0) << why;
  }
}

TEST(HttpHeaders, are_lines_that_do_not_contradict_what_is_done) {
  struct {
    const char* line;
    bool good;
  } cases[] = {
      {"Accept: text/html", true},
      {"A:", true},
      {"a_b!#$%: x", true},
      {"A: \t\xc3\xa4", true},
      {"nothing", false},
      {": x", false},
      {" A: x", false},
      {"A : x", false},
      {"A: x\r\nB: y", false},
      {"A: \x01", false},
      {"Transfer-Encoding: x", false},
      {"content-LENGTH: 3", true},
      {"Content-Length: 4", false},
      {"Connection: keep-alive", false},
      {"connection: Close", true},
      {"Connection: x, close", true},
      {"Connection: closed", false},
  };
  for (const auto& c : cases) {
    Plan plan = client_plan();
    plan.http.body_size = 3;
    plan.http.close = true;
    plan.close_first = Side::server;
    plan.http.headers = {c.line};
    EXPECT_EQ(refusal([&] { complete_http(plan); }).empty(), c.good) << c.line;
  }
  Plan plan = client_plan();
  plan.http.headers = {"Host: a", "HOST: b"};
  EXPECT_NE(refusal([&] { complete_http(plan); }), "");
  plan.http.headers = {"Connection: keep-alive"};
  EXPECT_EQ(refusal([&] { complete_http(plan); }), "");
}

TEST(HttpMethod, is_any_but_connect) {
  for (const char* method : {"GET", "HEAD", "POST", "DELETE", "M-SEARCH", "get"}) {
    Plan plan = client_plan();
    plan.http.method = method;
    EXPECT_EQ(refusal([&] { complete_http(plan); }), "") << method;
  }
  for (const char* method : {"", "CONNECT", "G T", "G\r\nT"}) {
    Plan plan = client_plan();
    plan.http.method = method;
    EXPECT_NE(refusal([&] { complete_http(plan); }), "") << method;
  }
  Plan plan = client_plan();
  plan.http.method = "HEAD";
  plan.response_size = 5;
  EXPECT_NE(refusal([&] { complete_http(plan); }), "");
}

TEST(HttpStatuses, are_listed) {
  Plan plan = client_plan();
  plan.http.expect_status = {"200,304", "4xx"};
  complete_http(plan);
  EXPECT_TRUE(plan.http.expected.contains(200) && plan.http.expected.contains(304) &&
              plan.http.expected.contains(404));
  EXPECT_FALSE(plan.http.expected.contains(201));
  for (const char* list : {"", "200,", "200, 304", "ok", "1xx"}) {
    Plan wrong = client_plan();
    wrong.http.expect_status = {list};
    EXPECT_NE(refusal([&] { complete_http(wrong); }), "") << list;
  }
}

Plan request_plan() {
  Plan plan = client_plan();
  plan.http.path = "/x";
  plan.targets = {{ipv4(10, 9, 0, 1), 8080}};
  return plan;
}

TEST(HttpRequest, says_what_the_plan_says) {
  Plan plan = request_plan();
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

TEST(HttpRequest, has_the_users_lines_instead_of_ours) {
  Plan plan = request_plan();
  plan.http.method = "POST";
  plan.http.body_size = 3;
  plan.http.close = true;
  plan.http.headers = {"hOST: example.org", "USER-AGENT: me", "connection: close", "content-length:3",
                       "Hosts: no"};
  EXPECT_EQ(request_text(plan),
            "POST /x HTTP/1.1\r\nhOST: example.org\r\nUSER-AGENT: me\r\nconnection: close\r\n"
            "content-length:3\r\nHosts: no\r\n\r\nabc");
}

}  // namespace
}  // namespace millrace::load
