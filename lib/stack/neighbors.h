// SPDX-License-Identifier: BSD-3-Clause
// Next hops and their Ethernet addresses: ARP as a client (RFC 826, RFC 1122 2.3.2). Whoever wants to send to an
// address that is not known yet waits in the neighbour's own lists, so nothing is queued twice and nothing is lost
// (RFC1122-2.3.2.2).
#pragma once

#include <span>

#include "base/region.h"
#include "millrace/time.h"
#include "tcp/context.h"
#include "tcp/half_open.h"
#include "wire/mac.h"
#include "wire/parse.h"

namespace millrace::stack {

using HalfOpenList = IndexList<tcp::HalfOpen, &tcp::HalfOpen::ready>;

struct Neighbor {
  enum class State : uint8_t {
    unused,
    incomplete,  // asked; nothing can be sent
    reachable,
    probing,     // old: asked again, the known address is used meanwhile
    failed,      // did not answer
  };
  Ipv4Address address;
  wire::Mac mac;
  State state = State::unused;
  uint8_t asked = 0;       // requests since the state began
  bool ask = false;        // a request is to be sent
  bool fixed = false;      // the user's: nothing that is heard changes it, and it is never asked for
  uint32_t users = 0;      // TCBs that have something to send, a last RST too, and half-open records that go this way
  Instant next_at = Instant::never();  // of the state's timer
  tcp::ReadyList waiting;
  HalfOpenList waiting_half_open;

  bool usable() const { return state == State::reachable || state == State::probing; }
};

class Neighbors {
 public:
  static constexpr uint16_t none = 0xffff;

  // How long an address counts as good without being confirmed (RFC1122-2.3.2.1a), how often is asked
  // (RFC1122-2.3.2.1b) and how many times.
  static constexpr Duration good_for = seconds(60);
  static constexpr Duration ask_interval = seconds(1);
  static constexpr uint8_t ask_limit = 3;

  void init(Region& region, uint32_t capacity) { entries_ = region.take<Neighbor>(capacity); }

  // The neighbour of this address, a new one at its first use; none if all places are in use.
  uint16_t find_or_add(Ipv4Address address);
  uint16_t find(Ipv4Address address) const;
  // Fewer than half of the places could be had.
  bool crowded() const;
  Neighbor& operator[](uint16_t i) { return entries_[i]; }
  const Neighbor& operator[](uint16_t i) const { return entries_[i]; }
  uint16_t size() const { return used_; }

  // Someone wants to send there and cannot: starts asking if nobody does yet.
  void want(uint16_t i, Instant now);
  // Its address is known (again).
  void confirm(uint16_t i, const wire::Mac& mac, Instant now);
  // The way there may be dead (R1): ask.
  void doubt(uint16_t i, Instant now);

  // Known for good. False: no place for it.
  bool fix(Ipv4Address address, const wire::Mac& mac);

  // The state's timer of one neighbour. True: it has just failed.
  bool timeout(uint16_t i, Instant now);
  Instant next_deadline() const { return next_at_; }
  void refresh_deadline();
  bool asking() const { return asking_; }  // some neighbour has `ask` set
  void set_asking(bool on) { asking_ = on; }

 private:
  void set_timer(Neighbor& n, Instant at) {
    n.next_at = at;
    if (at < next_at_) next_at_ = at;
  }
  void start_asking(Neighbor& n, Neighbor::State state, Instant now);

  std::span<Neighbor> entries_;
  uint16_t used_ = 0;
  bool asking_ = false;
  Instant next_at_ = Instant::never();
};

}  // namespace millrace::stack
