// SPDX-License-Identifier: BSD-3-Clause
// TIME-WAIT: 64 bytes instead of a TCB. All records live for the same 2MSL (RFC9293-MUST-13), so they stand in a ring in
// the order in which they end, and no timer is needed. A record that has to live on (a FIN came again) moves to the
// ring's end; when the ring is full the oldest goes first.
#pragma once

#include <span>

#include "base/region.h"
#include "millrace/time.h"
#include "tcp/tcb.h"
#include "wire/flow_key.h"
#include "wire/segment.h"

namespace millrace::tcp {

struct alignas(64) TimeWait {
  wire::FlowKey key;
  Instant since;
  wire::Seq snd_nxt;
  wire::Seq rcv_nxt;
  uint32_t tag = 0;
  uint32_t ts_recent = 0;
  uint32_t ts_offset = 0;
  uint32_t answered_ms = 0;  // when, for RFC5961-7
  uint16_t wnd = 0;  // the field as it was
  uint8_t ttl = 64;
  uint8_t tos = 0;
  bool ts_ok = false;
  bool alive = false;
};
static_assert(sizeof(TimeWait) == 64);

enum class TimeWaitVerdict : uint8_t {
  drop,
  ack,      // out of place: say where we are
  restart,  // the peer's FIN again: ACK, and 2MSL from now
  reopen,   // a new connection's SYN: the record goes, the SYN is treated as in LISTEN
};

// RFC 9293 3.10.7.4 as it reads for TIME-WAIT, RFC 6191, RFC 1337. `timestamps`: a new connection would use them.
TimeWaitVerdict time_wait_arrives(const TimeWait& record, const wire::Segment& seg, bool timestamps);

// The ring. An index stays valid until its record ends or moves.
class TimeWaitRing {
 public:
  void init(Region& region, uint32_t capacity);  // a power of two

  uint32_t capacity() const { return static_cast<uint32_t>(records_.size()); }
  bool full() const { return tail_ - head_ == capacity(); }
  bool empty() const { return tail_ == head_; }
  uint32_t alive() const { return alive_; }
  TimeWait& operator[](uint32_t index) { return records_[index]; }
  const TimeWait& operator[](uint32_t index) const { return records_[index]; }

  uint32_t oldest() const { return head_ & (capacity() - 1); }
  // Takes the oldest place away; its record is dead or no longer wanted.
  void drop_oldest() {
    if (records_[oldest()].alive) end(oldest());
    ++head_;
  }
  // A place at the end. The caller has made room.
  uint32_t append(const TimeWait& record) {
    uint32_t index = tail_++ & (capacity() - 1);
    records_[index] = record;
    records_[index].alive = true;
    ++alive_;
    return index;
  }
  // The record ends before its time; its place is passed over later.
  void end(uint32_t index) {
    records_[index].alive = false;
    --alive_;
  }

 private:
  std::span<TimeWait> records_;
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  uint32_t alive_ = 0;
};

}  // namespace millrace::tcp
