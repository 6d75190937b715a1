// SPDX-License-Identifier: BSD-3-Clause
// HTTP as a client. (http_client.h)
#include "http_client.h"

#include <strings.h>

#include <cstring>

#include "http_message.h"

namespace millrace::load {

using Reading = HttpResponses::Reading;
using What = Reading::What;

// A header line of the user's takes the place of ours.
static bool is_given(const Plan& plan, const char* name) {
  size_t length = std::strlen(name);
  for (const std::string& header : plan.http.headers)
    if (header.size() > length && header[length] == ':' && strncasecmp(header.c_str(), name, length) == 0)
      return true;
  return false;
}

std::string request_text(const Plan& plan) {
  const Target& target = plan.targets.front();
  std::string text = plan.http.method + " " + plan.http.path + " HTTP/1.1\r\n";
  auto add = [&](const char* name, const std::string& value) {
    if (!is_given(plan, name)) text += std::string(name) + ": " + value + "\r\n";
  };
  add("Host", to_string(target.address) + (target.port == 80 ? "" : ":" + std::to_string(target.port)));
  add("User-Agent", "millrace-load");
  if (plan.http.close) add("Connection", "close");
  for (const std::string& header : plan.http.headers) text += header + "\r\n";
  bool has_body = plan.http.body_size != 0 || plan.http.method == "POST" || plan.http.method == "PUT";
  if (has_body) add("Content-Length", std::to_string(plan.http.body_size));
  text += "\r\n";
  for (uint32_t i = 0; i < plan.http.body_size; ++i) text += static_cast<char>('a' + i % 26);
  return text;
}

HttpResponses::HttpResponses(const Plan& plan)
    : expected_body_(plan.response_size),
      expected_status_(plan.http.expected),
      is_head_(plan.http.method == "HEAD"),
      parsers_(plan.connections) {
  http_parser_settings_init(&callbacks_);
  callbacks_.on_headers_complete = on_headers;
  callbacks_.on_body = on_body;
  callbacks_.on_message_complete = on_complete;
}

void HttpResponses::begin(uint32_t lane) {
  parsers_[lane] = Parser{};
  http_parser& state = parsers_[lane].state;
  http_parser_init(&state, HTTP_RESPONSE);
  state.data = this;
  // A length beside chunks: refused here (on_headers), as the parser refuses it where there is no body at
  // all, too.
  state.allow_chunked_length = 1;
}

Reading HttpResponses::read(uint32_t lane, std::span<const uint8_t> text, bool is_awaited) {
  Parser& parser = parsers_[lane];
  Reading reading;
  // The parser stops at the end of each response, and of each that only informs (1xx).
  while (reading.taken < text.size() && reading.what == What::more) {
    auto rest = text.subspan(reading.taken);
    if (!parser.has_begun) {
      size_t empty = pass_empty_lines(parser, rest);
      reading.taken += empty;
      if (empty == rest.size()) break;
      if (!is_awaited) {
        surplus_.bytes += parser.has_had_one;
        return wrong(parser.has_had_one ? "bytes behind a complete response" : "bytes before any request",
                     reading);
      }
      parser.has_begun = true;
      continue;
    }
    reading.taken += http_parser_execute(&parser.state, &callbacks_,
                                         reinterpret_cast<const char*>(rest.data()), rest.size());
    if (parser.is_whole)
      reading = complete(lane, reading, false);
    else if (HTTP_PARSER_ERRNO(&parser.state) != HPE_OK)
      return wrong(http_errno_description(HTTP_PARSER_ERRNO(&parser.state)), reading);
  }
  return reading;
}

Reading HttpResponses::end(uint32_t lane) {
  Parser& parser = parsers_[lane];
  if (!parser.has_begun) return wrong("the connection ended before a response", {});
  http_parser_execute(&parser.state, &callbacks_, nullptr, 0);
  if (!parser.is_whole) return wrong("the connection ended within a response", {});
  return complete(lane, {}, true);
}

// Empty lines where a response should begin: some servers send one behind a body.
size_t HttpResponses::pass_empty_lines(Parser& parser, std::span<const uint8_t> text) {
  size_t count = 0;
  while (count < text.size() && (text[count] == '\r' || text[count] == '\n')) ++count;
  if (count != 0 && !parser.in_empty_lines) {
    parser.in_empty_lines = true;
    ++surplus_.empty_lines;
  }
  return count;
}

// The callbacks get the parser's state alone, which is a Parser's first member.
static bool has_no_body(unsigned status) {
  return class_of(status) == 1 || status == 204 || status == 304;
}

int HttpResponses::on_headers(http_parser* parser) {
  auto* responses = static_cast<HttpResponses*>(parser->data);
  constexpr int has_body = 0, without_body = 1, stop = -1;
  unsigned status = parser->status_code;
  std::string why;
  if (parser->http_major != 1)
    why = "another version than HTTP/1";
  else if (status < 100)
    why = "status " + std::to_string(status);
  else if (status == 101)
    why = "status 101: the server changes to another protocol";
  // RFC 9112 6.3, rule 1: no body, whatever the header says of its length.
  else if (responses->is_head_ || has_no_body(status))
    return without_body;
  // Rule 3: two lengths are an error.
  else if (parser->uses_transfer_encoding != 0 && (parser->flags & F_CONTENTLENGTH) != 0)
    why = "a Content-Length beside a Transfer-Encoding";
  if (why.empty()) return has_body;
  responses->wrong(why, {});
  return stop;
}

int HttpResponses::on_body(http_parser* parser, const char*, size_t length) {
  reinterpret_cast<Parser*>(parser)->body += length;
  return 0;
}

int HttpResponses::on_complete(http_parser* parser) {
  reinterpret_cast<Parser*>(parser)->is_whole = true;
  http_parser_pause(parser, 1);
  return 0;
}

Reading HttpResponses::complete(uint32_t lane, Reading reading, bool at_the_end) {
  const Parser& parser = parsers_[lane];
  const http_parser& state = parser.state;
  unsigned status = state.status_code;
  uint64_t body = parser.body;
  bool is_last = at_the_end || ends_connection(state);
  begin(lane);
  parsers_[lane].has_had_one = status >= 200;
  if (class_of(status) == 1) return reading;  // the response is still to come
  ++statuses_[status];
  bool is_checked = expected_body_ != 0 && status < 400 && !is_head_ && !has_no_body(status);
  if (is_checked && body != expected_body_)
    return wrong("a body of " + std::to_string(body) + " bytes, not " + std::to_string(expected_body_),
                 reading);
  reading.what = What::response;
  reading.status = status;
  reading.is_last = is_last;
  reading.is_expected = expected_status_.is_empty() || expected_status_.contains(status);
  if (!reading.is_expected && why_.empty()) why_ = "status " + std::to_string(status);
  return reading;
}

std::map<unsigned, uint64_t> HttpResponses::statuses() const {
  std::map<unsigned, uint64_t> out;
  for (unsigned status = 0; status <= most_status; ++status)
    if (uint64_t count = statuses_[status]; count != 0) out[status] = count;
  return out;
}

Reading HttpResponses::wrong(const std::string& why, Reading reading) {
  reading.what = What::wrong;
  if (why_.empty()) why_ = why;
  return reading;
}

}  // namespace millrace::load
