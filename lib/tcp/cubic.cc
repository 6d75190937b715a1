// SPDX-License-Identifier: BSD-3-Clause
// CUBIC (RFC 9438): after a loss the window comes back along W(t) = C (t - K)^3 + W_max, whatever the round-trip time,
// and never grows more slowly than Reno would. Bytes and milliseconds; C = 0.4 segments/s^3 (RFC9438-5.1), beta = 0.7.
#include "tcp/congestion.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t longest_ms = 200'000;  // 0.4 * 64 K * that cubed fits in 63 bits

// W_cubic(t), RFC9438-4.2a.
uint32_t curve(const Tcb& tcb, uint64_t t_ms) {
  int64_t dt = static_cast<int64_t>(std::min<uint64_t>(t_ms, longest_ms)) - static_cast<int64_t>(tcb.cubic.k_ms);
  // 0.4 mss (dt / 1000)^3; in two steps, so that nothing overflows
  int64_t cube = dt * dt * dt / 10'000 * (4 * int64_t{tcb.mss}) / 1'000'000;
  return static_cast<uint32_t>(std::clamp<int64_t>(int64_t{tcb.cubic.w_max} + cube, 2 * tcb.mss, 1 << 30));
}

void start_epoch(Context& cx, Tcb& tcb) {
  auto& c = tcb.cubic;
  c.epoch = c.seen = cx.now;
  c.w_est = tcb.cwnd;
  c.est_acked = 0;
  c.k_ms = 0;
  if (c.w_max > tcb.cwnd)
    c.k_ms = std::min(cube_root(uint64_t{c.w_max - tcb.cwnd} * 2'500'000'000 / tcb.mss), longest_ms);
  else
    c.w_max = tcb.cwnd;  // RFC9438-4.8: after a timeout, and at the first time
}

// How many acknowledged bytes make the window grow by one segment; anew at most once a millisecond, for it divides.
void aim(Context& cx, Tcb& tcb) {
  auto& c = tcb.cubic;
  c.aimed_ms = static_cast<uint32_t>(cx.now.ms());
  Duration t = cx.now - c.epoch;
  uint32_t target = curve(tcb, t.ms() + (tcb.rtt.srtt >> 3) / 1000);
  target = std::min(target, tcb.cwnd + tcb.cwnd / 2);  // RFC9438-4.2a
  // RFC9438-4.4, RFC9438-4.5: (target - cwnd) / cwnd for each segment
  uint64_t step = target > tcb.cwnd ? uint64_t{tcb.cwnd} * tcb.mss / (target - tcb.cwnd) : uint64_t{tcb.cwnd} * 100;
  c.step = static_cast<uint32_t>(std::clamp<uint64_t>(step, 1, UINT32_MAX));
}

// RFC9438-4.3: what Reno with the same beta would have; alpha is 9/17 until it is where the last loss was, then 1.
void follow_reno(Tcb& tcb, uint32_t bytes) {
  auto& c = tcb.cubic;
  c.est_acked += bytes;
  uint32_t needed = c.w_est < c.prior ? static_cast<uint32_t>(uint64_t{tcb.cwnd} * 17 / 9) : tcb.cwnd;
  if (c.est_acked >= needed) {
    c.est_acked -= needed;
    c.w_est += tcb.mss;
  }
  if (tcb.cwnd < c.w_est) tcb.cwnd = c.w_est;
}

}  // namespace

uint32_t cube_root(uint64_t x) {
  uint64_t root = 0;
  for (int bit = 20; bit >= 0; --bit) {  // root < 2^21: enough for 2^63
    uint64_t probe = root | uint64_t{1} << bit;
    if (probe * probe * probe <= x) root = probe;
  }
  return static_cast<uint32_t>(root);
}

void cubic_restart(Tcb& tcb) {
  tcb.cubic.epoch = Instant{};
  tcb.cubic.step = 0;
}

void cubic_acked(Context& cx, Tcb& tcb, const Acked& a) {
  auto& c = tcb.cubic;
  bool limited = window_limited(tcb, a.flight);
  if (tcb.cwnd < tcb.ssthresh) {  // RFC9438-4.10
    // RFC 9406 4.3: HyStart++ is for the first slow start; later ones know where they are going.
    uint32_t stretch = cx.params.slow_start_stretch;
    uint32_t growth = tcb.ssthresh == no_ssthresh ? hystart_growth(tcb, a, stretch) : slow_start_growth(tcb, a.bytes, stretch);
    if (limited) tcb.cwnd += growth;
    return;
  }
  if (c.epoch == Instant{}) start_epoch(cx, tcb);
  // RFC9438-4.2b: time in which the application had not enough to send does not count.
  if (!limited) c.epoch = c.epoch + (cx.now - c.seen);
  c.seen = cx.now;
  if (!limited) return;
  if (c.step == 0 || c.aimed_ms != static_cast<uint32_t>(cx.now.ms())) aim(cx, tcb);
  tcb.cc_acked += a.bytes;
  while (tcb.cc_acked >= c.step) {
    tcb.cc_acked -= c.step;
    tcb.cwnd += tcb.mss;
  }
  follow_reno(tcb, a.bytes);
}

void cubic_lost(Tcb& tcb, uint32_t flight) {
  auto& c = tcb.cubic;
  // What the peer's window or the application left of cwnd says nothing about what the path carries (RFC 7661).
  uint32_t window = std::min(tcb.cwnd, std::max(flight, tcb.ssthresh));
  c.prior = window;
  // RFC9438-4.7: who did not get back to where it was leaves room for others
  c.w_max = window < c.w_max ? static_cast<uint32_t>(uint64_t{window} * 17 / 20) : window;
  uint64_t base = c.of_cwnd ? tcb.cwnd : flight;  // RFC9438-4.6b: a cwnd that is not used does not grow
  tcb.ssthresh = std::max(static_cast<uint32_t>(base * 7 / 10), 2u * tcb.mss);  // RFC9438-4.6a
  cubic_restart(tcb);
}

void cubic_timeout(Tcb& tcb) {
  tcb.cubic.w_max = 0;  // RFC9438-4.8: the next epoch starts from the cwnd that it finds
  cubic_restart(tcb);
}

}  // namespace millrace::tcp
