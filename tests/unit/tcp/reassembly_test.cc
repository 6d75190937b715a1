// SPDX-License-Identifier: BSD-3-Clause
// Reassembly against the simplest model there is: an array that says for each byte whether it has arrived.
#include "tcp/reassembly.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tcp/check_tcb.h"
#include "tcp/runs.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t nodes = 80'000;
constexpr uint32_t share = nodes / 4 * 3 / 4;  // of one connection, out of order

struct ReassemblyTest : testing::Test {
  std::vector<std::byte> memory;
  std::vector<PacketRef> released = std::vector<PacketRef>(100'000);
  Batch<PacketRef> release{released};
  std::vector<uint8_t> bytes = std::vector<uint8_t>(1 << 16);
  Context cx;
  Tcb* tcb = nullptr;
  uint32_t packets = 0;

  void SetUp() override {
    memory.resize(16 << 20);
    auto skip = 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
    Region region{memory.data() + skip, memory.size() - skip};
    cx.tcbs.init(region, 4);
    cx.held_limit = nodes;
    cx.nodes.init(region, nodes);
    cx.runs.init(region, nodes / 4 + 1);
    cx.release = &release;
    tcb = &cx.tcbs[cx.tcbs.take()];
    tcb->state = State::established;
    tcb->cwnd = 1;
    tcb->set(sack_ok);
    tcb->receive_buffer = 1 << 29;
    tcb->rcv_wscale = 14;
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
  }
  Slice text(uint32_t at, uint32_t length) {
    ++packets;
    return {PacketRef{bytes.data() + at}, Slice::own_buffer, 0, static_cast<uint16_t>(length)};
  }
  // As process_text does: in order to the application, else kept; what is not kept is released.
  void arrive(Seq base, uint32_t at, uint32_t length) {
    Slice s = text(at, length);
    Seq seq = base + at;
    if (wire::before(seq, tcb->rcv.nxt)) {
      note_duplicate(cx, *tcb, {seq, wire::earlier(seq + length, tcb->rcv.nxt)});
      uint32_t known = wire::distance(seq, tcb->rcv.nxt);
      if (known >= length) return release.push(s.packet);
      s.offset = static_cast<uint16_t>(known);
      s.length = static_cast<uint16_t>(length - known);
      seq += known;
    }
    if (seq == tcb->rcv.nxt) {
      tcb->rcv.nxt += s.length;
      append_text(cx, *tcb, s);
      if (tcb->duplicate_count == 0) note_held_duplicate(cx, *tcb, seq, tcb->rcv.nxt);
      take_in_order(cx, *tcb);
    } else if (!keep_out_of_order(cx, *tcb, seq, s)) {
      release.push(s.packet);
    }
  }
  // The longest way from the treap's root.
  uint32_t depth(uint32_t run) const {
    return run == no_index ? 0 : 1 + std::max(depth(cx.runs[run].child[0]), depth(cx.runs[run].child[1]));
  }
  // Bytes in the application's queue, compared with what was sent.
  uint32_t delivered() const {
    uint32_t at = 0;
    for (uint32_t i = tcb->text_head; i != no_index; i = cx.nodes[i].next) {
      const Slice& s = cx.nodes[i].slice;
      for (uint32_t b = 0; b < s.length; ++b, ++at)
        if (s.data()[b] != bytes[at]) ADD_FAILURE() << "byte " << at;
    }
    return at;
  }
};

TEST_F(ReassemblyTest, any_order_and_overlap_gives_the_stream) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random{seed};
    Seq base{random.below(2) ? 0xffffff00u : static_cast<uint32_t>(random.next())};  // across the wrap, too
    tcb->rcv.nxt = tcb->rcv.adv = base;
    tcb->rcv.adv += 65535;
    tcb->snd.una = tcb->snd.nxt = tcb->snd.max = tcb->end = Seq{1};
    tcb->rcv.last_ack = base;
    std::vector<bool> model(4000);
    for (int step = 0; step < 400; ++step) {
      uint32_t at = random.below(4000), length = 1 + random.below(std::min(4000 - at, 200u));
      // RFC2883-4: the first stretch of it that has arrived before
      uint32_t left = at;
      while (left < at + length && !model[left]) ++left;
      uint32_t right = left;
      while (right < at + length && model[right]) ++right;
      arrive(base, at, length);
      for (uint32_t i = at; i < at + length; ++i) model[i] = true;
      ASSERT_EQ(tcb->duplicate_count, left == right ? 0 : 1);
      uint32_t expected = 0;
      while (expected < model.size() && model[expected]) ++expected;
      ASSERT_EQ(wire::distance(base, tcb->rcv.nxt), expected);
      ASSERT_EQ(check_tcb(cx, *tcb), nullptr) << check_tcb(cx, *tcb);
      wire::SackBlock blocks[4];
      uint32_t n = sack_blocks(cx, *tcb, 4, blocks);
      if (left != right) {
        ASSERT_GE(n, 1u);
        ASSERT_EQ(blocks[0], (wire::SackBlock{base + left, base + right}));
        if (right > expected) {
          ASSERT_GE(n, 2u);
          ASSERT_TRUE(wire::before_eq(blocks[1].left, base + left) && wire::before_eq(base + right, blocks[1].right));
        }
      }
      for (uint32_t b = 0; b < n; ++b)  // each block is a maximal run of bytes that have arrived
        for (uint32_t i = wire::distance(base, blocks[b].left); i < wire::distance(base, blocks[b].right);
             ++i)
          ASSERT_TRUE(model[i]);
    }
    ASSERT_EQ(delivered(), wire::distance(base, tcb->rcv.nxt));
    drop_received(cx, *tcb);
    drop_out_of_order(cx, *tcb);
    EXPECT_EQ(release.size(), packets);  // conservation: each packet exactly once
    EXPECT_EQ(cx.received_held, 0u);
    EXPECT_EQ(cx.nodes.used(), 0u);
    EXPECT_EQ(cx.runs.used(), 0u);
    EXPECT_EQ(tcb->charged, 0u);
    release.clear();
    packets = 0;
  }
}

// RFC2018-4b, RFC2018-4c
TEST_F(ReassemblyTest, the_latest_block_comes_first) {
  Seq base{1000};
  tcb->rcv.nxt = base;
  arrive(base, 100, 10);
  arrive(base, 300, 10);
  arrive(base, 200, 10);
  wire::SackBlock blocks[4];
  ASSERT_EQ(sack_blocks(cx, *tcb, 3, blocks), 3u);
  EXPECT_EQ(blocks[0], (wire::SackBlock{base + 200, base + 210}));
  EXPECT_EQ(blocks[1], (wire::SackBlock{base + 300, base + 310}));
  EXPECT_EQ(blocks[2], (wire::SackBlock{base + 100, base + 110}));
  arrive(base, 110, 90);  // joins two runs: one block now, and it is the latest
  ASSERT_EQ(sack_blocks(cx, *tcb, 3, blocks), 2u);
  EXPECT_EQ(blocks[0], (wire::SackBlock{base + 100, base + 210}));
  EXPECT_EQ(blocks[1], (wire::SackBlock{base + 300, base + 310}));
}

TEST_F(ReassemblyTest, a_run_that_grows_has_one_place_among_the_latest) {
  Seq base{1000};
  tcb->rcv.nxt = base;
  arrive(base, 100, 10);
  arrive(base, 200, 10);
  for (uint32_t i = 0; i < 20; ++i) arrive(base, 300 + 10 * i, 10);
  wire::SackBlock blocks[4];
  ASSERT_EQ(sack_blocks(cx, *tcb, 4, blocks), 3u);
  EXPECT_EQ(blocks[0], (wire::SackBlock{base + 300, base + 500}));
  EXPECT_EQ(blocks[1], (wire::SackBlock{base + 200, base + 210}));
  EXPECT_EQ(blocks[2], (wire::SackBlock{base + 100, base + 110}));
}

TEST_F(ReassemblyTest, keeps_no_more_than_its_limit) {
  cx.params.out_of_order_limit = 3;
  Seq base{5};
  tcb->rcv.nxt = base;
  for (uint32_t i = 1; i <= 5; ++i) arrive(base, i * 20, 10);
  EXPECT_EQ(tcb->out_count, 3u);
  EXPECT_EQ(release.size(), 2u);
  EXPECT_EQ(cx.counters[Count::drop_out_of_order_limit], 2u);
}

// As many as the receive buffer holds, if each counts as a part of a packet buffer at least.
TEST_F(ReassemblyTest, the_limit_follows_the_receive_buffer) {
  Seq base{5};
  tcb->rcv.nxt = base;
  tcb->receive_buffer = 100 * cx.params.out_of_order_charge;
  for (uint32_t i = 1; i <= 300; ++i) arrive(base, i * 2, 1);
  EXPECT_EQ(tcb->out_count, 100u);
  tcb->receive_buffer *= 2;
  for (uint32_t i = 1; i <= 300; ++i) arrive(base, i * 2, 1);
  EXPECT_EQ(tcb->out_count, 200u);
  tcb->receive_buffer = 1 << 29;
  for (uint32_t i = 1; i <= 30'000; ++i) arrive(base, i * 2, 1);
  EXPECT_EQ(tcb->out_count, share) << "three quarters of what the core has for it";
  EXPECT_EQ(cx.received_held, share);
}

// One loss at 10 Gbit/s and 50 ms: all that follows is one run, which goes to the application in one piece.
TEST_F(ReassemblyTest, what_lies_above_one_hole_is_one_run) {
  constexpr uint32_t segments = 15'000;
  Seq base{0xff000000};
  tcb->rcv.nxt = tcb->rcv.adv = base;
  for (uint32_t i = 1; i <= segments; ++i) {
    ASSERT_TRUE(keep_out_of_order(cx, *tcb, base + i * 1448, text(0, 1448)));
    ASSERT_EQ(cx.runs.used(), 1u);
    wire::SackBlock blocks[4];
    ASSERT_EQ(sack_blocks(cx, *tcb, 4, blocks), 1u);
    ASSERT_EQ(blocks[0], (wire::SackBlock{base + 1448, base + (i + 1) * 1448}));
  }
  tcb->rcv.nxt += 1448;
  EXPECT_EQ(take_in_order(cx, *tcb), segments * 1448);
  EXPECT_EQ(tcb->charged_packets, segments);
  EXPECT_EQ(tcb->charged, segments * 1448);
  EXPECT_EQ(tcb->out_count, 0u);
  EXPECT_EQ(cx.runs.used(), 0u);
  uint32_t told = 0;
  for (uint32_t i = tcb->text_head; i != no_index; i = cx.nodes[i].next, ++told) {
    ASSERT_EQ(cx.nodes[i].seq, base + (told + 1) * 1448);
    ASSERT_EQ(cx.nodes[i].slice.origin, tcb->generation & 0xff);  // slot 0
  }
  EXPECT_EQ(told, segments);
}

// Who sends every second byte makes as many runs as there may be packets, and no way to one of them is long; whatever
// the order.
TEST_F(ReassemblyTest, every_second_byte_is_found_in_a_few_steps) {
  Seq base{77};
  cx.run_salt = 0x1234567;
  for (int order = 0; order < 3; ++order) {
    tcb->rcv.nxt = tcb->rcv.last_ack = base;
    tcb->rcv.adv = base + (1 << 24);
    Random random{9};
    for (uint32_t i = 0; i < share; ++i) {
      uint32_t at = order == 0 ? i : order == 1 ? share - 1 - i : random.below(1 << 20);
      if (keep_out_of_order(cx, *tcb, base + 2 + 2 * at, text(0, 1))) continue;
      release.push(PacketRef{bytes.data()});
    }
    EXPECT_GT(cx.runs.used(), share - 500);
    EXPECT_LT(depth(tcb->out_root), 50u);  // 3.5 times log2 n; twice its natural logarithm is what is expected
    EXPECT_EQ(check_tcb(cx, *tcb), nullptr) << check_tcb(cx, *tcb);
    tcb->rcv.nxt += 1;
    EXPECT_EQ(take_in_order(cx, *tcb), 0u);  // the next byte is missing still
    drop_out_of_order(cx, *tcb);
    EXPECT_EQ(cx.runs.used(), 0u);
    EXPECT_EQ(cx.nodes.used(), 0u);
    release.clear();
  }
}

}  // namespace
}  // namespace millrace::tcp
