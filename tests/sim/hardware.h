// SPDX-License-Identifier: BSD-3-Clause
// What a NIC does with a frame that is to be cut (TSO): a model that knows bytes alone. Each piece has the header of the
// whole, its own lengths, sequence number and checksums; PSH and FIN stay on the last piece, CWR on the first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "wire/bytes.h"
#include "wire/checksum.h"

namespace millrace::sim {

inline void store_checksum(uint8_t* at, uint64_t sum) {
  wire::store_be16(at, static_cast<uint16_t>(~wire::fold_to_host(sum)));
}

template <typename Each>
void cut(std::span<const uint8_t> whole, uint32_t segment_size, Each&& each) {
  constexpr uint32_t ip = 14, tcp = ip + 20;
  constexpr uint8_t fin = 1, psh = 8, cwr = 128;
  const uint32_t header = tcp + 4u * (whole[tcp + 12] >> 4);
  const uint32_t seq = wire::load_be32(&whole[tcp + 4]);
  const uint32_t text = static_cast<uint32_t>(whole.size()) - header;
  std::vector<uint8_t> piece;
  for (uint32_t at = 0; at < text; at += segment_size) {
    const uint32_t length = std::min(segment_size, text - at);
    piece.assign(whole.begin(), whole.begin() + header);
    piece.insert(piece.end(), whole.begin() + header + at, whole.begin() + header + at + length);
    if (at + length < text) piece[tcp + 13] &= static_cast<uint8_t>(~(fin | psh));
    if (at > 0) piece[tcp + 13] &= static_cast<uint8_t>(~cwr);
    wire::store_be16(&piece[ip + 2], static_cast<uint16_t>(header - ip + length));
    wire::store_be16(&piece[ip + 10], 0);
    store_checksum(&piece[ip + 10], wire::sum_bytes(&piece[ip], 20));
    wire::store_be32(&piece[tcp + 4], seq + at);
    wire::store_be16(&piece[tcp + 16], 0);
    const uint32_t tcp_length = header - tcp + length;
    const uint8_t pseudo[] = {0, 6, static_cast<uint8_t>(tcp_length >> 8), static_cast<uint8_t>(tcp_length)};
    // Addresses and the segment lie behind each other.
    store_checksum(&piece[tcp + 16], wire::sum_bytes(&piece[ip + 12], 8 + tcp_length, wire::sum_bytes(pseudo, 4)));
    each(std::span<const uint8_t>{piece});
  }
}

}  // namespace millrace::sim
