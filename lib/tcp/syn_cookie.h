// SPDX-License-Identifier: BSD-3-Clause
// SYN cookies (RFC 4987 3.6): what a half-open record would remember leaves in our SYN,ACK and comes back with its ACK.
//
//   ISS     14 bits hash of the place | 14 bits hash of all | 1 bit of the time step | 3 bits index of the MSS
//   TSval   the clock but for its low 6 bits: 1 bit free for ECN | 1 bit SACK-permitted | 4 bits window scale
//
// The place is the 4-tuple, the listener and the step; all is that, the peer's ISN, the MSS and the bits of TSval. Both
// are keyed, so one guess in 2^28 hits. Where only the place is right, the peer has our cookie, but this segment does
// not follow its SYN: it came out of order, and what comes before it will come again.
// Without timestamps there is no place for window scale and SACK-permitted: they are not agreed on then.
#pragma once

#include <cstdint>

#include "base/siphash.h"
#include "millrace/time.h"
#include "wire/flow_key.h"
#include "wire/segment.h"

namespace millrace::tcp {

// A connection to be, as both the SYN and the ACK of our SYN,ACK show it.
struct CookieFlow {
  wire::FlowKey key;
  wire::Seq irs;
  uint32_t listener = 0;  // whatever tells one from its successors
};

// What the SYN offered and we agree to, as far as a cookie tells it: MSS rounded down.
struct CookieTerms {
  uint16_t mss = 536;
  uint8_t options = 0;  // wire::OptionBit: opt_wscale, opt_sack_permitted, opt_timestamps
  uint8_t wscale = 0;   // the peer's
};

// A cookie is taken in the step of time it was made in and in the next one.
inline constexpr uint32_t cookie_step_bits = 36;  // 68.7 s
inline constexpr Duration cookie_life = nanoseconds(uint64_t{2} << cookie_step_bits);  // none lives longer

// The lowest is what an MSS counts as at least; then RFC 9293's default, IPv6's minimum, tunnels, Ethernet, jumbo.
inline constexpr uint16_t cookie_mss[8] = {64, 536, 1220, 1360, 1400, 1440, 1460, 8960};

CookieTerms cookie_terms(uint16_t mss, uint8_t options, uint8_t wscale);
wire::Seq cookie_iss(const SipKey& secret, const CookieFlow& flow, const CookieTerms& terms, Instant now);
// Not later than `clock`, at most 64 ticks earlier.
uint32_t cookie_ts_val(uint32_t clock, const CookieTerms& terms);

enum class CookieVerdict : uint8_t {
  forged,        // or too old
  out_of_order,
  valid,
};
// Is `iss` a cookie of ours that still holds? Then `terms` is what it says. `ts_ecr` counts if `timestamps`.
CookieVerdict read_cookie(const SipKey& secret, const CookieFlow& flow, wire::Seq iss, bool timestamps,
                          uint32_t ts_ecr, Instant now, CookieTerms& terms);

}  // namespace millrace::tcp
