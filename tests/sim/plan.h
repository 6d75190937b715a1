// SPDX-License-Identifier: BSD-3-Clause
// What one run is like: every knob drawn from the seed. Most faults are off in most runs, so that each is also met
// alone.
#pragma once

#include <cstdint>

#include "base/siphash.h"
#include "millrace/time.h"

namespace millrace::sim {

struct Faults {
  uint32_t loss = 0;         // each in 1/1000 of the frames
  uint32_t duplication = 0;
  uint32_t reordering = 0;
  uint32_t corruption = 0;
  uint32_t forged = 0;       // ICMP errors about frames that meet nothing
  Duration jitter{};         // up to this much more delay, for a frame that is reordered
};

struct Plan {
  uint64_t seed;
  Faults faults;
  Duration delay;            // one way
  uint32_t connections;
  uint32_t longest_stream;   // bytes
  uint32_t packets[2];       // buffers of each host
  uint32_t held_limit[2];
  uint32_t ring[2];          // events of a channel
  uint32_t room[2];          // largest room of a turn; less is drawn each time
  uint32_t receive_buffer[2];
  uint32_t receive_buffer_max[2];
  uint8_t quick_acks[2];
  bool dsack[2];
  bool rto_min_of_variance[2];
  bool timestamps[2];
  bool sack[2];
  bool window_scaling[2];
  bool no_delay;
  bool slow_reader;          // keeps buffers for a while
  bool clock_steps;          // turns come late, and by odd amounts
  Duration faults_end;
  uint32_t time_wait;        // records
  bool cookies;              // each SYN is answered with one
  uint16_t path_mtu;         // of the way between the hosts, with ICMP errors for what is longer; 0: the hosts' own
  Duration narrow_after;     // ... from then on
  bool old_router;           // its errors do not say what would fit
  uint64_t first_ns;         // where the clock starts: also near where 32-bit numbers wrap

  static Plan draw(uint64_t seed);
};

inline Plan Plan::draw(uint64_t seed) {
  Random r{seed * 0x9e3779b97f4a7c15 + 1};
  auto one_in = [&](uint32_t n) { return r.below(n) == 0; };
  Plan p{};
  p.seed = seed;
  if (one_in(2)) p.faults.loss = r.below(100);
  if (one_in(3)) p.faults.duplication = r.below(100);
  if (one_in(3)) p.faults.reordering = r.below(200);
  if (one_in(4)) p.faults.corruption = r.below(50);
  p.delay = microseconds(1 + r.below(one_in(4) ? 100'000 : 2'000));
  p.faults.jitter = microseconds(1 + r.below(20'000));
  p.connections = 1 + r.below(one_in(4) ? 100 : 12);
  p.longest_stream = one_in(4) ? 300'000 : 20'000;
  for (int h = 0; h < 2; ++h) {
    bool tight = one_in(4);
    p.packets[h] = tight ? 100 + r.below(100) : 4000;
    p.held_limit[h] = tight ? 40 + r.below(24) : 2048;
    p.ring[h] = one_in(3) ? 2u << r.below(3) : 256;
    p.room[h] = one_in(4) ? 1 + r.below(4) : 64;
    p.receive_buffer[h] = one_in(4) ? 3000 + r.below(5000) : 16384 << r.below(5);
    p.timestamps[h] = !one_in(4);
    p.sack[h] = !one_in(4);
    p.window_scaling[h] = !one_in(4);
  }
  p.no_delay = one_in(2);
  p.slow_reader = one_in(3);
  p.clock_steps = one_in(3);
  p.faults_end = seconds(5 + r.below(60));
  p.time_wait = one_in(4) ? 4 : 1024;
  for (int h = 0; h < 2; ++h) {
    p.receive_buffer_max[h] = one_in(3) ? 0 : p.receive_buffer[h] << r.below(13);
    p.quick_acks[h] = static_cast<uint8_t>(one_in(3) ? r.below(20) : 0);
    p.dsack[h] = !one_in(4);
    p.rto_min_of_variance[h] = one_in(4);
  }
  p.first_ns = one_in(2) ? r.next() >> 20 : (uint64_t{1} << 44) - r.below(1'000'000'000);
  // Where nothing is lost or late: a server with cookies does not send its SYN,ACK again, and so forgets a client whose
  // last ACK of the handshake is lost, and takes one that comes after the connection's end for a new client's.
  bool loses = p.faults.loss + p.faults.duplication + p.faults.reordering + p.faults.corruption > 0;
  p.cookies = !loses && p.packets[0] == 4000 && p.packets[1] == 4000 && one_in(2);
  if (one_in(4) && !p.cookies) p.path_mtu = static_cast<uint16_t>(560 + r.below(940));
  if (one_in(2)) p.narrow_after = microseconds(r.below(2'000'000));
  p.old_router = one_in(4);
  if (one_in(4)) p.faults.forged = r.below(200);
  return p;
}

}  // namespace millrace::sim
