// SPDX-License-Identifier: BSD-3-Clause
// The mailbox between a control thread and a worker that polls: answered in time, bounded in each turn, given up when
// the core takes no turns, and told of the end at once.
#include "run/inquiry.h"

#include <gtest/gtest.h>

#include <thread>

#include "nic/machine.h"
#include "nic/port.h"
#include "run/worker.h"

namespace millrace::run {
namespace {

class InquiryTest : public testing::Test {
 protected:
  void SetUp() override {
    Config config;
    config.packet_buffers = 4096;
    config.max_connections = 1000;
    config.max_time_wait = 1024;
    config.neighbors = {{ipv4(10, 9, 0, 77), {{2, 0, 0, 0, 0, 1}}}};
    Config other = config;
    other.address = ipv4(10, 9, 0, 3);
    nic::Affinity before;
    link_ = nic::Link::open_pair(config, other);
    before.restore();
    worker_ = std::make_unique<Worker>(config, link_->port(0), 0, cores_);
  }
  void TearDown() override {
    worker_->leave();
    worker_.reset();
    link_->leave();
    EXPECT_TRUE(link_->leave());
  }
  Inquiry& inquiry() { return worker_->inquiry(); }

  // Asks while this thread takes turns. Returns how many it took until the answer was there.
  uint32_t turns_until_answered(const Question& question, Inquiry::Outcome& outcome) {
    std::atomic<bool> done{false};
    uint32_t turns = 0;
    std::thread asking([&] {
      outcome = inquiry().ask(question, never_);
      done.store(true, std::memory_order_release);
    });
    while (!done.load(std::memory_order_acquire)) {
      turns += inquiry().is_asked() ? 1 : 0;
      worker_->turn({});
    }
    asking.join();
    return turns;
  }

  static constexpr uint64_t places = 1000 + 1000 + 1024;  // connections, half-open ones, TIME-WAIT
  std::atomic<uint32_t> never_{0};
  std::shared_ptr<nic::Link> link_;
  Cores cores_{1};
  std::unique_ptr<Worker> worker_;
};

TEST_F(InquiryTest, a_walk_is_spread_over_turns) {
  Question question;
  question.kind = Question::connections;
  auto outcome = Inquiry::Outcome::silent;
  uint32_t turns = turns_until_answered(question, outcome);
  EXPECT_EQ(outcome, Inquiry::Outcome::answered);
  EXPECT_EQ(inquiry().answer().rows, 0u);
  EXPECT_TRUE(inquiry().answer().done);
  EXPECT_GE(turns, places / limits::diagnosed_places_per_turn);
}

TEST_F(InquiryTest, what_is_known_of_neighbours_and_of_the_core) {
  Question question;
  question.kind = Question::neighbors;
  auto outcome = Inquiry::Outcome::silent;
  turns_until_answered(question, outcome);
  ASSERT_EQ(outcome, Inquiry::Outcome::answered);
  ASSERT_EQ(inquiry().answer().rows, 1u);
  EXPECT_EQ(inquiry().answer().neighbors[0].address, ipv4(10, 9, 0, 77));
  EXPECT_EQ(inquiry().answer().neighbors[0].state, NeighborDiagnostics::State::permanent);
  turns_until_answered({}, outcome);
  ASSERT_EQ(outcome, Inquiry::Outcome::answered);
  EXPECT_EQ(inquiry().answer().gauges.connections, 0u);
}

TEST_F(InquiryTest, a_core_that_takes_no_turns_is_told_of_and_asked_again) {
  EXPECT_EQ(inquiry().ask({}, never_), Inquiry::Outcome::silent);
  EXPECT_FALSE(inquiry().is_asked());  // withdrawn: the worker will not answer to nobody
  auto outcome = Inquiry::Outcome::silent;
  turns_until_answered({}, outcome);
  EXPECT_EQ(outcome, Inquiry::Outcome::answered);
}

TEST_F(InquiryTest, who_asks_can_be_sent_away) {
  std::atomic<uint32_t> ending{1};
  EXPECT_EQ(inquiry().ask({}, ending), Inquiry::Outcome::silent);
  EXPECT_FALSE(inquiry().is_asked());
}

TEST_F(InquiryTest, the_end_is_told_to_who_waits_and_to_who_comes_later) {
  auto outcome = Inquiry::Outcome::answered;
  std::thread asking([&] { outcome = inquiry().ask({}, never_); });
  while (!inquiry().is_asked()) std::this_thread::yield();
  inquiry().close();
  asking.join();
  EXPECT_EQ(outcome, Inquiry::Outcome::ended);
  EXPECT_EQ(inquiry().ask({}, never_), Inquiry::Outcome::ended);
}

}  // namespace
}  // namespace millrace::run
