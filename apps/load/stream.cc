// SPDX-License-Identifier: BSD-3-Clause
// Bulk. (stream.h)
#include "stream.h"

namespace millrace::load {

// Options with which each acknowledgement is told: that is what keeps a window full.
static Options reporting(Options options) {
  options.report_sent = 1;
  return options;
}

Stream::Stream(const Plan& plan, double cycles_per_second)
    : Load(plan, cycles_per_second, reporting(connection_options(plan))),
      sends_(plan.direction != Direction::receive),
      receives_(plan.direction != Direction::send),
      window_(connection_options(plan).send_limit),
      flows_(plan.connections),
      arrived_(plan.connections) {}

void Stream::operator()(Channel& channel) {
  obey();
  for (Event& event : channel.events()) {
    if (event.kind != Event::received) {
      other(channel, event);
      continue;
    }
    uint64_t& at = arrived_[event.token];
    if (!stopped_ && (!receives_ || !page_.matches(at, event.bytes()))) {
      protocol_error(channel, event);
      continue;
    }
    at += event.length;
    tally_.bytes_received += event.length;
  }
  if (stopped_) return part(channel);
  if (has_idle_lanes()) open_some(channel);
  if (!started_ || !sends_) return;
  for (uint32_t i = 0; i < begin_per_turn && begin_next_ < lanes_.size(); ++i) pump(channel, begin_next_++);
}

void Stream::pump(Channel& channel, uint32_t number) {
  Lane& lane = lanes_[number];
  if (stopped_ || (lane.phase != Phase::ready && lane.phase != Phase::waiting)) return;
  flows_[number].pump(channel, lane.connection, Outflow::endless, window_,
                      [&](uint64_t at) { return page_.at(at); });
}

void Stream::opened(Channel& channel, Lane&, const Event& event, uint64_t) {
  flows_[event.token] = {};
  arrived_[event.token] = 0;
  if (sends_ && started_ && event.token < begin_next_) pump(channel, static_cast<uint32_t>(event.token));
}

void Stream::other(Channel& channel, const Event& event) {
  switch (event.kind) {
    case Event::connected:
      if (!stopped_) connected(channel, event);
      break;
    case Event::sent:
      flows_[event.token].acked += event.length;
      tally_.bytes_sent += event.length;
      pump(channel, static_cast<uint32_t>(event.token));
      break;
    case Event::peer_closed:
      if (stopped_)
        channel.close(event.connection);
      else
        protocol_error(channel, event);
      break;
    case Event::closed: closed(channel, event); break;
    case Event::failed:
      if (!event.connection)
        connect_failed(channel, event);
      else if (event.reason == Event::full)
        flows_[event.token].refused(event.length);
      break;
    case Event::writable:
      flows_[event.token].blocked = false;
      pump(channel, static_cast<uint32_t>(event.token));
      break;
    default: break;
  }
}

}  // namespace millrace::load
