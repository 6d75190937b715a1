// SPDX-License-Identifier: BSD-3-Clause
// Requests of a connection. (http_requests.h)
#include "http_requests.h"

#include <strings.h>

#include <algorithm>

#include "http_message.h"

namespace millrace::load {

using Reading = HttpRequests::Reading;
using What = Reading::What;

static constexpr size_t longest_target = 8192;
// Of a header line no more is kept than tells "Host" and "Expect" from others, and a good host from a bad
// one.
static constexpr size_t longest_field = 16, longest_value = 512;

HttpRequests::HttpRequests() {
  http_parser_settings_init(&callbacks_);
  callbacks_.on_url = on_url;
  callbacks_.on_header_field = on_field;
  callbacks_.on_header_value = on_value;
  callbacks_.on_headers_complete = on_headers;
  callbacks_.on_message_complete = on_complete;
  begin();
}

void HttpRequests::begin() {
  http_parser_init(&parser_, HTTP_REQUEST);
  target_.clear();
  field_.clear();
  value_.clear();
  in_value_ = has_headers_ = waits_ = is_whole_ = false;
  hosts_ = 0;
  is_host_good_ = true;
  status_ = 0;
}

Reading HttpRequests::read(std::span<const uint8_t> text) {
  if (is_whole_) begin();
  parser_.data = this;
  Reading reading;
  reading.taken =
      http_parser_execute(&parser_, &callbacks_, reinterpret_cast<const char*>(text.data()), text.size());
  if (is_whole_) {
    reading.what = What::request;
  } else if (HTTP_PARSER_ERRNO(&parser_) != HPE_OK) {
    reading.what = What::unusable;
    if (status_ == 0) status_ = status_of_error();
  } else if (waits_) {
    waits_ = false;
    reading.what = What::proceed;
  }
  return reading;
}

unsigned HttpRequests::status_of_error() const {
  constexpr unsigned bad_request = 400, fields_too_large = 431;
  return HTTP_PARSER_ERRNO(&parser_) == HPE_HEADER_OVERFLOW ? fields_too_large : bad_request;
}

int HttpRequests::on_url(http_parser* parser, const char* at, size_t length) {
  HttpRequests& here = of(parser);
  if (here.target_.size() + length > longest_target) {
    here.status_ = 414;
    return 1;
  }
  here.target_.append(at, length);
  return 0;
}

// --- header lines ---

int HttpRequests::on_field(http_parser* parser, const char* at, size_t length) {
  HttpRequests& here = of(parser);
  if (here.in_value_) here.end_header();
  here.field_.append(at, std::min(length, longest_field - here.field_.size()));
  return 0;
}

int HttpRequests::on_value(http_parser* parser, const char* at, size_t length) {
  HttpRequests& here = of(parser);
  here.in_value_ = true;
  here.value_.append(at, std::min(length, longest_value - here.value_.size()));
  return 0;
}

static bool is_good_host(const std::string& value) {
  if (value.empty()) return true;  // a target without an authority (RFC 9110 7.2)
  std::string url = "http://" + value + "/";
  http_parser_url parts;
  http_parser_url_init(&parts);
  constexpr unsigned allowed = 1u << UF_SCHEMA | 1u << UF_HOST | 1u << UF_PORT | 1u << UF_PATH;
  return value.find_first_of("/?#@ \t") == std::string::npos &&
         http_parser_parse_url(url.data(), url.size(), 0, &parts) == 0 && (parts.field_set & ~allowed) == 0;
}

void HttpRequests::end_header() {
  value_.erase(value_.find_last_not_of(" \t") + 1);
  if (!has_headers_ && strcasecmp(field_.c_str(), "Host") == 0) {
    ++hosts_;
    is_host_good_ &= is_good_host(value_);
  }
  if (!has_headers_ && strcasecmp(field_.c_str(), "Expect") == 0 &&
      strcasecmp(value_.c_str(), "100-continue") == 0)
    waits_ = true;
  field_.clear();
  value_.clear();
  in_value_ = false;
}

// --- the request ---

int HttpRequests::on_headers(http_parser* parser) {
  HttpRequests& here = of(parser);
  if (here.in_value_) here.end_header();
  here.has_headers_ = true;
  here.judge();
  // An upgrade is an offer, which is not taken: the request is answered in this protocol (RFC 9110 7.8).
  parser->upgrade = 0;
  constexpr int go_on = 0, stop = -1;
  return here.status_ == 0 ? go_on : stop;
}

void HttpRequests::judge() {
  constexpr unsigned bad_request = 400, version_not_supported = 505;
  bool is_1_0 = is_before_1_1(parser_);
  if (parser_.http_major != 1)
    status_ = version_not_supported;
  else if (hosts_ > 1 || (hosts_ == 0 && !is_1_0) || !is_host_good_ || !take_path())
    status_ = bad_request;
  is_last_ = ends_connection(parser_);
  is_kept_1_0_ = is_1_0 && !is_last_;
  bool has_body = (parser_.flags & F_CHUNKED) != 0 ||
                  ((parser_.flags & F_CONTENTLENGTH) != 0 && parser_.content_length != 0);
  waits_ = waits_ && !is_1_0 && has_body;
}

// Origin-form, absolute-form, and what only CONNECT and OPTIONS have (RFC 9112 3.2).
bool HttpRequests::take_path() {
  path_ = target_;
  if (!target_.empty() && target_[0] == '/') return true;
  if (method() == HTTP_CONNECT || (method() == HTTP_OPTIONS && target_ == "*")) return true;
  http_parser_url parts;
  http_parser_url_init(&parts);
  constexpr unsigned needed = 1u << UF_SCHEMA | 1u << UF_HOST;
  if (http_parser_parse_url(target_.data(), target_.size(), 0, &parts) != 0 ||
      (parts.field_set & needed) != needed)
    return false;
  path_ =
      target_.substr(std::min(target_.find_first_of("/?#", parts.field_data[UF_HOST].off), target_.size()));
  if (path_.empty() || path_[0] != '/') path_.insert(0, "/");
  return true;
}

int HttpRequests::on_complete(http_parser* parser) {
  of(parser).is_whole_ = true;
  http_parser_pause(parser, 1);
  return 0;
}

}  // namespace millrace::load
