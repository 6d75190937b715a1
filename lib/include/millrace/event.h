// SPDX-License-Identifier: BSD-3-Clause
// What a core tells an application, 32 bytes each. Events of one connection come in order, none is ever dropped, and
// nothing follows `closed`. They lie in the Channel's ring: an Event& is good until the loop goes past it, on the
// Channel's thread, and so are the bytes that it shows.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "millrace/connection.h"
#include "millrace/diagnostics.h"
#include "millrace/packet.h"

namespace millrace {

struct Event {
  enum Kind : uint8_t {
    none,
    listening,    // a `listen` has succeeded; token is the listener's
    // A `connect` is under way, and this is its name: `set`, `send`, `shutdown`, `close` and `abort` are possible from
    // here on (only with Options::report_opening; not told if the answer was faster)
    opening,
    accepted,     // a connection came to a listener; token is the listener's until `set` gives another
    connected,    // a `connect` has succeeded
    received,     // text, lent: given back when the application advances, unless it calls keep()
    sent,         // `length` bytes were acknowledged (only with Options::report_sent)
    peer_closed,  // the peer has sent FIN: no text will follow; sending is still possible
    urgent,       // there is urgent data up to `length` bytes ahead of what was delivered (RFC 9293 3.8.5)
    writable,     // after failed(full): there is room again. Until then every send is refused, so that none overtakes
    slow,         // the peer does not answer (RFC9293-SHLD-9, -MUST-47); going on. `reason` is no_reason when R1 was
                  // reached, `unreachable` when ICMP says why (RFC9293-SHLD-25): `length` is its type << 8 | code.
                  // Not with Options::no_reports
    closed,       // the connection is gone; `reason` says why. `length` is 0, or of what ICMP said as with `slow`
    failed,       // a request could not be; `reason` says why; a buffer in it is the application's again
    diagnosed,    // the answer to `diagnose`: diagnostics()
  };
  enum Reason : uint8_t {
    no_reason,
    // of `closed` (RFC9293-MUST-12: a normal end and an abort can be told apart)
    finished, reset,
    refused,            // nobody listens there: RST, or ICMP port unreachable before the connection was up
    timed_out,          // no answer, and nobody says why
    unreachable,        // no answer, and ARP or ICMP say why
    aborted,
    // of `failed`
    in_use,             // another listener has this address and port
    full,               // send_limit, or no place to hold the data
    stale,              // no such connection (any more)
    invalid,            // an address or state that does not allow this request
    no_port,            // all local ports towards this destination are in use
    no_memory,          // no connection slot is free
    closing,            // send after shutdown or close
    other_core,         // with the local port that was named the flow is another core's: connect on that one
  };

  Kind kind = none;
  Reason reason = no_reason;
  uint16_t offset = 0;      // of the bytes, from the packet's address
  uint32_t length = 0;      // bytes, where the kind says no other
  ConnectionId connection;  // of none: `listening`, and `failed` of a listen or connect
  uint64_t token = 0;  // the application's own 64 bits of this connection
  PacketRef packet;    // of `received`, `diagnosed` and a failed send

  // The text of `received`, or what a failed send was to send.
  const uint8_t* data() const { return packet.handle + offset; }
  std::span<const uint8_t> bytes() const { return {data(), length}; }

  // Of `diagnosed`, as the connection was when the core served the request.
  Diagnostics diagnostics() const {
    Diagnostics out;
    std::memcpy(&out, data(), sizeof out);
    return out;
  }

  // Takes the buffer over. It goes back with `recycle` or by being sent on, to whatever connection of the same
  // core; the receive window of this connection stays charged until then, which is what makes a slow reader's
  // peer wait. Of `failed` it is the buffer that could not be sent. Call it once; the event has no buffer then.
  Slice keep() {
    uint32_t origin = kind == received ? connection.slot() << 8 | (connection.generation() & 0xff)
                                       : Slice::own_buffer;
    return {std::exchange(packet, PacketRef{}), origin, offset, static_cast<uint16_t>(length)};
  }
};
static_assert(sizeof(Event) == 32);

const char* name(Event::Kind kind);
const char* name(Event::Reason reason);

}  // namespace millrace
