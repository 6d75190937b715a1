// SPDX-License-Identifier: BSD-3-Clause
// One received TCP segment, checked once and in host order: SEG.SEQ, SEG.ACK, SEG.LEN, SEG.WND of RFC 9293 3.3.1.
// After parse has said accepted no later code looks at packet bytes again, but for SACK blocks when recovery asks.
#pragma once

#include <cstdint>

#include "millrace/packet.h"
#include "wire/mac.h"
#include "wire/seq.h"

namespace millrace::wire {

// The two ECN bits of the IP header (RFC 3168 5).
enum Ecn : uint8_t { not_ect = 0, ect_1 = 1, ect_0 = 2, ce = 3 };

enum Flag : uint8_t { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32, ece = 64, cwr = 128 };

// Which options a segment carries (or is to carry).
enum OptionBit : uint8_t { opt_mss = 1, opt_wscale = 2, opt_sack_permitted = 4, opt_timestamps = 8, opt_sack = 16,
                         opt_scale_first = 32 /* the other order of a SYN's, see tcp::SynLayout */ };

struct SackBlock {
  Seq left;   // first sequence number of the block
  Seq right;  // the one after its last
  friend constexpr bool operator==(const SackBlock&, const SackBlock&) = default;
};

struct alignas(64) Segment {
  PacketRef packet;
  Seq seq;
  Seq ack;
  uint32_t len = 0;         // text plus one each for SYN and FIN
  uint16_t text_offset = 0; // from the packet's handle
  uint16_t text_len = 0;
  uint16_t wnd = 0;         // as in the header: unsigned, unscaled (RFC9293-MUST-1)
  uint16_t urgent = 0;
  uint8_t flags = 0;
  uint8_t options = 0;
  uint8_t ecn = 0;          // wire::Ecn, of the IP header
  uint8_t wscale = 0;       // as received; RFC7323-2.3a caps it at 14 on use
  uint8_t sack_count = 0;
  uint32_t ts_val = 0;
  uint32_t ts_ecr = 0;
  uint16_t mss = 0;
  uint16_t sack_offset = 0; // of the first block, from the packet's handle
  uint16_t frame = 0;       // index of its frame in the burst
  Mac source;               // stateless answers go back where the frame came from

  bool has(uint8_t f) const { return flags & f; }
  Slice text() const { return {packet, Slice::own_buffer, text_offset, text_len}; }
};
static_assert(sizeof(Segment) == 64);

}  // namespace millrace::wire
