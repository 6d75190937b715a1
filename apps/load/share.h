// SPDX-License-Identifier: BSD-3-Clause
// What one core has of the requests of a run. The connections are dealt out to the cores like cards, and
// requests to the connections in turn: so a core's part of the requests, and of a rate, is that of its
// connections to the last request, and its requests lie evenly among those of the others.
#pragma once

#include <cstdint>

namespace millrace::load {

class Share {
 public:
  // All of it.
  Share() = default;
  Share(uint32_t core, uint32_t cores, uint32_t all_connections)
      : core_(core), cores_(cores), all_(all_connections), mine_(of_round(all_connections)) {}

  uint32_t core() const { return core_; }
  uint32_t connections() const { return mine_; }
  double part() const { return static_cast<double>(mine_) / all_; }
  // How many of the run's first `count` requests.
  uint64_t of(uint64_t count) const {
    return count / all_ * mine_ + of_round(static_cast<uint32_t>(count % all_));
  }
  // Which of the run's requests, from 0 on, our `index`th is, from 0 on.
  uint64_t place(uint64_t index) const { return index / mine_ * all_ + index % mine_ * cores_ + core_; }
  // From that of ours to the next, without a division. `in_round` is the place in its round, and goes on,
  // too.
  uint64_t place_after(uint64_t place, uint32_t& in_round) const {
    uint32_t before = in_round;
    in_round += cores_;
    if (in_round < all_) return place + cores_;
    in_round = core_;
    return place + (all_ - before) + core_;
  }

 private:
  // Of the first so many of a round, in which each connection has one.
  uint32_t of_round(uint32_t count) const { return count / cores_ + (core_ < count % cores_ ? 1 : 0); }

  uint32_t core_ = 0, cores_ = 1;
  uint32_t all_ = 1, mine_ = 1;  // connections
};

}  // namespace millrace::load
