// SPDX-License-Identifier: BSD-3-Clause
// A path with a bottleneck, in virtual time: senders that always have text, a link with a rate, a delay, a queue that
// drops at its tail, and losses; and one receiver. Only headers travel: each frame is a small block that its receiver
// gives back, and text is one registered constant that nobody reads. So a second at 10 Gbit/s takes less than one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stack/internals.h"
#include "wire/build.h"

namespace millrace::sim {

struct PathPlan {
  uint64_t rate = 10'000'000'000;      // bit/s of whole frames
  Duration rtt = milliseconds(50);     // without queueing; half of it each way
  uint64_t queue = 0;                  // bytes at the bottleneck; 0: one bandwidth-delay product
  uint64_t every = 0;                  // each so-many-th segment with text is lost
  double loss = 0;                     // with this probability
  double ack_loss = 0;                 // and of what comes back
  Duration turn = microseconds(2);     // a host looks at its NIC so often
  Duration jitter{};                   // and up to this much later
  std::vector<Duration> starts{Duration{}};  // of one sender each
  uint64_t seed = 1;
  uint32_t held = 1 << 16;             // buffers of each stack
  Congestion congestion = Congestion::cubic;
  std::function<void(stack::Config&)> tune{};  // of all stacks; they have defaults else, and enough memory

  uint64_t bdp() const { return rate / 8 * rtt.ns / 1'000'000'000; }
};

// Blocks for the headers of frames; all hosts share them.
class Blocks {
 public:
  static constexpr uint32_t size = 128;
  uint8_t* take();
  void give(uint8_t* block) { free_.push_back(block); }
  size_t taken() const { return chunks_.size() * per_chunk - free_.size(); }

 private:
  static constexpr uint32_t per_chunk = 4096;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  std::vector<uint8_t*> free_;
};

// A frame on its way.
struct OnWire {
  Instant at;          // when it arrives
  uint8_t* block;
  uint32_t length;
  uint32_t order;      // of a segment with text: its number among all such; of others: the highest that had arrived
};

// One direction: a ring that grows.
class Pipe {
 public:
  bool empty() const { return head_ == tail_; }
  size_t size() const { return tail_ - head_; }
  const OnWire& front() const { return ring_[head_ & (ring_.size() - 1)]; }
  Instant next() const { return empty() ? Instant::never() : front().at; }
  void pop() { ++head_; }
  void push(const OnWire& frame);

 private:
  std::vector<OnWire> ring_ = std::vector<OnWire>(1024);
  size_t head_ = 0;
  size_t tail_ = 0;
};

// What the wire has seen of one sender's connection.
struct Trace {
  struct Sent {
    wire::Seq seq, end;
    bool lost;
  };
  std::vector<Sent> sent;      // by order; only if `keep`
  bool keep = false;
  uint64_t segments = 0;       // with text
  uint64_t lost = 0;           // of them, by chance or count
  uint64_t overflowed = 0;     // at the queue
  uint32_t highest = 0;        // order of what has arrived at the receiver; counts from 1
  uint32_t shown = 0;          // the highest that an ACK that has come back can tell of
  uint64_t timeouts = 0;
  std::vector<std::string> unexplained;  // timeouts although a later delivery had shown the loss
  uint64_t arrived = 0;        // bytes of text at the receiver, in order or not
  double window_time = 0;      // integral of cwnd, in segments times seconds
};

class PathHost;

class PathWorld {
 public:
  explicit PathWorld(const PathPlan& plan);
  ~PathWorld();

  void run_for(Duration time);
  void lengthen(Duration rtt) { plan_.rtt = rtt; }  // of what leaves from now on; not shorter than it is
  Instant now() const { return now_; }
  size_t senders() const { return traces_.size(); }
  const Trace& trace(size_t sender) const { return traces_[sender]; }
  void keep_traces() { for (Trace& t : traces_) t.keep = true; }
  uint64_t received(size_t sender) const;      // bytes, told to the receiver's application
  tcp::Tcb& sending(size_t sender);            // the sender's TCB; its connection is established
  bool established(size_t sender) const;
  const Counters& counters(size_t sender) const;
  uint64_t backlog() const;                    // bytes in the queue now
  // Buffers that are neither on a wire nor held: there must be none.
  int64_t missing() const;

 private:
  friend class PathHost;
  // Puts a frame onto the bottleneck, or loses it.
  void to_receiver(uint32_t sender, const wire::TxSegment& tx, uint8_t* block, uint32_t header, Instant now);
  void to_sender(const wire::TxSegment& tx, uint8_t* block, uint32_t header, Instant now);

  uint64_t ps_per_byte() const { return 8'000'000'000'000 / plan_.rate; }

  PathPlan plan_;
  Random random_;
  Blocks blocks_;
  Pipe forward_;
  std::vector<Pipe> back_;
  std::vector<Trace> traces_;
  std::vector<std::unique_ptr<PathHost>> hosts_;  // the receiver, then the senders
  Instant now_;
  uint64_t busy_until_ps_ = 0;
  uint64_t counted_ = 0;
};

}  // namespace millrace::sim
