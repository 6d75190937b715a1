// SPDX-License-Identifier: BSD-3-Clause
// Answers that need no TCB: RST to what belongs to no connection (RFC 9293 3.5.2, 3.10.7.1), and bare ACKs of records.
// They go back to where the frame came from, so they wait for no neighbour.
#pragma once

#include "millrace/connection.h"
#include "wire/flow_key.h"
#include "wire/segment.h"
#include "wire/tx_segment.h"

namespace millrace::tcp {

// The reset that answers `seg`. The caller has seen that `seg` is none itself.
wire::TxSegment make_reset(const wire::FlowKey& key, const wire::Segment& seg, uint8_t ttl);

// TTL and DSCP as a listener wants them from the first segment on (RFC9293-MUST-48, RFC9293-MUST-49).
void mark_ip(wire::TxSegment& tx, const Options& options);

// A segment of a flow without text, back to `seg`'s sender.
wire::TxSegment make_answer(const wire::FlowKey& key, const wire::Segment& seg, uint8_t ttl, uint8_t flags);

}  // namespace millrace::tcp
