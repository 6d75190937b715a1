// SPDX-License-Identifier: BSD-3-Clause
// DCTCP (RFC 8257): cwnd falls in proportion to how much of a window of data was marked. Everything else is Reno's.
#include "tcp/congestion.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t one = 1024;  // alpha is a fraction of this
constexpr uint32_t gain_shift = 4;

}  // namespace

void dctcp_init(Tcb& tcb) { tcb.dctcp = {.end = tcb.snd.nxt.value, .alpha = one, .acked = 0, .marked = 0}; }

void dctcp_acked(Tcb& tcb, const Acked& a) {
  auto& d = tcb.dctcp;
  d.acked += a.bytes;
  if (a.marked) d.marked += a.bytes;
  if (a.marked && tcb.cwnd < tcb.ssthresh) tcb.ssthresh = tcb.cwnd;  // slow start is over
  if (wire::after(tcb.snd.una, Seq{d.end})) {  // once a window of data
    auto fraction = static_cast<uint32_t>(uint64_t{d.marked} * one / std::max(d.acked, 1u));
    d.alpha = d.alpha - (d.alpha >> gain_shift) + (fraction >> gain_shift);
    if (d.marked != 0) {
      tcb.cwnd -= static_cast<uint32_t>(uint64_t{tcb.cwnd} * d.alpha / (2 * one));
      tcb.cwnd = std::max(tcb.cwnd, 2u * tcb.mss);
      tcb.ssthresh = tcb.cwnd;
      tcb.cc_acked = 0;
    }
    d.end = tcb.snd.nxt.value;
    d.acked = d.marked = 0;
  }
  if (!a.marked) reno_acked(tcb, a.bytes, a.flight);
}

}  // namespace millrace::tcp
