// SPDX-License-Identifier: BSD-3-Clause
// Listening and counting. (server.h)
#include "server.h"

namespace millrace::load {

Server::Server(const Plan& plan)
    : options_(connection_options(plan)),
      ports_(plan.server.ports),
      backlog_(std::max(1024u, plan.connections)),
      stall_(plan.server.stall),
      stall_after_(plan.server.stall_after) {}

void Server::operator()(Channel& channel) {
  if (channel.first_turn()) listen(channel);
  if (stall_.ns != 0 && is_stalled(channel)) return;
  for (Event& event : channel.events()) {
    if (event.kind == Event::received) [[likely]] {
      bytes_received_ += event.length;
      received(channel, event);
    } else {
      other(channel, event);
    }
  }
  told_requests_.store(requests_, relaxed);
  told_sent_.store(bytes_sent_, relaxed);
  told_received_.store(bytes_received_, relaxed);
}

// Events wait in the ring meanwhile, and the core goes on: its peers see ACKs and no answer.
bool Server::is_stalled(Channel& channel) {
  return !is_stopped() && channel.now() >= stall_from_ && channel.now() < stall_from_ + stall_;
}

void Server::listen(Channel& channel) {
  for (uint16_t port : ports_)
    channel.listen({.address = {}, .port = port, .token = port, .backlog = backlog_, .options = options_});
}

void Server::protocol_error(Channel& channel, ConnectionId connection) {
  count_protocol_error();
  channel.abort(connection);
}

void Server::other(Channel& channel, const Event& event) {
  switch (event.kind) {
    case Event::listening: listening_.fetch_add(1, std::memory_order_release); break;
    case Event::accepted:
      add(opened_, 1);
      if (stall_.ns != 0 && stall_from_ == Instant::never()) stall_from_ = channel.now() + stall_after_;
      accepted(channel, event);
      break;
    case Event::peer_closed: peer_closed(channel, event.connection); break;
    case Event::sent: sent(channel, event); break;
    case Event::failed:
      if (event.reason == Event::full)
        refused(event);
      else if (event.reason == Event::in_use || (event.reason == Event::invalid && !event.connection))
        port_in_use_.store(static_cast<uint16_t>(event.token), relaxed);
      break;
    case Event::writable: writable(channel, event); break;
    case Event::closed:
      if (event.reason == Event::finished)
        add(finished_, 1);
      else if (!is_stopped() && event.reason != Event::aborted &&
               !(event.reason == Event::reset && may_be_reset()))
        add(failures_, 1);
      break;
    default: break;
  }
}

Server::Counts Server::counts() const {
  return {told_requests_.load(relaxed), opened_.load(relaxed),        finished_.load(relaxed),
          told_sent_.load(relaxed),     told_received_.load(relaxed), protocol_errors_.load(relaxed),
          failures_.load(relaxed)};
}

}  // namespace millrace::load
