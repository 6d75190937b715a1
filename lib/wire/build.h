// SPDX-License-Identifier: BSD-3-Clause
// Values -> bytes: one header for each TxSegment, made from numbers and a next hop. Called by nic/tx and by the
// simulator alike, so that what the simulator tests is what leaves.
#pragma once

#include <cstdint>
#include <span>

#include "millrace/packet.h"
#include "wire/mac.h"
#include "wire/segment.h"
#include "wire/tx_segment.h"

namespace millrace::wire {

inline constexpr uint32_t max_header = 14 + 20 + 60;

// Which checksums the hardware will fill in. For those of L4 the header carries the pseudo-header sum.
struct ChecksumOffload {
  bool ip = false;
  bool l4 = false;
};

// Writes Ethernet, IP and TCP headers (or the whole of an ARP packet, or an ICMP header with `slices` as the rest
// of the message) to `out`, which has max_header bytes. Returns their length. The text itself is not copied, only
// summed, from its source. What hardware is to cut (TxSegment::segment_size) has one header for all, and its l4 checksum is
// the hardware's in any case that leaves the machine.
uint32_t build_header(const TxSegment& tx, std::span<const Slice> slices, std::span<const SackBlock> sacks,
                      const Mac& own_mac, ChecksumOffload offload, uint8_t* out);

// The length of the TCP header that `options` and `sack_count` make, 20 to 60.
uint32_t tcp_header_length(uint8_t options, uint32_t sack_count);

}  // namespace millrace::wire
