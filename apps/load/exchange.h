// SPDX-License-Identifier: BSD-3-Clause
// Requests and their responses: workloads rps, cps, hold and http. A lane has one request underway, or
// several behind each other (pipeline); their answers come in order.
//
// Closed loop: a response is followed by the next request at once (very many begin slowly: ramp.h). Open loop: lanes that may take a request
// stand in a queue, and the requests that are due are dealt out to them once a turn, each with the time that
// it was due at.
#pragma once

#include <memory>
#include <vector>

#include "arrivals.h"
#include "http_client.h"
#include "load.h"
#include "payload.h"

namespace millrace::load {

class Exchange final : public Load {
 public:
  Exchange(const Plan& plan, double cycles_per_second);

  void operator()(Channel& channel) override;
  uint64_t not_sent(uint64_t cycles) const override;
  uint64_t unanswered() const override;
  uint64_t window() const override { return ramp_.window(); }
  uint64_t next_due() const override;
  // http: what came of responses, and how long those of each class of status took.
  const HttpResponses* http() const { return http_.get(); }
  const Histogram& http_latency(unsigned status_class) const { return http_latencies_[status_class]; }

 private:
  void opened(Channel& channel, Lane& lane, const Event& event, uint64_t now) override;
  void gone(Lane& lane, bool in_order) override;
  bool may_open(uint64_t& since) override;
  void give_up_open(uint64_t since) override {
    if (is_open_) again_.push_back(since);
  }

  void begin(uint64_t cycles) override;
  void begin_some(Channel& channel);
  void deal_out(Channel& channel);
  void fill(Channel& channel, Lane& lane, uint64_t now);
  void request(Channel& channel, Lane& lane, uint64_t since);
  void offer(Lane& lane);
  void ask_anew(Lane& lane, uint32_t count);
  bool take_due(uint64_t now, uint64_t& since);
  void received(Channel& channel, const Event& event);
  void received_several(Channel& channel, const Event& event);
  void received_http(Channel& channel, const Event& event);
  void responded(Lane& lane, const HttpResponses::Reading& reading, uint64_t now);
  void go_on(Channel& channel, Lane& lane, bool is_last, uint64_t now);
  void note_reset(const Event& event);
  void answered(Channel& channel, Lane& lane, uint64_t now);
  void other(Channel& channel, const Event& event);
  void peer_closed(Channel& channel, const Event& event);
  uint64_t& time_of(Lane& lane, uint32_t which) {
    return times_[uint64_t{number_of(lane)} * depth_ + which % depth_];
  }

  const bool closes_first_;
  const bool is_open_;
  const bool queues_;     // lanes that may take a request stand in a queue, at least at the beginning
  const bool is_simple_;  // a response is as long as it is, and one at a time
  const uint32_t depth_;  // of the pipeline
  const Payload request_;
  const Payload response_;
  std::unique_ptr<HttpResponses> http_;
  std::vector<Histogram> http_latencies_;  // by class
  Arrivals arrivals_;
  std::vector<uint64_t> times_;  // with a pipeline: when the requests underway began, a ring for each lane
  // Numbers of lanes, the one that waits longest first. A lane stands in it once.
  std::vector<uint32_t> offered_;
  uint32_t offered_head_ = 0, offered_count_ = 0;
  // Closed loop of more lanes than begin at once: the same queue, while it begins.
  Ramp ramp_;
  // When they were due: connects that found no port, and requests whose connection ended before their turn.
  std::vector<uint64_t> again_;
  uint32_t begin_next_ = 0;      // closed loop: lanes before it have had their first request
};

}  // namespace millrace::load
