// SPDX-License-Identifier: BSD-3-Clause
// Requests and responses. (exchange.h)
#include "exchange.h"

#include <algorithm>

namespace millrace::load {

static std::string http_request(const Plan& plan) {
  return plan.workload == Workload::http ? request_text(plan) : std::string();
}

Exchange::Exchange(const Plan& plan, double cycles_per_second)
    : Load(plan, cycles_per_second, connection_options(plan)),
      closes_first_(plan.close_first == Side::client),
      is_open_(plan.is_open_loop()),
      queues_(!plan.closes_each() && (is_open_ || plan.connections > begin_at_once)),
      is_simple_(plan.workload != Workload::http && plan.pipeline == 1),
      depth_(plan.pipeline),
      request_(plan.workload == Workload::http ? Payload(http_request(plan)) : Payload(plan.request_size)),
      response_(plan.workload == Workload::http ? Payload(uint32_t{1}) : Payload(plan.response_size)),
      arrivals_(plan.pace, plan.arrival, plan.core_share, plan.requests, cycles_per_second, plan.arrival_seed),
      times_(depth_ > 1 ? uint64_t{depth_} * plan.connections : 0),
      offered_(queues_ ? plan.connections : 0),
      ramp_(queues_ && !is_open_ ? uint64_t{plan.connections} * depth_ : 0, begin_at_once,
            longest_queue(plan), true) {
  if (plan.workload != Workload::http) return;
  http_ = std::make_unique<HttpResponses>(plan);
  http_latencies_.resize(status_classes);
}

void Exchange::begin(uint64_t cycles) {
  started_ = true;
  if (is_open_) arrivals_.start(cycles);
}

void Exchange::operator()(Channel& channel) {
  obey();
  for (Event& event : channel.events()) {
    if (event.kind == Event::received) [[likely]]
      received(channel, event);
    else
      other(channel, event);
  }
  if (stopped_) return part(channel);
  if (has_idle_lanes() && (!closes_each_ || started_)) open_some(channel);
  if (closes_each_ || !started_) return;
  if (is_open_ || offered_count_ != 0)
    deal_out(channel);
  else if (!queues_ && begin_next_ < lanes_.size())
    begin_some(channel);
}

// --- when a request begins ---

// Inline, as answered() is: both are what a request costs.
[[gnu::always_inline]] inline void Exchange::request(Channel& channel, Lane& lane, uint64_t since) {
  begun_ += !closes_each_;
  if (depth_ == 1)
    lane.since = since;
  else
    time_of(lane, lane.oldest + lane.underway) = since;
  ++lane.underway;
  lane.phase = Phase::waiting;
  tally_.bytes_sent += request_.size();
  request_.send(channel, lane.connection);
}

// Closed loop: the first request of each lane, not all in one turn.
void Exchange::begin_some(Channel& channel) {
  uint64_t now = read_cycles();
  auto end = static_cast<uint32_t>(std::min<size_t>(begin_next_ + begin_per_turn, lanes_.size()));
  for (; begin_next_ < end; ++begin_next_)
    if (Lane& lane = lanes_[begin_next_]; lane.phase == Phase::ready) fill(channel, lane, now);
}

// As many as the pipeline holds.
void Exchange::fill(Channel& channel, Lane& lane, uint64_t now) {
  while (lane.underway < depth_ && begun_ != limit_) request(channel, lane, now);
}

// Whether one may begin, and since when it counts. Open loop: the next that is due, up to the end of the run.
bool Exchange::take_due(uint64_t now, uint64_t& since) {
  if (!is_open_) {
    since = now;
    return begun_ - ended_ < ramp_.window();
  }
  if (!again_.empty()) {
    since = again_.back();
    again_.pop_back();
    return true;
  }
  if (arrivals_.due() > std::min<uint64_t>(now, end_at_)) return false;
  since = arrivals_.take();
  most_late_ = std::max<uint64_t>(most_late_, now - since);
  return true;
}

// To lanes that stand in the queue.
void Exchange::deal_out(Channel& channel) {
  uint64_t now = read_cycles();
  for (uint32_t i = 0; i < begin_per_turn && offered_count_ != 0 && begun_ != limit_; ++i) {
    Lane& lane = lanes_[offered_[offered_head_]];
    bool usable = (lane.phase == Phase::ready || lane.phase == Phase::waiting) && lane.underway < depth_;
    uint64_t since = 0;
    if (usable && !take_due(now, since)) return;
    offered_head_ = offered_head_ + 1 == offered_.size() ? 0 : offered_head_ + 1;
    --offered_count_;
    lane.queued = false;
    if (!usable) continue;  // lost since; it is offered again when it has a connection
    request(channel, lane, since);
    if (lane.underway < depth_) offer(lane);
  }
}

void Exchange::offer(Lane& lane) {
  if (lane.queued) return;
  lane.queued = true;
  uint64_t at = offered_head_ + offered_count_++;
  offered_[at >= offered_.size() ? at - offered_.size() : at] = number_of(lane);
}

bool Exchange::may_open(uint64_t& since) {
  if (!is_open_ || !closes_each_) return true;
  return take_due(since, since);
}

void Exchange::opened(Channel& channel, Lane& lane, const Event& event, uint64_t now) {
  if (http_) http_->begin(static_cast<uint32_t>(event.token));
  if (closes_each_)
    request(channel, lane,
            is_open_ ? lane.since : now);  // open loop: all of it counts from the time it was due
  else if (queues_)
    offer(lane);
  else if (event.token < begin_next_)  // in the place of one that was lost
    fill(channel, lane, now);
}

// --- responses ---

[[gnu::always_inline]] inline void Exchange::answered(Channel& channel, Lane& lane, uint64_t now) {
  uint64_t since = lane.since;
  if (depth_ != 1) {
    since = time_of(lane, lane.oldest);
    lane.oldest = static_cast<uint16_t>(lane.oldest + 1 == static_cast<int>(depth_) ? 0 : lane.oldest + 1);
  }
  uint64_t ns = scale_.ns(now - since);
  latency_.record(ns);
  ++tally_.requests;
  --lane.underway;
  if (closes_each_) {
    leave_ready(lane, Phase::closing);
    if (closes_first_) channel.close(lane.connection);
    return;
  }
  if (lane.underway == 0) lane.phase = Phase::ready;
  ended();
  bool begins_slowly = !ramp_.is_over();
  if (begins_slowly) [[unlikely]] ramp_.answered(ns);
  if (is_open_ || begins_slowly)
    offer(lane);
  else if (begun_ != limit_)
    request(channel, lane, now);
}

// The last requests of a lane, by another one. Of an open loop they are still those that were due when they were.
void Exchange::ask_anew(Lane& lane, uint32_t count) {
  begun_ -= count;
  if (is_open_)
    for (; count > 0; --count) again_.push_back(time_of(lane, lane.oldest + count - 1));
}

void Exchange::received(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  if (stopped_) return;
  if (!is_simple_) return http_ != nullptr ? received_http(channel, event) : received_several(channel, event);
  if (lane.phase != Phase::waiting || !response_.matches(lane.received, event.bytes())) [[unlikely]]
    return protocol_error(channel, event);
  lane.received += event.length;
  tally_.bytes_received += event.length;
  if (lane.received < response_.size()) return;
  lane.received = 0;
  answered(channel, lane, read_cycles());  // the end of this request and the beginning of the next
}

// A pipeline's responses come in one piece, or in pieces that know nothing of their borders.
void Exchange::received_several(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  std::span<const uint8_t> text = event.bytes();
  uint64_t expected = uint64_t{lane.underway} * response_.size() - lane.received;
  if (lane.phase != Phase::waiting || text.size() > expected) return protocol_error(channel, event);
  tally_.bytes_received += text.size();
  uint64_t now = read_cycles();
  while (!text.empty()) {
    uint32_t left = response_.size() - lane.received;
    std::span<const uint8_t> part = text.first(std::min<size_t>(left, text.size()));
    if (!response_.matches(lane.received, part)) return protocol_error(channel, event);
    lane.received += static_cast<uint32_t>(part.size());
    if (part.size() < left) return;
    lane.received = 0;
    answered(channel, lane, now);
    text = text.subspan(part.size());
  }
}

// One event may end several responses, and the last of them the connection. The next request leaves when all of the text
// was read: what stands behind the responses that were awaited is no answer to it.
void Exchange::received_http(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  if (lane.phase == Phase::aborted) return;
  tally_.bytes_received += event.length;
  std::span<const uint8_t> text = event.bytes();
  uint64_t now = read_cycles();
  bool is_any = false, is_last = lane.phase == Phase::closing;
  while (!text.empty()) {
    HttpResponses::Reading reading =
        http_->read(static_cast<uint32_t>(event.token), text, lane.underway != 0 && !is_last);
    text = text.subspan(reading.taken);
    if (reading.what == HttpResponses::Reading::What::wrong) return protocol_error(channel, event);
    if (reading.what == HttpResponses::Reading::What::more) continue;
    responded(lane, reading, now);
    is_any = true;
    is_last = reading.is_last;
  }
  if (is_any) go_on(channel, lane, is_last, now);
}

void Exchange::responded(Lane& lane, const HttpResponses::Reading& reading, uint64_t now) {
  uint64_t ns = scale_.ns(now - (depth_ == 1 ? lane.since : time_of(lane, lane.oldest)));
  if (depth_ != 1) lane.oldest = static_cast<uint16_t>((lane.oldest + 1) % depth_);
  latency_.record(ns);
  http_latencies_[class_of(reading.status)].record(ns);
  ++tally_.requests;
  tally_.errors.status += !reading.is_expected;
  --lane.underway;
  if (closes_each_) return;
  ended();
  if (!ramp_.is_over()) ramp_.answered(ns);
}

// After responses: the connection's end, or more requests.
void Exchange::go_on(Channel& channel, Lane& lane, bool is_last, uint64_t now) {
  if (closes_each_ || is_last) {
    // What is underway behind a connection's last response has no answer coming.
    ask_anew(lane, lane.underway);
    lane.underway = 0;
    leave_ready(lane, Phase::closing);
    // A server that was asked to close, and says that it does, is the first to do so.
    if (!closes_each_ || closes_first_ || !is_last) channel.close(lane.connection);
    return;
  }
  if (lane.underway == 0) lane.phase = Phase::ready;
  if (is_open_ || !ramp_.is_over())
    offer(lane);
  else
    fill(channel, lane, now);
}

// --- the rest ---

void Exchange::other(Channel& channel, const Event& event) {
  switch (event.kind) {
    case Event::connected:
      if (!stopped_) connected(channel, event);
      break;
    case Event::peer_closed: peer_closed(channel, event); break;
    case Event::closed:
      note_reset(event);
      closed(channel, event);
      break;
    case Event::failed:
      if (!event.connection)
        connect_failed(channel, event);
      else if (event.reason == Event::full)
        lanes_[event.token].refused += event.length;
      break;
    case Event::writable:
      request_.send_last(channel, event.connection, std::exchange(lanes_[event.token].refused, 0));
      break;
    default: break;
  }
}

// Every request has its response, and the connection ends with an RST.
void Exchange::note_reset(const Event& event) {
  const Lane& lane = lanes_[event.token];
  bool is_open = lane.phase == Phase::ready || lane.phase == Phase::closing;
  if (http_ && !stopped_ && event.reason == Event::reset && is_open && lane.underway == 0)
    http_->count_reset(static_cast<uint32_t>(event.token));
}

void Exchange::peer_closed(Channel& channel, const Event& event) {
  Lane& lane = lanes_[event.token];
  if (stopped_ || lane.phase == Phase::closing) return channel.close(event.connection);
  if (http_ && lane.underway != 0) {
    // A body without a length ends with its connection.
    HttpResponses::Reading reading = http_->end(static_cast<uint32_t>(event.token));
    if (reading.what != HttpResponses::Reading::What::response) return protocol_error(channel, event);
    responded(lane, reading, read_cycles());
    ask_anew(lane, lane.underway);
    lane.underway = 0;
  } else if (!http_ || closes_each_) {
    return protocol_error(channel, event);
  }
  // A kept connection without requests may be closed by its server at any time.
  leave_ready(lane, Phase::closing);
  channel.close(event.connection);
}

void Exchange::gone(Lane& lane, bool) {
  if (closes_each_) return;
  for (; lane.underway > 0; --lane.underway) ended();
}

uint64_t Exchange::not_sent(uint64_t cycles) const {
  if (!is_open_ || !started_) return 0;
  return arrivals_.count_until(std::min<uint64_t>(cycles, end_at_)) + again_.size();
}

// Without a lane for it only an event moves the next one.
uint64_t Exchange::next_due() const {
  bool may_begin = closes_each_ ? has_idle_lanes() : offered_count_ != 0;
  if (!is_open_ || !started_ || !may_begin) return UINT64_MAX;
  if (!again_.empty() && !closes_each_) return 0;
  return arrivals_.due() <= end_at_ ? arrivals_.due() : UINT64_MAX;
}

uint64_t Exchange::unanswered() const {
  uint64_t sum = 0;
  for (const Lane& lane : lanes_)
    sum += lane.underway + (closes_each_ && lane.phase == Phase::connecting ? 1 : 0);
  return sum;
}

}  // namespace millrace::load
