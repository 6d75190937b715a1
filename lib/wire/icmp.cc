// SPDX-License-Identifier: BSD-3-Clause
#include "wire/icmp.h"

#include "wire/bytes.h"
#include "wire/checksum.h"

namespace millrace::wire {
namespace {

constexpr uint32_t icmp_length = 8, ip_length = 20, quoted_length = 8;
constexpr uint8_t proto_tcp = 6;

}  // namespace

bool parse_icmp(std::span<const uint8_t> bytes, IcmpMessage& out) {
  if (bytes.size() < icmp_length || !is_valid_sum(sum_bytes(bytes.data(), bytes.size()))) return false;
  out.type = bytes[0];
  out.code = bytes[1];
  return true;
}

Count parse_icmp_error(std::span<const uint8_t> bytes, Ipv4Address to, IcmpError& out) {
  if (bytes.size() < icmp_length + ip_length + quoted_length) return Count::drop_icmp_quote;
  const uint8_t* icmp = bytes.data();
  if (icmp[1] > icmp::last_code) return Count::drop_icmp;
  // RFC1122-3.2.2b: the IP header and eight bytes of what it carried, whose kind the quoted header tells
  const uint8_t* ip = icmp + icmp_length;
  const uint32_t header = (ip[0] & 15u) << 2;
  if (ip[0] >> 4 != 4 || header < ip_length || icmp_length + header + quoted_length > bytes.size())
    return Count::drop_icmp_quote;
  // We send no fragments, and who we are is where the message went.
  if (ip[9] != proto_tcp || (load_be16(ip + 6) & 0x3fff) != 0 || load_be32(ip + 12) != to.value)
    return Count::drop_icmp_quote;
  if (!is_valid_sum(sum_bytes(icmp, bytes.size()))) return Count::drop_icmp;

  const uint8_t* tcp = ip + header;
  out.type = icmp[0];
  out.code = icmp[1];
  out.mtu = load_be16(icmp + 6);
  out.length = load_be16(ip + 2);
  out.key = {to, {load_be32(ip + 16)}, load_be16(tcp), load_be16(tcp + 2), 4};
  out.seq = {load_be32(tcp + 4)};
  return Count::count_;
}

}  // namespace millrace::wire
