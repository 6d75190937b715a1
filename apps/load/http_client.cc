// SPDX-License-Identifier: BSD-3-Clause
// HTTP as a client. (http_client.h)
#include "http_client.h"

namespace millrace::load {

std::string request_text(const Plan& plan) {
  const Target& target = plan.targets.front();
  std::string text = plan.http.method + " " + plan.http.path + " HTTP/1.1\r\n";
  text += "Host: " + to_string(target.address) +
          (target.port == 80 ? "" : ":" + std::to_string(target.port)) + "\r\n";
  text += "User-Agent: millrace-load\r\n";
  if (plan.http.close) text += "Connection: close\r\n";
  for (const std::string& header : plan.http.headers) text += header + "\r\n";
  bool has_body = plan.http.body_size != 0 || plan.http.method == "POST" || plan.http.method == "PUT";
  if (has_body) text += "Content-Length: " + std::to_string(plan.http.body_size) + "\r\n";
  text += "\r\n";
  for (uint32_t i = 0; i < plan.http.body_size; ++i) text += static_cast<char>('a' + i % 26);
  return text;
}

HttpResponses::HttpResponses(const Plan& plan)
    : expected_body_(plan.response_size), parsers_(plan.connections) {
  http_parser_settings_init(&callbacks_);
  callbacks_.on_body = on_body;
  callbacks_.on_message_complete = on_complete;
}

void HttpResponses::begin(uint32_t lane) {
  http_parser_init(&parsers_[lane].state, HTTP_RESPONSE);
  parsers_[lane].body = 0;
}

HttpResponses::Outcome HttpResponses::parse(uint32_t lane, std::span<const uint8_t> text) {
  outcome_ = {};
  Parser& parser = parsers_[lane];
  parser.state.data = this;
  size_t taken = http_parser_execute(&parser.state, &callbacks_, reinterpret_cast<const char*>(text.data()),
                                     text.size());
  if (outcome_.is_wrong) return outcome_;
  if (HTTP_PARSER_ERRNO(&parser.state) != HPE_OK || parser.state.upgrade || taken != text.size())
    wrong(http_errno_description(HTTP_PARSER_ERRNO(&parser.state)));
  return outcome_;
}

// The callbacks get the parser's state alone, which is a Parser's first member.
int HttpResponses::on_body(http_parser* parser, const char*, size_t length) {
  reinterpret_cast<Parser*>(parser)->body += length;
  return 0;
}

int HttpResponses::on_complete(http_parser* parser) {
  return static_cast<HttpResponses*>(parser->data)->complete(*reinterpret_cast<Parser*>(parser));
}

int HttpResponses::complete(Parser& parser) {
  unsigned status = parser.state.status_code;
  uint64_t body = std::exchange(parser.body, 0);
  if (status >= 100 && status < 200) return 0;  // the response is still to come
  ++statuses_[status];
  if (status >= 400 || status < 200) {
    wrong("status " + std::to_string(status));
    return 1;
  }
  if (expected_body_ != 0 && body != expected_body_) {
    wrong("a body of " + std::to_string(body) + " bytes, not " + std::to_string(expected_body_));
    return 1;
  }
  ++outcome_.ended;
  outcome_.is_last = !http_should_keep_alive(&parser.state);
  return 0;
}

void HttpResponses::wrong(const std::string& why) {
  outcome_.is_wrong = true;
  if (why_.empty()) why_ = why;
}

}  // namespace millrace::load
