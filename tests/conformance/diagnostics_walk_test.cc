// SPDX-License-Identifier: BSD-3-Clause
// Walks over what a stack has: filters, cursors from outside, neighbours.
#include "stack/diagnostics.h"

#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

// One of each kind: a TIME-WAIT record, a connection, a half-open record.
struct ThreeKinds : testing::Test {
  ThreeKinds() {
    net.peer.port = 6001;
    net.time_wait();
    net.peer.port = 6002;
    net.established_passive();
    net.peer.port = 6003;
    net.in(S(0).mss(1400));
    net.drop_sent();
  }
  Net net;
};

// Each connection and record once, in steps of bounded length
TEST_F(ThreeKinds, MeetsConnectionsHalfOpenAndTimeWaitRecords) {
  std::map<uint16_t, Diagnostics> met;
  stack::DiagnosticsCursor at;
  for (int steps = 0; !at.done(); ++steps) {
    ASSERT_LT(steps, 1'000'000);
    Diagnostics rows[2];
    uint32_t n = stack::diagnose_next(*net.stack, net.now, at, 100, rows);
    for (uint32_t i = 0; i < n; ++i) EXPECT_TRUE(met.emplace(rows[i].remote_port, rows[i]).second);
  }
  ASSERT_EQ(met.size(), 3u);
  EXPECT_EQ(met[6001].state, State::time_wait);
  EXPECT_FALSE(met[6001].connection);
  EXPECT_EQ(met[6001].life_at, net.now + seconds(60));
  EXPECT_EQ(met[6002].state, State::established);
  EXPECT_EQ(met[6002].connection, net.id);
  EXPECT_EQ(met[6003].state, State::syn_received);
  EXPECT_EQ(met[6003].peer_mss, 1400);
}

// A filter's walk meets what matches it, all of it and nothing else, however few places a step has
TEST_F(ThreeKinds, MeetsWhatIsAskedFor) {
  using Filter = stack::DiagnosticsFilter;
  auto ports = [&](const Filter& filter) {
    std::vector<uint16_t> met;
    stack::DiagnosticsCursor at;
    for (int steps = 0; !at.done() && steps < 1'000'000; ++steps) {
      Diagnostics row;
      if (stack::diagnose_next(*net.stack, net.now, at, 1, {&row, 1}, filter) == 1) met.push_back(row.remote_port);
    }
    EXPECT_TRUE(at.done());
    return met;
  };
  auto with = [](auto Filter::* member, auto value) {
    Filter filter;
    filter.*member = value;
    return filter;
  };
  auto in = [&](auto... states) { return with(&Filter::states, (Filter::bit(states) | ...)); };
  using Ports = std::vector<uint16_t>;
  EXPECT_EQ(ports({}), (Ports{6002, 6003, 6001}));
  EXPECT_EQ(ports(in(State::time_wait)), Ports{6001});
  EXPECT_EQ(ports(in(State::syn_received)), Ports{6003});
  EXPECT_EQ(ports(in(State::established)), Ports{6002});
  EXPECT_EQ(ports(in(State::listen)), Ports{});
  EXPECT_EQ(ports(in(State::time_wait, State::established)), (Ports{6002, 6001}));
  EXPECT_EQ(ports(with(&Filter::port, uint16_t{6003})), Ports{6003});
  EXPECT_EQ(ports(with(&Filter::port, uint16_t{80})), (Ports{6002, 6003, 6001}));
  EXPECT_EQ(ports(with(&Filter::local_port, uint16_t{6003})), Ports{});
  Filter both = with(&Filter::local_port, uint16_t{80});
  both.remote_port = 6002;
  EXPECT_EQ(ports(both), Ports{6002});
  EXPECT_EQ(ports(with(&Filter::address, net.peer.ip)), (Ports{6002, 6003, 6001}));
  EXPECT_EQ(ports(with(&Filter::address, Net::own)).size(), 3u);
  EXPECT_EQ(ports(with(&Filter::address, ipv4(1, 2, 3, 4))), Ports{});
}

// A kind that cannot have the state is passed over in one step
TEST(ToldWalk, PassesOverWhatCannotMatch) {
  Net net;
  net.time_wait();
  stack::DiagnosticsCursor at;
  Diagnostics row;
  uint32_t few = 3;  // TCBs, half-open records, and the place
  stack::DiagnosticsFilter filter;
  filter.states = stack::DiagnosticsFilter::bit(State::time_wait);
  EXPECT_EQ(stack::diagnose_next(*net.stack, net.now, at, few, {&row, 1}, filter), 1u);
}

// A cursor from outside may name any place
TEST(ToldWalk, EndsFromAPlaceThatIsNone) {
  Net net;
  for (flow::Kind kind : {flow::Kind::tcb, flow::Kind::half_open, flow::Kind::time_wait}) {
    stack::DiagnosticsCursor at{.kind = kind, .index = UINT32_MAX - 1};
    Diagnostics row;
    for (int steps = 0; !at.done() && steps < 1'000'000; ++steps)
      EXPECT_EQ(stack::diagnose_next(*net.stack, net.now, at, 1, {&row, 1}), 0u);
    EXPECT_TRUE(at.done());
  }
}

TEST(ToldNeighbor, ItsStateAndItsUsers) {
  Net net;
  net.established_passive();
  std::vector<NeighborDiagnostics> met;
  NeighborDiagnostics n;
  for (uint32_t i = 0; i < stack::neighbor_places(*net.stack); ++i)
    if (stack::diagnostics(*net.stack, i, n)) met.push_back(n);
  ASSERT_EQ(met.size(), 1u);
  EXPECT_EQ(met[0].address, net.peer.ip);
  EXPECT_EQ(met[0].state, NeighborDiagnostics::State::reachable);
  EXPECT_EQ(met[0].users, 1u);
  EXPECT_FALSE(met[0].mac.is_unspecified());
  EXPECT_GT(met[0].until, net.now);
  EXPECT_STREQ(name(met[0].state), "REACHABLE");
}

}  // namespace
}  // namespace millrace::conformance
