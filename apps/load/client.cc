// SPDX-License-Identifier: BSD-3-Clause
#include "client.h"

#include <algorithm>

namespace millrace::load {

static constexpr uint32_t begin_per_turn = 64;  // what a core takes of an application in a turn
static constexpr uint32_t connects_at_a_time =
    4096;  // rps: the server's half-open records are not for a flood
static constexpr Duration connect_pause = milliseconds(1);  // until a port may have come free

Client::Client(const Arguments& arguments, double cycles_per_second)
    : closes_each_(arguments.workload == Workload::cps),
      closes_first_(arguments.close_first == Side::client),
      limit_(arguments.requests != 0 ? arguments.requests : UINT64_MAX),
      addresses_(arguments.client_addresses),
      ports_(arguments.server_ports),
      options_(connection_options(arguments)),
      request_(arguments.size, 'A'),
      response_(arguments.size, 'a'),
      scale_(cycles_per_second),
      lanes_(arguments.connections),
      requesting_(closes_each_) {
  for (uint32_t i = arguments.connections; i > 0; --i) idle_.push_back(i - 1);
}

void Client::operator()(Channel& channel) {
  for (Event& event : channel.events()) {
    if (event.kind == Event::received) [[likely]]
      received(channel, event);
    else
      other(channel, event);
  }
  if (stopped_) return;
  if (!idle_.empty()) open_some(channel);
  if (start_next_ < lanes_.size() && !closes_each_ && requesting_) start_some(channel);
}

// --- opening ---

void Client::open_some(Channel& channel) {
  if (channel.now() < connect_after_) return;
  uint64_t now = read_cycles();
  for (uint32_t i = 0; i < begin_per_turn && !idle_.empty(); ++i) {
    if (closes_each_ ? begun_ == limit_ : connecting_ == connects_at_a_time) return;
    begun_ += closes_each_;
    ++connecting_;
    uint32_t number = idle_.back();
    idle_.pop_back();
    lanes_[number] = {
        .since = now, .connection = {}, .received = 0, .refused = 0, .phase = Phase::connecting};
    connect(channel, number);
  }
}

// All addresses in turn, then with the next port: every pool of local ports is drained alike.
void Client::connect(Channel& channel, uint32_t number) {
  channel.connect({.address = server_address,
                   .port = static_cast<uint16_t>(first_server_port + next_port_),
                   .local = {first_client_address.value + next_address_},
                   .local_port = 0,
                   .token = number,
                   .options = options_});
  if (++next_address_ < addresses_) return;
  next_address_ = 0;
  if (++next_port_ == ports_) next_port_ = 0;
}

void Client::connected(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  lane.connection = event.connection;
  lane.phase = Phase::ready;
  --connecting_;
  ++tally_.opened;
  ++ready_;
  if (closes_each_) {
    uint64_t now = read_cycles();
    connect_latency_.record(scale_.ns(now - lane.since));
    request(channel, lane, event.connection, now);
  } else if (event.token < start_next_) {  // in the place of one that was lost
    request(channel, lane, event.connection, read_cycles());
  }
}

// Another try later, by this lane or another: a port comes free when a connection ends, or when the clock has
// ticked.
void Client::connect_failed(Channel& channel, const Event& event) {
  if (event.reason == Event::no_port)
    ++tally_.port_wait;
  else
    event.reason == Event::unreachable ? ++tally_.errors.unreachable : ++tally_.errors.other;
  begun_ -= closes_each_;
  --connecting_;
  free_lane(static_cast<uint32_t>(event.token));
  connect_after_ = channel.now() + connect_pause;
}

// --- requests and responses ---

void Client::start_some(Channel& channel) {
  uint64_t now = read_cycles();
  auto end = static_cast<uint32_t>(std::min<size_t>(start_next_ + begin_per_turn, lanes_.size()));
  for (; start_next_ < end; ++start_next_)
    if (Lane& lane = lanes_[start_next_]; lane.phase == Phase::ready)
      request(channel, lane, lane.connection, now);
}

void Client::request(Channel& channel, Lane& lane, ConnectionId connection, uint64_t now) {
  if (!closes_each_ && begun_ == limit_) return;
  begun_ += !closes_each_;
  lane.since = now;
  lane.received = 0;
  lane.phase = Phase::waiting;
  tally_.bytes_sent += request_.size();
  request_.send(channel, connection);
}

void Client::received(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  if (stopped_) return;
  if (lane.phase != Phase::waiting || !response_.matches(lane.received, event.bytes())) [[unlikely]]
    return protocol_error(channel, event);
  lane.received += event.length;
  tally_.bytes_received += event.length;
  if (lane.received < response_.size()) return;

  uint64_t now = read_cycles();  // the end of this request and the beginning of the next
  latency_.record(scale_.ns(now - lane.since));
  ++tally_.requests;
  if (closes_each_) {
    lane.phase = Phase::closing;
    if (closes_first_) channel.close(event.connection);
    return;
  }
  lane.phase = Phase::ready;
  ended();
  request(channel, lane, event.connection, now);
}

// --- the rest ---

void Client::other(Channel& channel, const Event& event) {
  switch (event.kind) {
    case Event::connected:
      if (!stopped_) connected(channel, event);
      break;
    case Event::peer_closed: peer_closed(channel, event); break;
    case Event::closed: closed(channel, event); break;
    case Event::failed:
      if (!event.connection)
        connect_failed(channel, event);
      else if (event.reason == Event::full)
        lanes_[event.token].refused += event.length;
      break;
    case Event::writable:
      request_.send_last(channel, event.connection, std::exchange(lanes_[event.token].refused, 0));
      break;
    default: break;
  }
}

void Client::peer_closed(Channel& channel, const Event& event) {
  if (stopped_ || lanes_[event.token].phase == Phase::closing)
    channel.close(event.connection);
  else
    protocol_error(channel, event);
}

void Client::closed(Channel& channel, const Event& event) {
  if (stopped_) return;
  Lane& lane = lanes_[event.token];
  bool in_order = event.reason == Event::finished && lane.phase == Phase::closing;
  if (in_order)
    ++tally_.finished;
  else
    count_end(event.reason);
  if (lane.phase == Phase::connecting) {
    --connecting_;
    connect_after_ = channel.now() + connect_pause;  // refused, perhaps: no storm of SYNs
  } else {
    --ready_;
  }
  if (closes_each_ || lane.phase == Phase::waiting) ended();
  free_lane(static_cast<uint32_t>(event.token));
}

void Client::count_end(Event::Reason reason) {
  Errors& errors = tally_.errors;
  switch (reason) {
    case Event::refused: ++errors.refused; break;
    case Event::reset: ++errors.reset; break;
    case Event::timed_out: ++errors.timed_out; break;
    case Event::unreachable: ++errors.unreachable; break;
    case Event::aborted: break;  // by protocol_error(), which has counted it
    default: ++errors.protocol;
  }
}

// Counted once for a connection: what else has come of it is passed over.
void Client::protocol_error(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  if (lane.phase == Phase::aborted) return;
  ++tally_.errors.protocol;
  if (lane.phase == Phase::waiting && !closes_each_) ended();
  lane.phase = Phase::aborted;
  channel.abort(event.connection);
}

void Client::free_lane(uint32_t number) {
  lanes_[number].phase = Phase::idle;
  idle_.push_back(number);
}

}  // namespace millrace::load
