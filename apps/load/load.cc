// SPDX-License-Identifier: BSD-3-Clause
// Opening connections and losing them. (load.h)
#include "load.h"

namespace millrace::load {

static constexpr Duration connect_pause = milliseconds(1);  // until a port may have come free

Load::Load(const Plan& plan, double cycles_per_second, Options options)
    : closes_each_(plan.closes_each()),
      without_answer_(std::min(milliseconds(1500), Duration{plan.connect_timeout.ns * 3 / 4})),
      limit_(plan.requests != 0 ? plan.core_share.of(plan.requests) : UINT64_MAX),
      options_(options),
      scale_(cycles_per_second),
      lanes_(plan.connections),
      // With a connection for each request as many are underway as were asked for.
      opening_(plan.closes_each() ? 0 : plan.connections, begin_at_once,
               longest_queue(plan), false),
      rotation_(client_config(plan).address, plan.local_addresses(), plan.targets) {
  for (uint32_t i = plan.connections; i > 0; --i) idle_.push_back(i - 1);
}

void Load::stop() {
  if (stopped_) return;
  stopped_ = true;
  uint64_t now = read_cycles();
  for (const Lane& lane : lanes_)
    if (lane.phase == Phase::connecting && scale_.ns(now - lane.since) > without_answer_.ns)
      ++tally_.errors.timed_out;
}

void Load::open_some(Channel& channel) {
  if (channel.now() < connect_after_) return;
  uint64_t now = read_cycles();
  for (uint32_t i = 0; i < begin_per_turn && !idle_.empty(); ++i) {
    if ((closes_each_ && begun_ == limit_) || connecting_ >= opening_.window()) return;
    uint64_t since = now;
    if (!may_open(since)) return;
    begun_ += closes_each_;
    ++connecting_;
    uint32_t number = idle_.back();
    idle_.pop_back();
    bool queued = lanes_[number].queued;
    lanes_[number] = Lane{};
    lanes_[number].since = since;
    lanes_[number].phase = Phase::connecting;
    lanes_[number].queued = queued;
    connect(channel, number);
  }
}

void Load::connect(Channel& channel, uint32_t number) {
  Ipv4Address local;
  Target target;
  rotation_.next(local, target);
  channel.connect({.address = target.address,
                   .port = target.port,
                   .local = local,
                   .local_port = 0,
                   .token = number,
                   .options = options_});
}

void Load::connected(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  lane.connection = event.connection;
  lane.phase = Phase::ready;
  --connecting_;
  ++tally_.opened;
  ++ready_;
  uint64_t now = read_cycles();
  uint64_t ns = scale_.ns(now - lane.since);
  connect_latency_.record(ns);
  if (!opening_.is_over()) opening_.answered(ns);
  opened(channel, lane, event, now);
}

// Another try later, by this lane or another: a port comes free when a connection ends, or when the clock has
// ticked.
void Load::connect_failed(Channel& channel, const Event& event) {
  if (event.reason == Event::no_port) {
    ++tally_.port_wait;
    begun_ -= closes_each_;
    give_up_open(lanes_[event.token].since);
  } else {
    ++tally_.errors.of_connect(event.reason);
    if (closes_each_) ended();
  }
  --connecting_;
  free_lane(static_cast<uint32_t>(event.token));
  connect_after_ = channel.now() + connect_pause;
}

void Load::closed(Channel& channel, const Event& event) {
  if (stopped_) {
    if (lanes_[event.token].phase != Phase::connecting) --ready_;
    lanes_[event.token].phase = Phase::idle;
    return;
  }
  Lane& lane = lanes_[event.token];
  bool in_order = event.reason == Event::finished && lane.phase == Phase::closing;
  if (in_order)
    tally_.finished += closes_each_;
  else
    count_end(event.reason);
  if (lane.phase == Phase::connecting) {
    --connecting_;
    connect_after_ = channel.now() + connect_pause;  // refused, perhaps: no storm of SYNs
  } else {
    --ready_;
    if (lane.phase == Phase::closing || lane.phase == Phase::aborted) --closing_;
  }
  gone(lane, in_order);
  if (closes_each_) ended();
  free_lane(static_cast<uint32_t>(event.token));
}

// Half of a close: the other half would answer a response that is on its way with a reset.
void Load::part(Channel& channel) {
  for (uint32_t i = 0; i < begin_per_turn && part_next_ < lanes_.size(); ++part_next_) {
    const Lane& lane = lanes_[part_next_];
    if (lane.phase != Phase::ready && lane.phase != Phase::waiting) continue;
    channel.shutdown(lane.connection);
    ++i;
  }
}

void Load::leave_ready(Lane& lane, Phase phase) {
  if (lane.phase != Phase::closing && lane.phase != Phase::aborted) ++closing_;
  lane.phase = phase;
}

void Load::count_end(Event::Reason reason) {
  ErrorsOf<Shown>& errors = tally_.errors;
  switch (reason) {
    case Event::refused: ++errors.refused; break;
    case Event::reset: ++errors.reset; break;
    case Event::timed_out: ++errors.timed_out; break;
    case Event::unreachable: ++errors.unreachable; break;
    case Event::aborted: break;  // by protocol_error(), which has counted it
    default: ++errors.protocol;
  }
}

// Counted once for a connection: what else has come of it is passed over.
void Load::protocol_error(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  if (lane.phase == Phase::aborted) return;
  ++tally_.errors.protocol;
  leave_ready(lane, Phase::aborted);
  channel.abort(event.connection);
}

void Load::free_lane(uint32_t number) {
  lanes_[number].phase = Phase::idle;
  lanes_[number].underway = 0;
  idle_.push_back(number);
}

}  // namespace millrace::load
