// SPDX-License-Identifier: BSD-3-Clause
// What must hold of everything that a host sends, and of its connections after each turn. What one connection has told
// and sent before is remembered here, beside the core and not by it.
#pragma once

#include <string>
#include <vector>

#include "stack/internals.h"

namespace millrace::sim {

// The first broken rule ends a run.
struct Broken {
  std::string what;
};

class Checks {
 public:
  explicit Checks(const stack::Stack& stack) : stack_(stack), seen_(stack.cx.tcbs.capacity()),
      many_flights_(stack.cx.flights.free_count() >= 512) {}

  // Before receive(), with the number of frames; before transmit(); for each segment of the turn; after the turn.
  void begin_turn(uint32_t frames) { frames_ = frames; }
  void begin_transmit();
  void segment(const wire::TxSegment& tx, uint32_t frame_length);
  void end_turn();

 private:
  struct Seen {
    uint32_t generation = 0;
    wire::Seq iss;
    wire::Seq right;          // the edge of the window that was told
    wire::Seq ack;            // the last that was told
    uint32_t ts_val = 0;
    bool told = false;        // the three above
    wire::Seq una;
    Instant una_at;           // when it moved last
    Instant first_sent_at;    // of the first in flight, before this turn's timers
    wire::Seq sent_before;    // SND.MAX before this turn's segments
    uint32_t sent = 0;        // text and FIN of this turn
    uint8_t timeouts = 0;
    bool in_recovery = false;
    uint32_t frames = 0;      // that came since recovery began
  };
  Seen& seen(uint32_t index);
  void check_told(const tcp::Tcb& tcb, Seen& s, const wire::TxSegment& tx);
  void check_text(const tcp::Tcb& tcb, Seen& s, const wire::TxSegment& tx);
  void check_cwnd(const tcp::Tcb& tcb, const Seen& s) const;
  void check_recovery(const tcp::Tcb& tcb, Seen& s) const;
  void check_timeout(const tcp::Tcb& tcb, Seen& s) const;

  const stack::Stack& stack_;
  std::vector<Seen> seen_;
  uint32_t frames_ = 0;
  bool many_flights_;
};

// What one end has received, the other has sent.
void check_pair(const stack::Stack& receiver, const stack::Stack& sender);

}  // namespace millrace::sim
