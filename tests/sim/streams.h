// SPDX-License-Identifier: BSD-3-Clause
// What flows on a connection. Every connection has a number; what each direction carries, how long it is and how it ends
// follow from the number, so both ends know what must arrive. Some connections are echoes: the server sends the very
// buffers back.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/pool.h"
#include "millrace/packet.h"
#include "tests/sim/plan.h"
#include "wire/seq.h"

namespace millrace::sim {

// How a stream ends, and what it carries.
struct Script {
  uint32_t length;      // bytes of this direction
  bool closes_early;    // shutdown as soon as all is queued, else after the peer's FIN
  bool aborts;          // ends somewhere in the middle
  bool by_close;        // ... with close, which may leave text unread, and not with abort
  uint32_t chunk;       // bytes of one send
  static Script of(const Plan& plan, uint32_t number, bool client);
};
bool is_echo(const Plan& plan, uint32_t number);
inline uint32_t count_of(const Plan& plan) { return plan.connections + plan.crossings; }
// Opened by both ends at once?
inline bool is_crossing(const Plan& plan, uint64_t number) {
  return number >= plan.connections && number < count_of(plan);
}

// However it ends is right: one of its ends will not wait for the other.
inline bool may_end_anyhow(const Plan& plan, uint32_t number) {
  return Script::of(plan, number, true).aborts || Script::of(plan, number, false).aborts || plan.impatient();
}

// The bytes from `at` on of a direction of connection `number`.
void fill(uint32_t number, bool client, uint32_t at, std::span<uint8_t> out);
// The first of `bytes` that is wrong.
std::optional<uint32_t> first_wrong(uint32_t number, bool client, uint32_t at, std::span<const uint8_t> bytes);

// What both ends share outside of the packets. A connection that failed before the server knew of it is tried again: an
// attempt is known by the client's port and ISS, which stand in the server's TCB.
struct Registry {
  struct Attempt {
    uint32_t number = 0;
    bool served = false;       // the server's application has been told
    bool client_over = false;  // the client's application has been told of its end
    bool undone = false;       // by a RST that the server sent before it knew of it
  };
  bool cookies = false;        // the server answers with some
  std::vector<Attempt> attempts;
  std::map<std::pair<uint16_t, uint32_t>, uint32_t> by_iss;
  std::set<uint32_t> crossed;  // numbers of which one end at least is connected
  std::map<std::pair<uint32_t, bool>, std::set<uint32_t>> urgent;  // of a number's direction: ends of urgent data

  uint32_t attempt(uint16_t port, wire::Seq iss, uint32_t number) {
    auto [it, added] = by_iss.try_emplace({port, iss.value}, static_cast<uint32_t>(attempts.size()));
    if (added) attempts.push_back({number, false, false, false});
    return it->second;
  }
  // The latest attempt of a number; no_index: there is none.
  uint32_t latest(uint32_t number) const {
    for (size_t i = attempts.size(); i > 0; --i)
      if (attempts[i - 1].number == number) return static_cast<uint32_t>(i - 1);
    return no_index;
  }
};

}  // namespace millrace::sim
