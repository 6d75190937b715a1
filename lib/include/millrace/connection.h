// SPDX-License-Identifier: BSD-3-Clause
// A connection's name and its options.
#pragma once

#include <cstdint>

namespace millrace {

// The handle of a connection: 8 bits core, 24 bits slot, 32 bits generation. A slot is used again, a generation
// is not: a stale handle is answered with `failed`, never with somebody else's connection.
// Slots of one core are dense from 0, so an application may index its arrays by slot().
struct ConnectionId {
  uint64_t value = 0;
  static constexpr ConnectionId make(uint32_t core, uint32_t slot, uint32_t generation) {
    return {static_cast<uint64_t>(core) << 56 | static_cast<uint64_t>(slot) << 32 | generation};
  }
  constexpr uint32_t core() const { return static_cast<uint32_t>(value >> 56); }
  constexpr uint32_t slot() const { return static_cast<uint32_t>(value >> 32) & 0xffffff; }
  constexpr uint32_t generation() const { return static_cast<uint32_t>(value); }
  explicit constexpr operator bool() const { return value != 0; }
  friend constexpr bool operator==(ConnectionId, ConnectionId) = default;
};

// Congestion control of a connection.
enum class Congestion : uint8_t {
  cubic,    // RFC 9438 with HyStart++ (RFC 9406)
  newreno,  // RFC 5681, 6582
  dctcp,    // RFC 8257, over ECN: for networks whose switches mark early
  none,     // a fixed window: only for load generation that means it
};

// What may be chosen per listener or connect. Zero means: the endpoint's default (Config::tcp). What Setting names too
// can be changed later.
struct Options {
  // Off, Nagle's algorithm is on, as Minshall has it (RFC 9293 A.3): a segment below MSS waits while another one is not
  // acknowledged; the tail of a longer send leaves at once. On: none waits (RFC9293-MUST-17). For requests and responses
  uint8_t no_delay : 1 = 0;
  uint8_t immediate_ack : 1 = 0;  // an ACK at the end of each turn instead of a delayed one
  uint8_t report_sent : 1 = 0;    // wants `sent` events
  uint8_t keepalive : 1 = 0;      // RFC 9293 3.8.4, off by default (RFC9293-MUST-24, -25)
  uint8_t no_reports : 1 = 0;     // no `slow` events (RFC9293-SHLD-20)
  uint8_t report_opening : 1 = 0;  // of a connect: wants `opening`
  Congestion congestion = Congestion::cubic;
  uint8_t ttl = 0;                // 0: the endpoint's (RFC9293-MUST-49)
  uint8_t dscp = 0;               // 0 to 63 (RFC9293-MUST-48)
  uint16_t user_timeout_s = 0;    // R2 in seconds (RFC9293-MUST-21); 0: the endpoint's
  uint16_t receive_buffer_kb = 0;  // KB held for the application, and not growing; 0: the endpoint's, which grows
  uint32_t send_limit = 0;        // bytes queued before a `send` of the application's own text is failed(full);
                                  // 0: the endpoint's, which grows with cwnd
};
static_assert(sizeof(Options) == 12);

}  // namespace millrace
