// SPDX-License-Identifier: BSD-3-Clause
#include "server.h"

namespace millrace::load {

static constexpr auto relaxed = std::memory_order_relaxed;

Server::Server(const Arguments& arguments)
    : ports_(arguments.server_ports),
      backlog_(std::max(1024u, arguments.connections)),
      options_(connection_options(arguments)),
      closes_(arguments.workload == Workload::cps && arguments.close_first == Side::server),
      request_(arguments.size, 'A'),
      response_(arguments.size, 'a'),
      slots_(server_config(arguments).max_connections) {}

void Server::operator()(Channel& channel) {
  if (channel.first_turn()) listen(channel);
  for (Event& event : channel.events()) {
    if (event.kind == Event::received) [[likely]]
      received(channel, event);
    else
      other(channel, event);
  }
}

void Server::listen(Channel& channel) {
  for (uint32_t i = 0; i < ports_; ++i)
    channel.listen({.address = {},
                    .port = static_cast<uint16_t>(first_server_port + i),
                    .token = 0,
                    .backlog = backlog_,
                    .options = options_});
}

void Server::received(Channel& channel, const Event& event) {
  Slot& slot = slots_[event.connection.slot()];
  if (!request_.matches(slot.received, event.bytes())) [[unlikely]] {
    if (!is_stopped()) protocol_errors_.fetch_add(1, relaxed);
    channel.abort(event.connection);
    return;
  }
  slot.received += event.length;
  if (slot.received < request_.size()) return;
  slot.received = 0;
  response_.send(channel, event.connection);
  if (closes_) channel.close(event.connection);
}

void Server::other(Channel& channel, const Event& event) {
  Slot& slot = slots_[event.connection.slot()];
  switch (event.kind) {
    case Event::listening: listening_.fetch_add(1, std::memory_order_release); break;
    case Event::accepted: slot = {}; break;
    case Event::peer_closed: channel.close(event.connection); break;
    case Event::failed:
      if (event.reason == Event::full) slot.refused += event.length;
      break;
    case Event::writable:
      response_.send_last(channel, event.connection, std::exchange(slot.refused, 0));
      break;
    case Event::closed:
      if (event.reason != Event::finished && !is_stopped()) failures_.fetch_add(1, relaxed);
      break;
    default: break;
  }
}

}  // namespace millrace::load
