// SPDX-License-Identifier: BSD-3-Clause
// What a Stack is made of, for the files of this room and for tests that look inside.
#pragma once

#include <span>
#include <utility>

#include "flow/flow_table.h"
#include "flow/listeners.h"
#include "flow/local_ports.h"
#include "stack/neighbors.h"
#include "stack/paths.h"
#include "stack/stack.h"
#include "tcp/context.h"
#include "tcp/half_open.h"
#include "tcp/output.h"
#include "tcp/segment_arrives.h"
#include "tcp/syn_cookie.h"
#include "tcp/time_wait.h"

namespace millrace::stack {

using flow::Kind;
using flow::Number;
using tcp::CookieVerdict;
using tcp::HalfOpen;
using tcp::State;
using tcp::Tcb;
using tcp::TimeWait;

struct Listener {
  uint64_t token = 0;
  Ipv4Address address;
  Options options;
  uint32_t generation = 0;
  uint32_t backlog = 0;
  uint32_t untold = 0;  // accepted connections whose event is not delivered
  uint16_t port = 0;
  uint16_t own_mss = 0;  // what its SYN,ACKs say
  uint8_t channel = 0;
  uint32_t half_open = 0;  // records
  uint64_t accepted = 0;
  Instant cookies_until;   // until then an ACK may bring back a cookie
};

// `failed` events wait here when their channel's ring is full. Requests are taken only while a whole turn's worth
// of them would fit.
struct FailedQueue {
  static constexpr uint32_t capacity = 1024;
  std::span<Event> ring;
  uint32_t head = 0;
  uint32_t tail = 0;
  bool empty() const { return head == tail; }
  uint32_t room() const { return capacity - (tail - head); }
  void push(const Event& e) { ring[tail++ & (capacity - 1)] = e; }
  Event& front() { return ring[head & (capacity - 1)]; }
};

// An OPEN that has its addresses, and the port that it is to try first.
struct Opening {
  wire::FlowKey key;
  uint32_t tag;   // of the key
  uint32_t pool;  // that the port is from; no_index: none, the application has chosen it
  Event::Reason refused;
};

class Stack {
 public:
  Config config;
  tcp::Context cx;
  flow::FlowTable flows;
  flow::Listeners listeners;
  std::span<Listener> listening;
  flow::LocalPorts ports;
  Pool<HalfOpen> half_opens;
  tcp::TimeWaitRing time_waits;
  Neighbors neighbors;
  Paths paths;
  HalfOpenList ready_half_opens;
  FailedQueue failed[limits::channels];
  SipKey flow_secret;
  SipKey cookie_secret;
  uint32_t channels = 0;
  uint32_t to_announce = 0;  // own addresses still to be announced by gratuitous ARP
  uint32_t sweep = 0;        // close_all and abort_some go on from here
  bool closing = false;      // no new connections
  wire::ParsedBurst burst;
  Opening openings[limits::requests_per_turn];  // of a burst of requests

  uint32_t tag_of(const wire::FlowKey& key) const { return flow::FlowTable::tag_of(wire::hash(flow_secret, key)); }
  Number find(uint32_t tag, const wire::FlowKey& key) const {
    return flows.find(tag, [&](Number n) { return key_of(n) == key; });
  }
  // nullptr: stale.
  const Tcb* find(ConnectionId id) const {
    if (id.core() != config.core || id.slot() >= cx.tcbs.capacity()) return nullptr;
    const Tcb& tcb = cx.tcbs[id.slot()];
    return tcb.generation == id.generation() && tcb.state != State::closed ? &tcb : nullptr;
  }
  Tcb* find(ConnectionId id) { return const_cast<Tcb*>(std::as_const(*this).find(id)); }
  const wire::FlowKey& key_of(Number n) const {
    switch (n.kind()) {
      case Kind::tcb: return cx.tcbs[n.index()].key;
      case Kind::half_open: return half_opens[n.index()].key;
      default: return time_waits[n.index()].key;
    }
  }
  // A listener's index with its generation: records and connections that outlive it must not take its successor for it.
  uint32_t handle_of(uint32_t listener) const { return listening[listener].generation << 16 | listener; }
  Listener* listener_of(uint32_t handle) const {  // nullptr: gone
    uint32_t index = handle & 0xffff;
    return handle != no_index && handle_of(index) == handle ? &listening[index] : nullptr;
  }
  uint32_t wheel_index(uint32_t half_open) const { return config.max_connections + half_open; }
};

// --- answers: stateless, into the reserve of the turn's segments ---
bool answer_room(Stack& s, Output& out);  // false: counted
void answer(Stack& s, const wire::TxSegment& tx, Output& out);
// May a record that was last asked at `answered_ms` acknowledge `seg`? False: counted.
bool answer_due(Stack& s, uint32_t& answered_ms, const wire::Segment& seg);
// What `answered_ms` begins with.
uint32_t never_answered(const Stack& s);
void receive_other(Stack& s, const wire::Frame& frame, const wire::OtherFrame& other, Output& out);

// --- ICMP and path MTU ---
void receive_icmp(Stack& s, const wire::Frame& frame, const wire::OtherFrame& other, Output& out);
void note_path_mtu(Stack& s, Ipv4Address remote, uint16_t mtu);
// What is known of the connection's path holds for it too.
void apply_path_mtu(Stack& s, Tcb& tcb);

// --- routes ---
// The next hop towards `remote`; Neighbors::none: there is no route, or no place for one more neighbour. A stranger is
// an address that may be forged: not the last places are for it.
uint16_t next_hop(Stack& s, Ipv4Address remote, bool stranger = false);
void wake_waiting(Stack& s, Neighbor& n);
void neighbor_failed(Stack& s, uint16_t index, Output& out);

// --- passive opens ---
// A segment that no connection or record claims, to a port that is listened on. True: its packet was kept.
bool arrives_listen(Stack& s, uint32_t listener, const wire::FlowKey& key, uint32_t tag, const wire::Segment& seg,
                    Output& out);
// A SYN to a listener. False: there is no record for it. Its ISS will not lie before `not_before`, if that is not 0.
bool open_half(Stack& s, uint32_t listener, const wire::FlowKey& key, uint32_t tag, const wire::Segment& seg,
               wire::Seq not_before);
// The record as a TCB in ESTABLISHED, which `seg` has completed; nullptr: counted why. The table is the caller's.
Tcb* establish_passive(Stack& s, const HalfOpen& record, Listener& listener);
// `seg` goes on to the new connection. True: its packet was kept.
bool complete_passive(Stack& s, Tcb& tcb, const wire::Segment& seg, Output& out);
// The options of a SYN that we agree to.
uint8_t agreed_options(const Stack& s, uint8_t offered);
// Dispatches a segment of a half-open record. True: its packet was kept.
bool arrives_half_open(Stack& s, uint32_t index, const wire::Segment& seg, Output& out);
void forget_half_open(Stack& s, uint32_t index);
void half_open_timeout(Stack& s, uint32_t index);
void emit_syn_ack(Stack& s, HalfOpen& record, tcp::Emission& emission);

// --- SYN cookies: passive opens that have no record ---
void send_cookie(Stack& s, uint32_t listener, const wire::FlowKey& key, const wire::Segment& seg, Output& out);
// Does `seg` bring back a cookie of this listener? Then `record` is what would have been remembered.
CookieVerdict returns_cookie(Stack& s, uint32_t listener, const wire::FlowKey& key, const wire::Segment& seg,
                             HalfOpen& record);
// The connection of a cookie that came back. True: the packet was kept.
bool accept_cookie(Stack& s, HalfOpen& record, uint32_t tag, const wire::Segment& seg, Output& out);

// --- connections ---
// A TCB with all that OPEN sets up, in CLOSED; nullptr: none is free.
Tcb* new_tcb(Stack& s, const wire::FlowKey& key, uint32_t tag, uint16_t neighbor, const Options& options,
             uint32_t channel, uint64_t token);
// The connection is over: out of the table, its buffers back; the slot goes when `closed` is told.
void remove(Stack& s, Tcb& tcb, Event::Reason reason);
// The RST of a connection that is over has left, or cannot.
void end_reset(Stack& s, Tcb& tcb);

void enter_time_wait(Stack& s, Tcb& tcb, const wire::Segment& seg, Output& out);
// The ACK that a TIME-WAIT record answers with.
void acknowledge(Stack& s, const TimeWait& record, const wire::Segment& seg, Output& out);
void free_slot_if_done(Stack& s, Tcb& tcb);
void end_time_wait(Stack& s, uint32_t index);
// Applies what segment_arrives or a timeout decided. True: the packet was kept.
bool settle(Stack& s, Tcb& tcb, const tcp::Outcome& outcome, const wire::Segment& seg, Output& out);
void fail(Stack& s, uint32_t channel, Event::Reason reason, ConnectionId connection, uint64_t token,
          const Slice* slice = nullptr);

}  // namespace millrace::stack
