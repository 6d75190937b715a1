// SPDX-License-Identifier: BSD-3-Clause
// The receive buffer grows with what the application takes in a round trip, and the window with it: it must not be
// smaller than the path's bandwidth times its delay (RFC 7323 1.1).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint32_t start = 256 * 1024;
constexpr uint32_t most = 65535u << 11;

// A peer at the end of a path: each step of time it sends what the window that it knows of allows, at most `burst`.
struct Path {
  Path(uint32_t max, Duration rtt, bool timestamps, Options options = Net::newreno)
      : net{[&](stack::Config& c) {
          c.tcp.receive_buffer = start;
          c.tcp.receive_buffer_max = max;
        }},
        round_trip(rtt) {
    net.peer.wscale = 0;
    net.peer.ts = timestamps;
    net.listen(net.peer.to, options);
    net.in(net.offer(S(0)));
    net.advance(round_trip);
    net.drop_sent();
    net.in(A(1, 1));
    net.expect_event(Event::accepted);
    tick(round_trip);
  }
  // For so long, a burst each `step`.
  void run(Duration time, uint32_t burst, Duration step = microseconds(200)) {
    for (Instant end = net.now + time; net.now < end; tick(step)) {
      Instant echoed = net.now - round_trip;
      for (; !shown.empty() && shown.front().at <= echoed; shown.pop_front()) {
        if (wire::after(wire::Seq{shown.front().edge}, wire::Seq{edge})) edge = shown.front().edge;
        echo = shown.front().ts;
      }
      send(burst);
    }
  }
  // At most this, and what the window allows.
  void send(uint32_t bytes) {
    std::vector<Bytes> frames;
    while (bytes > 0 && edge != at) {
      uint32_t n = std::min({bytes, 1448u, edge - at});
      Seg seg = A(at, 1, n);
      seg.window = 65535;
      if (net.peer.ts) seg.ecr(echo);
      frames.push_back(net.frame(net.peer, seg));
      at += n;
      bytes -= n;
    }
    if (!frames.empty()) net.frames(frames);
  }
  void tick(Duration d) {
    net.advance(d);
    for (const Sent& s : net.sent) {
      uint32_t right = s.seg.ack - net.peer.iss + (uint32_t{*s.seg.window} << net.tcb().rcv_wscale);
      // RFC9293-SHLD-14
      if (wire::after(wire::Seq{right}, wire::Seq{farthest}))
        farthest = right;
      else
        EXPECT_LT(farthest - right, 1u << net.tcb().rcv_wscale);
      shown.push_back({s.at, right, s.seg.ts_val.value_or(0)});
    }
    net.drop_sent();
    net.received.clear();
  }
  uint32_t buffer() { return net.tcb().receive_buffer; }
  uint32_t window() { return farthest - at; }

  struct Shown {
    Instant at;
    uint32_t edge;
    uint32_t ts;
  };
  Net net;
  Duration round_trip;
  std::deque<Shown> shown;  // and not yet seen by the peer
  uint32_t at = 1;
  uint32_t edge = 65536;     // the SYN,ACK's
  uint32_t farthest = 65536;
  uint32_t echo = 0;
};

// 10 Gbit/s over 50 ms: 62.5 MB, 250 KB each 200 us
constexpr uint32_t ten_gigabit = 250'000;

TEST(ReceiveGrowth, ReachesTheBandwidthTimesTheDelay) {
  for (bool timestamps : {true, false}) {
    Path path{most, milliseconds(50), timestamps};
    ASSERT_EQ(path.net.tcb().rcv_wscale, 11);
    EXPECT_EQ(path.buffer(), start);
    uint32_t before = start;
    int rounds = 0;
    for (; path.buffer() < 62'500'000 && rounds < 20; ++rounds) {
      path.run(milliseconds(50), ten_gigabit);
      EXPECT_LE(path.buffer(), 4 * before + 100'000) << "round " << rounds;
      before = path.buffer();
    }
    EXPECT_LE(rounds, 10) << "timestamps " << timestamps;
    path.run(milliseconds(100), ten_gigabit);
    uint32_t sent_before = path.at;
    path.run(milliseconds(50), ten_gigabit);
    EXPECT_GT(path.at - sent_before, 62'000'000u);  // the path is full
    EXPECT_LE(path.buffer(), most);
  }
}

// RFC5681-3.1a: a peer that doubles what it sends in each round trip never meets the window
TEST(ReceiveGrowth, NeverHoldsUpSlowStart) {
  for (bool timestamps : {true, false}) {
    Path path{most, milliseconds(50), timestamps};
    for (uint32_t cwnd = 14'500; cwnd < 62'500'000; cwnd *= 2) {
      uint32_t before = path.at;
      path.run(milliseconds(50), cwnd / 250);
      EXPECT_EQ(path.at - before, cwnd / 250 * 250) << "timestamps " << timestamps;
    }
  }
}

// what comes in a round trip is little: twice that and some segments suffice
TEST(ReceiveGrowth, ASlowSenderNeedsNoMore) {
  for (bool timestamps : {true, false}) {
    Path path{most, milliseconds(50), timestamps};
    path.run(seconds(5), 2000, milliseconds(2));  // 1 MB/s: 50 KB in a round trip
    EXPECT_EQ(path.buffer(), start) << "timestamps " << timestamps;
  }
}

// a window that is full each round trip says nothing of the path if the sender pauses between
TEST(ReceiveGrowth, BurstsWithPausesAreNoRate) {
  for (bool timestamps : {true, false}) {
    Path path{most, milliseconds(10), timestamps};
    path.run(milliseconds(50), 1000);
    for (int i = 0; i < 20; ++i) {
      path.run(milliseconds(1), 100'000, milliseconds(1));
      path.tick(seconds(1));
    }
    EXPECT_LT(path.buffer(), 2 * start) << "timestamps " << timestamps;
  }
}

// RFC9293-MAY-8: an application that does not read
TEST(ReceiveGrowth, NothingGrowsForAnApplicationThatDoesNotRead) {
  Path path{most, milliseconds(50), true};
  path.net.keep = true;
  path.run(seconds(2), ten_gigabit);
  EXPECT_EQ(path.buffer(), start);
  EXPECT_EQ(path.window(), 0u);
  path.net.keep = false;
  path.net.recycle_all();
  path.run(milliseconds(400), ten_gigabit);  // it reads on
  EXPECT_GT(path.buffer(), 2 * start);
  EXPECT_GT(path.window(), start);
}

// as fast as the application, and no faster
TEST(ReceiveGrowth, ASlowApplicationKeepsTheBufferSmall) {
  Path path{most, milliseconds(10), true};
  path.net.keep = true;
  for (int i = 0; i < 200; ++i) {  // 20 KB in a round trip
    path.run(milliseconds(10), ten_gigabit);
    for (uint32_t bytes = 0; bytes < 20'000 && !path.net.kept.empty();) {
      Request r;
      r.kind = Request::recycle;
      r.slice_count = 1;
      r.slices[0] = path.net.kept.front();
      bytes += r.slices[0].length;
      path.net.kept.erase(path.net.kept.begin());
      path.net.queue(r);
    }
    path.net.advance(nanoseconds(1));
  }
  EXPECT_EQ(path.buffer(), start);
  path.net.keep = false;
  path.net.recycle_all();
  path.net.drop_sent();
}

// never beyond what was set
TEST(ReceiveGrowth, StopsAtItsMaximum) {
  Path path{1'000'000, milliseconds(50), true};
  ASSERT_EQ(path.net.tcb().rcv_wscale, 4);
  path.run(seconds(1), ten_gigabit);
  EXPECT_EQ(path.buffer(), 1'000'000u);
  EXPECT_LE(path.window(), 1'000'000u);
}

// RFC7323-2.2a: without the option no window is larger than its field
TEST(ReceiveGrowth, WithoutWindowScaleItStopsAtTheField) {
  Net net{[](stack::Config& c) {
    c.tcp.receive_buffer = 20'000;
    c.tcp.receive_buffer_max = most;
  }};
  net.established_passive();
  for (uint32_t at = 1; at < 2'000'000; at += 1000) {
    net.in(A(at, 1, 1000));
    net.advance(microseconds(50));
    net.drop_sent();
  }
  net.advance(milliseconds(40));
  EXPECT_LE(net.tcb().receive_buffer, 65535u);
  net.drop_sent();
}

// an explicit size is one that stays, in the scale of the SYN as in the buffer
TEST(ReceiveGrowth, AnExplicitSizeStays) {
  Options options = Net::newreno;
  options.receive_buffer_kb = 300;
  Path path{most, milliseconds(50), true, options};
  EXPECT_EQ(path.net.tcb().rcv_wscale, 3);
  path.run(seconds(1), ten_gigabit);
  EXPECT_EQ(path.buffer(), 300u * 1024);
}

// the stack has no buffers to spare
TEST(ReceiveGrowth, NothingGrowsWhenTheStackIsShortOfBuffers) {
  Path path{most, milliseconds(50), true};
  path.run(milliseconds(100), 10'000);
  path.net.stack->cx.received_held += 400;
  uint32_t before = path.buffer();
  path.run(milliseconds(500), ten_gigabit);
  EXPECT_EQ(path.buffer(), before);
  path.net.stack->cx.received_held -= 400;
}

// RFC7323-2.2a: the scale in the SYN is the maximum's, on both sides of a handshake
TEST(ReceiveGrowth, TheSynOffersTheScaleOfTheMaximum) {
  auto change = [](stack::Config& c) {
    c.tcp.receive_buffer = start;
    c.tcp.receive_buffer_max = most;
  };
  Net active{change};
  active.peer.port = 80;
  active.connect();
  active.expect(S(0).mss(1460).wscale(11).sack_ok().ts().win(65535));
  Net passive{change};
  passive.listen(80);
  passive.peer.wscale = 2;
  passive.in(passive.offer(S(0)));
  passive.expect(SA(0, 1).mss(1460).wscale(11).win(65535));
}

// --- silly windows in units of 2 KB ---

// RFC9293-MUST-39, RFC9293-SHLD-14: a unit may be more than a segment: what it cannot say opens no window
TEST(ReceiveGrowth, AShutWindowOpensByAUnit) {
  Net net{[](stack::Config& c) {
    c.tcp.receive_buffer = 8192;
    c.tcp.receive_buffer_max = most;
  }};
  net.peer.wscale = 0;
  net.established_passive();
  net.keep = true;
  for (uint32_t at = 1; at <= 8192; at += 512) net.in(A(at, 1, 512));
  net.advance(milliseconds(40));
  ASSERT_FALSE(net.sent.empty());
  EXPECT_EQ(net.sent.back().seg.window, 0);
  net.drop_sent();
  for (int i = 1; !net.kept.empty(); ++i) {
    Request r;
    r.kind = Request::recycle;
    r.slice_count = 1;
    r.slices[0] = net.kept.front();
    net.kept.erase(net.kept.begin());
    net.call(r);
    if (i % 4 == 0 && i < 12) net.expect(A(1, 8193).win(static_cast<uint32_t>(i / 4)));
    if (i < 12) net.expect_none();
  }
  net.drop_sent();
}

}  // namespace
}  // namespace millrace::conformance
