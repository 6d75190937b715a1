// SPDX-License-Identifier: BSD-3-Clause
// HyStart++ (RFC 9406): slow start ends when round trips get longer, before the queue overflows; and goes on if they
// had not.
#include "tcp/congestion.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t infinite = 0xffffffff;
constexpr uint32_t min_thresh_us = 4'000, max_thresh_us = 16'000;
constexpr uint8_t samples_needed = 8, css_divisor = 4, css_rounds = 5;

void begin_round(Tcb& tcb) {
  auto& h = tcb.hystart;
  h.end = tcb.snd.nxt;
  h.last_min = h.current_min;
  h.current_min = infinite;
  h.samples = 0;
}

}  // namespace

void hystart_init(Tcb& tcb) {
  auto& h = tcb.hystart;
  h.end = tcb.snd.nxt;
  h.last_min = h.current_min = h.baseline = infinite;
  h.samples = h.css_left = 0;
}

uint32_t hystart_growth(Tcb& tcb, const Acked& a, uint32_t stretch) {
  auto& h = tcb.hystart;
  if (a.rtt != 0) {
    h.current_min = std::min(h.current_min, a.rtt);
    if (h.samples < 255) ++h.samples;
  }
  bool enough = h.samples >= samples_needed && h.current_min != infinite;
  if (h.css_left == 0) {
    if (enough && h.last_min != infinite) {
      uint32_t thresh = std::clamp(h.last_min / 8, min_thresh_us, max_thresh_us);
      if (h.current_min >= h.last_min + thresh) {  // conservative slow start
        h.baseline = h.current_min;
        h.css_left = css_rounds;
      }
    }
  } else if (enough && h.current_min < h.baseline) {  // a false alarm
    h.baseline = infinite;
    h.css_left = 0;
  }
  uint32_t growth = slow_start_growth(tcb, a.bytes, stretch);
  if (h.css_left != 0) growth /= css_divisor;
  if (wire::after(tcb.snd.una, h.end)) {
    if (h.css_left != 0 && --h.css_left == 0) tcb.ssthresh = tcb.cwnd;  // it was none
    begin_round(tcb);
  }
  return growth;
}

}  // namespace millrace::tcp
