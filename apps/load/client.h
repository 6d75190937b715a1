// SPDX-License-Identifier: BSD-3-Clause
// The load: connections in lanes, each of which has one request underway or one connect. A lane's number is
// the token of its connection, so that every event finds its lane.
#pragma once

#include <millrace/millrace.h>

#include <cstdint>
#include <vector>

#include "cycles.h"
#include "histogram.h"
#include "options.h"
#include "payload.h"

namespace millrace::load {

struct Errors {
  uint64_t refused = 0, reset = 0, timed_out = 0, unreachable = 0;
  uint64_t protocol = 0;  // a response of wrong length or content, text or an end that nobody expected
  uint64_t other = 0;     // no memory for a connection
  uint64_t sum() const { return refused + reset + timed_out + unreachable + protocol + other; }
};

struct Tally {
  uint64_t requests = 0;    // answered in full
  uint64_t opened = 0;      // connections established
  uint64_t finished = 0;    // cps: closed in order, after the response
  uint64_t bytes_sent = 0;  // text of requests
  uint64_t bytes_received = 0;
  uint64_t port_wait = 0;  // connects that found no local port, and were made again later
  Errors errors;
};

class Client {
 public:
  Client(const Arguments& arguments, double cycles_per_second);

  // One turn.
  void operator()(Channel& channel);

  // rps: all connections are there. They wait until start_requests().
  bool is_connected() const { return ready_ == lanes_.size(); }
  uint64_t connected() const { return ready_; }
  void start_requests() { requesting_ = true; }
  // All that was asked for is done or lost.
  bool is_done() const { return done_; }
  // Nothing new; what comes from now on is of the end and no error.
  void stop() { stopped_ = true; }

  const Tally& tally() const { return tally_; }
  const Histogram& latency() const { return latency_; }
  const Histogram& connect_latency() const { return connect_latency_; }

 private:
  enum class Phase : uint8_t { idle, connecting, ready, waiting, closing, aborted };
  struct Lane {
    uint64_t since = 0;  // cycles at the connect or the request
    ConnectionId connection;
    uint32_t received = 0;  // of the response that is coming
    uint32_t refused = 0;   // of the request: to be sent again when there is room
    Phase phase = Phase::idle;
  };

  void open_some(Channel& channel);
  void connect(Channel& channel, uint32_t number);
  void start_some(Channel& channel);
  void request(Channel& channel, Lane& lane, ConnectionId connection, uint64_t now);
  void received(Channel& channel, const Event& event);
  void other(Channel& channel, const Event& event);
  void connected(Channel& channel, const Event& event);
  void peer_closed(Channel& channel, const Event& event);
  void closed(Channel& channel, const Event& event);
  void connect_failed(Channel& channel, const Event& event);
  void protocol_error(Channel& channel, const Event& event);
  void count_end(Event::Reason reason);
  void free_lane(uint32_t number);
  void ended() { done_ = ++ended_ >= limit_; }

  const bool closes_each_;  // cps
  const bool closes_first_;
  const uint64_t limit_;  // requests (rps) or connections (cps)
  const uint32_t addresses_;
  const uint32_t ports_;
  const Options options_;
  const Payload request_;
  const Payload response_;
  const CycleScale scale_;
  std::vector<Lane> lanes_;
  std::vector<uint32_t> idle_;  // lanes without a connection
  Instant connect_after_;       // after a connect that could not be
  uint32_t next_address_ = 0;
  uint32_t next_port_ = 0;
  uint32_t start_next_ = 0;  // rps: lanes before it have had their first request
  uint32_t connecting_ = 0;
  uint64_t ready_ = 0;  // lanes with a connection
  uint64_t begun_ = 0;  // towards limit_
  uint64_t ended_ = 0;
  bool requesting_ = false;
  bool stopped_ = false;
  bool done_ = false;
  Tally tally_;
  Histogram latency_;
  Histogram connect_latency_;
};

}  // namespace millrace::load
