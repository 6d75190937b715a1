// SPDX-License-Identifier: BSD-3-Clause
// HTTP as a server. (http_server.h)
#include "http_server.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace::load {

static constexpr size_t most_contents = 4096;  // different paths that are remembered
static constexpr uint64_t most_body = uint64_t{1} << 40;
static constexpr uint64_t most_directory = uint64_t{256} << 20;  // bytes of all files

HttpServer::HttpServer(const Plan& plan) : Server(plan), slots_(server_config(plan).max_connections) {
  options_.report_sent = 1;
  not_found_ = &make("404 Not Found", "text/plain", "not found\n", 10);
  too_many_ = &make("503 Service Unavailable", "text/plain", "too many different paths\n", 25);
  not_allowed_ =
      &make("405 Method Not Allowed", "text/plain", "GET or POST\n", 12, "Allow: GET, HEAD, POST, PUT\r\n");
  contents_.push_back({.head_keep = "HTTP/1.1 100 Continue\r\n\r\n"});
  proceed_ = &contents_.back();
  for (auto [status, text] : {std::pair{400u, "400 Bad Request"},
                              {414u, "414 URI Too Long"},
                              {431u, "431 Request Header Fields Too Large"},
                              {505u, "505 HTTP Version Not Supported"}}) {
    std::string body = std::string(text) + "\n";
    refusals_[status] = &make(text, "text/plain", body, body.size());
  }
  if (!plan.server.directory.empty()) read_directory(plan.server.directory);
}

static const char* type_of(const std::string& path) {
  static const std::map<std::string, const char*> types = {
      {".html", "text/html"},        {".css", "text/css"},   {".js", "text/javascript"},
      {".json", "application/json"}, {".txt", "text/plain"}, {".svg", "image/svg+xml"},
      {".png", "image/png"},         {".jpg", "image/jpeg"}};
  auto found = types.find(std::filesystem::path(path).extension().string());
  return found == types.end() ? "application/octet-stream" : found->second;
}

void HttpServer::read_directory(const std::string& directory) {
  namespace fs = std::filesystem;
  uint64_t total = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    total += entry.file_size();
    if (total > most_directory || by_path_.size() >= most_contents / 2)
      throw ConfigError(directory + " is too much to hold: 256 MB in 2048 files at most", "server.directory");
    std::ifstream in(entry.path(), std::ios::binary);
    std::stringstream text;
    if (in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
    if (!in) throw ConfigError(entry.path().string() + " cannot be read", "server.directory");
    std::string path = "/" + fs::relative(entry.path(), directory).string();
    uint64_t size = text.str().size();
    const Content& content = make("200 OK", type_of(path), text.str(), size);
    by_path_[path] = &content;
    if (entry.path().filename() == "index.html") by_path_[path.substr(0, path.size() - 10)] = &content;
  }
}

const Content& HttpServer::make(const std::string& status, const std::string& type, std::string file,
                                uint64_t body, const std::string& more_lines) {
  std::string head = "HTTP/1.1 " + status + "\r\nServer: millrace-load\r\nContent-Type: " + type +
                     "\r\nContent-Length: " + std::to_string(body) + "\r\n" + more_lines;
  contents_.push_back({head + "\r\n", head + "Connection: keep-alive\r\n\r\n",
                       head + "Connection: close\r\n\r\n", std::move(file), body});
  return contents_.back();
}

const Content& HttpServer::content_of(const std::string& url) {
  std::string path = url.substr(0, url.find_first_of("?#"));
  if (auto found = by_path_.find(path); found != by_path_.end()) return *found->second;
  constexpr std::string_view prefix = "/bytes/";
  uint64_t body = 0;
  if (path.rfind(prefix, 0) != 0) return *not_found_;
  const char *begin = path.data() + prefix.size(), *end = path.data() + path.size();
  auto [last, error] = std::from_chars(begin, end, body);
  if (begin == end || error != std::errc{} || last != end || body > most_body) return *not_found_;
  if (by_path_.size() >= most_contents) return *too_many_;
  return *(by_path_[path] = &make("200 OK", "text/plain", "", body));
}

// --- requests ---

void HttpServer::accepted(Channel&, const Event& event) {
  auto& slot = slots_[event.connection.slot()];
  if (slot == nullptr) slot = std::make_unique<Slot>();
  *slot = Slot{};
}

void HttpServer::respond(Slot& slot, const Content& content, const std::string& head, bool has_body) {
  uint64_t head_end = slot.end + head.size(), end = head_end + (has_body ? content.body : 0);
  slot.responses.push_back({&content, &head, slot.end, head_end, end});
  slot.end = end;
}

void HttpServer::answer(Slot& slot) {
  http_method method = slot.requests.method();
  bool is_allowed = method == HTTP_GET || method == HTTP_POST || method == HTTP_PUT || method == HTTP_HEAD;
  const Content& content = is_allowed ? content_of(slot.requests.path()) : *not_allowed_;
  slot.closing = slot.requests.is_last();
  const std::string& head = slot.closing                  ? content.head_close
                            : slot.requests.is_kept_1_0() ? content.head_keep_1_0
                                                          : content.head_keep;
  respond(slot, content, head, method != HTTP_HEAD);
  ++requests_;
}

// What it sends behind that cannot be told from a next request: the connection ends.
void HttpServer::refuse(Slot& slot, unsigned status) {
  const Content& content = *refusals_.at(status);
  respond(slot, content, content.head_close, true);
  slot.closing = slot.lingers = true;
  count_protocol_error();
}

void HttpServer::received(Channel& channel, Event& event) {
  using What = HttpRequests::Reading::What;
  Slot& slot = *slots_[event.connection.slot()];
  std::span<const uint8_t> text = event.bytes();
  while (!text.empty() && !slot.closing) {
    HttpRequests::Reading reading = slot.requests.read(text);
    switch (reading.what) {
      case What::more: break;
      case What::proceed: respond(slot, *proceed_, proceed_->head_keep, false); break;
      case What::request: answer(slot); break;
      case What::unusable: refuse(slot, slot.requests.status()); break;
    }
    text = text.subspan(reading.taken);
  }
  pump(channel, event.connection);
}

// --- responses ---

Slice HttpServer::piece_at(const Slot& slot, uint64_t at) const {
  auto response = slot.responses.begin();
  while (response->end <= at) ++response;
  auto slice_of = [](const std::string& text, uint64_t from) {
    constexpr uint64_t longest = 45 * 1448;
    auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    return Channel::registered({bytes + from, std::min<uint64_t>(longest, text.size() - from)});
  };
  const Content& content = *response->content;
  if (at < response->head_end) return slice_of(*response->head, at - response->begin);
  Slice slice = content.file.empty() ? page_.at(at - response->head_end)
                                     : slice_of(content.file, at - response->head_end);
  slice.length = static_cast<uint16_t>(std::min<uint64_t>(slice.length, response->end - at));
  return slice;
}

void HttpServer::pump(Channel& channel, ConnectionId connection) {
  Slot& slot = *slots_[connection.slot()];
  slot.flow.pump(channel, connection, slot.end, options_.send_limit,
                 [&](uint64_t at) { return piece_at(slot, at); });
  // The end of it: refused, as sends are, while some are to be made again.
  if (slot.closing && slot.flow.written == slot.end && !slot.flow.blocked) channel.shutdown(connection);
}

void HttpServer::sent(Channel& channel, const Event& event) {
  Slot& slot = *slots_[event.connection.slot()];
  bytes_sent_ += event.length;
  slot.flow.acked += event.length;
  while (!slot.responses.empty() && slot.responses.front().end <= slot.flow.acked) slot.responses.pop_front();
  if (slot.flow.written < slot.end)
    pump(channel, event.connection);
  else if (slot.closing && !slot.lingers && slot.flow.acked == slot.end)
    channel.close(event.connection);
}

void HttpServer::peer_closed(Channel& channel, ConnectionId connection) {
  Slot& slot = *slots_[connection.slot()];
  if (slot.flow.acked == slot.end) return channel.close(connection);
  slot.closing = true;  // it still gets what it has asked for
  slot.lingers = false;
  pump(channel, connection);
}

void HttpServer::refused(const Event& event) {
  slots_[event.connection.slot()]->flow.refused(event.length);
}

void HttpServer::writable(Channel& channel, const Event& event) {
  slots_[event.connection.slot()]->flow.blocked = false;
  pump(channel, event.connection);
}

}  // namespace millrace::load
