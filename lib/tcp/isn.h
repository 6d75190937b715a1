// SPDX-License-Identifier: BSD-3-Clause
// Initial sequence numbers (RFC 9293 3.4.1, RFC 6528): a clock of 4 us plus a keyed hash of the 4-tuple. The same hash
// gives the origin of the connection's timestamps, so that both go on rising from one use of a 4-tuple to the next.
#pragma once

#include "base/siphash.h"
#include "millrace/time.h"
#include "wire/flow_key.h"
#include "wire/seq.h"

namespace millrace::tcp {

struct Initial {
  wire::Seq iss;
  uint32_t ts_offset;
};

inline Initial initial_numbers(const SipKey& secret, const wire::FlowKey& key, Instant now) {
  uint64_t f = wire::hash(secret, key);  // RFC9293-SHLD-1, RFC9293-MUST-9, RFC6528-3
  uint32_t m = static_cast<uint32_t>(now.ns >> 12);  // RFC9293-MUST-8: a tick of 4.096 us
  return {{static_cast<uint32_t>(f) + m}, static_cast<uint32_t>(f >> 32)};
}

}  // namespace millrace::tcp
