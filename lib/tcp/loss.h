// SPDX-License-Identifier: BSD-3-Clause
// Loss detection and recovery by duplicate ACKs: fast retransmit (RFC 5681 3.2), NewReno (RFC 6582), limited transmit
// (RFC 3042).
#pragma once

#include "tcp/context.h"

namespace millrace::tcp {

void duplicate_ack(Context& cx, Tcb& tcb);
// SND.UNA has moved by `bytes` while in recovery.
void ack_in_recovery(Context& cx, Tcb& tcb, uint32_t bytes);
// The retransmission timer has expired: everything unacknowledged is sent again, in slow start.
void loss_timeout(Context& cx, Tcb& tcb);

}  // namespace millrace::tcp
