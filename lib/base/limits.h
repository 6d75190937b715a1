// SPDX-License-Identifier: BSD-3-Clause
// Every bound of one turn, and what must hold between them. What a user may choose is in
// tcp/params.h and stack/stack.h.
#pragma once

#include <cstdint>

namespace millrace::limits {

inline constexpr uint32_t rx_burst = 32;          // frames that one receive() takes
inline constexpr uint32_t requests_per_turn = 64;
inline constexpr uint32_t timers_per_turn = 64;
inline constexpr uint32_t time_wait_per_turn = 64;
inline constexpr uint32_t tx_burst = 64;          // segments that one transmit() may emit
inline constexpr uint32_t answer_reserve = rx_burst;  // stateless answers: at most one for each frame
inline constexpr uint32_t segments_per_turn = tx_burst + answer_reserve;
inline constexpr uint32_t slices_per_segment = 32;
inline constexpr uint32_t slices_per_turn = segments_per_turn * 8;
inline constexpr uint32_t quantum_segments = 4;   // of one connection, before the next has its turn
inline constexpr uint32_t joined_segments = 16;   // of one connection, at most, that leave as one for hardware to cut
inline constexpr uint32_t least_joined = 256;     // bytes of each: the least that hardware of any make cuts
inline constexpr uint32_t joined_text = 65535 - 20 - 60;  // bytes of them: what an IP packet holds
inline constexpr uint32_t writable_per_turn = 32; // connections told that they may send again, once buffers are free
inline constexpr uint32_t sack_blocks = 4;        // what fits in a header
inline constexpr uint32_t channels = 8;           // applications attached to one core
inline constexpr uint32_t diagnosed_places_per_turn = 64;  // looked at for who asks from outside
inline constexpr uint32_t diagnosed_rows_per_turn = 8;     // of them copied: thirteen cache lines each

static_assert(answer_reserve >= rx_burst, "each received frame may need one answer");
static_assert(slices_per_turn >= slices_per_segment);

}  // namespace millrace::limits
