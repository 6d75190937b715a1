// SPDX-License-Identifier: BSD-3-Clause
// Addresses as the sockets world knows them. An IpAddress has room for IPv6 and keeps IPv4 in its mapped
// form (::ffff:a.b.c.d), so that an application's code does not change when IPv6 arrives.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

// An IPv4 address in host byte order: 10.0.0.1 is 0x0a000001.
struct Ipv4Address {
  uint32_t value = 0;
  friend constexpr auto operator<=>(Ipv4Address, Ipv4Address) = default;
  constexpr bool is_unspecified() const { return value == 0; }
  constexpr bool is_multicast() const { return (value >> 28) == 0xe; }
  constexpr bool is_loopback() const { return (value >> 24) == 127; }
  constexpr bool is_limited_broadcast() const { return value == 0xffffffff; }
};

// ipv4(10, 0, 0, 1): each part 0 to 255.
constexpr Ipv4Address ipv4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return {a << 24 | b << 16 | c << 8 | d};
}

// 16 bytes in network order.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  constexpr IpAddress() = default;
  constexpr IpAddress(Ipv4Address a)  // NOLINT: an IPv4 address is an IP address
      : bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
              static_cast<uint8_t>(a.value >> 24), static_cast<uint8_t>(a.value >> 16),
              static_cast<uint8_t>(a.value >> 8), static_cast<uint8_t>(a.value)} {}
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

  constexpr bool is_v4() const {
    for (int i = 0; i < 10; ++i)
      if (bytes[i] != 0) return false;
    return bytes[10] == 0xff && bytes[11] == 0xff;
  }
  // Where is_v4().
  constexpr Ipv4Address v4() const { return ipv4(bytes[12], bytes[13], bytes[14], bytes[15]); }
  constexpr bool is_unspecified() const {
    return *this == IpAddress{} || *this == IpAddress{Ipv4Address{0}};
  }
};

// An Ethernet address.
struct MacAddress {
  std::array<uint8_t, 6> bytes{};
  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
  constexpr bool is_unspecified() const { return *this == MacAddress{}; }
  constexpr bool is_group() const { return bytes[0] & 1; }
  static constexpr MacAddress broadcast() { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
};

// A neighbour whose Ethernet address is given, not asked for.
struct StaticNeighbor {
  Ipv4Address address;
  MacAddress mac;
};

// "10.0.0.1" -> value; nothing for anything else, leading zeros and trailing text included.
constexpr std::optional<Ipv4Address> parse_ipv4(std::string_view text) {
  uint32_t value = 0;
  int parts = 0;
  size_t i = 0;
  while (parts < 4) {
    uint32_t part = 0;
    size_t digits = 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9' && digits < 4; ++i, ++digits)
      part = part * 10 + static_cast<uint32_t>(text[i] - '0');
    if (digits == 0 || digits > 3 || part > 255 || (digits > 1 && text[i - digits] == '0')) return {};
    value = value << 8 | part;
    if (++parts < 4 && (i >= text.size() || text[i++] != '.')) return {};
  }
  if (i != text.size()) return {};
  return Ipv4Address{value};
}

inline std::string to_string(Ipv4Address a) {
  return std::to_string(a.value >> 24) + '.' + std::to_string(a.value >> 16 & 255) + '.' +
         std::to_string(a.value >> 8 & 255) + '.' + std::to_string(a.value & 255);
}

// "02:00:0a:09:00:02" -> value; nothing for anything else.
constexpr std::optional<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac;
  if (text.size() != 17) return {};
  for (size_t i = 0; i < 17; ++i) {
    char c = text[i];
    if (i % 3 == 2) {
      if (c != ':') return {};
      continue;
    }
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return {};
    mac.bytes[i / 3] = static_cast<uint8_t>(mac.bytes[i / 3] << 4 | digit);
  }
  return mac;
}

inline std::string to_string(const MacAddress& mac) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (uint8_t byte : mac.bytes) {
    if (!out.empty()) out += ':';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

}  // namespace millrace
