// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/streams.h"

#include <algorithm>

#include "wire/bytes.h"

namespace millrace::sim {
namespace {

uint64_t word_of(uint32_t number, bool client, uint32_t at) {
  uint64_t word = (uint64_t{number} * 2 + client) * 0x9e3779b97f4a7c15 + at / 8 * 0xbf58476d1ce4e5b9;
  return word ^ word >> 29;
}

}  // namespace

Script Script::of(const Plan& plan, uint32_t number, bool client) {
  Random r{plan.seed * 1000003 + number * 2 + client};
  Script s{};
  s.length = r.below(4) == 0 ? r.below(plan.longest_stream) : r.below(3000);
  s.closes_early = client ? r.below(2) : r.below(3) == 0;
  s.aborts = r.below(20) == 0;
  s.by_close = r.below(2);
  if (plan.wraps >= 0 && number == 0) {
    s.length += 30'000;
    s.aborts = false;
  }
  // Each send takes a buffer of its own, however small: what is long is not sent by single bytes.
  s.chunk = 1 + s.length / 500 + (r.below(2) ? r.below(100) : r.below(1800));
  return s;
}

bool is_echo(const Plan& plan, uint32_t number) { return Random{plan.seed * 7 + number}.below(2) == 0; }

void fill(uint32_t number, bool client, uint32_t at, std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size();) {
    uint32_t position = at + static_cast<uint32_t>(i);
    uint64_t word = word_of(number, client, position) >> position % 8 * 8;
    size_t n = std::min<size_t>(8 - position % 8, out.size() - i);
    std::memcpy(&out[i], &word, n);
    i += n;
  }
}

std::optional<uint32_t> first_wrong(uint32_t number, bool client, uint32_t at, std::span<const uint8_t> bytes) {
  uint8_t expected[256];
  for (size_t i = 0; i < bytes.size(); i += sizeof expected) {
    std::span<uint8_t> part{expected, std::min(sizeof expected, bytes.size() - i)};
    fill(number, client, at + static_cast<uint32_t>(i), part);
    if (std::memcmp(part.data(), &bytes[i], part.size()) == 0) continue;
    auto wrong = std::mismatch(part.begin(), part.end(), bytes.begin() + static_cast<ptrdiff_t>(i));
    return at + static_cast<uint32_t>(wrong.second - bytes.begin());
  }
  return std::nullopt;
}

}  // namespace millrace::sim
