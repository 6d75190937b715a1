// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/link.h"

#include <algorithm>
#include <cstring>

#include "base/ensure.h"
#include "wire/bytes.h"
#include "wire/segment.h"

namespace millrace::sim {
namespace {

constexpr uint32_t ip_at = 14;
constexpr uint32_t tcp_at = 34;

bool is_ip(std::span<const uint8_t> f) { return f.size() > tcp_at && f[12] == 0x08 && f[13] == 0x00; }
bool is_tcp(std::span<const uint8_t> f) { return is_ip(f) && f.size() >= tcp_at + 20 && f[ip_at + 9] == 6; }

// A 16-bit word changes and its checksum with it (RFC 1624): right stays right, and wrong stays wrong.
void change(uint8_t* word, uint8_t* checksum, uint16_t to) {
  uint32_t sum = (~wire::load_be16(checksum) & 0xffffu) + (~wire::load_be16(word) & 0xffffu) + to;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  wire::store_be16(checksum, static_cast<uint16_t>(~sum));
  wire::store_be16(word, to);
}

}  // namespace

void Link::arrive(Instant at, std::span<const uint8_t> frame) {
  ensure(frame.size() <= largest);
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(bytes_.size() / largest));
    bytes_.resize(bytes_.size() + largest);
  }
  uint32_t index = free_.back();
  free_.pop_back();
  std::memcpy(buffer(index), frame.data(), frame.size());
  heap_.push_back({at, serial_++, index, static_cast<uint32_t>(frame.size())});
  std::push_heap(heap_.begin(), heap_.end());
}

std::span<const uint8_t> Link::take() {
  std::pop_heap(heap_.begin(), heap_.end());
  Arrival a = heap_.back();
  heap_.pop_back();
  free_.push_back(a.buffer);
  return {buffer(a.buffer), a.length};
}

bool Link::lost(Instant now) {
  if (begun_ == Instant{}) begun_ = now;
  if (faults_.outage.ns != 0 && now - begun_ >= faults_.outage_begins &&
      now - begun_ < faults_.outage_begins + faults_.outage)
    return true;
  if (bad_ && (hit(faults_.burst.ends) || now - bad_since_ > seconds(3))) {
    bad_ = false;
  } else if (!bad_ && hit(faults_.burst.begins)) {
    bad_ = true;
    bad_since_ = now;
  }
  return hit(bad_ ? faults_.burst.loss : faults_.loss);
}

// To the sender it is a peer that shrinks its window, and opens it by single bytes.
void Link::squeeze(std::span<uint8_t> f, Instant now) {
  if (now >= window_until_) {
    uint32_t kind = random_.below(6);
    window_most_ = kind < 2 ? 0 : kind == 2 ? 1 + random_.below(3) : kind == 3 ? random_.below(2000) : 65535;
    window_until_ = now + milliseconds(random_.below(random_.below(8) == 0 ? 40'000 : 1'000));
  }
  if (!is_tcp(f) || f[tcp_at + 13] & (wire::syn | wire::rst)) return;
  if (wire::load_be16(&f[tcp_at + 14]) > window_most_)
    change(&f[tcp_at + 14], &f[tcp_at + 16], static_cast<uint16_t>(window_most_));
}

void Link::mark(std::span<uint8_t> f) {
  if (!is_ip(f) || (f[ip_at + 1] & 3) == wire::not_ect || !hit(faults_.marks)) return;
  change(&f[ip_at], &f[ip_at + 10], wire::load_be16(&f[ip_at]) | wire::ce);
}

void Link::replay(std::span<const uint8_t> f, Instant now) {
  if (is_tcp(f) && random_.below(20) == 0) {
    if (old_.size() < 16) old_.emplace_back();
    old_[serial_ % old_.size()].assign(f.begin(), f.end());
  }
  if (!old_.empty() && hit(faults_.replays)) {
    const auto& again = old_[random_.below(static_cast<uint32_t>(old_.size()))];
    if (!again.empty()) arrive(now + delay_ + milliseconds(random_.below(25'000)), again);
  }
}

void Link::send(std::span<const uint8_t> frame, Instant now, bool faulty) {
  Instant at = now + delay_;
  if (auto error = router_.refuses(frame, now); !error.empty()) {
    if (!faulty || !hit(faults_.loss)) back->arrive(at, error);
    return;
  }
  if (faulty)
    if (auto error = router_.forges(frame); !error.empty()) back->arrive(at, error);
  if (!faulty) {
    arrive(at, frame);
    return;
  }
  uint8_t copy[largest];
  ensure(frame.size() <= largest);
  std::memcpy(copy, frame.data(), frame.size());
  std::span<uint8_t> f{copy, frame.size()};
  if (faults_.squeeze) squeeze(f, now);
  mark(f);
  if (faults_.replays != 0) replay(f, now);
  if (lost(now)) return;
  // Only what checksums protect: on a real wire the frame check sequence guards the rest.
  if (is_ip(f) && hit(faults_.corruption)) {
    uint32_t byte = ip_at + random_.below(static_cast<uint32_t>(f.size()) - ip_at);
    f[byte] ^= static_cast<uint8_t>(1u << random_.below(8));
  }
  if (hit(faults_.duplication)) arrive(at + nanoseconds(random_.below(1'000'000)), f);
  if (hit(faults_.reordering)) {
    arrive(at + nanoseconds(random_.below(static_cast<uint32_t>(faults_.late.ns))), f);
    return;
  }
  if (faults_.jitter.ns != 0) {
    in_order_ = std::max(in_order_, at + nanoseconds(random_.below(static_cast<uint32_t>(faults_.jitter.ns))));
    at = in_order_;
  }
  arrive(at, f);
}

}  // namespace millrace::sim
