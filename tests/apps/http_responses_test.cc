// SPDX-License-Identifier: BSD-3-Clause
// Responses as servers send them: with a length, in chunks, to the connection's end, or without a body;
// several at once; with something behind them. Each is cut at every byte.
#include <gtest/gtest.h>

#include "load/http_client.h"

namespace millrace::load {
namespace {

Plan http_plan(const std::string& method = "GET", uint32_t body = 0) {
  Plan plan;
  plan.workload = Workload::http;
  plan.connections = 2;
  plan.response_size = body;
  plan.http.method = method;
  plan.http.path = "/x";
  plan.targets = {{ipv4(10, 9, 0, 1), 8080}};
  return plan;
}

using Reading = HttpResponses::Reading;

// What came of a connection's text: statuses, "last" behind that of a last response, and what was wrong.
struct Told {
  std::string text;
  HttpResponses::Surplus surplus;
};

// `awaited` responses are asked for at once; the text comes in these pieces, then perhaps the connection's
// end.
Told told(const Plan& plan, uint32_t awaited, const std::vector<std::string>& pieces, bool end) {
  HttpResponses responses(plan);
  responses.begin(0);
  std::string out;
  bool over = false;
  auto tell = [&](const Reading& reading) {
    if (reading.what == Reading::What::response) {
      out += std::to_string(reading.status) + (reading.is_expected ? "" : " unexpected") +
             (reading.is_last ? " last " : " ");
      --awaited;
      over |= reading.is_last;
    } else if (reading.what == Reading::What::wrong) {
      out += responses.why();
    }
    return reading.what != Reading::What::wrong;
  };
  for (const std::string& piece : pieces)
    for (size_t at = 0; at < piece.size();) {
      std::span<const uint8_t> rest(reinterpret_cast<const uint8_t*>(piece.data()) + at, piece.size() - at);
      Reading reading = responses.read(0, rest, awaited > 0 && !over);
      if (!tell(reading)) return {out, responses.surplus()};
      if (reading.taken == 0) return {out + "stuck", responses.surplus()};
      at += reading.taken;
    }
  if (end && awaited > 0 && !over) tell(responses.end(0));
  return {out, responses.surplus()};
}

void expect_same_however_cut(const Plan& plan, uint32_t awaited, const std::string& text, bool end,
                             const std::string& expected, HttpResponses::Surplus surplus = {}) {
  auto expect = [&](const std::vector<std::string>& pieces, size_t cut) {
    Told seen = told(plan, awaited, pieces, end);
    ASSERT_EQ(seen.text, expected) << text << "\ncut at " << cut;
    ASSERT_EQ(seen.surplus.bytes, surplus.bytes) << text << "\ncut at " << cut;
    ASSERT_EQ(seen.surplus.empty_lines, surplus.empty_lines) << text << "\ncut at " << cut;
  };
  for (size_t cut = 0; cut <= text.size(); ++cut) expect({text.substr(0, cut), text.substr(cut)}, cut);
  for (size_t length = 1; length < text.size(); ++length) {
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size(); at += length) pieces.push_back(text.substr(at, length));
    expect(pieces, length);
  }
}

std::string head(const std::string& status, const std::string& lines = "") {
  return "HTTP/1.1 " + status + "\r\n" + lines + "\r\n";
}
const std::string with_length = head("200 OK", "Content-Length: 5\r\n") + "hello";
const std::string chunked =
    head("200 OK", "Transfer-Encoding: chunked\r\n") + "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n";
const std::string to_the_end = head("200 OK") + "hello";

TEST(HttpResponses, are_whole_however_they_are_cut) {
  Plan plan = http_plan("GET", 5);
  expect_same_however_cut(plan, 1, with_length, false, "200 ");
  expect_same_however_cut(plan, 1, chunked, false, "200 ");
  expect_same_however_cut(plan, 3, with_length + chunked + with_length, false, "200 200 200 ");
  expect_same_however_cut(plan, 1, to_the_end, false, "");
  expect_same_however_cut(plan, 1, to_the_end, true, "200 last ");
}

// RFC 9112 6.3, rule 1.
TEST(HttpResponses, some_have_no_body_whatever_their_header_says) {
  for (const char* lines :
       {"", "Content-Length: 5\r\n", "Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"}) {
    expect_same_however_cut(http_plan(), 2, head("304 Not Modified", lines) + with_length, false, "304 200 ");
    expect_same_however_cut(http_plan(), 2, head("204 No Content", lines) + with_length, false, "204 200 ");
    expect_same_however_cut(http_plan(), 1, head("100 Continue", lines) + with_length, false, "200 ");
    expect_same_however_cut(http_plan(), 1,
                            head("103 Early Hints", lines) + head("102 Processing", lines) + with_length,
                            false, "200 ");
    expect_same_however_cut(http_plan("HEAD"), 3,
                            head("200 OK", lines) + head("404 No", lines) + head("200 OK", lines), false,
                            "200 404 200 ");
  }
  // A length that was asked for is that of a body.
  expect_same_however_cut(http_plan("GET", 5), 2, head("304 Not Modified") + with_length, false, "304 200 ");
}

TEST(HttpResponses, what_only_informs_ends_nothing) {
  expect_same_however_cut(http_plan(), 1, head("100 Continue", "Connection: close\r\n") + with_length, false,
                          "200 ");
  expect_same_however_cut(http_plan(), 1, "HTTP/1.0 100 Continue\r\n\r\n" + with_length, false, "200 ");
}

TEST(HttpResponses, a_body_without_a_length_ends_with_its_connection) {
  expect_same_however_cut(http_plan(), 3, with_length + to_the_end, true, "200 200 last ");
  expect_same_however_cut(http_plan(), 2, with_length + head("404 Not Found") + "no", true, "200 404 last ");
  expect_same_however_cut(http_plan(), 1, head("200 OK"), true, "200 last ");
  expect_same_however_cut(http_plan(), 1, head("200 OK", "Transfer-Encoding: gzip\r\n") + "hello", true,
                          "200 last ");
  // It looks like a response, and is the body's.
  expect_same_however_cut(http_plan(), 2, to_the_end + with_length, true, "200 last ");
}

TEST(HttpResponses, the_last_of_a_connection_is_known) {
  const std::string none = "Content-Length: 0\r\n";
  struct {
    std::string text;
    bool is_last;
  } cases[] = {
      {head("200 OK", "Connection: close\r\n" + none), true},
      {head("200 OK", none + "connection: CLOSE\r\n"), true},
      {head("200 OK", none + "Connection: x, close\r\n"), true},
      {head("304 Not Modified", "Connection: close\r\n"), true},
      {head("200 OK", none + "Connection: keep-alive\r\n"), false},
      {"HTTP/1.0 200 OK\r\n" + none + "\r\n", true},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + none + "\r\n", false},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n" + none + "\r\n", true},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
  };
  for (const auto& c : cases)
    expect_same_however_cut(http_plan(), 1, c.text, false,
                            c.text.substr(9, 3) + (c.is_last ? " last " : " "));
}

TEST(HttpResponses, what_comes_behind_is_told_by_name) {
  expect_same_however_cut(http_plan(), 1, with_length + "x", false, "200 bytes behind a complete response",
                          {.bytes = 1});
  expect_same_however_cut(http_plan(), 1, with_length + with_length, false,
                          "200 bytes behind a complete response", {.bytes = 1});
  expect_same_however_cut(http_plan(), 1, with_length + head("100 Continue"), false,
                          "200 bytes behind a complete response", {.bytes = 1});
  expect_same_however_cut(http_plan("HEAD"), 1, with_length, false, "200 bytes behind a complete response",
                          {.bytes = 1});
  expect_same_however_cut(http_plan(), 2,
                          head("200 OK", "Connection: close\r\nContent-Length: 0\r\n") + with_length, false,
                          "200 last bytes behind a complete response", {.bytes = 1});
  for (const char* lines : {"\r\n", "\n", "\r\n\r\n"}) {
    expect_same_however_cut(http_plan(), 1, with_length + lines, false, "200 ", {.empty_lines = 1});
    expect_same_however_cut(http_plan(), 2, with_length + lines + chunked + lines, false, "200 200 ",
                            {.empty_lines = 2});
    expect_same_however_cut(http_plan(), 1, with_length + lines + "x", false,
                            "200 bytes behind a complete response", {.bytes = 1, .empty_lines = 1});
  }
  expect_same_however_cut(http_plan(), 0, "SSH-2.0-OpenSSH\r\n", false, "bytes before any request");
}

TEST(HttpResponses, a_reset_counts_behind_a_response_only) {
  HttpResponses responses(http_plan());
  responses.begin(0);
  responses.count_reset(0);
  EXPECT_EQ(responses.surplus().resets, 0u);
  responses.read(0, {reinterpret_cast<const uint8_t*>(with_length.data()), with_length.size()}, true);
  responses.count_reset(0);
  EXPECT_EQ(responses.surplus().resets, 1u);
}

TEST(HttpResponses, what_is_wrong_is_told) {
  struct {
    std::string text;
    bool end;
    const char* why;
  } cases[] = {
      {head("200 OK", "Content-Length: 4\r\n") + "four", false, "a body of 4 bytes, not 5"},
      {head("200 OK") + "six...", true, "a body of 6 bytes, not 5"},
      {head("200 OK", "Content-Length: 5\r\n") + "fou", true, "the connection ended within a response"},
      {"HTTP/1.1 200 O", true, "the connection ended within a response"},
      {head("200 OK", "Transfer-Encoding: chunked\r\n") + "3\r\nhel\r\n", true,
       "the connection ended within a response"},
      {"", true, "the connection ended before a response"},
      {head("100 Continue"), true, "the connection ended before a response"},
      {head("101 Switching Protocols", "Connection: upgrade\r\nUpgrade: h2c\r\n"), false,
       "status 101: the server changes to another protocol"},
      {head("101 Switching Protocols"), false, "status 101: the server changes to another protocol"},
      {head("099 Early"), false, "status 99"},
      {"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "another version than HTTP/1"},
      {head("200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), false,
       "a Content-Length beside a Transfer-Encoding"},
      {"SSH-2.0-OpenSSH\r\n", false, "invalid constant string"},
      {head("200 OK", "Content-Length: five\r\n"), false, "invalid character in content-length header"},
      {head("200 OK", "Content-Length: 5\r\nContent-Length: 6\r\n"), false,
       "unexpected content-length header"},
      {head("200 OK", "Transfer-Encoding: chunked\r\n") + "zz\r\n", false,
       "invalid character in chunk size header"},
  };
  for (const auto& c : cases) expect_same_however_cut(http_plan("GET", 5), 1, c.text, c.end, c.why);
}

// A refusal is an answer, and its body is another one.
TEST(HttpResponses, statuses_of_errors_leave_the_connection) {
  const std::string text =
      head("404 Not Found", "Content-Length: 2\r\n") + "no" + head("503 No", "Content-Length: 0\r\n");
  expect_same_however_cut(http_plan("GET", 5), 3, text + with_length, false, "404 503 200 ");
  Plan picky = http_plan();
  ASSERT_TRUE(picky.http.expected.add("2xx"));
  ASSERT_TRUE(picky.http.expected.add("404"));
  expect_same_however_cut(picky, 3, text + with_length, false, "404 503 unexpected 200 ");
  HttpResponses responses(picky);
  responses.begin(0);
  std::span<const uint8_t> rest(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  while (!rest.empty()) rest = rest.subspan(responses.read(0, rest, true).taken);
  EXPECT_EQ(responses.statuses(), (std::map<unsigned, uint64_t>{{404, 1}, {503, 1}}));
  EXPECT_EQ(responses.why(), "status 503");
}

TEST(HttpStatus, is_a_final_one_or_a_class) {
  for (const char* text : {"200", "2xx", "599", "5XX"}) EXPECT_TRUE(StatusSet().add(text)) << text;
  for (const char* text : {"", "1xx", "100", "600", "20", "2000", "2x0", "abc", "20x", " 200", "-20"})
    EXPECT_FALSE(StatusSet().add(text)) << text;
  StatusSet set;
  set.add("2xx");
  set.add("304");
  EXPECT_TRUE(set.contains(200) && set.contains(299) && set.contains(304));
  EXPECT_FALSE(set.contains(300) || set.contains(303) || set.contains(999) || set.is_empty());
}

}  // namespace
}  // namespace millrace::load
