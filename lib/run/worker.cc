// SPDX-License-Identifier: BSD-3-Clause
// The worker's turn. (run/worker.h)
#include "run/worker.h"

#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cstdio>

#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/mempool.h"
#include "run/settings.h"
#include "run/signals.h"

namespace millrace::run {

Worker::Worker(const Config& config, nic::Port& port, uint32_t core, Cores& cores)
    : core_(core),
      cpu_(port.cores[core].cpu),
      has_others_(cores.count > 1),
      shares_cpu_(port.shares_cpu),
      cores_(cores),
      port_(port),
      config_(stack_config(config, port, core, cores.count > 1 ? &cores.board : nullptr)),
      memory_(stack::memory_size(config_)),
      clock_(nic::cycles_per_second()),
      now_(clock_.advance(nic::read_cycles())),
      stack_(stack::make_stack(config_, memory_.bytes(), now_)),
      inquiry_(*port.cores[core].wakeup),
      segments_(limits::segments_per_turn),
      slices_(limits::slices_per_turn),
      sacks_(limits::segments_per_turn * limits::sack_blocks) {
  sleeper_.init(port_, core, interrupt_descriptor());
  rx_.init(port_, core);
  tx_.init(port_, core);
  // Twice what one call may release: flush() within a turn stays the exception.
  least_release_room_ = stack::release_capacity(config_);
  release_.resize(size_t{2} * least_release_room_);
  out_.segments = Batch<wire::TxSegment>(segments_);
  out_.slices = Batch<Slice>(slices_);
  out_.sacks = Batch<wire::SackBlock>(sacks_);
  out_.release = Batch<PacketRef>(release_);
  attach(true, config.ring_size);
}

Worker::~Worker() {
  tx_.drop_all();
}

ChannelHost& Worker::attach(bool is_inline, uint32_t ring_size) {
  if (channels_.size() == limits::channels)
    throw ConfigError("an endpoint has " + std::to_string(limits::channels) + " channels at most");
  channels_.push_back(std::make_unique<ChannelHost>(*this, stack::attach(*stack_), is_inline, ring_size));
  return *channels_.back();
}

void Worker::join(bool pin) {
  if (is_mine()) return;
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  nic::register_thread();
  if (pin) nic::Affinity().pin(cpu_);
  prctl(PR_SET_TIMERSLACK, 1);  // idle() sleeps for microseconds
}

bool Worker::turn(const Application& application) {
  tx_.prepare_turn();
  // First the burst, then the clock: no frame is younger than `now`. No more frames than answers surely fit.
  std::span<const wire::Frame> frames;
  if (all_begun_) [[likely]]
    frames = rx_.poll(tx_.sure());
  uint64_t cycles = nic::read_cycles();
  now_ = clock_.advance(cycles);
  frames_seen_ += frames.size();

  stack::receive(*stack_, frames, now_, out_);
  uint32_t requests = 0;
  for (auto& channel : channels_) {
    channel->publish();
    if (channel->is_inline && application) channel->call(application);
    channel->look();
    requests += channel->take_requests();
    channel->reclaim();
  }
  stack::transmit(*stack_, tx_.room(), out_);
  for (auto& channel : channels_) channel->publish();

  // What came and was dropped, or went by for another core, was work, too: behind it there may be more.
  bool useful = rx_.came() != 0 || requests != 0 || !out_.segments.empty() || tx_.forwarded() != 0;
  flush();
  if (!all_begun_) [[unlikely]]
    begin_or_wait();
  if (has_others_) {
    useful |= count_crossed();
    publish_gauges();
  }
  if (inquiry_.is_asked()) [[unlikely]]
    inquiry_.answer_some({*stack_, now_, rx_, tx_});
  return useful;
}

// At the end of turns until all cores have had one.
void Worker::begin_or_wait() {
  if (!begun_) {
    begun_ = true;
    // The last one has seen what all have done.
    if (cores_.begun.fetch_add(1, std::memory_order_acq_rel) + 1 == cores_.count) {
      std::fputs(cores_.listeners_missing().c_str(), stderr);
    }
  }
  all_begun_ = cores_.begun.load(std::memory_order_acquire) == cores_.count;
}

// True: frames have gone to other cores.
bool Worker::count_crossed() {
  const nic::Rx::Crossed& crossed = rx_.crossed();
  if (crossed.handed_over != 0) stack::count(*stack_, Count::frames_handed_over, crossed.handed_over);
  if (crossed.taken_over != 0) stack::count(*stack_, Count::frames_taken_over, crossed.taken_over);
  if (crossed.dropped != 0) stack::count(*stack_, Count::drop_handover, crossed.dropped);
  return crossed.handed_over != 0;
}

void Worker::publish_gauges() {
  stack::Gauges now = stack::gauges(*stack_);
  connections_.store(now.connections, std::memory_order_relaxed);
  half_open_.store(now.half_open, std::memory_order_relaxed);
  time_wait_.store(now.time_wait, std::memory_order_relaxed);
}

Endpoint::Gauges Worker::published_gauges() const {
  return {connections_.load(std::memory_order_relaxed), half_open_.load(std::memory_order_relaxed),
          time_wait_.load(std::memory_order_relaxed)};
}

std::string Cores::listeners_missing() const {
  std::string out;
  for (uint32_t port = 1; port < 0x10000; ++port) {
    uint32_t listeners = board.listeners(static_cast<uint16_t>(port));
    if (listeners == 0 || listeners >= count) continue;
    out += "millrace: port " + std::to_string(port) + " is listened on by " + std::to_string(listeners) + " of " +
           std::to_string(count) + " cores: the others refuse the SYNs of flows that are theirs\n";
  }
  return out;
}

// Segments first, for their slices may lie in what is released.
void Worker::flush() {
  tx_.send(out_.segments.span(), out_.slices.span(), out_.sacks.span());
  nic::release(out_.release.span());
  out_.clear();
}

void Worker::looped_turn(const Application& application) {
  meter_.next_turn(nic::read_cycles(), last_was_useful_);
  last_was_useful_ = turn(application);
  if (last_was_useful_)
    be_busy();
  else if (!inquiry_.is_asked())
    idle(longest_idle(application));
}

bool Worker::single_turn(const Application& application) {
  uint64_t begin = nic::read_cycles();
  bool useful = turn(application);
  meter_.single_turn(begin, useful ? nic::read_cycles() : begin, useful);
  if (useful) be_busy();
  return useful;
}

// --- the end, in steps ---

void Worker::refuse_more() {
  stack::close_all(*stack_);
}

bool Worker::abort_step() {
  tx_.prepare_turn();
  uint32_t limit = std::min(tx_.room(), limits::tx_burst);
  bool more = true;
  if (limit != 0) {
    ensure_release_room();
    more = stack::abort_some(*stack_, limit, out_);
    flush();
  } else if (!tx_.flush()) {
    tx_.drop_all();  // the driver takes nothing: the RSTs are as good as sent
  }
  turn({});
  for (auto& channel : channels_) channel->read_all();
  return more;
}

bool Worker::drain_step() {
  uint32_t requests = 0;
  for (auto& channel : channels_) {
    channel->end();
    channel->publish();
    channel->read_all();
    channel->look();
    requests += channel->take_requests();
    channel->reclaim();
  }
  flush();
  turn({});
  bool flushed = tx_.flush();
  stack::Gauges gauges = stack::gauges(*stack_);
  return requests != 0 || !flushed || gauges.held != 0 || gauges.unread != 0;
}

uint32_t Worker::leave() {
  inquiry_.close();
  for (auto& channel : channels_) {
    channel->end();
    channel->read_all();
    channel->look();
    channel->reclaim();
  }
  flush();
  return tx_.drop_all();
}

}  // namespace millrace::run
