// SPDX-License-Identifier: BSD-3-Clause
// An ICMP error about a connection's segment: what RFC 9293 3.9.2.2 asks for, with the checks of RFC 5927. The stack has
// found the connection.
#pragma once

#include "tcp/context.h"
#include "tcp/segment_arrives.h"
#include "wire/icmp.h"

namespace millrace::tcp {

// Codes 2 and 3 (RFC9293-SHLD-26); 4 is path MTU discovery here, all others are hints (RFC1122-3.2.2.1b).
inline bool is_hard(const wire::IcmpError& e) {
  return e.type == wire::icmp::unreachable && (e.code == wire::icmp::protocol || e.code == wire::icmp::port);
}
inline bool is_too_big(const wire::IcmpError& e) {
  return e.type == wire::icmp::unreachable && e.code == wire::icmp::fragmentation_needed;
}

struct IcmpOutcome {
  Fate fate = Fate::keep;  // gone: tcb.reason says why
  uint16_t path_mtu = 0;   // of the destination, if it has fallen
};

IcmpOutcome icmp_arrives(Context& cx, Tcb& tcb, const wire::IcmpError& error);

// Has the network said why nothing is acknowledged? Progress makes it forget.
inline bool has_soft_error(const Tcb& tcb) { return tcb.soft_error != 0 && tcb.soft_una == tcb.snd.una; }
// Is that what ended a connection with this reason? RST refuses, too.
inline bool explains(uint16_t soft_error, Event::Reason reason) {
  constexpr uint16_t port_unreachable = wire::icmp::unreachable << 8 | wire::icmp::port;
  return reason == Event::unreachable || (reason == Event::refused && soft_error == port_unreachable);
}
// Why a connection ends whose peer does not answer.
inline Event::Reason timeout_reason(const Tcb& tcb) {
  return has_soft_error(tcb) ? Event::unreachable : Event::timed_out;
}

}  // namespace millrace::tcp
