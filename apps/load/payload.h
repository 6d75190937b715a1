// SPDX-License-Identifier: BSD-3-Clause
// The text of all requests, or of all responses: made once, sent by reference, and known to who receives it.
#pragma once

#include <millrace/millrace.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace millrace::load {

class Payload {
 public:
  // Requests and responses begin alike: a server that echoes gives the response that is waited for.
  explicit Payload(uint32_t size) : text_(size) {
    constexpr uint32_t period = 23;  // no divisor of a segment's length: text out of place looks wrong
    for (uint32_t i = 0; i < size; ++i) text_[i] = static_cast<uint8_t>('A' + i % period);
    cut();
  }
  explicit Payload(std::string_view text) : text_(text.begin(), text.end()) { cut(); }
  Payload(const Payload&) = delete;  // the slices point into it

  uint32_t size() const { return static_cast<uint32_t>(text_.size()); }
  uint32_t slice_count() const { return static_cast<uint32_t>(slices_.size()); }

  // May `bytes` be the ones `from` there on? Looks at the ends only: TCP's checksum has seen the rest.
  bool matches(uint32_t from, std::span<const uint8_t> bytes) const {
    return !bytes.empty() && bytes.size() <= text_.size() - from && bytes.front() == text_[from] &&
           bytes.back() == text_[from + bytes.size() - 1];
  }

  void send(Channel& channel, ConnectionId connection) const {
    for (uint32_t i = 0; i + 1 < slice_count(); ++i) channel.send(connection, slices_[i], true);
    channel.send(connection, slices_.back());
  }
  // After failed(full): the last `count` bytes of what was sent, which are whole slices, for they were
  // refused as such.
  void send_last(Channel& channel, ConnectionId connection, uint64_t count) const {
    uint32_t at = 0;
    auto part = static_cast<uint32_t>(count % size());
    for (uint32_t i = 0; i < slice_count(); ++i) {
      if (at >= size() - part) channel.send(connection, slices_[i], i + 1 < slice_count());
      at += slices_[i].length;
    }
    for (uint64_t i = count / size(); i > 0; --i) send(channel, connection);
  }

 private:
  void cut() {
    constexpr size_t chunk = 45 * 1448;  // of the 65535 bytes that a slice may have
    for (size_t at = 0; at < text_.size(); at += chunk)
      slices_.push_back(
          Channel::registered(std::span(text_).subspan(at, std::min(chunk, text_.size() - at))));
  }

  std::vector<uint8_t> text_;
  std::vector<Slice> slices_;
};

}  // namespace millrace::load
