// SPDX-License-Identifier: BSD-3-Clause
// Requests as clients send them, cut at every byte: what the server takes from them, and what it refuses.
#include <gtest/gtest.h>

#include "load/http_requests.h"

namespace millrace::load {
namespace {

using What = HttpRequests::Reading::What;

// What is told of a connection's text that comes in these pieces.
std::string told(const std::vector<std::string>& pieces) {
  HttpRequests requests;
  std::string out;
  for (const std::string& piece : pieces)
    for (size_t at = 0; at < piece.size();) {
      HttpRequests::Reading reading =
          requests.read({reinterpret_cast<const uint8_t*>(piece.data()) + at, piece.size() - at});
      switch (reading.what) {
        case What::more: break;
        case What::proceed: out += "proceed "; break;
        case What::request:
          out += std::string(http_method_str(requests.method())) + " " + requests.path() +
                 (requests.is_last()       ? " last "
                  : requests.is_kept_1_0() ? " kept "
                                           : " ");
          break;
        case What::unusable: return out + std::to_string(requests.status());
      }
      if (reading.taken == 0) return out + "stuck";
      at += reading.taken;
    }
  return out;
}

void expect_same_however_cut(const std::string& text, const std::string& expected) {
  for (size_t cut = 0; cut <= text.size(); ++cut)
    ASSERT_EQ(told({text.substr(0, cut), text.substr(cut)}), expected) << text << "\ncut at " << cut;
  for (size_t length = 1; length < text.size(); ++length) {
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size(); at += length) pieces.push_back(text.substr(at, length));
    ASSERT_EQ(told(pieces), expected) << text << "\nin pieces of " << length;
  }
}

std::string get(const std::string& target, const std::string& lines = "Host: a\r\n",
                const std::string& version = "1.1") {
  return "GET " + target + " HTTP/" + version + "\r\n" + lines + "\r\n";
}

TEST(HttpRequests, come_one_after_the_other) {
  expect_same_however_cut(get("/a") + get("/b?c"), "GET /a GET /b?c ");
  expect_same_however_cut("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /" + get("/b"),
                          "POST /a GET /b ");
  expect_same_however_cut(
      "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nHost: t\r\n\r\n" +
          get("/b"),
      "PUT /a GET /b ");
  expect_same_however_cut("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n" + get("/b"), "HEAD /a GET /b ");
}

TEST(HttpRequests, offers_of_another_protocol_are_passed_over) {
  expect_same_however_cut(get("/a",
                              "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                              "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n") +
                              get("/b"),
                          "GET /a GET /b ");
  expect_same_however_cut(get("/a", "Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"), "GET /a ");
  expect_same_however_cut(
      "POST /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc" +
          get("/b"),
      "POST /a GET /b ");
  expect_same_however_cut("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n" + get("/b"),
                          "CONNECT b:443 GET /b ");
  expect_same_however_cut("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400");
}

// Told when the text at hand has ended before the body: the same request has nobody waiting if that has come.
TEST(HttpRequests, a_client_may_wait_for_100) {
  const std::string head = "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  for (size_t cut = 0; cut <= head.size(); ++cut)
    EXPECT_EQ(told({head.substr(0, cut), head.substr(cut), "hel", "lo", get("/b")}),
              "proceed POST /a GET /b ")
        << cut;
  EXPECT_EQ(told({head + "hello" + get("/b")}), "POST /a GET /b ");
  for (const char* expect : {"expect: 100-CONTINUE\r\n", "EXPECT:100-continue  \r\n"})
    EXPECT_EQ(
        told({std::string("PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n") + expect + "\r\n",
              "0\r\n\r\n"}),
        "proceed PUT /a ");
  for (const char* request :
       {"POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nExpect: something\r\nContent-Length: 5\r\n\r\n"})
    EXPECT_EQ(told({request}), "") << request;
  // Without a body there is nothing to wait with.
  expect_same_however_cut(get("/a", "Host: a\r\nExpect: 100-continue\r\n"), "GET /a ");
}

TEST(HttpRequests, the_last_of_a_connection_is_known) {
  expect_same_however_cut(get("/a", "Host: a\r\nConnection: close\r\n"), "GET /a last ");
  expect_same_however_cut(get("/a", "", "1.0"), "GET /a last ");
  expect_same_however_cut(get("/a", "Connection: Keep-Alive\r\n", "1.0"), "GET /a kept ");
  expect_same_however_cut(get("/a", "Connection: keep-alive, close\r\n", "1.0"), "GET /a last ");
  expect_same_however_cut(get("/a", "Host: a\r\nConnection: keep-alive\r\n"), "GET /a ");
  expect_same_however_cut(get("/a", "Host: a\r\n", "1.2"), "GET /a ");
}

// RFC 9112 3.2.
TEST(HttpRequests, targets_have_forms) {
  struct {
    const char *target, *path;
  } cases[] = {
      {"http://a/b?c", "/b?c"}, {"http://a", "/"},     {"HTTP://10.9.0.2:80/b", "/b"}, {"http://a?b", "/?b"},
      {"http://u@a/b", "/b"},   {"https://a/b", "/b"}, {"/http://a/", "/http://a/"},   {"//a/b", "//a/b"},
  };
  for (const auto& c : cases) expect_same_however_cut(get(c.target), std::string("GET ") + c.path + " ");
  expect_same_however_cut("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * ");
  for (const char* target : {"*", "a/b", "http:/a", "http:///b", "mailto:a"})
    expect_same_however_cut(get(target), "400");
}

TEST(HttpRequests, are_refused_without_one_good_host) {
  expect_same_however_cut(get("/a", ""), "400");
  expect_same_however_cut(get("/a", "Hosts: a\r\n"), "400");
  expect_same_however_cut(get("http://a/", ""), "400");
  expect_same_however_cut(get("/a", "Host: a\r\nhost: a\r\n"), "400");
  expect_same_however_cut(get("/a", "Host: a\r\nX: y\r\nHOST: b\r\n", "1.0"), "400");
  for (const char* host : {"a b", "a/b", "u@a", "a:b", "a#b", "http://a", "a:99999"})
    expect_same_however_cut(get("/a", std::string("Host: ") + host + "\r\n"), "400");
  for (const char* host : {"", "a", "a:80", "10.9.0.2:8080", "[::1]:80", "a.b.", "a_b  "})
    expect_same_however_cut(get("/a", std::string("Host: ") + host + "\r\n"), "GET /a ");
  expect_same_however_cut(get("/a", "", "1.0"), "GET /a last ");
  // Refused at once, without its body.
  EXPECT_EQ(told({"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"}), "400");
}

TEST(HttpRequests, are_refused_for_what_they_are) {
  expect_same_however_cut("GARBAGE\r\n\r\n", "400");
  expect_same_however_cut("\x16\x03\x01\x02", "400");
  expect_same_however_cut(get("/a", "Host: a\r\n", "2.0"), "505");
  expect_same_however_cut("GET /a\r\n\r\n", "505");
  expect_same_however_cut(get("/a") + get("/b", "no colon\r\n"), "GET /a 400");
  expect_same_however_cut(
      "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "400");
  expect_same_however_cut("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "400");
  expect_same_however_cut("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                          "400");
  EXPECT_EQ(told({get("/" + std::string(8192, 'a'))}), "414");
  EXPECT_EQ(told({get("/" + std::string(8191, 'a'))}), "GET /" + std::string(8191, 'a') + " ");
  EXPECT_EQ(told({get("/a", "Host: a\r\nX: " + std::string(100'000, 'a') + "\r\n")}), "431");
  EXPECT_EQ(
      told({get("/a", "Host: a\r\n" + std::string(1000, 'X') + ": " + std::string(10'000, 'a') + "\r\n")}),
      "GET /a ");
}

}  // namespace
}  // namespace millrace::load
