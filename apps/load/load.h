// SPDX-License-Identifier: BSD-3-Clause
// A load: one core's connections in lanes. A lane's number is the token of its connection, so that every event finds its
// lane. Here they are opened, lost and opened again; what they are for is told by who derives: exchange.h,
// stream.h.
#pragma once

#include <millrace/millrace.h>

#include <cstdint>
#include <vector>

#include "cycles.h"
#include "histogram.h"
#include "plan.h"
#include "ramp.h"
#include "tally.h"

namespace millrace::load {

class Load {
 public:
  Load(const Plan& plan, double cycles_per_second, Options options);
  virtual ~Load() = default;
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // One turn, on the thread of its core. All else may be asked by any thread, but what is said to be for the end.
  virtual void operator()(Channel& channel) = 0;

  // Kept connections: all are there. They wait until start().
  bool is_connected() const { return ready_ == lanes_.size(); }
  uint64_t connected() const { return ready_; }
  void start(uint64_t cycles) { start_at_ = cycles; }
  // Open loop: what is due after that is not of the run.
  void end_at(uint64_t cycles) { end_at_ = cycles; }
  // The warm-up is over.
  void forget_late() { forget_late_.store(true, std::memory_order_relaxed); }
  // All that was asked for is done or lost.
  bool is_done() const { return done_ != 0; }
  // The end, when its core has no more turns or on its thread. Nothing new; what comes from now on is of the end and no
  // error. Connects that have waited for an answer for longer than a first SYN's repetition have timed out.
  void stop();
  // After that, with turns: each connection ends as its peer will have it, with what is underway still coming. False: none is
  // left.
  bool is_parting() const { return ready_ != 0; }

  const TallyOf<Shown>& tally() const { return tally_; }
  const Histogram& latency() const { return latency_; }
  const Histogram& connect_latency() const { return connect_latency_; }

  // Where the lanes are.
  struct States {
    uint64_t connecting = 0, open = 0, closing = 0;
  };
  States states() const { return {connecting_, ready_ - closing_, closing_}; }
  // For the end: how many requests may be underway by now, if not all yet (ramp.h); else UINT64_MAX.
  virtual uint64_t window() const { return UINT64_MAX; }
  // Requests that have begun, or connections if each has one.
  uint64_t begun() const { return begun_; }
  // Open loop, for the end: requests that were due and did not begin, those that began and have no answer, and how late
  // one began at most.
  virtual uint64_t not_sent(uint64_t) const { return 0; }  // by that time, in cycles
  virtual uint64_t unanswered() const { return 0; }
  uint64_t most_late_ns() const { return scale_.ns(most_late_); }
  // On its core's thread: when it wants its next turn whatever happens, in cycles. Closed loop: only events move it.
  virtual uint64_t next_due() const { return UINT64_MAX; }

 protected:
  enum class Phase : uint8_t { idle, connecting, ready, waiting, closing, aborted };
  struct Lane {
    uint64_t since = 0;  // cycles at the connect or the request
    ConnectionId connection;
    uint32_t received = 0;  // of the response that is coming
    uint32_t refused = 0;   // of requests: to be sent again when there is room
    uint16_t underway = 0;  // requests
    uint16_t oldest = 0;    // with a pipeline: where its time stands
    Phase phase = Phase::idle;
    bool queued = false;  // open loop: it stands among the lanes that may take a request
  };

  // What a lane's connection is for. Called for each once.
  virtual void opened(Channel& channel, Lane& lane, const Event& event, uint64_t now) = 0;
  // Its connection has gone, in order or not: how many of its requests are lost with it.
  virtual void gone(Lane& lane, bool in_order) = 0;
  // Whether an open loop lets one more connection begin, and when it was meant to. Closed loop: always, now.
  virtual bool may_open(uint64_t& since) = 0;
  virtual void give_up_open(uint64_t since) = 0;  // it found no port: it is still to be made

  virtual void begin(uint64_t) { started_ = true; }  // what start() has asked for
  // What other threads ask for is done here, before the events of a turn.
  void obey() {
    if (!started_ && start_at_ != 0) [[unlikely]]
      begin(start_at_);
    if (forget_late_.load(std::memory_order_relaxed)) [[unlikely]] {
      forget_late_.store(false, std::memory_order_relaxed);
      most_late_ = 0;
    }
  }

  // A turn after stop(): FIN to the next connections; what they receive is passed over.
  void part(Channel& channel);
  bool has_idle_lanes() const { return !idle_.empty(); }
  void open_some(Channel& channel);
  void connected(Channel& channel, const Event& event);
  void connect_failed(Channel& channel, const Event& event);
  void closed(Channel& channel, const Event& event);
  void protocol_error(Channel& channel, const Event& event);
  void leave_ready(Lane& lane, Phase phase);  // towards its end
  uint32_t number_of(const Lane& lane) const { return static_cast<uint32_t>(&lane - lanes_.data()); }
  void ended() {
    if (++ended_ >= limit_) done_ = 1;
  }

  static constexpr uint32_t begin_per_turn = 64;  // what a core takes of an application in a turn
  // Connects, or first requests, that need not wait for others to come back.
  static constexpr uint32_t begin_at_once = 4096;
  // How long they may queue for each other, in nanoseconds: far from an RTO, also when the CPU is away for a while.
  static uint64_t longest_queue(const Plan& plan) { return plan.config.tcp.rto_min.ns / 4; }

  const bool closes_each_;
  const Duration without_answer_;  // a connect that has waited for longer at the end has timed out
  const uint64_t limit_;  // requests, or connections if each has one
  const Options options_;
  const CycleScale scale_;
  std::vector<Lane> lanes_;
  Shown ready_;    // lanes with a connection
  Shown closing_;  // of them
  Shown begun_;    // towards limit_
  uint64_t ended_ = 0;
  Shown end_at_{UINT64_MAX};
  Shown most_late_;  // cycles
  bool started_ = false;
  bool stopped_ = false;
  Shown done_;
  TallyOf<Shown> tally_;
  Histogram latency_;
  Histogram connect_latency_;

 private:
  void connect(Channel& channel, uint32_t number);
  void count_end(Event::Reason reason);
  void free_lane(uint32_t number);

  Ramp opening_;  // of connects without an answer
  Rotation rotation_;
  std::vector<uint32_t> idle_;  // lanes without a connection
  uint32_t part_next_ = 0;      // lanes before it have had their FIN
  Instant connect_after_;       // after a connect that could not be
  Shown connecting_;
  Shown start_at_;
  std::atomic<bool> forget_late_{false};
};

}  // namespace millrace::load
