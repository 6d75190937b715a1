// SPDX-License-Identifier: BSD-3-Clause
// One direction of a wire: frames as bytes, each with the time at which it arrives. What happens to frames on their
// way happens here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tests/sim/plan.h"
#include "tests/sim/router.h"

namespace millrace::sim {

class Link {
 public:
  static constexpr uint32_t largest = 1920;  // bytes of a frame

  Link(const Plan& plan, uint64_t salt)
      : faults_(plan.faults), delay_(plan.delay), random_(plan.seed ^ salt), router_(plan, salt) {}
  Link* back = nullptr;  // the other direction: where errors about what is sent here go

  // A frame that left at `now`.
  void send(std::span<const uint8_t> frame, Instant now, bool faulty);
  // A frame from elsewhere, that arrives at `at`.
  void inject(std::span<const uint8_t> frame, Instant at) { arrive(at, frame); }

  Instant next() const { return heap_.empty() ? Instant::never() : heap_.front().at; }
  bool empty() const { return heap_.empty(); }
  // The bytes of the next frame: valid until the next call.
  std::span<const uint8_t> take();

 private:
  struct Arrival {
    Instant at;
    uint64_t serial;  // of two at one time the first stays the first
    uint32_t buffer;
    uint32_t length;
    // For a heap that has the earliest at its front.
    friend bool operator<(const Arrival& a, const Arrival& b) {
      return a.at != b.at ? a.at > b.at : a.serial > b.serial;
    }
  };
  bool hit(uint32_t per_mille) { return per_mille != 0 && random_.below(1000) < per_mille; }
  uint8_t* buffer(uint32_t index) { return bytes_.data() + size_t{index} * largest; }
  void arrive(Instant at, std::span<const uint8_t> frame);
  bool lost(Instant now);
  void squeeze(std::span<uint8_t> frame, Instant now);
  void mark(std::span<uint8_t> frame);
  void replay(std::span<const uint8_t> frame, Instant now);

  const Faults& faults_;
  Duration delay_;
  Random random_;
  Router router_;
  std::vector<Arrival> heap_;
  std::vector<uint8_t> bytes_;
  std::vector<uint32_t> free_;
  std::vector<std::vector<uint8_t>> old_;  // frames that may come once more
  uint64_t serial_ = 0;
  Instant begun_{};                        // the first frame's time
  Instant in_order_{};                     // no frame that is only late overtakes
  bool bad_ = false;
  Instant bad_since_{};
  uint32_t window_most_ = 65535;
  Instant window_until_{};
};

}  // namespace millrace::sim
