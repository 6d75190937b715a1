// SPDX-License-Identifier: BSD-3-Clause
// An application's side of one core: events to read, requests to make. On the core's own lcore it is served inline, for
// a thread of its own it crosses lcores; the calls are the same.
//
// Thread: a Channel belongs to the one thread that the application uses it from, and all calls are made there.
// Errors: a request never fails at the call. What could not be done comes back as an Event `failed` with the reason,
// and with the buffer that was in it. A request that names a connection which has gone meanwhile is no mistake:
// `close`, `abort` and `recycle` are passed over then, the others get failed(stale).
// Waiting: events are queued in the order they came; requests are served in the order they were made, inline at the
// latest when the application's turn ends. Where the ring of requests is full, a call waits until the core has taken
// some; none is ever lost. After the endpoint's end requests are dropped, and their buffers go back.
#pragma once

#include <cstdint>
#include <span>

#include "millrace/address.h"
#include "millrace/event.h"
#include "millrace/request.h"
#include "millrace/ring.h"
#include "millrace/statistics.h"
#include "millrace/time.h"

namespace millrace {

// OPEN, passive (RFC 9293 3.9.1.1).
struct Listen {
  Ipv4Address address{};  // of ours, to listen on; unspecified: all of the endpoint's
  uint16_t port = 0;      // 1 to 65535
  uint64_t token = 0;     // in `listening` or `failed`, and in the events of accepted connections, until `set`
  // Connections that are open and whose `accepted` the application has not read: beyond, SYNs are dropped, and the peer
  // tries again. 0 counts as 1, more than 65535 as that.
  uint32_t backlog = 1024;
  Options options{};      // of all connections that come. By default Nagle's algorithm is on, keep-alive off
  // The text of a segment, options included, that is asked for and sent at most, 64 or more (RFC9293-MUST-16, -67);
  // 0: what the link carries, which also bounds it.
  uint16_t max_segment = 0;
};

// OPEN, active (RFC 9293 3.9.1.1).
struct Connect {
  Ipv4Address address{};    // the peer's: one host's, and not our own (RFC9293-MUST-46)
  uint16_t port = 0;        // the peer's, 1 to 65535
  Ipv4Address local{};      // one of ours; unspecified: the first (RFC9293-MUST-43, -44)
  uint16_t local_port = 0;  // 0: one is chosen, longest free first (RFC 6056)
  uint64_t token = 0;       // the application's own, in every event of the connection, `failed` included
  Options options{};        // by default Nagle's algorithm is on, keep-alive off
  uint16_t max_segment = 0;  // as Listen's
};

class Channel {
 public:
  // True in the application's first call: the place to listen and connect.
  bool first_turn() const { return turn_ == 0; }
  // The number of its core: also ConnectionId::core() of all connections that are told of here.
  uint32_t core() const;
  // The core of a flow: the one that hears of it, and that may connect with this local port.
  uint32_t owner(Ipv4Address local, uint16_t local_port, Ipv4Address remote, uint16_t remote_port) const;
  // The time of this turn, on the endpoint's clock: monotonic, in ns since an origin of its own. For a thread of its
  // own: the time of the call.
  Instant now() const;

  // What has arrived until now, in a range to be walked once. An event and its buffer are the application's to look at
  // until it goes past it; then a buffer that was not kept (Event::keep) goes back, and its bytes open the window
  // again. Leaving the loop early leaves this event and those behind it for the next call. One range at a time.
  class Events;
  Events events();
  // Is there any? Looks at the ring and costs no more than that.
  bool has_events() { return events_.available() != 0; }

  // For a thread of its own that has nothing to do: sleeps until there are events, for `at_most`, or until SIGINT,
  // SIGTERM or the endpoint's end. True: there are events. It may return sooner, too, with false: a wakeup that an
  // earlier call was meant for, or a signal. It spins for some microseconds first; what it costs the core
  // to wake it is a system call, made only where it really sleeps. Not inline.
  bool wait(Duration at_most);
  // The same for a thread that has several channels, 256 at most: until one of these has events.
  static bool wait(std::span<Channel* const> channels, Duration at_most);
  // Under Endpoint::run() a core that sleeps (Config::idle) still calls its application every millisecond, since that
  // may look at a clock. Who says here when it wants to be called next, on the clock of now(), is called then at the
  // latest, and before only if there is work; that may be Instant::never(), for who lives by events alone. Holds until
  // then, or until it says something else.
  void call_by(Instant time);
  static constexpr Duration longest_between_calls = milliseconds(1);

  // Opens a port on this channel's core. Answered by `listening`; or by failed(in_use: another listener has this
  // address and port; invalid: port 0, or an address that is not ours; no_memory: too many listeners; closing: the
  // endpoint ends). An endpoint of several cores listens on each of them, or SYNs whose flow is another's are refused
  // there (Count::listen_elsewhere).
  void listen(const Listen& arguments);
  // Closes the port that was opened with just this address. Connections that are open go on; who is still opening gets
  // RST. failed(invalid): there is no such listener. Success has no event.
  void unlisten(uint16_t port, Ipv4Address address = {});
  // Opens a connection. Answered by `connected`; or by closed(refused, timed_out, unreachable: see Event::Reason); or
  // by failed(invalid: an address or port that cannot be; unreachable: no route there; in_use: `local_port` is, towards
  // this peer; no_port: all are; no_memory: no connection, or pool of ports, is free; closing). With
  // Options::report_opening, `opening` tells the connection's name at once, so that it may be given up before an
  // answer.
  void connect(const Connect& arguments);

  // SEND (RFC 9293 3.9.1.2): queues the slice's bytes, in order, after those of earlier calls; also before `connected`.
  // The slice is the core's from here on and goes back when its bytes are acknowledged: nobody writes into it again. An
  // empty one goes back at once. `more`: another send follows soon, so no PSH yet (RFC9293-MAY-15).
  // failed(full: beyond send_limit, or the core's buffers for sending are all in use (Count::send_pool_dry), though never
  // for a connection that has nothing queued; and all that is sent until `writable` is told; closing: after shutdown or
  // close; stale) gives the slice back: Event::keep() of that event takes it again, going past it frees it.
  void send(ConnectionId connection, Slice slice, bool more = false);
  // The same with a copy of `text`, in buffers of the endpoint: what it spans may be overwritten after the call. False
  // if too few buffers are free; nothing is sent then. `failed` comes for each buffer (of 2048 bytes at most) by
  // itself.
  [[nodiscard]] bool send(ConnectionId connection, std::span<const uint8_t> text);
  // Gives back a buffer that the application holds: kept from `received` or `failed`, or from allocate(). Also after
  // its connection is gone. Once for each.
  void recycle(Slice slice);
  // CLOSE of the sending half (RFC 9293 3.9.1.4): FIN follows what is queued; what the peer sends is still received.
  // failed(full) while refused sends are to be made again, as FIN does not overtake them; failed(closing): not the
  // first.
  void shutdown(ConnectionId connection);
  // CLOSE of both halves: what is queued is still sent, nothing that the peer sends is told any more, and `closed`
  // follows in the end. Text that is unread or arrives later is answered with RST (RFC9293-SHLD-3), and so is a close
  // after failed(full): the peer shall not take a stream for whole from which refused bytes are missing. A connect that
  // has no answer yet ends with closed(aborted); no segment is sent.
  void close(ConnectionId connection);
  // ABORT (RFC 9293 3.9.1.6): RST; what was queued is not sent and goes back. closed(aborted) follows.
  void abort(ConnectionId connection);
  // Changes one thing of a connection; units and bounds: Setting. failed(invalid): out of bounds. Success has no event.
  void set(ConnectionId connection, Setting setting, uint64_t value);

  // An empty buffer of the endpoint's, owned by the application: to be filled (mutable_data()) and sent, or recycled.
  // Its length is what it can hold, 2048 bytes: set it to what is in it. An empty slice when none is free.
  Slice allocate();
  // A slice of constant bytes, 65535 at most: sent by reference, as often as one likes, and never given back. They stay
  // as they are until the endpoint has ended. Any thread.
  static Slice registered(std::span<const uint8_t> bytes) {
    return {PacketRef{const_cast<uint8_t*>(bytes.data())}, Slice::registered, 0, static_cast<uint16_t>(bytes.size())};
  }

  // All that the core knows of a connection (STATUS, RFC 9293 3.9.1.5): answered by `diagnosed` or failed(stale). False
  // if no buffer is free for the answer.
  [[nodiscard]] bool diagnose(ConnectionId connection);
  // The same at once; false if it is gone. Inline channels only.
  bool diagnostics(ConnectionId connection, Diagnostics& out) const;
  // Both addresses and ports of a connection; false if it is gone, and nothing is written then. Inline channels only.
  bool addresses(ConnectionId connection, Ipv4Address& local, uint16_t& local_port, Ipv4Address& remote,
                 uint16_t& remote_port) const;
  // Of the whole core. Valid as long as the endpoint; may be read on any thread.
  const Counters& counters() const;

 private:
  friend struct ChannelHost;  // run/channel: the core's side
  Request& next_request();
  void submit();
  void wake_core();

  Ring<Event> events_;
  Ring<Request> requests_;
  uint64_t turn_ = 0;
  bool wakes_core_ = false;  // what is written here may wait for a core that sleeps
  void* host_ = nullptr;
};

// A range over what has arrived, for a range-based for. Advancing marks an event consumed; the core sees it, and takes
// buffers back, when the range ends. Neither copied nor kept beyond the loop.
class Channel::Events {
 public:
  class iterator {
   public:
    iterator(Ring<Event>* ring, uint32_t left) : ring_(ring), left_(left) {}
    Event& operator*() const { return ring_->front(); }
    iterator& operator++() {
      ring_->consume(1);
      --left_;
      return *this;
    }
    bool operator!=(const iterator& other) const { return left_ != other.left_; }

   private:
    Ring<Event>* ring_;
    uint32_t left_;
  };

  explicit Events(Channel& channel)
      : channel_(&channel), ring_(&channel.events_), first_(ring_->head()), count_(ring_->available()) {}
  Events(const Events&) = delete;
  ~Events() {
    ring_->give_back();
    if (channel_->wakes_core_ && first_ != ring_->head()) channel_->wake_core();
  }
  iterator begin() const { return {ring_, count_}; }
  iterator end() const { return {ring_, 0}; }
  uint32_t size() const { return count_; }  // events at its beginning

 private:
  Channel* channel_;
  Ring<Event>* ring_;
  uint32_t first_;
  uint32_t count_;
};

inline Channel::Events Channel::events() { return Events{*this}; }

}  // namespace millrace
