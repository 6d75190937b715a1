// SPDX-License-Identifier: BSD-3-Clause
// What is in flight against the simplest model there is: for each segment whether it is flying, SACKed or lost, how
// often and when it left. And what it costs to keep: no ACK walks all of it.
#include "tcp/flight.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tcp/check_tcb.h"
#include "tcp/send_queue.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t mss = 1000;
constexpr uint32_t records = 40'000;

struct Model {
  enum { unsent, flying, sacked, lost, acked } state = unsent;
  uint32_t sends = 0;
  Instant sent_at;
};

struct FlightTest : testing::Test {
  std::vector<std::byte> memory = std::vector<std::byte>(16 << 20);
  std::vector<PacketRef> released = std::vector<PacketRef>(1000);
  Batch<PacketRef> release{released};
  uint8_t byte = 0;
  Context cx;
  Tcb* tcb = nullptr;
  Seq base;

  void SetUp() override {
    auto skip = 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
    Region region{memory.data() + skip, memory.size() - skip};
    cx.tcbs.init(region, 4);
    cx.held_limit = records;
    cx.nodes.init(region, records);
    cx.runs.init(region, 1);
    cx.flights.init(region, 2 * records);  // of which one connection may have half
    cx.release = &release;
    tcb = &cx.tcbs[cx.tcbs.take()];
  }
  void begin(Seq at, uint32_t segments) {
    *tcb = Tcb{};
    base = at;
    tcb->state = State::established;
    tcb->set(sack_ok);
    tcb->cwnd = mss;
    tcb->mss = mss;
    tcb->timer = Tcb::Timer::retransmit;
    tcb->timer_at = tcb->wheel_at = Instant::never();
    tcb->snd.una = tcb->snd.nxt = tcb->snd.max = tcb->end = base;
    tcb->receive_buffer = 65535;
    for (uint32_t i = 0; i < segments; ++i) queue_text(cx, *tcb, {PacketRef{&byte}, Slice::registered, 0, mss});
  }
  Seq seq(uint32_t segment) const { return base + segment * mss; }
  void send(uint32_t segment) {
    flight_sent(cx, *tcb, seq(segment), seq(segment + 1), node_of(cx, tcb->send_head, seq(segment)));
    tcb->snd.nxt = tcb->snd.max = seq(segment + 1);
  }
  void acknowledge(uint32_t segment) {
    Delivered told{by};
    flight_acked(cx, *tcb, seq(segment), told);
    tcb->snd.una = seq(segment);
    drop_acknowledged(cx, *tcb, tcb->snd.una);
  }
  bool agrees(const std::vector<Model>& model, uint32_t una, uint32_t nxt) const;
  wire::Segment by;
};

bool FlightTest::agrees(const std::vector<Model>& model, uint32_t una, uint32_t nxt) const {
  const char* wrong = check_tcb(cx, *tcb);
  EXPECT_EQ(wrong, nullptr) << wrong;
  uint32_t sacked = 0, lost = 0;
  for (uint32_t i = una; i < nxt; ++i) {
    sacked += model[i].state == Model::sacked;
    lost += model[i].state == Model::lost;
  }
  EXPECT_EQ(tcb->sacked, sacked * mss);
  EXPECT_EQ(tcb->absent, (sacked + lost) * mss);
  return !HasFailure();
}

TEST_F(FlightTest, agrees_with_a_model_of_each_segment) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Random random{seed};
    constexpr uint32_t n = 200;
    std::vector<Model> model(n);
    begin(Seq{random.below(2) ? 0xffff8000u : static_cast<uint32_t>(random.next())}, n);
    cx.now = Instant{} + seconds(1);
    uint32_t una = 0, nxt = 0;
    Instant latest{};  // of what was delivered
    uint32_t latest_segment = 0;
    for (int step = 0; step < 300; ++step) {
      cx.now = cx.now + microseconds(1 + random.below(3) * 100);  // each turn has its time
      uint32_t at = una + random.below(std::max(nxt - una, 1u));
      uint32_t count = 1 + random.below(random.below(4) == 0 ? 60 : 3);
      auto deliver = [&](Model& m, uint32_t i) {
        bool later = m.sent_at > latest || (m.sent_at == latest && i > latest_segment);
        if (m.state == Model::flying && later) latest = m.sent_at, latest_segment = i;
      };
      switch (random.below(6)) {
        case 0:
        case 1:
          for (; nxt < n && count > 0; --count, ++nxt) {
            send(nxt);
            model[nxt] = {Model::flying, 1, cx.now};
          }
          break;
        case 2:  // a SACK block
          if (una < nxt) {
            uint32_t end = std::min(at + count, nxt);
            Delivered told{by};
            flight_sacked(cx, *tcb, seq(at), seq(end), told);
            for (uint32_t i = at; i < end; ++i) deliver(model[i], i), model[i].state = Model::sacked;
          }
          break;
        case 3:  // by time
          if (una < nxt && latest != Instant{}) {
            flight_overdue(cx, *tcb, latest, seq(latest_segment + 1), microseconds(200));
            for (uint32_t i = una; i < nxt; ++i) {
              Model& m = model[i];
              bool before = m.sent_at < latest || (m.sent_at == latest && i < latest_segment);
              if (m.state == Model::flying && before && m.sent_at + microseconds(200) <= cx.now) m.state = Model::lost;
            }
          }
          break;
        case 4:  // again, from the first on
          for (; count > 0; --count) {
            Flight* f = first_lost(cx, *tcb);
            uint32_t i = una;
            while (i < nxt && model[i].state != Model::lost) ++i;
            ASSERT_EQ(f != nullptr, i < nxt);
            if (f == nullptr) break;
            ASSERT_EQ(f->seq, seq(i));
            flight_resent(cx, *tcb, *f, mss);
            model[i] = {Model::flying, model[i].sends + 1, cx.now};
          }
          break;
        default:
          count = random.below(4) == 0 ? std::min(count, nxt - una) : 0;
          for (; count > 0; --count, ++una) deliver(model[una], una), model[una].state = Model::acked;
          while (una < nxt && model[una].state == Model::sacked) model[una++].state = Model::acked;
          acknowledge(una);
      }
      ASSERT_TRUE(agrees(model, una, nxt)) << "seed " << seed << " step " << step;
    }
    flight_drop(cx, *tcb);
    drop_send_queue(cx, *tcb);
    ASSERT_EQ(cx.flights.used(), 0u);
  }
}

// Each second of 30,000 segments is lost; ACKs name the three latest blocks. What SACK blocks and losses are searched
// from lies a few stretches away, always.
TEST_F(FlightTest, many_holes_are_no_long_way) {
  constexpr uint32_t n = 30'000;
  begin(Seq{1}, n);
  cx.now = Instant{} + seconds(1);
  for (uint32_t i = 0; i < n; ++i) {
    if (i % 50 == 0) cx.now = cx.now + microseconds(10);
    send(i);
  }
  cx.now = cx.now + milliseconds(50);
  auto way = [&](uint32_t from, Seq to) {  // stretches from a place to search from
    uint32_t steps = 0;
    Flight* f = from == no_index ? &tcb->first : &cx.flights[from];
    for (; f != nullptr && wire::before(f->end, to); f = next(cx, *f)) ++steps;
    return steps;
  };
  uint32_t longest = 0, lost = 0;
  Instant sent_at;
  for (uint32_t i = 1; i < n; i += 2) {
    if (i > 1) longest = std::max(longest, way(tcb->from.sacked[0], seq(i)));
    for (uint32_t block = 0; block < 3 && i >= 2 * block + 1; ++block) {
      Delivered told{by};
      flight_sacked(cx, *tcb, seq(i - 2 * block), seq(i - 2 * block + 1), told);
      ASSERT_EQ(told.bytes, block == 0 ? mss : 0u);
      if (block == 0) sent_at = told.sent_at;
    }
    flight_overdue(cx, *tcb, sent_at, seq(i + 1), milliseconds(50));
    longest = std::max(longest, way(tcb->from.undecided, seq(i)));
    while (Flight* f = first_lost(cx, *tcb)) {
      flight_resent(cx, *tcb, *f, mss);
      ++lost;
    }
    longest = std::max(longest, way(tcb->from.lost, seq(i)));
  }
  EXPECT_GT(lost, n / 2 - 100);
  EXPECT_LE(longest, 4u);
  EXPECT_EQ(check_tcb(cx, *tcb), nullptr) << check_tcb(cx, *tcb);
}

}  // namespace
}  // namespace millrace::tcp
