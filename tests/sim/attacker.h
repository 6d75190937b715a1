// SPDX-License-Identifier: BSD-3-Clause
// A stranger who sees nothing but may know, or guess, a connection's addresses, and comes near its numbers: whatever he
// sends must change no stream (RFC 5961). What no TCP can tell from the peer's own he does not send: an exact RST, or text
// with an ACK that fits.
#pragma once

#include "tests/sim/host.h"

namespace millrace::sim {

class Attacker {
 public:
  explicit Attacker(const Plan& plan) : plan_(plan), random_(plan.seed * 13 + 5) {}

  // Perhaps a segment to `victim`, whose connections are with `peer`.
  void turn(Host& victim, const Host& peer, Link& to_victim, Instant now);

 private:
  bool forge(const Host& victim, const Host& peer, const tcp::Tcb& tcb, wire::TxSegment& tx);
  void forge_syn(const Host& victim, wire::TxSegment& tx);
  uint32_t any() { return static_cast<uint32_t>(random_.next()); }

  const Plan& plan_;
  Random random_;
  Instant quiet_until_;
};

}  // namespace millrace::sim
