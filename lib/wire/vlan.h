// SPDX-License-Identifier: BSD-3-Clause
// The tag of IEEE 802.1Q, where hardware neither inserts nor strips it: four bytes behind the two Ethernet addresses.
// Called by nic/rx before a frame is looked at and by nic/tx after one is built.
#pragma once

#include <cstdint>

#include "wire/mac.h"

namespace millrace::wire {

inline constexpr uint32_t vlan_tag = 4;
inline constexpr uint16_t vlan_id_mask = 0x0fff;  // of a tag; above it: priority

// Writes the addresses and the tag in front of a frame that was built at `out` + vlan_tag.
void put_vlan_tag(uint8_t* out, const Mac& destination, const Mac& source, uint16_t tag);

// Moves the addresses over the tag, so that a frame without one begins at `frame` + vlan_tag. False: it has none, and
// nothing is changed.
bool take_vlan_tag(uint8_t* frame, uint32_t length, uint16_t& tag);

}  // namespace millrace::wire
