// SPDX-License-Identifier: BSD-3-Clause
// ICMPv4 (RFC 792): what `others` of a burst may be. An error quotes the segment that it is about; only what finds the
// connection and proves that the segment was seen is taken from it.
#pragma once

#include <cstdint>
#include <span>

#include "millrace/statistics.h"
#include "wire/flow_key.h"
#include "wire/seq.h"

namespace millrace::wire {

namespace icmp {
inline constexpr uint8_t echo_reply = 0, unreachable = 3, echo_request = 8, time_exceeded = 11, parameter_problem = 12;
// Codes of `unreachable`; those behind source_route are hints like it.
inline constexpr uint8_t network = 0, host = 1, protocol = 2, port = 3, fragmentation_needed = 4, source_route = 5;
inline constexpr uint8_t last_code = 15;
}  // namespace icmp

struct IcmpMessage {
  uint8_t type;
  uint8_t code;
};
// False: too short or a bad checksum.
bool parse_icmp(std::span<const uint8_t> bytes, IcmpMessage& out);

// An error about a segment of ours, in our own terms: `local` is the quoted source.
struct IcmpError {
  uint8_t type;
  uint8_t code;
  uint16_t mtu;     // of the next hop, with fragmentation_needed; 0: an old router that does not say (RFC 1191 5)
  uint16_t length;  // of the quoted datagram when it was whole
  FlowKey key;
  Seq seq;
};

// Is it an error at all? Cheap, and the first thing to ask.
inline bool is_icmp_error(std::span<const uint8_t> bytes) {
  return !bytes.empty() && (bytes[0] == icmp::unreachable || bytes[0] == icmp::time_exceeded ||
                            bytes[0] == icmp::parameter_problem);
}

// `to`: whom the message was sent to. Returns Count::count_, or the reason to drop it. The checksum is computed last:
// what is no error about a TCP segment of ours costs a few comparisons.
Count parse_icmp_error(std::span<const uint8_t> bytes, Ipv4Address to, IcmpError& out);

}  // namespace millrace::wire
