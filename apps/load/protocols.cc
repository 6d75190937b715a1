// SPDX-License-Identifier: BSD-3-Clause
// The protocols of a server that need no parser: request, echo, discard, chargen, stream. (server.h)
#include "http_server.h"
#include "outflow.h"
#include "payload.h"
#include "server.h"

namespace millrace::load {

namespace {

// Counts the bytes of a request, and answers when it is whole.
class RequestServer final : public Server {
 public:
  explicit RequestServer(const Plan& plan)
      : Server(plan),
        closes_(plan.program == Program::pair && plan.closes_each() && plan.close_first == Side::server),
        request_(plan.request_size),
        response_(plan.response_size),
        slots_(server_config(plan).max_connections) {}

 private:
  struct Slot {
    uint32_t received = 0;  // of the request that is coming
    uint32_t refused = 0;   // of responses: to be sent again when there is room
  };

  void accepted(Channel&, const Event& event) override { slots_[event.connection.slot()] = {}; }

  void received(Channel& channel, Event& event) override {
    Slot& slot = slots_[event.connection.slot()];
    std::span<const uint8_t> text = event.bytes();
    do {  // of a pipeline several may come at once
      uint32_t left = request_.size() - slot.received;
      std::span<const uint8_t> part = text.size() <= left ? text : text.first(left);
      if (!request_.matches(slot.received, part)) [[unlikely]]
        return protocol_error(channel, event.connection);
      slot.received += static_cast<uint32_t>(part.size());
      if (slot.received < request_.size()) return;
      slot.received = 0;
      ++requests_;
      bytes_sent_ += response_.size();
      response_.send(channel, event.connection);
      if (closes_) channel.close(event.connection);
      text = text.subspan(part.size());
    } while (!text.empty());
  }
  void refused(const Event& event) override { slots_[event.connection.slot()].refused += event.length; }
  void writable(Channel& channel, const Event& event) override {
    response_.send_last(channel, event.connection, std::exchange(slots_[event.connection.slot()].refused, 0));
  }

  const bool closes_;
  const Payload request_;
  const Payload response_;
  std::vector<Slot> slots_;  // by slot of the connection
};

// Received buffers are sent on: nothing is copied, and the peer's window is charged until they are
// acknowledged.
class EchoServer final : public Server {
 public:
  using Server::Server;

 private:
  void received(Channel& channel, Event& event) override {
    ++requests_;
    bytes_sent_ += event.length;
    channel.send(event.connection, event.keep());
  }
};

// discard, chargen, or both at once.
class StreamServer final : public Server {
 public:
  explicit StreamServer(const Plan& plan)
      : Server(plan),
        generates_(plan.server.protocol != Protocol::discard),
        flows_(generates_ ? server_config(plan).max_connections : 0) {
    options_.report_sent = generates_;
  }

 private:
  void accepted(Channel& channel, const Event& event) override {
    if (!generates_) return;
    flows_[event.connection.slot()] = {};
    pump(channel, event.connection);
  }
  void received(Channel&, Event&) override {}
  bool may_be_reset() const override { return generates_; }
  void sent(Channel& channel, const Event& event) override {
    bytes_sent_ += event.length;
    flows_[event.connection.slot()].acked += event.length;
    pump(channel, event.connection);
  }
  void refused(const Event& event) override { flows_[event.connection.slot()].refused(event.length); }
  void writable(Channel& channel, const Event& event) override {
    flows_[event.connection.slot()].blocked = false;
    pump(channel, event.connection);
  }
  void pump(Channel& channel, ConnectionId connection) {
    if (is_stopped()) return;
    flows_[connection.slot()].pump(channel, connection, Outflow::endless, options_.send_limit,
                                   [&](uint64_t at) { return page_.at(at); });
  }

  const bool generates_;
  const Page page_;
  std::vector<Outflow> flows_;  // by slot of the connection
};

}  // namespace

std::unique_ptr<Server> make_server(const Plan& plan) {
  switch (plan.server.protocol) {
    case Protocol::request: return std::make_unique<RequestServer>(plan);
    case Protocol::echo: return std::make_unique<EchoServer>(plan);
    case Protocol::http: return std::make_unique<HttpServer>(plan);
    default: return std::make_unique<StreamServer>(plan);
  }
}

}  // namespace millrace::load
