// SPDX-License-Identifier: BSD-3-Clause
// What one run is like: every knob drawn from the seed. Most faults are off in most runs, so that each is also met
// alone.
#pragma once

#include <cstdint>

#include "base/siphash.h"
#include "millrace/connection.h"
#include "millrace/time.h"
#include "tcp/params.h"
#include "wire/parse.h"

namespace millrace::sim {

// Rates are in 1/1000, of frames unless said.
struct Faults {
  uint32_t loss = 0;
  struct {                     // Gilbert-Elliott: a bad state that begins and ends at random, and lasts for 3 s at most
    uint32_t begins = 0;
    uint32_t ends = 0;
    uint32_t loss = 0;         // while it lasts
  } burst;
  uint32_t duplication = 0;
  uint32_t reordering = 0;
  Duration late{};             // up to this much more delay, for a frame that is reordered
  Duration jitter{};           // up to this much more delay, in order
  uint32_t corruption = 0;
  uint32_t marks = 0;          // CE, of what may be marked
  uint32_t replays = 0;        // an old frame comes once more, up to 25 s later
  uint32_t forged = 0;         // of turns: a stranger's segment
  bool squeeze = false;        // a box on the way makes windows smaller, down to nothing, and for long
  Duration outage_begins{};    // nothing passes for a while
  Duration outage{};
  uint32_t forged_errors = 0;  // ICMP errors about frames that meet nothing
};

// What one host is like.
struct HostPlan {
  uint32_t packets;            // buffers
  uint32_t held_limit;
  uint32_t flights;            // records of stretches in flight
  uint32_t max_connections;
  uint32_t max_half_open;
  uint32_t time_wait;          // records
  uint32_t ports;              // local ones of active opens
  uint32_t addresses = 1;      // of its own, all on the link
  uint32_t neighbors = 8;      // places in its table
  uint32_t ring;               // events of a channel
  uint32_t room;               // largest room of a turn; less is drawn each time
  uint16_t mtu;
  uint32_t segment_burst = 1;  // above 1: hardware cuts segments (TSO)
  bool stalls;                 // turns come late, now and then by seconds
  uint64_t first_ns;           // where the clock starts: also near where 32-bit numbers wrap
  uint8_t user_timeout_s;      // 0: the default
  bool immediate_ack;
  bool keepalive;
  Congestion congestion;
  tcp::Params tcp;
};

struct Plan {
  uint64_t seed;
  Faults faults;
  Duration faults_end;
  Duration delay;              // one way
  uint16_t path_mtu;           // of the way between the hosts, with ICMP errors for what is longer; 0: the hosts' own
  Duration narrow_after;       // ... from then on
  bool old_router;             // its errors do not say what would fit
  HostPlan host[2];            // the client, the server
  uint32_t connections;
  uint32_t at_once;            // of them, open or opening
  uint32_t crossings;          // more connections that both ends open at once
  uint32_t longest_stream;     // bytes
  uint32_t backlog;
  bool no_delay;
  bool slow_reader;            // keeps buffers for a while
  bool urgent;                 // some sends are
  bool listener_leaves;        // unlisten and listen again
  uint32_t jumps;              // of the clock, by minutes and hours
  bool clock_steps;            // odd amounts between turns; turns at one instant
  int wraps;                   // the host whose first connection's sequence numbers wrap; -1: none

  // Connections may end early, each end at its own time: nobody waits long enough.
  bool impatient() const { return host[0].user_timeout_s != 0 || host[1].user_timeout_s != 0; }
  // A peer that still waits for the last ACK may find its TIME-WAIT record gone, and get a RST.
  bool forgets() const {
    return host[0].time_wait < 1024 || host[1].time_wait < 1024 || host[0].ports < 150 || jumps > 0 ||
           faults.forged > 0 || faults.outage.ns != 0;
  }

  // Many addresses on one link, and few places for neighbours.
  bool is_crowd() const { return host[0].addresses + host[1].addresses > 2; }
  wire::LocalAddresses local(int number) const {
    if (!is_crowd()) return {ipv4(10, 0, 0, static_cast<uint32_t>(1 + number)), 1, 24};
    return {ipv4(10, 0, static_cast<uint32_t>(1 + 4 * number), 1), host[number].addresses, 16};
  }

  bool is_tight() const {
    for (const HostPlan& h : host)
      if (h.max_connections < 128 || h.held_limit < 1024 || h.max_half_open < 64) return true;
    return false;
  }

  static Plan draw(uint64_t seed);
};

}  // namespace millrace::sim
