// SPDX-License-Identifier: BSD-3-Clause
// Destinations whose path carries less than our link (RFC 1191 6.2), for the connections to come and those whose
// retransmission timer expires. A table of fixed size, four places to a hash: only errors that have proved to know a
// connection write it, and who is pushed out is found again by the next segment that is too long.
#pragma once

#include <span>

#include "base/region.h"
#include "base/siphash.h"
#include "millrace/address.h"
#include "millrace/time.h"

namespace millrace::stack {

class Paths {
 public:
  struct Path {
    Ipv4Address remote;  // unspecified: free
    uint16_t mtu = 0;
    Instant until;       // it counts before then (RFC 1191 6.3)
  };

  void init(Region& region, uint32_t capacity, const SipKey& secret);

  // Nothing is known of anybody: the usual case, and all that a connect then asks.
  bool empty(Instant now) const { return now >= last_until_; }
  // nullptr: nothing is known.
  const Path* find(Ipv4Address remote, Instant now) const;
  // An error has told it. What is known to be less stays, for as long as it counts.
  void learn(Ipv4Address remote, uint16_t mtu, Instant now, Instant until);

 private:
  static constexpr uint32_t ways = 4;
  std::span<Path> set_of(Ipv4Address remote) const;

  std::span<Path> entries_;
  SipKey secret_;
  Instant last_until_;
};

}  // namespace millrace::stack
