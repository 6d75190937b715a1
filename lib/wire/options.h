// SPDX-License-Identifier: BSD-3-Clause
// TCP options: read within their bounds into a Segment, written in the order that Linux writes them.
#pragma once

#include <cstdint>
#include <span>

#include "wire/segment.h"
#include "wire/tx_segment.h"

namespace millrace::wire {

inline constexpr uint32_t max_option_bytes = 40;

// Reads the `length` bytes of options at `at` into `seg`, whose packet and flags are set and whose options
// are none. False: an illegal length.
bool read_options(const uint8_t* at, uint32_t length, Segment& seg);

// `options` without those that a segment with these flags must not carry: offers stand in a SYN only, SACK
// never in one (RFC9293-MUST-65, RFC2018-2, RFC7323-2.2b).
constexpr uint8_t allowed_options(uint8_t options, uint8_t flags) {
  return options & (flags & syn ? ~opt_sack : ~(opt_mss | opt_wscale | opt_sack_permitted));
}

// How many of `sack_count` blocks fit beside the other `options`: 4, with timestamps 3.
constexpr uint32_t fitting_sacks(uint8_t options, uint32_t sack_count);

// The bytes that `options` and `sack_count` blocks take: a multiple of 4, at most 40. Linux's layout:
// mss | sackOK+TS or nop,nop,TS or nop,nop,sackOK | nop,wscale | nop,nop,SACK.
constexpr uint32_t options_length(uint8_t options, uint32_t sack_count) {
  uint32_t length = options & opt_timestamps ? 12 : options & opt_sack_permitted ? 4 : 0;
  if (options & opt_mss) length += 4;
  if (options & opt_wscale) length += 4;
  if (!(options & opt_sack) || sack_count == 0) return length;
  return length + 4 + 8 * fitting_sacks(options, sack_count);
}

constexpr uint32_t fitting_sacks(uint8_t options, uint32_t sack_count) {
  if (!(options & opt_sack)) return 0;
  const uint32_t room = (max_option_bytes - 4 - options_length(options, 0)) / 8;
  return sack_count < room ? sack_count : room;
}

// Writes `options` (allowed ones) with the first of `sacks` that fit to `out`. Returns the plain sum of the
// 32-bit words written, for the checksum.
uint64_t write_options(const TxSegment& tx, uint8_t options, std::span<const SackBlock> sacks, uint8_t* out);

}  // namespace millrace::wire
