// SPDX-License-Identifier: BSD-3-Clause
// What travels between NIC, core and application instead of copies: a reference to a packet buffer, and a slice of its
// bytes. 16 bytes, moved by value, owned by exactly one holder at a time: by `keep()` and allocate() it becomes the
// application's, by `send` and `recycle` the core's again. A copy is no second reference: use one of them.
#pragma once

#include <cstdint>
#include <span>

namespace millrace {

// An opaque handle of one packet buffer (an mbuf in production, a block of the simulator in tests).
// The bytes of a slice lie at most 64 KB behind the handle's address; nothing else is known about it.
struct PacketRef {
  uint8_t* handle = nullptr;
  explicit operator bool() const { return handle != nullptr; }
  friend bool operator==(PacketRef, PacketRef) = default;
};

// `length` bytes that lie `offset` bytes behind a packet's handle.
// `origin` says who is to be told when the buffer is given back: the connection that received it (its window
// stays charged until then), nobody (an application's own buffer), or that there is no buffer to give back
// (registered constant payload).
struct Slice {
  PacketRef packet;
  uint32_t origin = own_buffer;
  uint16_t offset = 0;
  uint16_t length = 0;

  static constexpr uint32_t own_buffer = 0xffffffff;
  static constexpr uint32_t registered = 0xfffffffe;

  // It holds text that was received, and its connection's window is charged until it goes back.
  bool lent() const { return origin < registered; }
  const uint8_t* data() const { return packet.handle + offset; }
  // Only of a buffer that is the application's own and not sent yet.
  uint8_t* mutable_data() { return packet.handle + offset; }
  std::span<const uint8_t> bytes() const { return {data(), length}; }
  explicit operator bool() const { return static_cast<bool>(packet); }
};
static_assert(sizeof(Slice) == 16);

}  // namespace millrace
