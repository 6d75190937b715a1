// SPDX-License-Identifier: BSD-3-Clause
// A Stack lives in one region, and its size is known beforehand.
#include <gtest/gtest.h>

#include <vector>

#include "stack/internals.h"

namespace millrace::stack {
namespace {

Config small() {
  Config c;
  c.max_connections = 16;
  c.max_half_open = 8;
  c.max_time_wait = 16;
  c.max_port_pools = 1;
  c.held_limit = 64;
  c.local = {ipv4(10, 0, 0, 1), 1, 24};
  return c;
}

TEST(Make, fits_exactly_in_what_it_asked_for) {
  for (uint32_t connections : {16u, 17u, 1000u}) {
    Config c = small();
    c.max_connections = connections;
    std::vector<std::byte> memory(memory_size(c) + 64, std::byte{0x5a});
    for (size_t skew : {0u, 1u, 63u}) {  // wherever the caller's memory begins
      Stack* s = make_stack(c, {memory.data() + skew, memory_size(c)}, Instant{1});
      EXPECT_EQ(gauges(*s).connections, 0u);
      EXPECT_EQ(s->cx.tcbs.capacity(), connections);
    }
    EXPECT_EQ(memory.back(), std::byte{0x5a});
  }
}

TEST(Make, an_idle_stack_announces_itself_and_then_waits_for_ever) {
  Config c = small();
  std::vector<std::byte> memory(memory_size(c));
  Stack* s = make_stack(c, memory, Instant{1});
  std::vector<wire::TxSegment> segments(limits::segments_per_turn);
  std::vector<Slice> slices(limits::slices_per_turn);
  std::vector<PacketRef> release(release_capacity(c));
  Output out;
  out.segments = Batch<wire::TxSegment>{segments};
  out.slices = Batch<Slice>{slices};
  out.release = Batch<PacketRef>{release};
  EXPECT_LE(next_deadline(*s), Instant{1});
  receive(*s, {}, Instant{2}, out);
  transmit(*s, limits::tx_burst, out);
  ASSERT_EQ(out.segments.size(), 1u);  // the gratuitous request for its own address
  EXPECT_EQ(out.segments[0].kind, wire::TxSegment::arp_request);
  EXPECT_EQ(out.segments[0].local, out.segments[0].remote);
  EXPECT_EQ(next_deadline(*s), Instant::never());
}

}  // namespace
}  // namespace millrace::stack
