// SPDX-License-Identifier: BSD-3-Clause
// What the two hosts do with each other: the client opens connections, the server listens, and some are opened by both
// at once. Each end checks what it is told against what must come.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/sim/host.h"
#include "tests/sim/streams.h"

namespace millrace::sim {

class Peer : public Host::Application {
 public:
  Peer(const Plan& plan, Registry& registry, bool client);

  bool on_event(Host& host, Event& event) override;
  void on_turn(Host& host) override;
  void on_asked(Host& host) override;

  // Nothing is left to do, and nothing is held.
  bool done() const;
  std::string unfinished() const;
  uint32_t finished() const { return finished_; }
  Instant next_work() const { return next_work_; }

 private:
  struct Connection {
    ConnectionId id;
    uint32_t number = 0;
    uint32_t attempt = 0;
    Script script{};
    bool echo = false;
    bool any_end = false;   // however it ends is right
    bool ghost = false;     // the server's alone: the client knows nothing of it
    uint32_t queued = 0;    // bytes given to send
    uint32_t acked = 0;
    uint32_t received = 0;
    uint32_t expected = 0;
    bool blocked = false;   // failed(full) until `writable`
    int come_back = 0;      // refused sends since then
    bool peer_closed = false;
    bool shut = false;
    bool closed = false;
    bool aborted = false;
    Instant heard_at;       // the latest event
    bool asks = false;      // with keep-alive, whether the peer is still there
    std::vector<Slice> refused;  // an echo's buffers that did not fit
  };
  struct Kept {
    Slice slice;
    Instant until;
  };

  Connection& open(Host& host, const Event& event, uint32_t number, uint32_t attempt);
  bool opened(Host& host, Event& event);
  void not_connected(const Event& event);
  bool received(Host& host, Connection& c, Event& event);
  void urgent(const Connection& c, uint32_t ahead);
  void closed(Connection& c, Event::Reason reason);
  bool failed(Host& host, Event& event);
  void work(Host& host, Connection& c);
  void send(Host& host, Connection& c, const Slice& slice, bool own);
  void send_own(Host& host, Connection& c);
  bool ends_in_the_middle(Host& host, Connection& c);
  void finish_sending(Host& host, Connection& c);
  void listen(Host& host);
  void connect(Host& host, uint32_t number);
  void connect_all(Host& host);
  void cross(Host& host);
  void wait_again(uint32_t number);
  Options options() const;

  const Plan& plan_;
  const HostPlan& own_;
  Registry& registry_;
  bool client_;
  Random random_;
  bool listening_ = false;
  Instant listener_until_ = Instant::never();
  bool listener_left_ = false;
  uint32_t asked_ = 0;      // connects made
  uint32_t waiting_ = 0;    // connects without an answer
  uint32_t finished_ = 0;
  Instant next_work_ = Instant::never();
  std::map<uint64_t, Connection> open_;
  std::vector<Kept> kept_;
  std::vector<uint32_t> again_;      // numbers whose connect failed
  std::vector<uint32_t> crossings_;  // numbers that both ends still have to open
  uint64_t crossed_ = 0;             // the round in which that was tried last
};

}  // namespace millrace::sim
