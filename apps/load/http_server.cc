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
  http_parser_settings_init(&callbacks_);
  callbacks_.on_url = on_url;
  callbacks_.on_message_complete = on_complete;
  not_found_ = &make("404 Not Found", "text/plain", "not found\n", 10);
  too_many_ = &make("503 Service Unavailable", "text/plain", "too many different paths\n", 25);
  not_allowed_ = &make("405 Method Not Allowed", "text/plain", "GET or POST\n", 12);
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
                                uint64_t body) {
  std::string head = "HTTP/1.1 " + status + "\r\nServer: millrace-load\r\nContent-Type: " + type +
                     "\r\nContent-Length: " + std::to_string(body) + "\r\n";
  contents_.push_back({head + "\r\n", head + "Connection: close\r\n\r\n", std::move(file), body});
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
  http_parser_init(&slot->parser, HTTP_REQUEST);
}

int HttpServer::on_url(http_parser* parser, const char* at, size_t length) {
  constexpr size_t longest = 8192;
  std::string& url = static_cast<std::pair<HttpServer*, Slot*>*>(parser->data)->second->url;
  if (url.size() + length > longest) return 1;
  url.append(at, length);
  return 0;
}

int HttpServer::on_complete(http_parser* parser) {
  auto [server, slot] = *static_cast<std::pair<HttpServer*, Slot*>*>(parser->data);
  server->answer(*slot);
  return 0;
}

void HttpServer::answer(Slot& slot) {
  if (slot.closing) return;
  bool is_allowed = slot.parser.method == HTTP_GET || slot.parser.method == HTTP_POST ||
                    slot.parser.method == HTTP_PUT || slot.parser.method == HTTP_HEAD;
  const Content& content = is_allowed ? content_of(slot.url) : *not_allowed_;
  slot.url.clear();
  slot.closing = !http_should_keep_alive(&slot.parser);
  uint64_t head = (slot.closing ? content.head_close : content.head_keep).size();
  uint64_t body = slot.parser.method == HTTP_HEAD ? 0 : content.body;
  slot.responses.push_back({&content, slot.end, slot.end + head, slot.end + head + body, slot.closing});
  slot.end += head + body;
  ++requests_;
}

void HttpServer::received(Channel& channel, Event& event) {
  Slot& slot = *slots_[event.connection.slot()];
  if (slot.closing) return;
  std::pair<HttpServer*, Slot*> here{this, &slot};
  slot.parser.data = &here;
  size_t taken = http_parser_execute(&slot.parser, &callbacks_, reinterpret_cast<const char*>(event.data()),
                                     event.length);
  if (HTTP_PARSER_ERRNO(&slot.parser) != HPE_OK || slot.parser.upgrade ||
      (taken != event.length && !slot.closing))
    return protocol_error(channel, event.connection);
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
  if (at < response->head_end)
    return slice_of(response->close ? content.head_close : content.head_keep, at - response->begin);
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
  else if (slot.closing && slot.flow.acked == slot.end)
    channel.close(event.connection);
}

void HttpServer::peer_closed(Channel& channel, ConnectionId connection) {
  Slot& slot = *slots_[connection.slot()];
  if (slot.flow.acked == slot.end) return channel.close(connection);
  slot.closing = true;  // it still gets what it has asked for
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
