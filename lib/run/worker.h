// SPDX-License-Identifier: BSD-3-Clause
// One core's endpoint at work: the first stage of a packet's way, and the one that calls all others.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "millrace/config.h"
#include "millrace/endpoint.h"
#include "nic/clock.h"
#include "nic/rx.h"
#include "nic/sleeper.h"
#include "nic/tx.h"
#include "run/channel.h"
#include "run/cores.h"
#include "run/inquiry.h"
#include "run/load_meter.h"
#include "run/memory.h"
#include "run/spin.h"
#include "stack/stack.h"

namespace millrace::run {

class Worker {
  static constexpr Duration longest_sleep = seconds(1);  // without an application that looks at a clock

 public:
  Worker(const Config& config, nic::Port& port, uint32_t core, Cores& cores);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The calling thread becomes the lcore, if it is not already. Before any turn. A thread that runs several of them is
  // pinned for one.
  void join(bool pin = true);
  bool is_mine() const { return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

  // Some thread has.
  bool has_begun() const { return thread_.load(std::memory_order_relaxed) != std::thread::id(); }

  // One turn. True if it did something. `application` may be empty: then nobody reads the events.
  bool turn(const Application& application);
  // The same, measured, for a loop that does nothing else, and idling after it...
  void looped_turn(const Application& application);
  // ...and for a caller's loop.
  bool single_turn(const Application& application);
  // What is done where a turn, or several, had nothing to do, as Config::idle has it. Sleeps so long at most.
  void idle(Duration at_most);
  // The same at the end, where other workers wait for this thread.
  void rest();
  // Whoever publishes what this worker reads tells it here.
  nic::Wakeup& wakeup() { return *port_.cores[core_].wakeup; }
  // The loop that it runs is to end: neither it nor who waits at its channels sleeps any longer.
  void wake_all();

  ChannelHost& attach(bool is_inline, uint32_t ring_size);

  // The end, in steps; see run/shutdown.
  void refuse_more();  // FIN to all
  bool abort_step();   // RST to the next; false: none is left
  bool drain_step();   // events and requests that nobody waits for; false: nothing is left
  uint32_t leave();    // buffers back; frames that the driver never took

  stack::Stack& stack() { return *stack_; }
  const stack::Stack& stack() const { return *stack_; }
  stack::Output& output() { return out_; }
  nic::Port& port() { return port_; }
  const nic::Port& port() const { return port_; }
  nic::PacketPool& app_pool() { return port_.cores[core_].app_pool; }
  const nic::Clock& clock() const { return clock_; }
  Instant now() const { return now_; }
  ChannelHost& inline_channel() { return *channels_[0]; }
  Endpoint::Load load() const { return meter_.read(clock_); }
  uint64_t frames_seen() const { return frames_seen_; }
  uint64_t frames_refused() const { return tx_.refused(); }  // any thread
  // For control threads.
  Inquiry& inquiry() { return inquiry_; }
  uint32_t core() const { return core_; }
  uint32_t cpu() const { return cpu_; }
  // Of several cores: as they were at the end of the last turn. Any thread.
  Endpoint::Gauges published_gauges() const;

  // Before anything that may release buffers within a turn: makes place for all that the core holds.
  void ensure_release_room() {
    if (out_.release.room() < least_release_room_) [[unlikely]]
      flush();
  }

 private:
  void flush();
  void pause() const;
  bool doze(Duration at_most);
  bool may_doze() const;
  Duration longest_idle(const Application& application);
  void be_busy();
  void begin_or_wait();
  bool count_crossed();
  void publish_gauges();

  const uint32_t core_;
  const uint32_t cpu_;
  const bool has_others_;   // cores of this endpoint
  const bool shares_cpu_;
  bool begun_ = false;      // this core has had its first turn
  bool all_begun_ = false;  // before, no frame is taken: it is where applications listen
  Cores& cores_;
  nic::Port& port_;
  stack::Config config_;
  Memory memory_;
  nic::Clock clock_;
  Instant now_;
  stack::Stack* stack_ = nullptr;
  nic::Rx rx_;
  nic::Tx tx_;
  stack::Output out_;
  std::vector<std::unique_ptr<ChannelHost>> channels_;
  uint32_t least_release_room_ = 0;
  uint64_t frames_seen_ = 0;
  nic::Sleeper sleeper_;
  uint32_t idle_turns_ = 0;
  Instant idle_since_;
  Spin spin_;
  uint64_t announced_turn_ = 0;  // as meter_ counts
  bool last_was_useful_ = false;
  LoadMeter meter_{nic::cycles_per_second()};
  std::atomic<uint32_t> connections_{0}, half_open_{0}, time_wait_{0};
  std::atomic<std::thread::id> thread_{};
  Inquiry inquiry_;

  // What out_ writes to.
  std::vector<wire::TxSegment> segments_;
  std::vector<Slice> slices_;
  std::vector<wire::SackBlock> sacks_;
  std::vector<PacketRef> release_;
};

}  // namespace millrace::run
