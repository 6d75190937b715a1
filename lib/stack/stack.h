// SPDX-License-Identifier: BSD-3-Clause
// The border of the core. One lcore's whole endpoint is a Stack; a turn has three calls, so that an application on
// the same lcore stands between what arrived and what leaves:
//
//   receive(stack, frames, now, out);    segments -> events, releases, stateless answers
//   request(stack, channel, requests, out);   user calls; may be called several times
//   transmit(stack, room, out);          due timers, then the ready list -> TxSegments
//
// Everything is an array that the caller owns. After each turn the caller sends out.segments (build_header reads
// their slices), and only then gives out.release back, then calls out.clear().
// Nothing here reads a clock, allocates, sends or frees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/batch.h"
#include "base/event_port.h"
#include "base/limits.h"
#include "base/siphash.h"
#include "flow/listen_board.h"
#include "millrace/event.h"
#include "millrace/request.h"
#include "millrace/statistics.h"
#include "millrace/time.h"
#include "tcp/params.h"
#include "wire/frame.h"
#include "wire/mac.h"
#include "wire/parse.h"
#include "wire/steering.h"
#include "wire/tx_segment.h"

namespace millrace::stack {

// All that sizes and shapes a Stack.
struct Config {
  uint32_t core = 0;                   // stands in every ConnectionId
  const wire::Steering* steering = nullptr;  // which flows are this core's; null: all. Outlives the stack, as
  flow::ListenBoard* board = nullptr;        // this does: where listeners of all cores are counted; null: nowhere
  uint32_t max_connections = 16384;    // TCBs
  uint32_t max_half_open = 4096;       // passive opens not yet acknowledged
  uint32_t listener_half_open = 0;     // of them, one listener's at most; 0: three quarters
  uint32_t max_time_wait = 65536;      // records; a power of two
  uint32_t max_listeners = 64;
  uint32_t max_port_pools = 64;        // (local address, destination) pairs of active opens at a time
  uint32_t max_neighbors = 256;
  uint32_t max_paths = 1024;           // destinations whose path is known to carry less than the link
  uint32_t held_limit = 16384;         // packet buffers and constant slices held in queues
  wire::LocalAddresses local;
  Ipv4Address gateway;                 // unspecified: none
  std::span<const StaticNeighbor> neighbors;  // known for good; read by make_stack() alone
  wire::Mac mac;
  uint16_t mtu = 1500;
  uint32_t segment_burst = 1;          // segments that may leave as one (TSO): 1 to limits::joined_segments
  uint16_t first_port = 1024;          // local ports of active opens (RFC6056-3.2b)
  uint16_t last_port = 65535;
  tcp::Params tcp;
  SipKey secret;                       // randomness enters as a seed
  uint64_t seed = 1;
};

using millrace::EventPort;

struct Output {
  Batch<wire::TxSegment> segments;   // limits::segments_per_turn
  Batch<Slice> slices;               // limits::slices_per_turn
  Batch<wire::SackBlock> sacks;      // limits::segments_per_turn * limits::sack_blocks
  Batch<PacketRef> release;          // release_capacity(config)
  EventPort events[limits::channels];

  void clear() {
    segments.clear();
    slices.clear();
    sacks.clear();
    release.clear();
  }
};

class Stack;

// Everything a stack holds may be released in one turn, and all that came in during it.
constexpr uint32_t release_capacity(const Config& config) {
  return config.held_limit * 3 / 2 + config.max_connections * Request::max_slices + limits::rx_burst + limits::requests_per_turn * Request::max_slices * 4;
}

// The bytes that a stack of this configuration lives in. Aligned to a cache line.
size_t memory_size(const Config& config);
Stack* make_stack(const Config& config, std::span<std::byte> memory, Instant now);

// A channel for one application. Its events are written to out.events[number].
uint32_t attach(Stack& stack);

// Takes at most limits::rx_burst frames. `now` never goes back.
void receive(Stack& stack, std::span<const wire::Frame> frames, Instant now, Output& out);

// User calls. All of them are taken.
// The caller gives limits::requests_per_turn at most, and none while requests_blocked(stack, channel).
void request(Stack& stack, uint32_t channel, std::span<const Request> requests, Output& out);
// True while so many `failed` events wait for room in the channel's ring that no more can be remembered. Only an
// application that does not read its events gets there.
bool requests_blocked(const Stack& stack, uint32_t channel);

// Events that the application has advanced past: buffers that it did not keep go back.
void reclaim(Stack& stack, const Event& event, Output& out);
// Said before reclaim(): are there requests that the application made before it advanced past those events, and that
// request() has not been given yet? A connection's sends stay refused until its `failed` is read and these are served.
void requests_wait(Stack& stack, uint32_t channel, bool waiting);

// Writes pending events to the ports' free places. receive() and transmit() end with it.
void deliver(Stack& stack, Output& out);

// Timers that are due, then at most `room` segments (limits::tx_burst at most are used).
void transmit(Stack& stack, uint32_t room, Output& out);

// Nothing will happen before this without input. A time in the past: work is waiting for a turn.
Instant next_deadline(const Stack& stack);

// Shutdown, in bounded steps: FIN to the next connections; RST to the next, at most `limit`. False: none is left.
void close_all(Stack& stack);
bool abort_some(Stack& stack, uint32_t limit, Output& out);

// The last step of it: asks each known neighbour by ARP whether it is there. True while one has not answered.
void ask_neighbors(Stack& stack);
bool neighbors_asked(const Stack& stack);

struct Gauges {
  uint32_t connections;  // TCBs in use
  uint32_t half_open;
  uint32_t time_wait;
  uint32_t held;         // buffers in queues
  uint32_t unread;       // of them, waiting for their application
};
Gauges gauges(const Stack& stack);
const Counters& counters(const Stack& stack);
// What the caller's own stages have to count.
void count(Stack& stack, Count what, uint64_t n);

// Addresses of a connection. False: stale.
bool addresses(const Stack& stack, ConnectionId connection, wire::FlowKey& out);

}  // namespace millrace::stack
