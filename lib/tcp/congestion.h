// SPDX-License-Identifier: BSD-3-Clause
// Congestion control: five questions, answered by the algorithm of the connection. Loss detection (tcp/loss) decides
// when something was lost; here is decided what that costs, and how the window grows.
#pragma once

#include "tcp/context.h"

namespace millrace::tcp {

void cc_init(Tcb& tcb, const Params& p);                   // the connection is established
void cc_acked(Tcb& tcb, uint32_t bytes, uint32_t flight);  // new data acknowledged, not in recovery; what was in flight
void cc_lost(Tcb& tcb);                                    // a loss was detected: ssthresh falls (cwnd is recovery's)
void cc_timeout(Tcb& tcb, bool first);                     // the retransmission timer has expired
void cc_idle(Tcb& tcb, const Params& p);                   // nothing was sent for longer than the RTO

}  // namespace millrace::tcp
