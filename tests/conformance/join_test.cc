// SPDX-License-Identifier: BSD-3-Clause
// Segments that leave as one for hardware to cut (TSO): what is on the wire is what would be there without. Here
// that there are fewer, longer ones to begin with, and what may not be joined.
#include <gtest/gtest.h>

#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint32_t mss = 1460;

class Join : public ::testing::Test {
 protected:
  static Net::Change cut(uint32_t most) {
    return [most](stack::Config& c) { c.segment_burst = most; };
  }
  uint32_t at(uint32_t n) { return 1 + n * mss; }
  // How many TxSegments `what` takes.
  template <typename What>
  uint32_t emitted_by(Net& net, What&& what) {
    uint32_t before = net.emitted;
    what();
    return net.emitted - before;
  }
};

TEST_F(Join, AnInitialWindowLeavesAsOneWithPshOnItsLastSegment) {
  Net net{cut(16)};
  net.established_passive();
  EXPECT_EQ(emitted_by(net, [&] { net.send(10 * mss); }), 1u);
  for (uint32_t i = 0; i < 9; ++i) net.expect(A(at(i), 1, mss));
  net.expect(P(at(9), 1, mss));
}

TEST_F(Join, TheRestOfATextLeavesWithIt) {
  Net net{cut(16)};
  net.established_passive();
  net.set(Setting::no_delay, 1);
  EXPECT_EQ(emitted_by(net, [&] { net.send(2 * mss + 100); }), 1u);
  net.expect(A(at(0), 1, mss));
  net.expect(A(at(1), 1, mss));
  net.expect(P(at(2), 1, 100));
}

TEST_F(Join, TheFinLeavesWithTheLastSegment) {
  Net net{cut(16)};
  net.established_passive();
  net.queue(net.send_request(stream(1, 2 * mss)));
  EXPECT_EQ(emitted_by(net, [&] { net.shutdown(); }), 1u);
  net.expect(A(at(0), 1, mss));
  net.expect(PF(at(1), 1, mss));
}

TEST_F(Join, NoMoreAreJoinedThanHardwareTakes) {
  Net net{cut(4)};
  net.established_passive();
  EXPECT_EQ(emitted_by(net, [&] { net.send(10 * mss); }), 3u);
  EXPECT_EQ(net.sent.size(), 10u);
  net.drop_sent();
}

TEST_F(Join, NoMoreThanAnIpPacketHolds) {
  Net net{[](stack::Config& c) {
    c.segment_burst = 16;
    c.mtu = 9000;
  }};
  net.peer.mss = 8960;
  net.peer.wscale = 2;
  net.established_passive();
  EXPECT_EQ(emitted_by(net, [&] { net.send(10 * 8960); }), 2u);
  EXPECT_EQ(net.sent.size(), 10u);
  net.drop_sent();
}

// What is sent again, or says something of its own, goes alone.
TEST_F(Join, RetransmissionsAreNotJoined) {
  Net net{cut(16)};
  net.established_passive();
  net.send(4 * mss);
  net.drop_sent();
  uint32_t emitted = emitted_by(net, [&] {
    net.advance(seconds(1));
    net.in(A(1, at(1)));
  });
  EXPECT_EQ(net.sent.size(), emitted);
  EXPECT_GE(emitted, 3u);
  net.drop_sent();
}

TEST_F(Join, SackBlocksAreSaidInSegmentsOfTheirOwn) {
  Net net{cut(16)};
  net.peer.sack = true;
  net.established_passive();
  net.in(A(11, 1, 10));  // a hole before it
  net.drop_sent();
  uint32_t emitted = emitted_by(net, [&] { net.send(3 * mss); });
  EXPECT_EQ(net.sent.size(), emitted);
  EXPECT_GE(emitted, 3u);
  net.drop_sent();
}

TEST_F(Join, UrgentTextIsNotJoined) {
  Net net{cut(16)};
  net.established_passive();
  EXPECT_EQ(emitted_by(net, [&] { net.send(3 * mss, false, true); }), 3u);
  net.drop_sent();
}

TEST_F(Join, SegmentsThatAreTooSmallForHardwareAreNotJoined) {
  Net net{cut(16)};
  net.peer.mss = 200;
  net.established_passive();
  uint32_t emitted = emitted_by(net, [&] { net.send(2000); });
  EXPECT_GE(emitted, 4u);
  EXPECT_EQ(net.sent.size(), emitted);
  net.drop_sent();
}

TEST_F(Join, WithoutSuchHardwareEachLeavesAlone) {
  Net net;
  net.established_passive();
  EXPECT_EQ(emitted_by(net, [&] { net.send(10 * mss); }), 10u);
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
