// SPDX-License-Identifier: BSD-3-Clause
// A connection whose recovery is looked at from the peer.
#pragma once

#include "tests/conformance/script.h"

namespace millrace::conformance {

inline constexpr uint32_t mss = 1460;
inline constexpr uint32_t at(uint32_t segment) { return 1 + segment * mss; }

// Traces' connection, and its numbers by segments.
struct Recovery : Traces {
  explicit Recovery(bool timestamps = false, const Net::Change& change = {}) : Traces(true, timestamps, change) {}
  uint32_t size() { return net.tcb().mss; }
  uint32_t begin(uint32_t segment) { return 1 + segment * size(); }
  void send_segments(uint32_t n) {
    net.send(n * size());
    EXPECT_EQ(net.sent.size(), n);
    net.drop_sent();
  }
  Seg ack(uint32_t segments) { return A(1, begin(segments)).win(60000); }
  // ACK of the first `segments`, and SACK of [from, to).
  Seg sacked(uint32_t segments, uint32_t from, uint32_t to) { return ack(segments).sack(begin(from), begin(to)); }
  void expect_segment(uint32_t n, Where where = Where::here()) { net.expect(A(begin(n), 1, size()), where); }
};

}  // namespace millrace::conformance
