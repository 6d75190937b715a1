// SPDX-License-Identifier: BSD-3-Clause
// Loss detection and recovery. With SACK: RACK-TLP (RFC 8985) with PRR (RFC 6937). Without: duplicate ACKs and NewReno
// (RFC 5681 3.2, RFC 6582). Both: the retransmission timeout, and going back when nothing had been lost after all
// (Eifel RFC 3522, D-SACK, F-RTO RFC 5682). What is lost is a mark in the flight's records; output sends it again.
#pragma once

#include "tcp/context.h"
#include "tcp/flight.h"

namespace millrace::tcp {

// An ACK was taken in: SND.UNA has moved by `acked` (or not), `told` is what else it said. `flight_before`: as the ACK
// came. `duplicate`: a duplicate ACK in the sense of RFC 5681.
void recovery_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked, uint32_t flight_before, bool duplicate);
// The retransmission timer has expired.
void loss_timeout(Context& cx, Tcb& tcb);

// The timer that waits for what is in flight: a tail loss probe if there may be one, else the retransmission timeout.
// `new_text`: it was running; the timeout stays when the first in flight makes it due.
void start_loss_timer(Context& cx, Tcb& tcb, bool new_text = false);
// The same, but not later than the first in flight allows: nothing new was acknowledged.
void resume_loss_timer(Context& cx, Tcb& tcb);

// --- for the files of this room ---

void save_for_undo(Tcb& tcb);
// Lost text is sent again: what undoing must know.
void note_resent(Context& cx, Tcb& tcb, uint32_t bytes);
// True: nothing had been lost; all is as before.
bool try_undo(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked);
// RFC 5682 step 2b: new text goes out in the place of what is called lost.
bool frto_waits(const Context& cx, const Tcb& tcb);
void leave_recovery(Tcb& tcb);

void newreno_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked, uint32_t flight_before, bool duplicate);

void rack_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t acked, uint32_t flight_before);
// RFC 8985 6.2.5. Returns how long until more can be said; zero: nothing is in doubt.
Duration rack_detect(Context& cx, Tcb& tcb);
void reorder_timeout(Context& cx, Tcb& tcb);
// D-SACKs of `seg` and its other blocks, into `told` (RFC 2883, RFC 2018).
void take_sacks(Context& cx, Tcb& tcb, const wire::Segment& seg, Delivered& told);
void probe_timeout(Context& cx, Tcb& tcb);

}  // namespace millrace::tcp
