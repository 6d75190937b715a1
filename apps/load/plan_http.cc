// SPDX-License-Identifier: BSD-3-Clause
// A plan for HTTP. (plan_http.h)
#include "plan_http.h"

#include <http_parser.h>
#include <strings.h>

#include <algorithm>
#include <cstring>

namespace millrace::load {

static void demand(bool holds, const std::string& otherwise, const char* key) {
  if (!holds) throw ConfigError(otherwise, key);
}

// --- the URL ---

static bool is_visible(char c) {
  return c > ' ' && c < 0x7f;
}

void split_url(Plan& plan) {
  const std::string& url = plan.http.url;
  demand(!url.empty(), "the url is empty", "load.url");
  demand(std::all_of(url.begin(), url.end(), is_visible),
         "there is a character in the url that has to be written as %XX", "load.url");
  std::string sent = url.substr(0, url.find('#'));
  plan.http.path = sent;
  if (sent[0] == '/') return;
  constexpr std::string_view scheme = "http://";
  http_parser_url parts;
  http_parser_url_init(&parts);
  bool ok = strncasecmp(sent.c_str(), scheme.data(), scheme.size()) == 0 &&
            http_parser_parse_url(sent.data(), sent.size(), 0, &parts) == 0 &&
            (parts.field_set & 1 << UF_HOST) != 0;
  demand(ok, "'" + url + "' is neither a path nor http://A.B.C.D[:PORT]/PATH", "load.url");
  size_t end = std::min(sent.find_first_of("/?", scheme.size()), sent.size());
  demand(sent.substr(0, end).find('@') == std::string::npos,
         "no credentials in the url: give --header 'Authorization: Basic ...'", "load.url");
  std::string host = sent.substr(parts.field_data[UF_HOST].off, parts.field_data[UF_HOST].len);
  auto address = parse_ipv4(host);
  demand(address.has_value(), "'" + host + "' is no IPv4 address: names are not looked up", "load.url");
  bool has_port = (parts.field_set & 1 << UF_PORT) != 0;
  demand(!has_port || parts.port != 0, "port 0 in the url", "load.url");
  demand(plan.program == Program::client, "a pair has its own server: give a path", "load.url");
  demand(plan.to.empty(), "the url names a target, and so does --to", "load.url");
  plan.targets.push_back({*address, has_port ? parts.port : uint16_t{80}});
  plan.http.path = sent.substr(end);
  if (plan.http.path.empty() || plan.http.path[0] == '?') plan.http.path.insert(0, "/");
}

// --- header lines ---

// A token (RFC 9110 5.6.2).
static bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}

struct HeaderLine {
  std::string name, value;
  bool is(const char* other) const { return strcasecmp(name.c_str(), other) == 0; }
};

static HeaderLine split_header(const std::string& line) {
  size_t colon = line.find(':');
  bool is_line =
      colon != std::string::npos && colon != 0 &&
      std::all_of(line.begin(), line.begin() + static_cast<ptrdiff_t>(colon), is_token_character) &&
      std::none_of(line.begin(), line.end(),
                   [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f; });
  demand(is_line, "'" + line + "' is no header line, such as 'Accept: text/html'", "load.headers");
  size_t first = line.find_first_not_of(" \t", colon + 1), last = line.find_last_not_of(" \t");
  return {line.substr(0, colon), first == std::string::npos ? "" : line.substr(first, last - first + 1)};
}

// Is it in the list, as a word by itself?
static bool has_word(const std::string& list, const std::string& word) {
  for (size_t at = 0; at <= list.size();) {
    size_t comma = std::min(list.find(',', at), list.size());
    std::string one = list.substr(at, comma - at);
    size_t first = one.find_first_not_of(" \t");
    if (first != std::string::npos) one = one.substr(first, one.find_last_not_of(" \t") - first + 1);
    if (strcasecmp(one.c_str(), word.c_str()) == 0) return true;
    at = comma + 1;
  }
  return false;
}

// What the user says takes the place of our line; it must not say something else than what is done.
static void check_headers(const Plan& plan) {
  int hosts = 0, lengths = 0;
  for (const std::string& line : plan.http.headers) {
    HeaderLine header = split_header(line);
    hosts += header.is("Host");
    lengths += header.is("Content-Length");
    demand(!header.is("Content-Length") || header.value == std::to_string(plan.http.body_size),
           "'" + line + "' is not what --body-size says", "load.headers");
    demand(!header.is("Transfer-Encoding"),
           "'" + line + "': bodies are sent with their length, not in chunks", "load.headers");
    bool must_close = plan.http.close && plan.close_first == Side::server;
    demand(!header.is("Connection") || !must_close || has_word(header.value, "close"),
           "'" + line + "' does not ask the server to close, as --close does", "load.headers");
  }
  demand(hosts <= 1 && lengths <= 1, "Host and Content-Length stand in a request once", "load.headers");
}

static void parse_statuses(Plan& plan) {
  for (const std::string& list : plan.http.expect_status)
    for (size_t at = 0; at <= list.size();) {
      size_t comma = std::min(list.find(',', at), list.size());
      std::string one = list.substr(at, comma - at);
      demand(plan.http.expected.add(one),
             "'" + one + "' is neither a status from 200 to 599 nor a class such as 2xx",
             "load.expect_status");
      at = comma + 1;
    }
}

void complete_http(Plan& plan) {
  const std::string& method = plan.http.method;
  bool is_word = !method.empty() && std::all_of(method.begin(), method.end(), is_token_character);
  demand(is_word, "'" + method + "' is no method", "load.method");
  demand(method != "CONNECT", "CONNECT asks a proxy for a tunnel: its response has no end", "load.method");
  demand(method != "HEAD" || plan.response_size == 0, "a response to HEAD has no body to be checked",
         "load.response_size");
  parse_statuses(plan);
  check_headers(plan);
}

}  // namespace millrace::load
