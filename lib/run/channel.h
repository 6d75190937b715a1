// SPDX-License-Identifier: BSD-3-Clause
// The core's side of a Channel, stage 7 of a packet's way: events -> ring -> application -> ring -> requests.
// All functions but make_room(), discard() and wait() run on the worker's thread.
//
//   event ring    [reclaimed, head)  given back by the application, buffers not yet looked after
//                 [head, tail)       delivered
//                 the rest           the core's EventPort: written in place
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/channel.h"
#include "millrace/endpoint.h"
#include "nic/clock.h"
#include "nic/wakeup.h"
#include "run/spin.h"

namespace millrace::run {
class Worker;
}

namespace millrace {

struct ChannelHost {
  ChannelHost(run::Worker& worker, uint32_t number, bool is_inline, uint32_t ring_size);

  // Shows the application what the core has written.
  void publish();
  // One turn of an inline application.
  void call(const Application& application);
  // A thread that is called as an inline one is: it has a first turn, too.
  void begin();
  // Takes over the slots that the application has given back.
  void look();     // how far the application has read, before its requests are taken
  void reclaim();  // what lies before that point
  // Gives waiting requests to the core, limits::requests_per_turn at most. Returns how many.
  uint32_t take_requests();
  // There is work here that no producer tells of any more: an application may leave events for its next call.
  bool has_more();
  // The end: nobody reads the ring any more; what is in it counts as read.
  void read_all();
  void end();

  // The application's side, when the ring of requests is full. False: the endpoint has ended.
  bool make_room();
  // Until one of these has events, so long at most, or Ctrl-C.
  static bool wait(std::span<Channel* const> channels, Duration at_most);
  // What becomes of a request to an endpoint that has ended: its buffers go back.
  void discard(const Request& request);

  Channel channel;
  run::Worker& worker;
  const uint32_t number;  // of the channel in the core
  const bool is_inline;
  uint32_t reclaimed = 0;
  std::atomic<bool> ended{false};
  Request discarded{};
  nic::Clock clock;
  Instant call_by;      // when the application wants to be called; 0: it has not said
  nic::Wakeup reader;   // the application's thread, if it has one
  run::Spin patience;   // of that

 private:
  uint32_t take_spilled(uint32_t limit);
  void spill();

  // Requests that were taken out of a full ring while the core could not remember another `failed`: "requests
  // are always taken". Only an application gets here that makes mistakes faster than it reads of them.
  std::vector<Request> spilled_;
  size_t spilled_head_ = 0;
  std::vector<Event> event_slots_;
  std::vector<Request> request_slots_;
};

}  // namespace millrace
