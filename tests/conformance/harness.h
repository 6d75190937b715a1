// SPDX-License-Identifier: BSD-3-Clause
// One Stack, a scripted peer and virtual time. A test reads like a packet trace:
//
//   Net net;
//   net.established_passive();
//   net.in(A(1, 1, 100));                            // 100 bytes arrive
//   net.expect_after(milliseconds(40), A(1, 101));   // and are acknowledged
//
// Sequence numbers are relative: 0 is the SYN of either side. ARP answers itself unless told not to. Whatever
// was sent and not expected fails the test at its end, as does a buffer that got lost.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <tuple>
#include <vector>

#include "stack/internals.h"
#include "tests/conformance/packet.h"
#include "tests/sim/packets.h"
#include "tests/sim/turn.h"

namespace millrace {
inline void PrintTo(State s, std::ostream* os) {
  *os << name(s);
}
inline void PrintTo(Limit l, std::ostream* os) {
  *os << name(l);
}
inline void PrintTo(Phase p, std::ostream* os) {
  *os << name(p);
}
inline void PrintTo(Timer t, std::ostream* os) {
  *os << name(t);
}
inline void PrintTo(Event::Kind k, std::ostream* os) {
  *os << name(k);
}
inline void PrintTo(Event::Reason r, std::ostream* os) {
  *os << name(r);
}
}  // namespace millrace

namespace millrace::conformance {

using tcp::State;

// Where a test says something, for the message when it is not so.
struct Where {
  const char* file;
  int line;
  static constexpr Where here(const char* f = __builtin_FILE(), int l = __builtin_LINE()) { return {f, l}; }
};

// The other end of a connection, and what its SYN offers.
struct Peer {
  Ipv4Address ip = ipv4(10, 0, 0, 2);
  wire::Mac mac = {{2, 0, 0, 0, 0, 2}};
  uint16_t port = 5000;
  uint16_t to = 80;           // the stack's port
  uint32_t iss = 0xffffff00;  // so that numbers wrap in nearly every test
  uint16_t window = 65535;    // in each packet that says nothing else
  uint16_t mss = 1460;
  int wscale = -1;  // not offered
  bool sack = false;
  bool ts = false;
};

class Net {
 public:
  using Change = std::function<void(stack::Config&)>;
  explicit Net(const Change& change = {}, uint32_t ring = 1024);
  ~Net();
  Net(const Net&) = delete;

  static constexpr Ipv4Address own = ipv4(10, 0, 0, 1);
  static constexpr wire::Mac own_mac = {{2, 0, 0, 0, 0, 1}};

  Peer peer;
  ConnectionId id;  // of the latest accepted or connected
  Instant now;

  // --- packets ---
  void in(const Seg& seg) { in(peer, seg); }
  void in(const Peer& from, const Seg& seg) { frames({frame(from, seg)}); }
  void burst(std::initializer_list<Seg> segs);  // in one turn
  void frames(std::vector<Bytes> frames);
  Bytes frame(const Peer& from, const Seg& seg);
  Seg offer(Seg syn_or_syn_ack) const;   // with the options that `peer` offers
  Seg agreed(Seg syn_or_syn_ack) const;  // with those the stack then has

  void expect(const Seg& seg, Where at = Where::here()) { expect(peer, seg, at); }
  void expect(const Peer& to, const Seg& seg, Where at = Where::here());
  void expect_none(Where at = Where::here());
  // Nothing until then, but this then.
  void expect_after(Duration wait, const Seg& seg, Where at = Where::here());
  void silent_for(Duration wait, Where at = Where::here());
  void drop_sent() { sent.clear(); }
  // A router answers one of our segments with this error.
  void icmp(const Sent& about, uint8_t type, uint8_t code, uint16_t mtu = 0);
  IpHeader icmp_header() const;
  // (SEQ, length) of all that was sent and not expected; expected herewith.
  std::vector<std::pair<uint32_t, uint32_t>> take_sent();
  std::deque<Sent> sent;  // not yet expected
  std::deque<Sent> arp;   // ARP packets, in a list of their own

  // --- the application ---
  // What is told of cwnd here is RFC 5681's, if nothing else is said.
  static constexpr Options newreno{.congestion = millrace::Congestion::newreno};
  void listen(uint16_t port = 80, const Options& options = newreno, uint32_t backlog = 16);
  void unlisten(uint16_t port = 80);
  void connect(const Options& options = newreno, uint16_t local_port = 0);  // to peer.ip, peer.port
  void send(uint32_t n, bool more = false, bool urgent = false);       // the next n bytes of the stream
  void shutdown() { call(on_connection(Request::shutdown)); }
  void close() { call(on_connection(Request::close)); }
  void abort() { call(on_connection(Request::abort)); }
  void set(Setting setting, uint64_t value);
  void call(const Request& request);   // in a turn of its own
  void queue(const Request& request);  // with the next turn
  Request on_connection(Request::Kind kind) const;
  Request send_request(const std::string& text);
  void recycle_all();
  void read_on() { reads = true, run({}); }

  Event expect_event(Event::Kind kind, Event::Reason reason = Event::no_reason, Where at = Where::here());
  void expect_no_event(Where at = Where::here());
  std::deque<Event> events;  // but for text
  std::string received;      // all text since the beginning
  std::vector<Slice> kept;
  bool reads = true;                           // events are read as soon as they are there
  bool keep = false;                           // text is kept
  std::function<void(const Event&)> on_event;  // may queue()

  // --- time and room ---
  void advance(Duration d);
  bool answer_arp = true;
  uint32_t room = limits::tx_burst;
  uint32_t turns = 0;
  uint32_t emitted = 0;  // TxSegments: fewer than frames where hardware cuts them

  // --- into each state; relative numbers afterwards are in the comment: SEG.SEQ and SEG.ACK of the peer's
  // next ---
  void established_passive();        // 1, 1
  void established_active();         // 1, 1
  void syn_sent();                   // 0, 1
  void syn_received_passive();       // 1, 1
  void syn_received_simultaneous();  // 1, 1
  void fin_wait_1();                 // 1, 2: half closed by `shutdown`
  void fin_wait_2();                 // 1, 2
  void close_wait();                 // 2, 1
  void closing();                    // 2, 2
  void last_ack();                   // 2, 2
  void time_wait();                  // 2, 2
  void enter(State state);

  State state() const { return state(peer); }
  State state(const Peer& of) const;
  tcp::Tcb& tcb() { return stack->cx.tcbs[id.slot()]; }
  uint64_t counter(Count c) const { return stack::counters(*stack)[c]; }
  uint32_t peer_clock() const { return 7000 + static_cast<uint32_t>((now - start_).ms()); }
  uint32_t own_iss() { return learned(peer).iss; }
  stack::Config config;
  stack::Stack* stack = nullptr;

 private:
  // What the stack's own SYN has told.
  struct Learned {
    uint32_t iss = 0;
    uint32_t ts_offset = 0;
    uint32_t last_ts = 0;  // its latest TSval: what the peer echoes
  };
  Learned& learned(const Peer& p) { return learned_[{p.ip.value, p.port, p.to}]; }
  void run(std::vector<Bytes> frames);
  void turn(const std::vector<Bytes>& frames);
  void read_events();
  void emit();
  void note_frame(const Bytes& bytes);
  void note(const Sent& packet);
  void check();
  bool busy() const;

  sim::Packets packets_{1024};
  Instant start_;
  std::vector<std::byte> memory_;
  uint32_t consumed_ = 0;
  uint32_t reclaimed_ = 0;
  uint32_t queued_bytes_ = 0;
  bool listening_ = false;
  std::vector<Request> asked_;
  std::vector<Bytes> arp_answers_;
  std::map<std::tuple<uint32_t, uint16_t, uint16_t>, Learned> learned_;
  sim::Turn turn_;
};

}  // namespace millrace::conformance
