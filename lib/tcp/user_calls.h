// SPDX-License-Identifier: BSD-3-Clause
// User calls on a connection (RFC 9293 3.10.1 to 3.10.6). OPEN needs the route and the flow table and stands in
// stack/requests; RECEIVE is the event `received`.
#pragma once

#include "millrace/request.h"
#include "tcp/context.h"
#include "tcp/segment_arrives.h"

namespace millrace::tcp {

// SEND. no_reason: the slices are queued. Otherwise they are still the caller's.
Event::Reason send(Context& cx, Tcb& tcb, const Request& request);

// Tells `writable` once all of failed(full) has been read, and there is room again.
void check_writable(Context& cx, Tcb& tcb);
// Those that wait for buffers, or for requests made earlier: once a turn, some of them.
void check_waiting(Context& cx);
// The connection waits for neither any more.
void leave_waiting(Context& cx, Tcb& tcb);

// CLOSE, the sending half only: FIN follows what is queued. no_reason, or why not.
Event::Reason shutdown(Context& cx, Tcb& tcb);

// CLOSE of both halves: nothing will be read any more. `fate` says whether anything is left to do.
Fate close(Context& cx, Tcb& tcb);

bool set_option(Context& cx, Tcb& tcb, Setting setting, uint64_t value);
void apply_options(Context& cx, Tcb& tcb, const Options& options);

}  // namespace millrace::tcp
