// SPDX-License-Identifier: BSD-3-Clause
// What an application asks of a core: the user calls of RFC 9293 3.9.1, 64 bytes each. Channel has a function for each,
// and its words there; this is what travels in the ring. Of this an application names only Setting.
#pragma once

#include <cstdint>

#include "millrace/address.h"
#include "millrace/connection.h"
#include "millrace/packet.h"

namespace millrace {

struct OpenArguments {
  IpAddress local;   // unspecified: any (listen), or chosen by the route (connect)
  IpAddress remote;  // unspecified for listen
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  Options options;
};

// What Channel::set() changes of a connection; out of its bounds: failed(invalid).
enum class Setting : uint8_t {
  token,           // the application's 64 bits
  no_delay,        // 0 or 1, as the next two
  immediate_ack,
  report_sent,
  // seconds without a sign of the peer until the first probe, to 1000000; 0: off (RFC9293-MUST-24, -27)
  keepalive,
  keepalive_interval,  // seconds between probes, 1 to 65535
  keepalive_probes,    // without an answer, 1 to 255
  dscp,            // 0 to 63
  user_timeout_s,  // R2 in seconds, 1 to 1000000 (RFC9293-MUST-21)
  send_limit,      // bytes, 1 to 2^30; from here on it does not grow with cwnd
  no_reports,      // 0 or 1: no `slow` events (RFC9293-SHLD-20)
};

struct SetArguments {
  Setting setting;
  uint64_t value;
};

struct Request {
  enum Kind : uint8_t { none, listen, unlisten, connect, send, recycle, shutdown, close, abort, set, diagnose };
  static constexpr uint32_t max_slices = 3;

  Kind kind = none;
  uint8_t slice_count = 0;
  bool urgent = false;   // send: the last byte ends urgent data
  bool more = false;     // send: no PSH, another send follows (RFC9293-MAY-15)
  uint16_t backlog = 0;  // listen
  uint16_t max_segment = 0;  // listen, connect: Listen::max_segment
  union {
    ConnectionId connection;
    uint64_t token;      // listen, connect
  };
  union {
    Slice slices[max_slices];
    OpenArguments open;
    SetArguments setting;
  };

  Request() : connection{}, slices{} {}
};
static_assert(sizeof(Request) == 64);

const char* name(Request::Kind kind);

}  // namespace millrace
