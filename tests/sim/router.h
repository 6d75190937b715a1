// SPDX-License-Identifier: BSD-3-Clause
// A router on the way: it says so when a frame is too long for the next hop; and somebody who has seen frames pass
// forges errors about them.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "base/siphash.h"
#include "tests/sim/plan.h"

namespace millrace::sim {

class Router {
 public:
  Router(const Plan& plan, uint64_t salt) : plan_(plan), random_(plan.seed * 31 + salt) {}

  // Empty: the frame goes on. Else it is dropped, and this goes back.
  std::vector<uint8_t> refuses(std::span<const uint8_t> frame, Instant now) {
    if (begun_ == Instant{}) begun_ = now;
    bool narrow = plan_.path_mtu != 0 && now - begun_ >= plan_.narrow_after;
    if (!narrow || !is_ip(frame) || frame.size() <= 14u + plan_.path_mtu) return {};
    return error(frame, 3, 4, plan_.old_router ? 0 : plan_.path_mtu, 0);
  }
  // Empty, or an error that nobody has a reason for. Not about a SYN: who knows its number may end the open.
  std::vector<uint8_t> forges(std::span<const uint8_t> frame) {
    if (plan_.faults.forged_errors == 0 || random_.below(1000) >= plan_.faults.forged_errors) return {};
    if (!is_ip(frame) || frame[23] != 6 || frame.size() < 54 || (frame[47] & 2) != 0) return {};
    constexpr uint8_t types[] = {3, 3, 3, 11, 12};
    auto mtu = static_cast<uint16_t>(random_.below(4) == 0 ? random_.below(65536) : random_.below(1600));
    uint32_t off = random_.below(2) == 0 ? 0 : random_.below(4000) - 2000;
    uint8_t type = types[random_.below(5)];
    auto code = static_cast<uint8_t>(type == 3 ? random_.below(2) == 0 ? 4 : random_.below(16) : random_.below(2));
    return error(frame, type, code, mtu, off);
  }

 private:
  static bool is_ip(std::span<const uint8_t> frame) {
    return frame.size() >= 42 && frame[12] == 0x08 && frame[13] == 0x00 && frame[14] == 0x45;
  }

  static void put_sum(std::vector<uint8_t>& b, size_t from, size_t length, size_t at) {
    uint32_t sum = 0;
    for (size_t i = 0; i < length; ++i) sum += i % 2 == 0 ? uint32_t{b[from + i]} << 8 : b[from + i];
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    b[at] = static_cast<uint8_t>(~sum >> 8);
    b[at + 1] = static_cast<uint8_t>(~sum);
  }

  // What quotes the IP header and eight bytes, with the sequence number moved by `off`.
  static std::vector<uint8_t> error(std::span<const uint8_t> frame, uint8_t type, uint8_t code, uint16_t mtu,
                                    uint32_t off) {
    std::vector<uint8_t> b(14 + 20 + 8 + 28);
    std::copy_n(frame.begin() + 6, 6, b.begin());
    std::copy_n(frame.begin(), 6, b.begin() + 6);
    const uint8_t ip[20] = {0x45, 0, 0, 56, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 9,
                            frame[26], frame[27], frame[28], frame[29]};
    b[12] = 0x08;
    std::copy_n(ip, 20, b.begin() + 14);
    put_sum(b, 14, 20, 24);
    b[34] = type;
    b[35] = code;
    b[40] = static_cast<uint8_t>(mtu >> 8);
    b[41] = static_cast<uint8_t>(mtu);
    std::copy_n(frame.begin() + 14, 28, b.begin() + 42);
    uint32_t seq = off + (uint32_t{b[66]} << 24 | uint32_t{b[67]} << 16 | uint32_t{b[68]} << 8 | b[69]);
    for (int i = 0; i < 4; ++i) b[static_cast<size_t>(66 + i)] = static_cast<uint8_t>(seq >> (24 - 8 * i));
    put_sum(b, 34, b.size() - 34, 36);
    return b;
  }

  const Plan& plan_;
  Random random_;
  Instant begun_{};  // the first frame's time
};

}  // namespace millrace::sim
