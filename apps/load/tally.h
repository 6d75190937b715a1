// SPDX-License-Identifier: BSD-3-Clause
// What a client counts beside latencies. One thread.
#pragma once

#include <cstdint>

namespace millrace::load {

struct Errors {
  uint64_t refused = 0, reset = 0, timed_out = 0, unreachable = 0;
  uint64_t protocol = 0;  // a response of wrong length or content, text or an end that nobody expected
  uint64_t other = 0;     // no memory for a connection
  uint64_t sum() const { return refused + reset + timed_out + unreachable + protocol + other; }
};

struct Tally {
  uint64_t requests = 0;    // answered in full
  uint64_t opened = 0;      // connections established
  uint64_t finished = 0;    // with a connection for each request: closed in order, after the response
  uint64_t bytes_sent = 0;  // text of requests; of a stream, what was acknowledged
  uint64_t bytes_received = 0;
  uint64_t port_wait = 0;  // connects that found no local port, and were made again later
  Errors errors;
};

}  // namespace millrace::load
