// SPDX-License-Identifier: BSD-3-Clause
// Path MTU discovery (RFC 1191) as a connection sees it: segments that fit, and what was too long is sent again at once.
// What is known of a destination beyond one connection is the stack's (stack/paths).
#pragma once

#include "tcp/context.h"
#include "wire/icmp.h"

namespace millrace::tcp {

// The longest IP datagram that we would send now.
uint32_t packet_size(const Tcb& tcb);
// tcb.mss from what the peer takes, what we ask for ourselves, and the path (RFC9293-MUST-16).
void set_mss(Tcb& tcb);

// "Fragmentation needed" about a segment that is in flight. Returns the path's new MTU; 0: it stays, and it was counted
// why, or is remembered until a timeout says that it may be true.
uint16_t too_big(Context& cx, Tcb& tcb, const wire::IcmpError& error);
// The retransmission timer has expired: what was remembered is believed now. Returns the same.
uint16_t too_big_after_timeout(Context& cx, Tcb& tcb);

// What the stack knows of the destination already, and until when it holds. For a connection that has not sent text yet,
// or whose retransmission timer has expired: nothing is sent again.
void learn_path_mtu(Context& cx, Tcb& tcb, uint16_t mtu, Instant until);
// What was learned is too old: longer segments are tried again (RFC 1191 6.3). Nothing is sent for that.
void path_mtu_timeout(Context& cx, Tcb& tcb);

}  // namespace millrace::tcp
