// SPDX-License-Identifier: BSD-3-Clause
// HTTP/1.1 as a client: the text of a request, and responses read with http_parser: status, framing (a
// length, chunks, or the connection's end), the body's length if the plan gives one.
#pragma once

#include <http_parser.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "plan.h"

namespace millrace::load {

std::string request_text(const Plan& plan);

class HttpResponses {
 public:
  explicit HttpResponses(const Plan& plan);

  struct Outcome {
    uint32_t ended = 0;     // responses that were whole, and as they should be
    bool is_last = false;   // the last of them ends its connection
    bool is_wrong = false;  // no HTTP, another status than 2xx or 3xx, or a body of another length
  };

  void begin(uint32_t lane);
  // What a lane's connection has received; nothing: its end.
  Outcome parse(uint32_t lane, std::span<const uint8_t> text);

  const std::map<unsigned, uint64_t>& statuses() const { return statuses_; }
  const std::string& why() const { return why_; }  // the first thing that was wrong

 private:
  struct Parser {
    http_parser state;
    uint64_t body = 0;  // bytes of it so far
  };
  static int on_body(http_parser* parser, const char* at, size_t length);
  static int on_complete(http_parser* parser);
  int complete(Parser& parser);
  void wrong(const std::string& why);

  const uint64_t expected_body_;  // 0: any
  http_parser_settings callbacks_;
  std::vector<Parser> parsers_;
  Outcome outcome_;
  std::map<unsigned, uint64_t> statuses_;
  std::string why_;
};

}  // namespace millrace::load
