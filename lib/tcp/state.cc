// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/state.h"

#include "base/ensure.h"
#include "tcp/tcb.h"

namespace millrace::tcp {

void set_state(Tcb& tcb, State to) {
  ensure(may_follow(tcb.state, to));
  tcb.state = to;
}

}  // namespace millrace::tcp
