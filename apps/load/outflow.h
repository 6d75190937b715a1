// SPDX-License-Identifier: BSD-3-Clause
// A text that is longer than a connection may queue: sent by reference as acknowledgements make room. What
// the core refuses (failed(full)) is sent again when it says that there is room.
#pragma once

#include <millrace/millrace.h>

#include <cstdint>

namespace millrace::load {

struct Outflow {
  uint64_t written = 0;  // bytes given to send and not refused
  uint64_t acked = 0;
  bool blocked = false;

  static constexpr uint64_t endless = UINT64_MAX;

  // Sends up to `end`, with `window` bytes underway at most. `piece_at` gives the text from a place on as one
  // slice.
  template <typename PieceAt>
  void pump(Channel& channel, ConnectionId connection, uint64_t end, uint64_t window,
            const PieceAt& piece_at) {
    while (!blocked && written < end && written - acked < window) {
      Slice slice = piece_at(written);
      if (slice.length > end - written) slice.length = static_cast<uint16_t>(end - written);
      written += slice.length;
      channel.send(connection, slice, written < end && written - acked < window);
    }
  }
  void refused(uint32_t length) {
    written -= length;
    blocked = true;
  }
};

// The endless text: one page over and over, as letters.
class Page {
 public:
  static constexpr uint32_t size = 45 * 1448;  // of the 65535 bytes that a slice may have
  Page() : text_(size) {
    constexpr uint32_t period = 95;  // the printable characters, as chargen has them
    for (uint32_t i = 0; i < size; ++i) text_[i] = static_cast<uint8_t>(' ' + i % period);
  }
  Slice at(uint64_t offset) const { return Channel::registered(std::span(text_).subspan(offset % size)); }
  // May `bytes` be those from `offset` on? Looks at the ends only.
  bool matches(uint64_t offset, std::span<const uint8_t> bytes) const {
    return !bytes.empty() && bytes.front() == text_[offset % size] &&
           bytes.back() == text_[(offset + bytes.size() - 1) % size];
  }

 private:
  std::vector<uint8_t> text_;
};

}  // namespace millrace::load
