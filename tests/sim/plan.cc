// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/plan.h"

#include <algorithm>

namespace millrace::sim {
namespace {

class Dice : public Random {
 public:
  using Random::Random;
  bool one_in(uint32_t n) { return below(n) == 0; }
  uint32_t from(uint32_t least, uint32_t most) { return least + below(most - least + 1); }
  template <typename T, size_t n>
  T any(const T (&of)[n]) { return of[below(n)]; }
};

void draw_faults(Dice& d, Faults& f) {
  if (d.one_in(2)) f.loss = d.from(0, 100);
  if (d.one_in(4)) f.burst = {d.from(1, 20), d.from(30, 300), d.from(300, 1000)};
  if (d.one_in(3)) f.duplication = d.from(0, 100);
  if (d.one_in(3)) f.reordering = d.from(0, 200);
  f.late = microseconds(d.from(1, 20'000));
  if (d.one_in(4)) f.jitter = microseconds(d.from(1, d.one_in(3) ? 50'000 : 1'000));
  if (d.one_in(4)) f.corruption = d.from(0, 50);
  if (d.one_in(3)) f.marks = d.one_in(3) ? d.from(0, 1000) : d.from(0, 100);
  if (d.one_in(4)) f.forged = d.from(1, 200);
  f.squeeze = d.one_in(6);
  if (d.one_in(8)) {
    f.outage_begins = milliseconds(d.below(3'000));
    f.outage = milliseconds(d.from(1, 40'000));
  }
}

// Every 32-bit clock of the core counts microseconds, milliseconds or seconds: some runs begin shortly before such a
// number is 0 again, or where its sign turns.
uint64_t draw_start(Dice& d) {
  if (d.one_in(3)) return d.next() >> d.from(1, 30);
  uint64_t unit = d.any<uint64_t>({1'000, 1'000'000, 1'000'000'000});
  uint64_t wrap = (uint64_t{1} << 31) * unit * d.from(1, unit == 1'000'000'000 ? 4 : 1'000);
  return wrap - uint64_t{d.below(d.one_in(2) ? 300'000 : 20'000)} * 1'000'000 - d.below(1'000'000);
}

void draw_tcp(Dice& d, tcp::Params& t) {
  t.timestamps = !d.one_in(4);
  t.sack = !d.one_in(4);
  t.window_scaling = !d.one_in(4);
  t.dsack = !d.one_in(4);
  t.frto = !d.one_in(4);
  t.tail_loss_probe = !d.one_in(4);
  t.receive_buffer = d.one_in(4) ? d.from(3000, 8000) : 16384u << d.below(5);
  t.receive_buffer_max = d.one_in(3) ? 0 : t.receive_buffer << d.below(13);
  t.quick_acks = static_cast<uint8_t>(d.one_in(3) ? d.below(20) : 0);
  if (d.one_in(3)) t.delayed_ack = milliseconds(d.from(1, 499));
  if (d.one_in(4)) t.rto_min_applies_to = tcp::RtoMin::variance;
  if (d.one_in(6)) t.rto_min = milliseconds(d.from(1, 1000));
  if (d.one_in(4)) t.push_every = static_cast<uint8_t>(d.below(8));
  if (d.one_in(4)) t.initial_window = static_cast<uint8_t>(d.from(1, 10));
  if (d.one_in(6)) t.out_of_order_limit = static_cast<uint16_t>(d.from(1, 20));
  if (d.one_in(6)) t.slow_start_stretch = static_cast<uint8_t>(d.from(1, 20));
  t.restart_after_idle = !d.one_in(4);
  t.ecn = d.any({tcp::EcnMode::off, tcp::EcnMode::passive, tcp::EcnMode::active});
  t.send_limit = d.one_in(6) ? d.from(2'000, 10'000) : 40'000;
  t.keepalive_time = seconds(60);
  t.keepalive_interval = seconds(10);
}

void draw_host(Dice& d, HostPlan& h) {
  bool tight = d.one_in(4);
  h.packets = tight ? d.from(60, 200) : 2048;
  h.held_limit = tight ? d.from(24, 64) : 1024;
  h.flights = d.one_in(6) ? d.below(8) : h.held_limit;
  h.max_connections = d.one_in(8) ? d.from(1, 8) : 128;
  h.max_half_open = d.one_in(8) ? d.from(1, 4) : 64;
  h.time_wait = d.one_in(4) ? 1u << d.below(4) : 1024;
  h.ports = d.one_in(6) ? d.from(2, 20) : 200;
  h.ring = d.one_in(3) ? 2u << d.below(3) : 256;
  h.room = d.one_in(4) ? d.from(1, 4) : 64;
  h.mtu = d.one_in(3) ? static_cast<uint16_t>(d.from(296, 1800)) : 1500;
  h.stalls = d.one_in(6);
  h.first_ns = draw_start(d);
  h.immediate_ack = d.one_in(6);
  h.keepalive = d.one_in(5);
  h.congestion = d.one_in(2) ? Congestion::cubic : d.any({Congestion::newreno, Congestion::dctcp, Congestion::none});
  draw_tcp(d, h.tcp);
}

// A path that carries next to nothing. Windows are in bytes and buffers in packets: few windows, and small ones, else a host
// has no buffers for so many short segments.
void draw_narrow(Dice& d, Plan& p) {
  p.path_mtu = static_cast<uint16_t>(d.from(68, 560));
  p.at_once = 2;
  p.crossings = 0;
  p.longest_stream = std::min(p.longest_stream, 20'000u);
  for (HostPlan& h : p.host) {
    h.tcp.receive_buffer = 3000;
    h.tcp.receive_buffer_max = 0;
  }
}

// Connects to hundreds of addresses, some of which nobody has, from hundreds.
void draw_crowd(Dice& d, Plan& p) {
  for (HostPlan& h : p.host) {
    h.addresses = d.from(2, 300);
    h.neighbors = d.from(1, 8);
  }
  p.connections = d.from(4, 60);
  p.at_once = std::min(p.at_once, d.from(1, 16));
  p.wraps = -1;  // the first connection's addresses are not known beforehand
}

}  // namespace

Plan Plan::draw(uint64_t seed) {
  // Mixed: a seed that is another's plus one step of the generator would draw the same numbers, one later.
  Dice d{Random{seed}.next()};
  Plan p{};
  p.seed = seed;
  draw_faults(d, p.faults);
  p.faults_end = seconds(d.from(5, 65));
  p.delay = microseconds(d.from(1, d.one_in(4) ? 100'000 : 2'000));
  for (HostPlan& h : p.host) draw_host(d, h);
  p.connections = d.from(1, d.one_in(4) ? 80 : 12);
  // Who cannot be served holds the buffers of all: many that wait for few places would take hours.
  p.at_once = p.is_tight() ? d.from(1, 8) : 60;
  if (p.is_tight()) p.connections = std::min(p.connections, 12u);
  if (d.one_in(4)) p.crossings = d.from(1, 6);
  p.longest_stream = d.one_in(4) && !p.is_tight() ? 300'000 : 20'000;
  p.backlog = d.one_in(6) ? d.from(1, 3) : 64;
  p.no_delay = d.one_in(2);
  p.slow_reader = d.one_in(3);
  p.urgent = d.one_in(4);
  p.listener_leaves = d.one_in(8);
  p.clock_steps = d.one_in(3);
  if (d.one_in(8)) p.jumps = d.from(1, 5);
  p.wraps = d.one_in(6) ? static_cast<int>(d.below(2)) : -1;
  uint32_t cookies = d.below(6);
  for (HostPlan& h : p.host) {
    if (cookies < 2) h.tcp.syn_cookies = cookies == 0 ? tcp::SynCookies::always : tcp::SynCookies::off;
    if (p.jumps > 0) h.tcp.r2 = seconds(1'000'000);  // a jump is nobody's silence
    h.tcp.orphan_timeout = seconds(7 * 86'400);      // nor is a window that is shut for long
  }
  if (d.one_in(10)) p.host[d.below(2)].user_timeout_s = static_cast<uint8_t>(d.from(1, 20));
  // Without timestamps only TIME-WAIT keeps old duplicates out; where it is cut short none may come.
  bool timestamps = p.host[0].tcp.timestamps && p.host[1].tcp.timestamps;
  if (d.one_in(4) && (timestamps || !p.forgets())) p.faults.replays = d.from(1, 50);
  if (d.one_in(4)) p.path_mtu = static_cast<uint16_t>(d.from(560, 1500));
  if (d.one_in(2)) p.narrow_after = microseconds(d.below(2'000'000));
  p.old_router = d.one_in(4);
  if (d.one_in(4)) p.faults.forged_errors = d.from(1, 200);
  if (p.path_mtu != 0 && !p.is_tight() && d.one_in(4)) draw_narrow(d, p);
  if (d.one_in(8)) draw_crowd(d, p);
  return p;
}

}  // namespace millrace::sim
