// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES (RFC 9293 3.10.7): stage 6 of a packet's way. A segment of an existing TCB first tries the fast path
// (in order, nothing unusual); everything else takes the RFC's steps in the RFC's order. Nothing is sent, freed or
// looked up here: the effects beyond the TCB are returned as an Outcome.
#pragma once

#include "tcp/context.h"
#include "tcp/flight.h"
#include "wire/segment.h"

namespace millrace::tcp {

enum class Fate : uint8_t {
  keep,
  gone,       // the connection is over; tcb.reason says why
  time_wait,  // goes on as a TIME-WAIT record, which acknowledges this segment
};

struct Outcome {
  Fate fate = Fate::keep;
  bool kept_packet = false;   // the packet is in a queue now; else the caller releases it
  bool reset = false;         // answer the segment with RST
  bool established = false;   // the handshake is over now
};

Outcome segment_arrives(Context& cx, Tcb& tcb, const wire::Segment& seg);

// --- the steps, for the files of this room ---

Outcome arrives_syn_sent(Context& cx, Tcb& tcb, const wire::Segment& seg);
Outcome arrives_other(Context& cx, Tcb& tcb, const wire::Segment& seg);

// What is left of a segment's text after it was cut to the window.
struct Text {
  Seq seq;
  Slice slice;
  bool fin = false;
  bool cut = false;  // some of it did not fit: an ACK tells the peer
  bool duplicate = false;  // some of it was here before: an ACK of its own tells the peer (RFC 2883)
};
// Sixth and seventh step: urgent pointer and text; then eighth: FIN. `kept_packet` and `fate` are set as needed.
void process_urgent(Context& cx, Tcb& tcb, const wire::Segment& seg);
void process_text(Context& cx, Tcb& tcb, const Text& text, Outcome& outcome);
void check_fin(Context& cx, Tcb& tcb, const Text& text, Outcome& outcome);

// ACK of new data: SND.UNA moves to SEG.ACK. What it means for congestion and recovery is the caller's.
void new_ack(Context& cx, Tcb& tcb, const wire::Segment& seg, Delivered& told);
// RFC7323-4.3: TS.Recent comes from the segment that holds, or precedes, the next byte expected.
void take_timestamp(Context& cx, Tcb& tcb, const wire::Segment& seg);
// RFC 3168 6.1: what a segment says about congestion, on its way here (CE, CWR) and on ours (ECE).
void ecn_arrives(Context& cx, Tcb& tcb, const wire::Segment& seg);
void update_window(Tcb& tcb, const wire::Segment& seg);
// In-order text was taken: an ACK now, or the delayed one (RFC9293-SHLD-18, -19).
void schedule_ack(Context& cx, Tcb& tcb);
void delay_ack(Context& cx, Tcb& tcb);
// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, as often as the limit allows (RFC5961-7).
void challenge_ack(Context& cx, Tcb& tcb);

// The options of the peer's SYN or SYN,ACK, and what follows from them.
void take_syn_options(Context& cx, Tcb& tcb, const wire::Segment& syn);
// The handshake is done: congestion control, first window, the event.
void establish(Context& cx, Tcb& tcb);
// ... after a simultaneous open: what came with the peer's SYN is taken now.
void take_syn_text(Context& cx, Tcb& tcb);

}  // namespace millrace::tcp
