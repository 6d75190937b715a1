// SPDX-License-Identifier: BSD-3-Clause
// SYN-RECEIVED of a passive open: a record instead of a TCB, so that a flood of SYNs costs little and evicts nothing
// that is established. Decisions only; the caller sends, promotes and forgets.
#pragma once

#include "base/index_list.h"
#include "base/pool.h"
#include "millrace/time.h"
#include "tcp/params.h"
#include "wire/flow_key.h"
#include "wire/segment.h"

namespace millrace::tcp {

struct alignas(64) HalfOpen {
  wire::FlowKey key;
  wire::Seq iss;
  wire::Seq irs;
  uint32_t ts_recent = 0;
  uint32_t ts_offset = 0;
  Instant sent_at;          // of the first SYN,ACK: an RTT sample if there was no second
  uint32_t tag = 0;
  uint32_t listener = no_index;  // Stack::handle_of
  Link ready;
  uint16_t mss = 536;       // as received
  uint16_t wnd = 0;
  uint16_t neighbor = 0;
  uint8_t options = 0;      // wire::OptionBit, of the SYN
  uint8_t wscale = 0;
  uint8_t own_wscale = 0;
  uint8_t sent = 0;         // SYN,ACKs
  enum class Queue : uint8_t { none, ready, wait } queue = Queue::none;
  bool in_use = false;
  bool ecn = false;         // the SYN asked for it, and we agree
  uint32_t receive_buffer = 0;
  uint32_t answered_ms = 0;  // when, for RFC5961-7
};

enum class HalfOpenVerdict : uint8_t {
  drop,
  resend,     // our SYN,ACK was lost: send it again
  ack,        // unacceptable: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
  reset,      // an ACK of something we have not sent
  forget,     // back to LISTEN
  establish,  // the handshake is complete; the segment goes on to the new TCB
};

// RFC 9293 3.10.7.4 as it reads for SYN-RECEIVED after a passive open.
HalfOpenVerdict half_open_arrives(HalfOpen& record, const wire::Segment& seg, const Params& params);

}  // namespace millrace::tcp
