// SPDX-License-Identifier: BSD-3-Clause
// HTTP/1.1 as a client: the text of a request, and responses read with http_parser, one at a time. What the
// parser leaves to its caller is here: which responses have no body (RFC 9112 6.3), what ends a connection,
// and what a server sends behind a complete response.
#pragma once

#include <http_parser.h>

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "http_status.h"
#include "plan.h"
#include "tally.h"

namespace millrace::load {

std::string request_text(const Plan& plan);

class HttpResponses {
 public:
  explicit HttpResponses(const Plan& plan);
  HttpResponses(const HttpResponses&) = delete;  // its parsers point to it

  // How far a lane's text was read: at most to the end of one response.
  struct Reading {
    enum class What : uint8_t {
      more,      // a response is still to come, or nothing is awaited
      response,  // one is whole
      wrong,     // the connection is of no use any more: why() has the first reason
    };
    What what = What::more;
    size_t taken = 0;         // bytes of the text
    unsigned status = 0;      // of a response
    bool is_last = false;     // it ends its connection
    bool is_expected = true;  // its status is, or the user expects none
  };

  void begin(uint32_t lane);
  // What a lane's connection has received, some bytes at least. `is_awaited`: a request waits for its
  // response; else any text but empty lines is surplus.
  Reading read(uint32_t lane, std::span<const uint8_t> text, bool is_awaited);
  // Its end, with a request that waits: the end of a response too, if that has no length of its own.
  Reading end(uint32_t lane);

  // What came behind complete responses: connections with text that nobody asked for, runs of empty lines,
  // and connections that were reset.
  struct Surplus {
    uint64_t bytes = 0, empty_lines = 0, resets = 0;
    uint64_t sum() const { return bytes + empty_lines + resets; }
    void add(const Surplus& other) {
      bytes += other.bytes;
      empty_lines += other.empty_lines;
      resets += other.resets;
    }
  };
  void count_reset(uint32_t lane) { surplus_.resets += parsers_[lane].has_had_one; }

  // How often each status came. Any thread.
  std::map<unsigned, uint64_t> statuses() const;
  // For the end.
  const Surplus& surplus() const { return surplus_; }
  const std::string& why() const { return why_; }  // the first thing that was wrong

 private:
  struct Parser {
    http_parser state;
    uint64_t body = 0;       // bytes of it so far
    bool has_begun = false;  // a response, with its first byte
    bool is_whole = false;
    bool in_empty_lines = false;
    bool has_had_one = false;  // its connection has brought a whole response
  };
  static constexpr unsigned most_status = 999;
  static int on_headers(http_parser* parser);
  static int on_body(http_parser* parser, const char* at, size_t length);
  static int on_complete(http_parser* parser);
  size_t pass_empty_lines(Parser& parser, std::span<const uint8_t> text);
  Reading complete(uint32_t lane, Reading reading, bool at_the_end);
  Reading wrong(const std::string& why, Reading reading);

  const uint64_t expected_body_;  // 0: any
  const StatusSet expected_status_;
  const bool is_head_;
  http_parser_settings callbacks_;
  std::vector<Parser> parsers_;
  std::array<Shown, most_status + 1> statuses_;
  Surplus surplus_;
  std::string why_;
};

}  // namespace millrace::load
