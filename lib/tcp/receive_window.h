// SPDX-License-Identifier: BSD-3-Clause
// How large the receive buffer of a connection is, and when it grows. Nobody knows at the start what a path can carry;
// the receiver measures what the application takes in a round trip and holds twice that ready, so that the window never
// is what keeps the peer from sending faster (dynamic right-sizing).
#pragma once

#include "millrace/connection.h"
#include "tcp/context.h"
#include "wire/segment.h"

namespace millrace::tcp {

struct ReceiveBuffer {
  uint32_t first;  // bytes, when the connection begins
  uint32_t most;
  uint8_t scale;   // the smallest that lets the field name all of `most`: a SYN says it once and for ever
};

// What `options` asks for is a size that stays.
constexpr ReceiveBuffer receive_buffer_of(const Params& params, const Options& options) {
  uint32_t first = options.receive_buffer_kb != 0 ? options.receive_buffer_kb * 1024u : params.receive_buffer;
  uint32_t most = options.receive_buffer_kb != 0 ? first : std::max(first, params.receive_buffer_max);
  uint8_t scale = 0;
  while (params.window_scaling && scale < 14 && (65535u << scale) < most) ++scale;
  return {first, most, scale};
}

// The first text in order since a round trip is over (tcb.grow_at), before RCV.NXT moves.
void receive_round(Context& cx, Tcb& tcb, const wire::Segment& seg);

}  // namespace millrace::tcp
