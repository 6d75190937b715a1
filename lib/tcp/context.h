// SPDX-License-Identifier: BSD-3-Clause
// What the functions of this room may touch besides the TCB they are given: the pools of one core, its marks for the
// end of the turn, and this turn's time. Nothing is sent or freed here: packets to release are written to an array.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/batch.h"
#include "base/event_port.h"
#include "base/index_list.h"
#include "base/limits.h"
#include "base/pool.h"
#include "millrace/request.h"
#include "millrace/statistics.h"
#include "tcp/params.h"
#include "tcp/tcb.h"
#include "timer/wheel.h"

namespace millrace::tcp {

using ReadyList = IndexList<Tcb, &Tcb::ready>;
using ToldList = IndexList<Tcb, &Tcb::told>;
using RoomList = IndexList<Tcb, &Tcb::room>;

// Delayed ACKs, all of one constant delay: a queue in order of time, at most one entry a connection.
struct AckQueue {
  struct Entry {
    uint32_t index;
    Instant at;
  };
  std::span<Entry> ring;  // a power of two
  uint32_t head = 0;
  uint32_t tail = 0;
  bool empty() const { return head == tail; }
  Entry& front() { return ring[head & (ring.size() - 1)]; }
  const Entry& front() const { return ring[head & (ring.size() - 1)]; }
  void push(Entry e) { ring[tail++ & (ring.size() - 1)] = e; }
};

struct Context {
  Instant now;
  Params params;
  Pool<Tcb> tcbs;
  Pool<Node> nodes;
  Pool<Run> runs;
  Pool<Flight> flights;
  timer::Wheel wheel;
  ReadyList ready_small;  // ACKs and answers below one MSS: first
  ReadyList ready_bulk;   // the rest, round robin
  ToldList pending[limits::channels];
  AckQueue ack_queue;
  // Law 8: what is held is bounded in buffers. Received packets (queued, or lent to the application) and the
  // application's own slices to send have a half of `held_limit` each, so that neither side's shortage can stop the other:
  // two hosts that both have too much to send still receive. Peers that do not read keep their share for as long as
  // they like. So that they cannot stop the others, a connection with nothing queued may always queue one request, and there
  // is a reserve for receiving (may_use_reserve).
  uint32_t held_limit = 0;
  uint32_t received_held = 0;
  uint32_t own_slices = 0;
  RoomList waiting_for_room;      // refused a send for want of buffers, and not told `writable` yet: first come, first told
  RoomList waiting_for_requests;  // ... and requests made before are yet to be served
  uint32_t orphans = 0;
  bool requests_waiting[limits::channels] = {};  // requests that were made before events were read are yet to be served
  Counters counters;
  SipKey isn_secret;
  uint32_t run_salt = 0;  // secret, too
  uint32_t core = 0;
  uint32_t segment_burst = 1;            // segments that may leave as one, for hardware to cut (TSO)
  uint16_t own_mss = 1460;               // what our link carries (RFC9293-MUST-67)
  Batch<PacketRef>* release = nullptr;   // of this turn's Output
  EventPort* ports = nullptr;            // likewise, by channel

  // Our MSS option, if the application wants `wanted`.
  uint16_t advertised_mss(uint16_t wanted) const {
    return wanted != 0 ? std::clamp<uint16_t>(wanted, 64, own_mss) : own_mss;
  }
  void count(Count c, uint64_t n = 1) { counters.add(c, n); }
  uint32_t index_of(const Tcb& tcb) const { return static_cast<uint32_t>(&tcb - &tcbs[0]); }
  ConnectionId id_of(const Tcb& tcb) const { return ConnectionId::make(core, index_of(tcb), tcb.generation); }

  // Asks for a visit by output at the end of the turn.
  void want_output(Tcb& tcb) {
    if (tcb.is(in_ready | in_wait)) return;
    tcb.set(in_ready);
    if (wire::distance(tcb.snd.nxt, tcb.end) >= tcb.mss) {
      tcb.set(in_bulk);
      ready_bulk.push_back(tcbs, index_of(tcb));
    } else {
      ready_small.push_back(tcbs, index_of(tcb));
    }
  }
  void unlink_ready(Tcb& tcb) {
    if (!tcb.is(in_ready)) return;
    (tcb.is(in_bulk) ? ready_bulk : ready_small).remove(tcbs, index_of(tcb));
    tcb.clear(in_ready | in_bulk);
  }
  // Asks for an event to be told.
  void tell(Tcb& tcb, Pending what) {
    tcb.pending |= what;
    if (tcb.is(in_pending)) return;
    tcb.set(in_pending);
    pending[tcb.channel].push_back(tcbs, index_of(tcb));
  }
  // Tells that the peer does not answer, unless the application has said that it wants no reports (RFC9293-SHLD-20).
  void report(Tcb& tcb) {
    if (!tcb.no_reports) tell(tcb, pend_slow);
  }
  // An ACK at the end of the turn, if nothing carries it.
  void ack_now(Tcb& tcb) {
    if (tcb.acks_due == 0) tcb.acks_due = 1;
    want_output(tcb);
  }
  // One more ACK, even if one is due already: duplicates are counted one by one by the peer.
  void ack_each(Tcb& tcb) {
    if (tcb.acks_due < 255) ++tcb.acks_due;
    want_output(tcb);
  }

  // A new deadline of `tcb`. Later ones than the wheel's are found when the wheel looks.
  void arm(Tcb& tcb, Instant at) {
    if (at < tcb.wheel_at) {
      tcb.wheel_at = at;
      wheel.arm(index_of(tcb), at);
    }
  }
  void start_timer(Tcb& tcb, Tcb::Timer kind, Duration after) {
    tcb.timer = kind;
    tcb.timer_at = now + after;
    arm(tcb, tcb.timer_at);
  }
  void stop_timer(Tcb& tcb) {
    tcb.timer = Tcb::Timer::none;
    tcb.timer_at = Instant::never();
  }

  // Short of buffers, the core first keeps no text out of order, then opens no window, then drops text as loss.
  bool may_keep_out_of_order(const Tcb& tcb) const {
    // At most three times what is left for all others: one peer does not take it all.
    return received_held < held_limit / 4 && tcb.out_count < 3 * (held_limit / 4 - received_held);
  }
  // The quarter behind that: for connections that get on, as long as they hold less than what is left of it. A peer that does
  // not take what it is sent (persist, or an RTO that is backed off) gets none of it but for its first packet.
  bool may_use_reserve(const Tcb& tcb) const {
    if (tcb.charged_packets == 0) return received_held < held_limit / 8 * 7;
    bool stuck = tcb.timer == Tcb::Timer::persist || tcb.backoff != 0;
    return !stuck && received_held + tcb.charged_packets < held_limit / 4 * 3;
  }
  bool has_plenty() const { return received_held < held_limit * 3 / 8; }
  bool may_open_window(const Tcb& tcb) const { return has_plenty() || may_use_reserve(tcb); }
  bool may_take_text(const Tcb& tcb) const { return received_held < held_limit / 2 || may_use_reserve(tcb); }
  bool may_queue_own(const Tcb& tcb, uint32_t slices) const {
    return own_slices + slices <= held_limit / 2 || tcb.send_head == no_index;
  }
  // What a connection that was refused is told `writable` for.
  bool has_room_again(const Tcb& tcb) const { return may_queue_own(tcb, held_limit / 16); }
  // Nodes for all of that.
  static uint32_t nodes_for(uint32_t held_limit, uint32_t connections) {
    return held_limit / 2 + held_limit + connections * Request::max_slices;
  }

  // Gives a slice back to whom it came from: the packet to its pool, its bytes to the window that they were charged to.
  void give_back(const Slice& slice) {
    if (slice.origin == Slice::registered) return;
    if (slice.lent()) uncharge(slice.origin, slice.length);
    release->push(slice.packet);
  }
  // A received packet is held no more.
  void uncharge(uint32_t origin, uint32_t bytes);

  bool wants_ecn(Congestion congestion, EcnMode at_least) const {
    return congestion == Congestion::dctcp || params.ecn >= at_least;
  }

  // As wire::OptionBit.
  uint8_t syn_order() const { return params.syn_layout == SynLayout::scale_first ? wire::opt_scale_first : 0; }

  // RFC9293-MUST-27: configurable, for all and for one.
  Duration keepalive_time(const Tcb& tcb) const {
    return tcb.keepalive_s != 0 ? seconds(tcb.keepalive_s) : params.keepalive_time;
  }
  Duration keepalive_interval(const Tcb& tcb) const {
    return tcb.keepalive_interval_s != 0 ? seconds(tcb.keepalive_interval_s) : params.keepalive_interval;
  }
  uint32_t keepalive_probes(const Tcb& tcb) const {
    return tcb.keepalive_probes != 0 ? tcb.keepalive_probes : params.keepalive_probes;
  }
  // The application has closed: from now on the connection is an orphan.
  void orphan(Tcb& tcb) {
    if (tcb.is(app_closed)) return;
    tcb.set(app_closed);
    ++orphans;
  }

  // The clock of timestamps: a tick a millisecond, from an origin of the connection's own (RFC7323-4.1, -5.4, -7.1).
  uint32_t ts_now(const Tcb& tcb) const { return static_cast<uint32_t>(now.ms()) + tcb.ts_offset; }
};

// The largest window that can be promised, whatever the buffer: what the header's field can say; with `whole_segments` all
// of the segment that this ends in.
inline uint32_t most_promised(const Context& cx, const Tcb& tcb) {
  uint32_t said = 65535u << tcb.rcv_wscale;
  if (!cx.params.whole_segments) [[likely]] return said;
  uint32_t whole = tcb.mss + (tcb.is(ts_ok) ? 12u : 0u);
  return (said + whole - 1) / whole * whole;
}

// The window that the receive buffer allows now; whether to tell it is output's decision. Nothing for as long as the
// application keeps what fills it (RFC9293-MAY-8).
inline uint32_t free_window(const Context& cx, const Tcb& tcb) {
  return tcb.receive_buffer > tcb.charged ? std::min(tcb.receive_buffer - tcb.charged, most_promised(cx, tcb)) : 0;
}

// What opening the window must gain to be worth telling (RFC9293-MUST-39): also what the scaled field can say.
inline uint32_t least_opening(const Tcb& tcb) {
  return std::max(std::min<uint32_t>(tcb.mss, tcb.receive_buffer / 2), 1u << tcb.rcv_wscale);
}

// Would a window update open the peer's window by something worth a packet? (RFC9293-MUST-39)
inline bool window_update_due(const Context& cx, const Tcb& tcb) {
  if (!in(tcb.state, receiving) || tcb.is(app_closed)) return false;
  if (!cx.may_open_window(tcb)) return false;
  int32_t gain = wire::offset(tcb.rcv.adv, tcb.rcv.nxt + free_window(cx, tcb));
  uint32_t open = wire::distance(tcb.rcv.nxt, tcb.rcv.adv);
  if (gain <= 0) return false;
  // Half of it has come free, or the window is nearly shut and a segment fits again.
  return static_cast<uint32_t>(gain) >= std::min(tcb.receive_buffer, most_promised(cx, tcb)) / 2 ||
         (open < 2u * tcb.mss && static_cast<uint32_t>(gain) >= least_opening(tcb));
}

inline void Context::uncharge(uint32_t origin, uint32_t bytes) {
  --received_held;
  uint32_t index = origin >> 8;
  if (index >= tcbs.capacity()) return;
  Tcb& tcb = tcbs[index];
  // The connection that received it may be gone; its slot's next owner has another generation.
  if ((tcb.generation & 0xff) != (origin & 0xff) || tcb.charged_packets == 0) return;
  tcb.charged -= std::min(bytes, tcb.charged);
  // Applications may cut kept slices: when the last is back, nothing is charged, whatever the lengths said.
  if (--tcb.charged_packets == 0) tcb.charged = 0;
  if (window_update_due(*this, tcb)) ack_now(tcb);
}

}  // namespace millrace::tcp
