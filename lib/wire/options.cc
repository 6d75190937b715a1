// SPDX-License-Identifier: BSD-3-Clause
// TCP options. No byte is read that the header's length does not cover, whatever the lengths inside claim.
#include "wire/options.h"

#include "base/ensure.h"
#include "wire/bytes.h"

namespace millrace::wire {
namespace {

enum Kind : uint8_t { eol = 0, nop = 1, mss = 2, wscale = 3, sack_permitted = 4, sack = 5, timestamps = 8 };

constexpr uint32_t mss_length = 4, wscale_length = 3, sack_permitted_length = 2, timestamps_length = 10;
constexpr uint32_t sack_head = 2, sack_block_length = 8;

constexpr uint32_t nop_nop_timestamps = 0x0101080a;

void read_timestamps(const uint8_t* at, Segment& seg) {
  seg.ts_val = load_be32(at + 2);
  seg.ts_ecr = load_be32(at + 6);
  seg.options |= opt_timestamps;
}

// SACK in a SYN means nothing and is ignored.
bool read_sack(const uint8_t* at, uint32_t length, Segment& seg) {
  uint32_t bytes = length - sack_head;
  if (bytes == 0 || bytes % sack_block_length != 0) return false;
  if (seg.has(syn)) return true;
  seg.sack_count = static_cast<uint8_t>(bytes / sack_block_length);
  seg.sack_offset = static_cast<uint16_t>(at + sack_head - seg.packet.handle);
  seg.options |= opt_sack;
  return true;
}

// One option other than EOL and NOP; its `length` bytes lie inside the header.
bool read_option(const uint8_t* at, uint32_t length, Segment& seg) {
  // What only a SYN may offer is checked anywhere and used in a SYN (RFC7323-2.2b, RFC2018-2,
  // RFC9293-MUST-65).
  const bool offers = seg.has(syn);
  switch (at[0]) {
    case mss:
      if (length != mss_length) return false;
      if (!offers) return true;
      seg.mss = load_be16(at + 2);
      seg.options |= opt_mss;
      return true;
    case wscale:
      if (length != wscale_length) return false;
      if (!offers) return true;
      seg.wscale = at[2];
      seg.options |= opt_wscale;
      return true;
    case sack_permitted:
      if (length != sack_permitted_length) return false;
      if (offers) seg.options |= opt_sack_permitted;
      return true;
    case sack: return read_sack(at, length, seg);
    case timestamps:
      if (length != timestamps_length) return false;
      read_timestamps(at, seg);
      return true;
    default: return true;  // RFC9293-MUST-6: unknown, skipped by its length
  }
}

// Options leave as 32-bit words, summed while they are still numbers.
struct Words {
  uint8_t* at;
  uint64_t sum = 0;
  void put(uint32_t word) {
    store_be32(at, word);
    at += 4;
    sum += word;
  }
};

void put_timestamps(const TxSegment& tx, uint32_t head, Words& words) {
  words.put(head);
  words.put(tx.ts_val);
  words.put(tx.ts_ecr);
}

// What a SYN offers, in one of two orders. All of it is 32-bit words, so the length is the same.
void put_offers(const TxSegment& tx, uint8_t options, Words& words) {
  const bool scale_first = options & opt_scale_first;
  if (options & opt_mss) words.put(0x02040000u | tx.mss);
  if (scale_first && options & opt_wscale) words.put(0x01030300u | tx.wscale);
  if (options & opt_timestamps)
    put_timestamps(tx, options & opt_sack_permitted ? 0x0402080au : nop_nop_timestamps, words);
  else if (options & opt_sack_permitted)
    words.put(scale_first ? 0x04020000u : 0x01010402u);
  if (!scale_first && options & opt_wscale) words.put(0x01030300u | tx.wscale);
}

}  // namespace

bool read_options(const uint8_t* at, uint32_t length, Segment& seg) {
  const uint8_t* end = at + length;
  // What nearly every segment begins with, and nearly always ends with, too (RFC 7323 appendix A).
  if (length >= 12 && load_be32(at) == nop_nop_timestamps) {
    read_timestamps(at + 2, seg);
    at += 12;
  }
  while (at < end) {              // RFC9293-MUST-5: in any segment; RFC9293-MUST-64: at any alignment
    if (*at == eol) return true;  // RFC9293-MUST-4; RFC9293-MUST-69: only padding follows
    if (*at == nop) {
      ++at;
      continue;
    }
    // RFC9293-MUST-68: all others have a length byte; RFC9293-MUST-7: which may claim anything.
    const uint32_t left = static_cast<uint32_t>(end - at);
    if (left < 2 || at[1] < 2 || at[1] > left) return false;
    const uint32_t option_length = at[1];
    if (!read_option(at, option_length, seg)) return false;
    at += option_length;
  }
  return true;
}

uint64_t write_options(const TxSegment& tx, uint8_t options, std::span<const SackBlock> sacks, uint8_t* out) {
  Words words{out};
  if (options & (opt_mss | opt_wscale | opt_sack_permitted))
    put_offers(tx, options, words);
  else if (options & opt_timestamps)
    put_timestamps(tx, nop_nop_timestamps, words);
  const uint32_t blocks = fitting_sacks(options, static_cast<uint32_t>(sacks.size()));
  if (blocks != 0) words.put(0x01010500u | (sack_head + sack_block_length * blocks));
  for (uint32_t i = 0; i < blocks; ++i) {
    words.put(sacks[i].left.value);
    words.put(sacks[i].right.value);
  }
  debug_ensure(words.at == out + options_length(options, static_cast<uint32_t>(sacks.size())));
  return words.sum;
}

}  // namespace millrace::wire
