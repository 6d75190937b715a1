// SPDX-License-Identifier: BSD-3-Clause
// Timeouts (RFC 9293 3.10.8): what happens when the wheel looks at a connection.
#pragma once

#include "tcp/context.h"
#include "tcp/segment_arrives.h"

namespace millrace::tcp {

struct TimeoutOutcome {
  Fate fate = Fate::keep;
  bool advise_neighbor = false;  // R1: the way to the peer may be dead (RFC9293-MUST-20)
  uint16_t path_mtu = 0;         // of the destination, if it has turned out to be less
};

// Does whatever is due at cx.now and arms the wheel for the next deadline.
TimeoutOutcome timeout(Context& cx, Tcb& tcb);

// An entry of the queue of delayed ACKs is due.
// The next hop did not answer: what there is to send waits for the retransmission timer, which asks again.
void wait_for_path(Context& cx, Tcb& tcb);

void delayed_ack_timeout(Context& cx, Tcb& tcb);

}  // namespace millrace::tcp
