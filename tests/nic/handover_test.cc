// SPDX-License-Identifier: BSD-3-Clause
// nic with several cores, one at a time on this thread: what crosses, in which order, and what becomes of it when the other
// side does not keep up.
#include <gtest/gtest.h>
#include <rte_mbuf.h>
#include <rte_thash.h>

#include <algorithm>
#include <map>
#include <vector>

#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/port.h"
#include "nic/rss.h"
#include "nic/rx.h"
#include "nic/tx.h"

namespace millrace::nic {
namespace {

constexpr Ipv4Address here = ipv4(10, 9, 0, 2), there = ipv4(10, 9, 0, 3);

// A sender of one core and a receiver of several, or the other way round; both by `queues` queues.
class HandoverTest : public testing::Test {
 protected:
  void open(uint32_t senders, uint32_t receivers, uint32_t queues) {
    Config left, right;
    left.packet_buffers = right.packet_buffers = 4096;
    left.address = here;
    right.address = there;
    left.cores = senders;
    right.cores = receivers;
    left.queues = std::min(queues, senders);
    right.queues = std::min(queues, receivers);
    left.seed = right.seed = 1;
    left.hardware_steering = right.hardware_steering = false;
    link_ = Link::open_pair(left, right);
    rx_ = std::vector<Rx>(receivers);
    tx_ = std::vector<Tx>(senders);
    for (uint32_t i = 0; i < receivers; ++i) rx_[i].init(link_->port(1), i);
    for (uint32_t i = 0; i < senders; ++i) tx_[i].init(link_->port(0), i);
  }
  void TearDown() override {
    for (Tx& tx : tx_) tx.drop_all();
    link_->leave();
    EXPECT_TRUE(link_->leave());
    std::string report;
    EXPECT_TRUE(link_->all_back(report)) << report;  // with frames in the rings between the cores, too
  }

  static wire::TxSegment segment(uint16_t port, uint32_t number) {
    wire::TxSegment tx;
    tx.flags = wire::ack;
    tx.local = here;
    tx.remote = there;
    tx.local_port = port;
    tx.remote_port = 80;
    tx.seq = wire::Seq{number};
    return tx;
  }
  // `count` segments of as many flows as there are ports, numbered by flow.
  void send(uint32_t core, uint32_t count, uint16_t ports) {
    for (uint32_t i = 0; i < count; ++i) {
      auto port = static_cast<uint16_t>(1000 + sent_ % ports);
      wire::TxSegment tx = segment(port, sent_++ / ports);
      tx_[core].prepare_turn();
      ASSERT_NE(tx_[core].sure(), 0u);
      tx_[core].send({&tx, 1}, {}, {});
    }
  }
  uint32_t owner(uint16_t port) const { return link_->port(1).steering->owner({there, here, 80, port, 4}); }

  struct Got {
    uint32_t frames = 0, of_others = 0, out_of_order = 0, copies = 0, handed_over = 0, taken_over = 0, dropped = 0;
  };
  // One poll of a core. All that it gets is its own, and in order.
  Got poll(uint32_t core, uint32_t limit = limits::rx_burst) {
    Got got;
    for (const wire::Frame& frame : rx_[core].poll(limit)) {
      const uint8_t* data = frame.data;
      if (data[12] == 0x08 && data[13] == 0x06) {
        got.copies += frame.copy;
      } else {
        auto port = static_cast<uint16_t>(data[34] << 8 | data[35]);
        uint32_t number = uint32_t{data[38]} << 24 | uint32_t{data[39]} << 16 | uint32_t{data[40]} << 8 | data[41];
        got.of_others += owner(port) != core;
        got.out_of_order += number < next_[port];
        next_[port] = number + 1;
      }
      ++got.frames;
      release({&frame.packet, 1});
    }
    got.handed_over = rx_[core].crossed().handed_over;
    got.taken_over = rx_[core].crossed().taken_over;
    got.dropped = rx_[core].crossed().dropped;
    return got;
  }
  static void add(Got& sum, const Got& more) {
    sum.frames += more.frames;
    sum.of_others += more.of_others;
    sum.out_of_order += more.out_of_order;
    sum.copies += more.copies;
    sum.handed_over += more.handed_over;
    sum.taken_over += more.taken_over;
    sum.dropped += more.dropped;
  }
  Got poll_all(int rounds) {
    Got sum;
    for (int i = 0; i < rounds; ++i)
      for (uint32_t core = 0; core < rx_.size(); ++core) add(sum, poll(core));
    return sum;
  }

  std::shared_ptr<Link> link_;
  std::vector<Rx> rx_;
  std::vector<Tx> tx_;
  uint32_t sent_ = 0;
  std::map<uint16_t, uint32_t> next_;
};

TEST_F(HandoverTest, EachFrameComesToItsOwnerInTheOrderOfItsFlow) {
  open(4, 4, 4);
  Got sum;
  for (int round = 0; round < 50; ++round) {
    send(static_cast<uint32_t>(round % 4 == 0 ? 0 : 1), 100, 25);  // whole rounds of all flows, from either of two queues
    add(sum, poll_all(12));
  }
  EXPECT_EQ(sum.frames, 5000u);
  EXPECT_EQ(sum.of_others, 0u);
  EXPECT_EQ(sum.out_of_order, 0u);
  EXPECT_EQ(sum.handed_over, sum.taken_over);
  EXPECT_GT(sum.handed_over, 3000u);  // three of four, more or less
  EXPECT_EQ(sum.dropped, 0u);
}

TEST_F(HandoverTest, OneQueueForAllCores) {
  open(1, 8, 1);
  Got sum;
  for (int round = 0; round < 50; ++round) {
    send(0, 100, 100);
    add(sum, poll_all(8));
  }
  EXPECT_EQ(sum.frames, 5000u);
  EXPECT_EQ(sum.of_others + sum.out_of_order, 0u);
  EXPECT_EQ(sum.handed_over, sum.taken_over);
}

// A core that sends by another's queue: all of it arrives, when that one has its turns.
TEST_F(HandoverTest, CoresWithoutAQueueSendByAnothers) {
  open(5, 1, 1);
  for (uint32_t core = 0; core < 5; ++core) send(core, 60, 1);
  Got got;
  for (int i = 0; i < 20; ++i) {
    tx_[0].prepare_turn();
    for (const wire::Frame& frame : rx_[0].poll(32)) {
      ++got.frames;
      release({&frame.packet, 1});
    }
  }
  EXPECT_EQ(got.frames, 300u);
}

// A core that has no turns holds up the queue for a while, and then loses its own frames, nobody else's.
TEST_F(HandoverTest, ACoreThatDoesNotKeepUp) {
  open(1, 2, 1);
  uint16_t port = 1000;
  while (owner(port) != 1) ++port;
  Got sum;
  uint32_t held_up = 0, given = 0;
  for (int i = 0; i < 5000; ++i) {
    tx_[0].prepare_turn();
    if (given < 3000 && tx_[0].room() != 0) {
      wire::TxSegment tx = segment(port, given++);
      tx_[0].send({&tx, 1}, {}, {});
    }
    Got got = poll(0);
    add(sum, got);
    held_up += got.handed_over + got.dropped == 0;
  }
  uint32_t ring = Handover::ring_size(2);
  EXPECT_EQ(sum.handed_over, ring);
  EXPECT_EQ(sum.dropped, 3000 - ring);
  EXPECT_GE(held_up, 1000u);
  EXPECT_EQ(sum.frames, 0u);
  Got rest = poll_all(100);
  EXPECT_EQ(rest.frames, ring);
  EXPECT_EQ(rest.out_of_order, 0u);
}

TEST_F(HandoverTest, ArpComesToEachCoreAndOnlyOnceToAnswer) {
  open(1, 4, 1);
  wire::TxSegment tx;
  tx.kind = wire::TxSegment::arp_request;
  tx.local = here;
  tx.remote = there;
  tx_[0].prepare_turn();
  tx_[0].send({&tx, 1}, {}, {});
  Got sum = poll_all(2);
  EXPECT_EQ(sum.frames, 4u);
  EXPECT_EQ(sum.copies, 3u);
  EXPECT_EQ(sum.handed_over + sum.taken_over, 0u);  // a copy is not handed over
}

// What is still between the cores at the end goes back to its pools (TearDown).
TEST_F(HandoverTest, AnEndWithFramesUnderway) {
  open(4, 2, 2);
  for (uint32_t core = 0; core < 4; ++core) send(core, 50, 25);
  for (int i = 0; i < 4; ++i) poll(0);
  EXPECT_GT(link_->port(1).handover->frames(0, 1).available(), 0u);
  EXPECT_GT(link_->port(0).handover->relay(3).available(), 0u);
}

// --- keys ---

class RssKey : public testing::Test {
 protected:
  static void SetUpTestSuite() { start_eal({"", allowed_cpus()[0], 0}); }  // rte_thash's memory
};

wire::Toeplitz toeplitz_of(const std::vector<uint8_t>& key) {
  return wire::Toeplitz(key);
}

TEST_F(RssKey, TheHashIsDpdks) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    std::vector<uint8_t> key = make_rss_key(seed, usual_key);
    wire::Toeplitz toeplitz = toeplitz_of(key);
    for (uint32_t i = 0; i < 1000; ++i) {
      uint32_t bits = i * 2654435761u;
      rte_ipv4_tuple tuple{};
      tuple.src_addr = bits;
      tuple.dst_addr = ~bits * 7;
      tuple.sport = static_cast<uint16_t>(bits >> 3);
      tuple.dport = static_cast<uint16_t>(bits >> 11);
      wire::FlowKey flow{{tuple.dst_addr}, {tuple.src_addr}, tuple.dport, tuple.sport, 4};
      ASSERT_EQ(toeplitz.of(flow),
                rte_softrss(reinterpret_cast<uint32_t*>(&tuple), RTE_THASH_V4_L4_LEN, key.data()));
      ASSERT_EQ(toeplitz.of_addresses(flow.remote, flow.local),
                rte_softrss(reinterpret_cast<uint32_t*>(&tuple), RTE_THASH_V4_L3_LEN, key.data()));
    }
  }
}

// Whatever the destination, by its local port a flow can get to each entry of the largest table.
TEST_F(RssKey, ThePortReachesEachEntry) {
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{77}})
    for (const auto& key : {make_rss_key(seed, usual_key), make_rss_key(seed, 52), make_symmetric_key(seed, usual_key)}) {
      wire::Toeplitz toeplitz = toeplitz_of(key);
      std::vector<bool> reached(wire::Steering::max_table);
      for (uint32_t port = 0; port < 0x10000; ++port)
        reached[toeplitz.of_local_port(static_cast<uint16_t>(port)) % reached.size()] = true;
      EXPECT_EQ(std::count(reached.begin(), reached.end(), true), static_cast<long>(reached.size())) << seed;
    }
}

// A client takes its ports one after the other, Linux every second one: a few of them are to reach all cores evenly.
TEST_F(RssKey, ARunOfTheClientsPortsReachesEachCoreEvenly) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    wire::Toeplitz toeplitz = toeplitz_of(make_rss_key(seed, usual_key));
    for (uint32_t cores = 2; cores <= 64; cores *= 2)
      for (uint32_t step : {1u, 2u}) {
        std::vector<uint32_t> ports(cores);
        for (uint32_t i = 0; i < 8 * cores; ++i)
          ++ports[toeplitz.of({here, there, 80, static_cast<uint16_t>(32768 + i * step), 4}) % cores];
        EXPECT_EQ(ports, std::vector<uint32_t>(cores, 8)) << seed << ", " << cores << " cores, every " << step;
      }
  }
}

TEST_F(RssKey, ASymmetricKeyIsSymmetric) {
  wire::Toeplitz toeplitz = toeplitz_of(make_symmetric_key(5, usual_key));
  for (uint16_t port = 1; port < 1000; ++port) {
    wire::FlowKey there_and{here, there, port, 80, 4}, back{there, here, 80, port, 4};
    ASSERT_EQ(toeplitz.of(there_and), toeplitz.of(back));
  }
}

}  // namespace
}  // namespace millrace::nic
