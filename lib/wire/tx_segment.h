// SPDX-License-Identifier: BSD-3-Clause
// One packet to send, as numbers and slices: what tcp/output and stack/ write and wire/build turns into header
// bytes, in nic/tx and in the simulator alike. The core itself never writes a byte of a packet.
#pragma once

#include <cstdint>

#include "millrace/address.h"
#include "millrace/packet.h"
#include "wire/mac.h"
#include "wire/segment.h"
#include "wire/seq.h"

namespace millrace::wire {

struct TxSegment {
  enum Kind : uint8_t { tcp, arp_request, arp_reply, icmp_echo_reply };

  Kind kind = tcp;
  uint8_t flags = 0;        // wire::Flag
  uint8_t options = 0;      // wire::OptionBit
  uint8_t sack_count = 0;
  Mac destination;          // of the next hop (ARP: of the frame)
  uint16_t wnd = 0;         // as the header shows it
  Ipv4Address local;        // ARP: sender's protocol address
  Ipv4Address remote;       // ARP: target's protocol address
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  Seq seq;
  Seq ack;
  uint32_t ts_val = 0;
  uint32_t ts_ecr = 0;
  uint16_t mss = 0;
  uint16_t urgent = 0;
  uint8_t wscale = 0;
  uint8_t ttl = 64;
  uint8_t tos = 0;          // DSCP and ECN bits
  uint8_t slice_count = 0;
  uint16_t first_slice = 0; // in the side array
  uint16_t first_sack = 0;  // in the side array
  uint16_t text_len = 0;    // sum of the slices' lengths
  // 0: it leaves as it is. Else hardware cuts the text into segments of so many bytes and a rest (TSO): each with this
  // header, SEG.SEQ counted on, PSH and FIN on the last alone.
  uint16_t segment_size = 0;
};
static_assert(sizeof(TxSegment) == 56);

}  // namespace millrace::wire
