// SPDX-License-Identifier: BSD-3-Clause
// The requests of one connection, read with http_parser, one at a time. What the parser leaves to its caller
// is here: the forms of a target, Host, Expect, and which status refuses a request (RFC 9112 3.2, RFC
// 9110 10.1.1).
#pragma once

#include <http_parser.h>

#include <cstdint>
#include <span>
#include <string>

namespace millrace::load {

class HttpRequests {
 public:
  HttpRequests();

  // How far text was read: at most to the end of one request.
  struct Reading {
    enum class What : uint8_t {
      more,      // a request is still to come
      proceed,   // the same, and its client waits for 100 (Continue); told once
      request,   // one is whole: method(), path(), is_last(), is_kept_1_0()
      unusable,  // no request, and nothing behind it can be read: status() says why
    };
    What what = What::more;
    size_t taken = 0;  // bytes of the text
  };
  Reading read(std::span<const uint8_t> text);

  unsigned status() const { return status_; }
  // Of the request that has just been read.
  http_method method() const { return static_cast<http_method>(parser_.method); }
  const std::string& path() const { return path_; }  // of the target in any form, with its query
  bool is_last() const { return is_last_; }          // the connection ends after its response
  bool is_kept_1_0() const { return is_kept_1_0_; }  // by a client of HTTP/1.0, which has to be told

 private:
  static HttpRequests& of(http_parser* parser) { return *static_cast<HttpRequests*>(parser->data); }
  static int on_url(http_parser* parser, const char* at, size_t length);
  static int on_field(http_parser* parser, const char* at, size_t length);
  static int on_value(http_parser* parser, const char* at, size_t length);
  static int on_headers(http_parser* parser);
  static int on_complete(http_parser* parser);
  void begin();
  void end_header();
  void judge();
  bool take_path();
  unsigned status_of_error() const;

  http_parser parser_;
  http_parser_settings callbacks_;
  std::string target_, path_;
  std::string field_, value_;  // the header line that is coming, or the beginning of it
  bool in_value_ = false;
  bool has_headers_ = false;  // all of them: what comes now are trailers
  uint32_t hosts_ = 0;
  bool is_host_good_ = true;
  bool waits_ = false;  // for 100 (Continue)
  bool is_whole_ = false;
  unsigned status_ = 0;
  bool is_last_ = false, is_kept_1_0_ = false;
};

}  // namespace millrace::load
