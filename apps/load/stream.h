// SPDX-License-Identifier: BSD-3-Clause
// Bulk: each connection sends, or receives, or both, as fast as it goes. Counted are the bytes that were
// acknowledged and the bytes that arrived.
#pragma once

#include "load.h"
#include "outflow.h"

namespace millrace::load {

class Stream final : public Load {
 public:
  Stream(const Plan& plan, double cycles_per_second);

  void operator()(Channel& channel) override;

 private:
  void opened(Channel& channel, Lane& lane, const Event& event, uint64_t now) override;
  void gone(Lane&, bool) override {}
  bool may_open(uint64_t&) override { return true; }
  void give_up_open(uint64_t) override {}
  void other(Channel& channel, const Event& event);
  void pump(Channel& channel, uint32_t number);

  const bool sends_;
  const bool receives_;
  const uint64_t window_;
  const Page page_;
  std::vector<Outflow> flows_;     // by lane
  std::vector<uint64_t> arrived_;  // likewise
  uint32_t begin_next_ = 0;        // lanes before it have begun
};

}  // namespace millrace::load
