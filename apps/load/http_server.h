// SPDX-License-Identifier: BSD-3-Clause
// HTTP/1.1 as a server: /bytes/N, and the files of a small directory, read once. Requests are read by
// http_requests.h; responses are sent by reference, in the order of their requests.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "http_requests.h"
#include "outflow.h"
#include "server.h"

namespace millrace::load {

// A response that many requests get. It lives as long as the server, for it is sent by reference.
struct Content {
  // Status line and header lines: what is said of the connection differs.
  std::string head_keep, head_keep_1_0, head_close;
  std::string file;   // the body, if it is not of the endless page
  uint64_t body = 0;  // its length
};

class HttpServer final : public Server {
 public:
  explicit HttpServer(const Plan& plan);

 private:
  struct Response {
    const Content* content;
    const std::string* head;        // of the content's
    uint64_t begin, head_end, end;  // places in the connection's outgoing text
  };
  struct Slot {
    HttpRequests requests;
    Outflow flow;
    std::deque<Response> responses;  // not acknowledged in full yet
    uint64_t end = 0;                // of the last of them
    bool closing = false;            // after that the connection ends
    bool lingers = false;            // when its client has closed, too: it may be sending still
  };

  void accepted(Channel& channel, const Event& event) override;
  void received(Channel& channel, Event& event) override;
  void sent(Channel& channel, const Event& event) override;
  void refused(const Event& event) override;
  void writable(Channel& channel, const Event& event) override;
  bool may_be_reset() const override { return true; }  // a client that has seen enough
  void peer_closed(Channel& channel, ConnectionId connection) override;

  void answer(Slot& slot);
  void refuse(Slot& slot, unsigned status);
  void respond(Slot& slot, const Content& content, const std::string& head, bool has_body);
  const Content& content_of(const std::string& path);
  const Content& make(const std::string& status, const std::string& type, std::string file, uint64_t body,
                      const std::string& more_lines = "");
  void read_directory(const std::string& directory);
  Slice piece_at(const Slot& slot, uint64_t at) const;
  void pump(Channel& channel, ConnectionId connection);

  const Page page_;
  std::vector<std::unique_ptr<Slot>> slots_;  // by slot of the connection
  std::deque<Content> contents_;
  std::unordered_map<std::string, const Content*> by_path_;
  const Content* not_found_;
  const Content* too_many_;
  const Content* not_allowed_;
  const Content* proceed_;
  std::map<unsigned, const Content*> refusals_;  // by status
};

}  // namespace millrace::load
