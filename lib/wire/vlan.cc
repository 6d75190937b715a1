// SPDX-License-Identifier: BSD-3-Clause
#include "wire/vlan.h"

#include <cstring>

#include "wire/bytes.h"

namespace millrace::wire {

static constexpr uint32_t addresses = 12;

void put_vlan_tag(uint8_t* out, const Mac& destination, const Mac& source, uint16_t tag) {
  std::memcpy(out, destination.bytes.data(), 6);
  std::memcpy(out + 6, source.bytes.data(), 6);
  store_be32(out + addresses, uint32_t{type_vlan} << 16 | tag);
}

bool take_vlan_tag(uint8_t* frame, uint32_t length, uint16_t& tag) {
  if (length < addresses + vlan_tag + 2 || load_be16(frame + addresses) != type_vlan) return false;
  tag = load_be16(frame + addresses + 2);
  std::memmove(frame + vlan_tag, frame, addresses);
  return true;
}

}  // namespace millrace::wire
