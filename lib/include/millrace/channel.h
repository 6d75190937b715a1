// SPDX-License-Identifier: BSD-3-Clause
// An application's side of one core: events to read, requests to make. On the core's own lcore it is served inline,
// for a thread of its own it crosses lcores; the calls are the same.
//
// Thread: a Channel belongs to the one thread that the application uses it from.
// Requests never fail at the call: what could not be done comes back as an Event `failed` with the reason.
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

struct Listen {
  Ipv4Address address{};  // unspecified: all of the endpoint's
  uint16_t port = 0;
  uint64_t token = 0;     // in `listening` and, until `set`, in the events of accepted connections
  uint32_t backlog = 1024;  // accepted connections that the application has not been told of yet, to 65535
  Options options{};
  // The text of a segment, options included, that is asked for and sent at most, 64 or more (RFC9293-MUST-16, -67);
  // 0: what the link carries, which also bounds it.
  uint16_t max_segment = 0;
};

struct Connect {
  Ipv4Address address{};
  uint16_t port = 0;
  Ipv4Address local{};    // unspecified: the endpoint's first (RFC9293-MUST-43, -44)
  uint16_t local_port = 0;  // 0: one is chosen
  uint64_t token = 0;     // the application's own, in every event of the connection
  Options options{};
  uint16_t max_segment = 0;  // as Listen's
};

class Channel {
 public:
  // True in the first turn: the place to listen and connect.
  bool first_turn() const { return turn_ == 0; }
  // The number of its core: also ConnectionId::core() of all connections that are told of here.
  uint32_t core() const;
  // The core of a flow: the one that hears of it, and that may connect with this local port.
  uint32_t owner(Ipv4Address local, uint16_t local_port, Ipv4Address remote, uint16_t remote_port) const;
  // The time of this turn, on the endpoint's clock. For a thread of its own: of the call.
  Instant now() const;

  // The events that have arrived. Going past one gives its buffer back, unless it was kept.
  class Events;
  Events events();
  bool has_events() { return events_.available() != 0; }

  // OPEN (RFC 9293 3.9.1.1). Answered by `listening`, or failed(in use). It concerns this channel's core: an endpoint of
  // several listens on each of them, or SYNs whose flow is another's are refused there (Count::listen_elsewhere).
  void listen(const Listen& arguments);
  void unlisten(uint16_t port, Ipv4Address address = {});
  // With Options::report_opening, `opening` tells the connection's name at once. Answered by `connected`, closed(refused, timed out, unreachable) or failed(no port, invalid, no memory).
  void connect(const Connect& arguments);

  // SEND (3.9.1.2). Ownership of the slice goes to the core until its bytes are acknowledged: nobody writes into
  // it again. failed(full, closing, stale) gives it back.
  void send(ConnectionId connection, Slice slice, bool more = false);
  // Copies `text` into buffers of the endpoint; false if they have run out (nothing is sent then).
  [[nodiscard]] bool send(ConnectionId connection, std::span<const uint8_t> text);
  // Gives a kept buffer back, also after its connection is gone.
  void recycle(Slice slice);
  // CLOSE (3.9.1.4): no more will be sent, what the peer sends is still received. failed(full) while refused sends
  // are to be made again: FIN does not overtake them.
  void shutdown(ConnectionId connection);
  // Nothing more will be sent or read; what is queued is still sent. Text that is unread or arrives later is answered
  // with RST (RFC9293-SHLD-3), and so is a close after failed(full): the peer shall not take a stream for whole from
  // which refused bytes are missing. A connect that has no answer yet ends with closed(aborted); no segment is sent.
  void close(ConnectionId connection);
  // ABORT (3.9.1.6): RST, and all buffers come back.
  void abort(ConnectionId connection);
  void set(ConnectionId connection, Setting setting, uint64_t value);

  // An empty buffer of the endpoint's, to be filled and sent; its length is what it can hold, cut it as needed.
  // An empty slice when none is free.
  Slice allocate();
  // Constant payload, at most 65535 bytes each: stays valid until the endpoint ends, sent by reference, never given
  // back.
  static Slice registered(std::span<const uint8_t> bytes) {
    return {PacketRef{const_cast<uint8_t*>(bytes.data())}, Slice::registered, 0, static_cast<uint16_t>(bytes.size())};
  }

  // All that the core knows of a connection, as `diagnosed`, or failed(stale). False if no buffer is free for the answer.
  [[nodiscard]] bool diagnose(ConnectionId connection);
  // The same at once; false if it is gone. Inline channels only.
  bool diagnostics(ConnectionId connection, Diagnostics& out) const;
  // Addresses of a connection; false if it is gone. Inline channels only.
  bool addresses(ConnectionId connection, Ipv4Address& local, uint16_t& local_port, Ipv4Address& remote,
                 uint16_t& remote_port) const;
  const Counters& counters() const;

 private:
  friend struct ChannelHost;  // run/channel: the core's side
  Request& next_request();
  void submit();

  Ring<Event> events_;
  Ring<Request> requests_;
  uint64_t turn_ = 0;
  void* host_ = nullptr;
};

// A range over what has arrived. Advancing marks the slot consumed; the core sees it when the range ends.
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

  explicit Events(Ring<Event>& ring) : ring_(&ring), count_(ring.available()) {}
  Events(const Events&) = delete;
  ~Events() { ring_->give_back(); }
  iterator begin() const { return {ring_, count_}; }
  iterator end() const { return {ring_, 0}; }
  uint32_t size() const { return count_; }

 private:
  Ring<Event>* ring_;
  uint32_t count_;
};

inline Channel::Events Channel::events() { return Events{events_}; }

}  // namespace millrace
