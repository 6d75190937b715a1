// SPDX-License-Identifier: BSD-3-Clause
// The eleven states of RFC 9293 3.3.2, sets of them, and which may follow which.
#pragma once

#include <cstdint>

#include "millrace/diagnostics.h"

namespace millrace::tcp {

// LISTEN is a listener, SYN-RECEIVED of a passive open a half-open record, TIME-WAIT a record of its own: a Tcb is
// never in LISTEN, in TIME-WAIT only on its way to the record, and in SYN-RECEIVED only after a simultaneous open.
using millrace::State;

using StateSet = uint16_t;
template <typename... S>
constexpr StateSet set_of(S... s) { return static_cast<StateSet>((0 | ... | (1u << static_cast<unsigned>(s)))); }
constexpr bool in(State s, StateSet set) { return set >> static_cast<unsigned>(s) & 1; }

// ESTABLISHED and later (RFC 9293 3.3.2).
inline constexpr StateSet synchronized =
    set_of(State::established, State::fin_wait_1, State::fin_wait_2, State::close_wait, State::closing,
           State::last_ack, State::time_wait);
// States in which the peer may still send text.
inline constexpr StateSet receiving = set_of(State::established, State::fin_wait_1, State::fin_wait_2);
// States in which our side is not closed.
inline constexpr StateSet sending = set_of(State::established, State::close_wait);
// States whose FIN is queued or sent and not acknowledged.
inline constexpr StateSet fin_outstanding = set_of(State::fin_wait_1, State::closing, State::last_ack);

// The arrows of Figure 5, by their tail; CLOSED can follow any state (ABORT, RST, timeouts).
constexpr StateSet successors(State s) {
  switch (s) {
    case State::closed: return set_of(State::listen, State::syn_sent, State::established);
    case State::listen: return set_of(State::syn_received, State::syn_sent);
    case State::syn_sent: return set_of(State::syn_received, State::established);
    case State::syn_received: return set_of(State::established, State::fin_wait_1, State::listen);
    case State::established: return set_of(State::fin_wait_1, State::close_wait);
    case State::fin_wait_1: return set_of(State::fin_wait_2, State::closing, State::time_wait);
    case State::fin_wait_2: return set_of(State::time_wait);
    case State::close_wait: return set_of(State::last_ack);
    case State::closing: return set_of(State::time_wait);
    case State::last_ack: return 0;
    case State::time_wait: return 0;
  }
  return 0;
}
constexpr bool may_follow(State from, State to) { return to == State::closed || in(to, successors(from)); }

}  // namespace millrace::tcp
