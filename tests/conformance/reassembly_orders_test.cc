// SPDX-License-Identifier: BSD-3-Clause
// Five segments in all 120 orders: side by side, overlapping, nested, apart, and repeated. Each ACK must
// carry the number, and the SACK and D-SACK blocks, that RFC 2018 and RFC 2883 ask for (sack_oracle.h);
// without SACK there are duplicate ACKs and no blocks. The text that the application gets is always the same.
#include <algorithm>
#include <array>

#include "tests/conformance/harness.h"
#include "tests/conformance/sack_oracle.h"

namespace millrace::conformance {
namespace {

using oracle::Range;
using oracle::Receiver;

enum class Peers { without_sack, with_sack, with_timestamps };

using Five = std::array<Range, 5>;
constexpr Five side_by_side = {{{1, 101}, {101, 201}, {201, 301}, {301, 401}, {401, 501}}};
constexpr Five overlapping = {{{1, 151}, {101, 251}, {201, 351}, {301, 451}, {401, 501}}};
constexpr Five nested = {{{1, 101}, {51, 351}, {101, 201}, {151, 451}, {301, 501}}};
constexpr Five apart = {{{101, 201}, {301, 401}, {501, 601}, {701, 801}, {901, 1001}}};
// What lies between those, not in their order.
constexpr Five between = {{{401, 501}, {801, 901}, {201, 301}, {601, 701}, {1, 101}}};

struct Orders : testing::TestWithParam<Peers> {
  Orders() {
    net.peer.sack = GetParam() != Peers::without_sack;
    net.peer.ts = GetParam() == Peers::with_timestamps;
    net.peer.port = 5100;
  }

  // A connection of its own, to which these come one by one.
  void play(const std::vector<Range>& segments) {
    ++net.peer.port;
    net.received.clear();
    net.established_passive();
    Receiver receiver(net.peer.sack, net.peer.ts ? 3 : 4);
    uint32_t end = 1;
    bool owed = false;  // an ACK that may wait
    for (Range seg : segments) {
      end = std::max(end, seg.right);
      oracle::Reply reply = receiver.arrives(seg);
      net.in(A(seg.left, 1, seg.right - seg.left));
      owed = !reply.at_once;
      if (reply.at_once) net.expect(ack_of(reply));
      net.expect_none();
      if (testing::Test::HasFailure()) return tell(segments);
    }
    if (owed) net.expect_after(milliseconds(40), A(1, end));
    EXPECT_EQ(net.received, stream(1, end - 1));
    if (testing::Test::HasFailure()) return tell(segments);
    net.abort();
    net.expect_event(Event::closed, Event::aborted);
    net.drop_sent();
  }
  static Seg ack_of(const oracle::Reply& reply) {
    Seg seg = A(1, reply.ack);
    for (Range b : reply.blocks) seg.sack(b.left, b.right);
    return seg;
  }

  // `then`: what comes after the five, for each order.
  template <typename Then>
  void all_orders(const Five& five, const Then& then) {
    std::array<size_t, 5> order = {0, 1, 2, 3, 4};
    int orders = 0;
    do {
      std::vector<Range> segments;
      for (size_t i : order) segments.push_back(five[i]);
      then(segments);
      play(segments);
      ++orders;
    } while (!HasFailure() && std::next_permutation(order.begin(), order.end()));
    EXPECT_EQ(orders, 120);
  }

  static void tell(const std::vector<Range>& segments) {
    std::string order;
    for (Range s : segments) order += " [" + std::to_string(s.left) + "," + std::to_string(s.right) + ")";
    ADD_FAILURE() << "in this order:" << order;
  }
  Net net;
};

// RFC2018-4a, RFC2018-4b, RFC2018-4c, RFC5681-3.2a
TEST_P(Orders, SideBySide) {
  all_orders(side_by_side, [](auto&) {});
}

// RFC2883-4, RFC2018-4b: parts that come twice are named once
TEST_P(Orders, Overlapping) {
  all_orders(overlapping, [](auto&) {});
}

// RFC2883-4
TEST_P(Orders, Nested) {
  all_orders(nested, [](auto&) {});
}

// RFC2018-4c: five blocks of which four fit, or three; then what lies between them
TEST_P(Orders, Apart) {
  all_orders(apart, [](auto& segments) {
    for (Range r : between) segments.push_back(r);
  });
}

// RFC2883-4: each segment is followed by one that has come before: below the ACK and above it
TEST_P(Orders, WithDuplicates) {
  all_orders(side_by_side, [](auto& segments) {
    std::vector<Range> five = std::exchange(segments, {});
    for (size_t i = 0; i < five.size(); ++i) {
      segments.push_back(five[i]);
      segments.push_back(five[i / 2]);
    }
  });
}

// RFC2883-4: all of it again, in larger pieces that begin and end elsewhere
TEST_P(Orders, ThenRepeatedInOtherPieces) {
  all_orders(apart, [](auto& segments) {
    constexpr Range pieces[] = {{151, 351}, {451, 751}, {1, 451}, {301, 951}, {901, 1001}, {851, 1001}};
    for (Range piece : pieces) segments.push_back(piece);
  });
}

std::string test_name(const testing::TestParamInfo<Peers>& info) {
  static const char* const names[] = {"WithoutSack", "WithSack", "WithSackAndTimestamps"};
  return names[static_cast<int>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(OfFive, Orders,
                         testing::Values(Peers::without_sack, Peers::with_sack, Peers::with_timestamps),
                         test_name);

}  // namespace
}  // namespace millrace::conformance
