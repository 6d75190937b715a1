// SPDX-License-Identifier: BSD-3-Clause
// A Stack that is one of several: what it announces, answers, learns and refuses.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "stack/internals.h"
#include "wire/build.h"

namespace millrace::stack {
namespace {

constexpr Ipv4Address own = ipv4(10, 0, 0, 1), peer = ipv4(10, 0, 0, 2);
constexpr wire::Mac own_mac{{2, 0, 0, 0, 0, 1}}, peer_mac{{2, 0, 0, 0, 0, 2}};
constexpr uint32_t cores = 4;

// One core, and what a worker gives it.
struct Core {
  Core(uint32_t number, const wire::Steering* steering, flow::ListenBoard* board) {
    Config c;
    c.core = number;
    c.steering = steering;
    c.board = board;
    c.max_connections = 256;
    c.max_half_open = 16;
    c.max_time_wait = 16;
    c.max_port_pools = 2;
    c.held_limit = 64;
    c.local = {own, 1, 24};
    c.mac = own_mac;
    memory.resize(memory_size(c));
    stack = make_stack(c, memory, Instant{1});
    release.resize(release_capacity(c));
    out.segments = Batch<wire::TxSegment>{segments};
    out.slices = Batch<Slice>{slices};
    out.sacks = Batch<wire::SackBlock>{sacks};
    out.release = Batch<PacketRef>{release};
    channel = attach(*stack);
    out.events[channel] = {events.data(), 1023, 0, 1024};
  }
  void take(const wire::TxSegment& tx, bool copy = false) {
    std::vector<uint8_t> packet(2048);
    uint32_t length = wire::build_header(tx, {}, {}, peer_mac, {}, packet.data() + 64);
    wire::Frame frame{PacketRef{packet.data()}, packet.data() + 64, std::max(length, 60u)};
    frame.copy = copy;
    receive(*stack, {&frame, 1}, Instant{2}, out);
  }
  void send() { transmit(*stack, limits::tx_burst, out); }
  void ask(const Request& request_) { request(*stack, channel, {&request_, 1}, out); }
  uint64_t counted(Count what) const { return counters(*stack)[what]; }

  Stack* stack = nullptr;
  uint32_t channel = 0;
  std::vector<std::byte> memory;
  std::vector<wire::TxSegment> segments{limits::segments_per_turn};
  std::vector<Slice> slices{limits::slices_per_turn};
  std::vector<wire::SackBlock> sacks{limits::segments_per_turn * limits::sack_blocks};
  std::vector<PacketRef> release;
  std::vector<Event> events{1024};
  Output out;
};

class CoresTest : public testing::Test {
 protected:
  CoresTest() {
    uint8_t key[40], owners[64];
    Random random(3);
    for (uint8_t& byte : key) byte = static_cast<uint8_t>(random.next());
    for (uint32_t i = 0; i < 64; ++i) owners[i] = static_cast<uint8_t>(i % cores);
    steering_ = std::make_unique<wire::Steering>(key, owners);
    for (uint32_t i = 0; i < cores; ++i) core_.push_back(std::make_unique<Core>(i, steering_.get(), &board_));
  }
  static wire::TxSegment arp_request() {
    wire::TxSegment tx;
    tx.kind = wire::TxSegment::arp_request;
    tx.destination = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    tx.local = peer;
    tx.remote = own;
    return tx;
  }
  static Request connect(uint16_t local_port) {
    Request request;
    request.kind = Request::connect;
    request.token = local_port;
    request.open = {IpAddress{}, peer, local_port, 80, Options{}};
    return request;
  }

  std::unique_ptr<wire::Steering> steering_;
  flow::ListenBoard board_;
  std::vector<std::unique_ptr<Core>> core_;
};

TEST_F(CoresTest, OneAnnouncesTheAddress) {
  for (auto& core : core_) {
    core->send();
    EXPECT_EQ(core->counted(Count::arp_requests_sent), core == core_[0] ? 1u : 0u);
  }
}

// The frame itself comes to one of them, copies to the others: one answer, and all know the neighbour.
TEST_F(CoresTest, OneAnswersArpAndAllLearn) {
  for (uint32_t i = 0; i < cores; ++i) {
    core_[i]->take(arp_request(), i != 2);
    EXPECT_EQ(core_[i]->counted(Count::arp_replies_sent), i == 2 ? 1u : 0u);
    uint16_t known = core_[i]->stack->neighbors.find(peer);
    ASSERT_NE(known, Neighbors::none);
    EXPECT_TRUE(core_[i]->stack->neighbors[known].usable());
    EXPECT_EQ(core_[i]->stack->neighbors[known].mac, peer_mac);
  }
}

// The core's number stands in the name of each of its connections, and its port makes each flow its own.
TEST_F(CoresTest, ConnectionsAreTheirCoresOwn) {
  for (uint32_t i = 0; i < cores; ++i)
    for (int n = 0; n < 50; ++n) {
      core_[i]->ask(connect(0));
      const tcp::Tcb& tcb = core_[i]->stack->cx.tcbs[static_cast<uint32_t>(n)];
      ASSERT_NE(tcb.state, State::closed);
      EXPECT_EQ(steering_->owner(tcb.key), i);
      EXPECT_EQ(core_[i]->stack->cx.id_of(tcb).core(), i);
    }
}

TEST_F(CoresTest, APortThatIsNamedIsRefusedWhereTheFlowIsAnothers) {
  for (uint16_t port = 3000; port < 3020; ++port)
    for (uint32_t i = 0; i < cores; ++i) {
      uint32_t before = core_[i]->out.events[0].next;
      core_[i]->ask(connect(port));
      deliver(*core_[i]->stack, core_[i]->out);
      if (steering_->owner({own, peer, port, 80, 4}) == i) {
        EXPECT_EQ(core_[i]->out.events[0].next, before);
        continue;
      }
      ASSERT_EQ(core_[i]->out.events[0].next, before + 1);
      EXPECT_EQ(core_[i]->events[before].kind, Event::failed);
      EXPECT_EQ(core_[i]->events[before].reason, Event::other_core);
    }
}

TEST_F(CoresTest, ASynToAPortThatAnotherListensOnIsCounted) {
  Request listen;
  listen.kind = Request::listen;
  listen.backlog = 8;
  listen.open = {IpAddress{}, IpAddress{}, 80, 0, Options{}};
  core_[1]->ask(listen);
  EXPECT_EQ(board_.listeners(80), 1u);
  wire::TxSegment syn;
  syn.flags = wire::syn;
  syn.destination = own_mac;
  syn.local = peer;
  syn.remote = own;
  syn.local_port = 4000;
  syn.remote_port = 80;
  for (uint32_t i = 0; i < cores; ++i) {
    core_[i]->take(syn);
    EXPECT_EQ(core_[i]->counted(Count::listen_elsewhere), i == 1 ? 0u : 1u);
    EXPECT_EQ(core_[i]->counted(Count::resets_sent), i == 1 ? 0u : 1u);
  }
  listen.kind = Request::unlisten;
  core_[1]->ask(listen);
  EXPECT_EQ(board_.listeners(80), 0u);
  core_[0]->take(syn);
  EXPECT_EQ(core_[0]->counted(Count::listen_elsewhere), 1u);  // nobody listens: an ordinary refusal
}

}  // namespace
}  // namespace millrace::stack
