// SPDX-License-Identifier: BSD-3-Clause
// When an ACK may wait (RFC 9293 3.8.6.3, RFC 5681 4.2), and the first segments, whose ACKs do not.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

void sixteen(stack::Config& c) {
  c.tcp.quick_acks = 16;
}

struct QuickAck : testing::Test {
  QuickAck() { net.established_passive(); }
  // One small segment after the other, each acknowledged at once.
  void quick(uint32_t n) {
    for (uint32_t i = 0; i < n; ++i, at += 10) {
      net.in(P(at, 1, 10));
      net.expect(A(1, at + 10));
      net.advance(milliseconds(5));
    }
  }
  void delayed() {
    net.in(P(at, 1, 10));
    at += 10;
    net.expect_after(milliseconds(40), A(1, at));
  }
  uint32_t at = 1;
  Net net{sixteen};
};

// RFC9293-SHLD-18: the first sixteen at once, then they wait
TEST_F(QuickAck, TheFirstSegmentsAreAcknowledgedAtOnce) {
  quick(16);
  delayed();
  delayed();
}

// RFC9293-SHLD-19, RFC5681-4.2a: afterwards every second full segment, as ever
TEST_F(QuickAck, AfterwardsEverySecondFullSegmentIsAcknowledged) {
  quick(16);
  net.in(A(at, 1, 1460));
  net.expect_none();
  net.in(A(at + 1460, 1, 1460));
  net.expect(A(1, at + 2920));
}

// the peer begins anew after a pause of an RTO, and so do we
TEST_F(QuickAck, AfterAPauseTheyAreAcknowledgedAtOnceAgain) {
  quick(16);
  delayed();
  net.advance(milliseconds(150));  // 190 since text came
  delayed();
  net.advance(milliseconds(161));
  quick(16);
  delayed();
}

// RFC9293-MUST-58, RFC5681-4.2c: one ACK for what came in one turn
TEST_F(QuickAck, ABurstHasOneAck) {
  net.burst({P(1, 1, 10), P(11, 1, 10), P(21, 1, 10)});
  net.expect(A(1, 31));
  at = 31;
  quick(13);
  delayed();
}

// RFC9293-MUST-58: it rides on the answer
TEST_F(QuickAck, ItRidesOnText) {
  net.on_event = [&](const Event& e) {
    if (e.kind == Event::received) net.queue(net.send_request(stream(1, 5)));
  };
  net.in(P(1, 1, 10));
  net.expect(P(1, 11, 5));
  net.on_event = {};
  net.in(A(11, 6));
}

// RFC5681-4.2b: an ACK that waits waits for less than half a second
TEST(QuickAckOff, TheFirstSegmentWaits) {
  Net net;
  net.established_passive();
  net.in(P(1, 1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
}

// --- what the least RTO is the least of ---

struct LeastRto : testing::Test {
  // A round trip of 100 ms that does not vary; then nothing comes back.
  static double rto_ms(tcp::RtoMin applies_to, Duration least) {
    Net net{[&](stack::Config& c) {
      c.tcp.rto_min_applies_to = applies_to;
      c.tcp.rto_min = least;
    }};
    net.established_passive();
    uint32_t at = 1;
    for (int i = 0; i < 80; ++i) {
      net.send(10);
      net.advance(milliseconds(100));
      net.drop_sent();
      net.in(A(1, at += 10));
    }
    net.send(10);
    net.drop_sent();
    Instant sent = net.now;
    while (net.sent.empty() && net.now < sent + seconds(5)) net.advance(milliseconds(1));
    net.drop_sent();
    return static_cast<double>((net.now - sent).us()) / 1000;
  }
};

// RFC6298-2.4: of the whole
TEST_F(LeastRto, OfTheWhole) {
  EXPECT_NEAR(rto_ms(tcp::RtoMin::total, milliseconds(200)), 200, 1.5);
  EXPECT_NEAR(rto_ms(tcp::RtoMin::total, seconds(1)), 1000, 1.5);
  EXPECT_NEAR(rto_ms(tcp::RtoMin::total, milliseconds(1)), 101, 1.5);
}

// RFC6298-4: of the variance: SRTT + max(rto_min, K*RTTVAR), as Linux has it
TEST_F(LeastRto, OfTheVariance) {
  EXPECT_NEAR(rto_ms(tcp::RtoMin::variance, milliseconds(200)), 300, 1.5);
  EXPECT_NEAR(rto_ms(tcp::RtoMin::variance, milliseconds(50)), 150, 1.5);
}

}  // namespace
}  // namespace millrace::conformance
