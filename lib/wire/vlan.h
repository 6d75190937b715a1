// SPDX-License-Identifier: BSD-3-Clause
// The tag of IEEE 802.1Q, where hardware neither inserts nor strips it: four bytes behind the two Ethernet addresses.
// Called by nic/rx before a frame is looked at and by nic/tx after one is built. A priority tag is passed over by who reads
// frames: wire/parse and wire/steering.
#pragma once

#include <cstdint>

#include "wire/bytes.h"
#include "wire/mac.h"

namespace millrace::wire {

inline constexpr uint32_t vlan_tag = 4;
inline constexpr uint16_t type_vlan = 0x8100;
inline constexpr uint16_t vlan_id_mask = 0x0fff;  // of a tag; above it: priority

// What an Ethernet frame carries, and where that begins.
struct EtherType {
  uint16_t type;
  uint32_t header;
};
// Of 14 bytes at least. A tag with VLAN 0 carries a priority and no VLAN (IEEE 802.1Q, "priority-tagged"): the frame counts
// as untagged. A tag that names a VLAN is a type of its own here.
inline EtherType ether_type(const uint8_t* frame, uint32_t length) {
  constexpr uint32_t header = 14;
  const uint16_t type = load_be16(frame + header - 2);
  if (type != type_vlan) [[likely]]
    return {type, header};
  if (length < header + vlan_tag || (load_be16(frame + header) & vlan_id_mask) != 0) return {type, header};
  return {load_be16(frame + header + 2), header + vlan_tag};
}

// Writes the addresses and the tag in front of a frame that was built at `out` + vlan_tag.
void put_vlan_tag(uint8_t* out, const Mac& destination, const Mac& source, uint16_t tag);

// Moves the addresses over the tag, so that a frame without one begins at `frame` + vlan_tag. False: it has none, and
// nothing is changed.
bool take_vlan_tag(uint8_t* frame, uint32_t length, uint16_t& tag);

}  // namespace millrace::wire
