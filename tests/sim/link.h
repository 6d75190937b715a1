// SPDX-License-Identifier: BSD-3-Clause
// One direction of a wire: frames as bytes, each with the time at which it arrives. Loss, duplication, reordering and
// corruption happen here; a router (router.h) may stand in it.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "tests/sim/plan.h"
#include "tests/sim/router.h"

namespace millrace::sim {

class Link {
 public:
  Link(const Plan& plan, uint64_t salt) : plan_(plan), random_(plan.seed ^ salt), router_(plan, salt) {}
  Link* back = nullptr;  // the other direction: where errors about what is sent here go

  void send(std::vector<uint8_t> bytes, Instant now, bool faulty) {
    if (auto error = router_.refuses(bytes, now); !error.empty()) {
      bool lost = faulty && random_.below(1000) < plan_.faults.loss;
      if (!lost) back->in_flight_.emplace(now + plan_.delay, std::move(error));
      return;
    }
    if (faulty)
      if (auto error = router_.forges(bytes); !error.empty()) back->in_flight_.emplace(now + plan_.delay, std::move(error));
    auto hit = [&](uint32_t per_mille) { return faulty && random_.below(1000) < per_mille; };
    if (hit(plan_.faults.loss)) return;
    // Only what checksums protect: on a real wire the frame check sequence guards the rest.
    if (hit(plan_.faults.corruption) && bytes.size() > 34 && bytes[12] == 0x08 && bytes[13] == 0x00) {
      uint32_t at = 14 + random_.below(static_cast<uint32_t>(bytes.size()) - 14);
      bytes[at] ^= static_cast<uint8_t>(1u << random_.below(8));
    }
    Duration extra = hit(plan_.faults.reordering) ? nanoseconds(random_.below(static_cast<uint32_t>(plan_.faults.jitter.ns)))
                                                  : Duration{};
    if (hit(plan_.faults.duplication))
      in_flight_.emplace(now + plan_.delay + nanoseconds(random_.below(1'000'000)), bytes);
    in_flight_.emplace(now + plan_.delay + extra, std::move(bytes));
  }
  Instant next() const { return in_flight_.empty() ? Instant::never() : in_flight_.begin()->first; }
  bool empty() const { return in_flight_.empty(); }
  std::vector<uint8_t> take() {
    auto bytes = std::move(in_flight_.begin()->second);
    in_flight_.erase(in_flight_.begin());
    return bytes;
  }

 private:
  const Plan& plan_;
  Random random_;
  Router router_;
  std::multimap<Instant, std::vector<uint8_t>> in_flight_;
};

}  // namespace millrace::sim
