// SPDX-License-Identifier: BSD-3-Clause
// What the two hosts do with each other. Every connection has a number; what flows on it in each direction, how long it
// is and how it ends follow from the number, so both ends know what must arrive. Some connections are echoes: the
// server sends the very buffers back.
#pragma once

#include <map>
#include <vector>

#include "tests/sim/host.h"

namespace millrace::sim {

// How a stream ends, and what it carries.
struct Script {
  uint32_t length;      // bytes of this direction
  bool closes_early;    // shutdown as soon as all is queued, else after the peer's FIN
  bool aborts;          // RST somewhere in the middle
  uint32_t chunk;       // bytes of one send
  static Script of(const Plan& plan, uint32_t number, bool client);
};
bool is_echo(const Plan& plan, uint32_t number);

// Byte `at` of a direction of connection `number`.
uint8_t content(uint32_t number, bool client, uint32_t at);

// What both ends share outside of the packets: which connection a client's port stands for.
struct Registry {
  std::map<uint16_t, uint32_t> by_client_port;
};

class Peer : public Host::Application {
 public:
  Peer(const Plan& plan, Registry& registry, bool client) : plan_(plan), registry_(registry), client_(client),
      random_(plan.seed * 31 + client) {}

  bool on_event(Host& host, Event& event) override;
  void on_turn(Host& host) override;

  // Nothing is left to do, and nothing is held.
  bool done() const;
  std::string unfinished() const;
  uint32_t finished() const { return finished_; }
  Instant next_work() const { return next_work_; }

 private:
  struct Connection {
    ConnectionId id;
    uint32_t number = 0;
    Script script{};
    bool echo = false;
    bool expect_abort = false;
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
    std::vector<Slice> refused;  // an echo's buffers that did not fit
  };
  struct Kept {
    Slice slice;
    Instant until;
  };

  void open(Host& host, const Event& event, uint32_t number);
  bool received(Host& host, Connection& c, Event& event);
  void closed(Connection& c, Event::Reason reason);
  bool failed(Host& host, Event& event);
  void work(Host& host, Connection& c);
  void send(Host& host, Connection& c, const Slice& slice);
  void finish_sending(Host& host, Connection& c);

  const Plan& plan_;
  Registry& registry_;
  bool client_;
  Random random_;
  bool listening_ = false;
  uint32_t asked_ = 0;      // connects made
  uint32_t waiting_ = 0;    // connects without an answer
  uint32_t finished_ = 0;
  Instant next_work_ = Instant::never();
  std::map<uint64_t, Connection> open_;
  std::vector<Kept> kept_;
  std::vector<uint32_t> again_;  // numbers whose connect found no port
};

}  // namespace millrace::sim
