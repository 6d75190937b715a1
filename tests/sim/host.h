// SPDX-License-Identifier: BSD-3-Clause
// A Stack with what run and nic are to it in production: memory, buffers, an event ring, and the worker's turn, with
// frames going to and coming from links. After each turn everything that must hold is checked.
#pragma once

#include <optional>
#include <vector>

#include "tests/sim/checks.h"
#include "tests/sim/link.h"
#include "tests/sim/packets.h"
#include "tests/sim/turn.h"

namespace millrace::sim {

class Host {
 public:
  // The application: sees events one by one and may make requests with `ask`. Returning true keeps the buffer.
  struct Application {
    virtual ~Application() = default;
    virtual bool on_event(Host& host, Event& event) = 0;
    virtual void on_turn(Host& host) = 0;
    virtual void on_asked(Host& host) = 0;  // what was asked this turn has been done
  };

  Host(const Plan& plan, int number);

  // One turn at `now`: frames that have arrived on `in`, then the application, then what leaves goes to `out`.
  // Nothing happens while the host sleeps.
  void turn(Instant now, Link& in, Link& out, bool faulty, Application& application);
  // When it will have something to do, as its application has from `application` on.
  Instant next(const Link& in, Instant application) const;
  // Events that the application has not seen yet, in the ring or waiting for room in it.
  bool unread() const {
    return reclaimed_ != turn_.out.events[0].next || !stack->failed[0].empty() || !stack->cx.pending[0].empty() || !asked_.empty();
  }
  // Everything that the core holds has come back.
  bool is_empty() const;

  void ask(const Request& request);  // within a turn
  Slice buffer(uint32_t length);     // empty when none is free
  void recycle(const Slice& slice);

  stack::Stack* stack = nullptr;
  Packets packets;
  Instant now;        // of the world; the host's own clock is `offset` ahead
  Duration offset;
  uint64_t digest = 0xcbf29ce484222325;
  uint32_t lent = 0;  // buffers with the application: events in the ring and kept ones

 private:
  void collect(Link& in);
  void run_application(Application& application);
  void emit(Link& out, bool faulty);
  void check_conservation() const;
  Instant own(Instant at) const { return at + offset; }

  const Plan& plan_;
  int number_;
  Random random_;
  std::vector<std::byte> memory_;
  std::optional<Checks> checks_;
  uint32_t consumed_ = 0;   // events the application has gone past
  uint32_t reclaimed_ = 0;  // and whose places are free again
  std::vector<Request> asked_;
  std::vector<wire::Frame> frames_;
  Turn turn_;
  std::vector<uint32_t> drained_;  // flight records that nobody gets while there are faults
  Instant awake_at_;
};

}  // namespace millrace::sim
