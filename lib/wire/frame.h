// SPDX-License-Identifier: BSD-3-Clause
// A received frame as nic/rx (or the simulator) hands it to the core: a packet, where its bytes are, and what the
// hardware has said of it. The bytes are one piece and lie at most 64 KB behind the packet's handle.
#pragma once

#include <cstdint>

#include "millrace/packet.h"

namespace millrace::wire {

// What is known of a checksum before software looks. `intact` is virtio's "not computed, but the packet never
// left the machine", which counts as good.
enum class Verdict : uint8_t { unknown, good, bad, intact };

struct Frame {
  PacketRef packet;
  const uint8_t* data = nullptr;  // the first byte of the Ethernet header
  uint32_t length = 0;
  Verdict ip_checksum = Verdict::unknown;
  Verdict l4_checksum = Verdict::unknown;
  bool copy = false;  // another core has the frame too, and answers it: here it is only learned from
};

}  // namespace millrace::wire
