// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/state.h"

#include "base/ensure.h"
#include "tcp/tcb.h"

namespace millrace::tcp {

const char* name(State s) {
  switch (s) {
    case State::closed: return "CLOSED";
    case State::listen: return "LISTEN";
    case State::syn_sent: return "SYN-SENT";
    case State::syn_received: return "SYN-RECEIVED";
    case State::established: return "ESTABLISHED";
    case State::fin_wait_1: return "FIN-WAIT-1";
    case State::fin_wait_2: return "FIN-WAIT-2";
    case State::close_wait: return "CLOSE-WAIT";
    case State::closing: return "CLOSING";
    case State::last_ack: return "LAST-ACK";
    case State::time_wait: return "TIME-WAIT";
  }
  return "?";
}

void set_state(Tcb& tcb, State to) {
  ensure(may_follow(tcb.state, to));
  tcb.state = to;
}

}  // namespace millrace::tcp
