// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/icmp_error.h"

#include "tcp/path_mtu.h"

namespace millrace::tcp {
namespace {

constexpr StateSet opening = set_of(State::syn_sent, State::syn_received);

// Remembered as the reason of a timeout to come, and told (RFC9293-SHLD-25): once, until SND.UNA moves.
void remember(Context& cx, Tcb& tcb, uint16_t what) {
  bool told = has_soft_error(tcb);
  tcb.soft_error = what;
  tcb.soft_una = tcb.snd.una;
  if (!told) cx.report(tcb);
}

}  // namespace

IcmpOutcome icmp_arrives(Context& cx, Tcb& tcb, const wire::IcmpError& error) {
  IcmpOutcome outcome;
  // RFC5927-4: about something that is outstanding. In SYN-SENT that is the ISS alone.
  if (wire::before(error.seq, tcb.snd.una) || !wire::before(error.seq, tcb.snd.max)) {
    cx.count(Count::drop_icmp_sequence);
    return outcome;
  }
  if (is_too_big(error)) {
    outcome.path_mtu = too_big(cx, tcb, error);
    return outcome;
  }
  cx.count(Count::icmp_errors_received);
  auto what = static_cast<uint16_t>(error.type << 8 | error.code);
  // Who is connected goes on, whatever it is (RFC9293-MUST-56, RFC 5927 5.2). Who is opening learns from a hard error
  // that nobody listens; and from a hint, if it has asked for that, that it need not wait (RFC 5461 4.1).
  if (!in(tcb.state, opening) || !(is_hard(error) || cx.params.unreachable_ends_open)) {
    remember(cx, tcb, what);
    return outcome;
  }
  bool refused = is_hard(error) && error.code == wire::icmp::port;
  tcb.soft_error = what;
  tcb.soft_una = tcb.snd.una;
  tcb.reason = refused ? Event::refused : Event::unreachable;
  outcome.fate = Fate::gone;
  return outcome;
}

}  // namespace millrace::tcp
