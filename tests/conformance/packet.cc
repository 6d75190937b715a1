// SPDX-License-Identifier: BSD-3-Clause
#include "tests/conformance/packet.h"

#include <algorithm>
#include <cstring>

namespace millrace::conformance {
namespace {

void put8(Bytes& b, uint32_t v) {
  b.push_back(static_cast<uint8_t>(v));
}
void put16(Bytes& b, uint32_t v) {
  put8(b, v >> 8), put8(b, v);
}
void put32(Bytes& b, uint32_t v) {
  put16(b, v >> 16), put16(b, v);
}
void put(Bytes& b, const wire::Mac& mac) {
  b.insert(b.end(), mac.bytes.begin(), mac.bytes.end());
}
void put(Bytes& b, const std::string& s) {
  b.insert(b.end(), s.begin(), s.end());
}

uint32_t get16(const uint8_t* p) {
  return static_cast<uint32_t>(p[0] << 8 | p[1]);
}
uint32_t get32(const uint8_t* p) {
  return get16(p) << 16 | get16(p + 2);
}

// RFC 1071, a byte pair at a time.
uint16_t checksum(const uint8_t* p, size_t n, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < n; i += 2) sum += get16(p + i);
  if (n % 2 != 0) sum += static_cast<uint32_t>(p[n - 1] << 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

uint32_t pseudo_sum(Ipv4Address a, Ipv4Address b, size_t length) {
  return (a.value >> 16) + (a.value & 0xffff) + (b.value >> 16) + (b.value & 0xffff) + 6 +
         static_cast<uint32_t>(length);
}

Bytes options_of(const Seg& s) {
  Bytes o;
  if (!s.raw.empty()) {
    put(o, s.raw);
  } else {
    if (s.mss_option) put16(o, 0x0204), put16(o, *s.mss_option);
    if (s.scale) put32(o, 0x01030300u | *s.scale);
    if (s.sack_permitted) put32(o, 0x01010402);
    if (s.timestamps) put32(o, 0x0101080a), put32(o, s.ts_val.value_or(0)), put32(o, s.ts_ecr.value_or(0));
    if (!s.sacks.empty()) put32(o, 0x01010502u + 8 * static_cast<uint32_t>(s.sacks.size()));
    for (auto [left, right] : s.sacks) put32(o, left), put32(o, right);
  }
  while (o.size() % 4 != 0) put8(o, 0);
  return o;
}

std::string read_options(const uint8_t* p, const uint8_t* end, Seg& s) {
  while (p < end && *p != 0) {
    if (*p == 1) {
      ++p;
      continue;
    }
    if (end - p < 2 || p[1] < 2 || p[1] > end - p) return "an option runs past the header";
    switch (p[0] << 8 | p[1]) {
      case 0x0204: s.mss(static_cast<uint16_t>(get16(p + 2))); break;
      case 0x0303: s.wscale(p[2]); break;
      case 0x0402: s.sack_ok(); break;
      case 0x080a: s.ts(get32(p + 2), get32(p + 6)); break;
      default:
        if (p[0] != 5 || (p[1] - 2) % 8 != 0) return "an option nobody knows";
        for (int i = 2; i < p[1]; i += 8) s.sack(get32(p + i), get32(p + i + 4));
    }
    p += p[1];
  }
  for (; p < end; ++p)
    if (*p != 0) return "padding behind EOL is not zero";  // RFC9293-MUST-69
  return {};
}

std::string decode_tcp(const uint8_t* p, size_t n, Sent& out) {
  if (n < 20) return "short TCP header";
  size_t header = static_cast<size_t>(p[12] >> 4) * 4;
  if (header < 20 || header > n) return "bad data offset";
  if (checksum(p, n, pseudo_sum(out.source, out.destination, n)) != 0) return "bad TCP checksum";
  if ((p[12] & 15) != 0) return "reserved bits are set";
  out.source_port = static_cast<uint16_t>(get16(p));
  out.destination_port = static_cast<uint16_t>(get16(p + 2));
  Seg& s = out.seg;
  s.seq = get32(p + 4);
  s.ack = get32(p + 8);
  s.flags = p[13];
  s.window = static_cast<uint16_t>(get16(p + 14));
  s.pointer = static_cast<uint16_t>(get16(p + 18));
  s.text(std::string(p + header, p + n));
  if (!(s.flags & ack_bit) && s.ack != 0) return "ACK number without ACK";
  if (!(s.flags & urg) && s.pointer != 0) return "urgent pointer without URG";
  return read_options(p + 20, p + header, s);
}

std::string decode_arp(const uint8_t* p, size_t n, Sent& out) {
  if (n != 28) return "ARP length";
  if (get32(p) != 0x00010800 || get16(p + 4) != 0x0604) return "ARP types";
  out.kind = Sent::arp;
  out.arp_request = get16(p + 6) == 1;
  out.source = {get32(p + 14)};
  out.destination = {get32(p + 24)};
  return {};
}

std::string decode_ip(const uint8_t* p, size_t n, Sent& out) {
  if (n < 20 || p[0] != 0x45) return "IP header";
  if (get16(p + 2) != n) return "IP length";
  if (checksum(p, 20) != 0) return "bad IP checksum";
  out.tos = p[1];
  out.seg.ecn_bits = p[1] & 3;
  out.dont_fragment = p[6] & 0x40;
  out.ttl = p[8];
  out.source = {get32(p + 12)};
  out.destination = {get32(p + 16)};
  if (out.ttl == 0) return "TTL 0";
  if (p[9] == 6) return decode_tcp(p + 20, n - 20, out);
  if (p[9] != 1) return "IP protocol";
  if (checksum(p + 20, n - 20) != 0) return "bad ICMP checksum";
  out.kind = Sent::icmp;
  out.icmp_message.assign(p + 20, p + n);
  return {};
}

}  // namespace

std::string stream(uint32_t from, uint32_t n) {
  std::string s(n, ' ');
  for (uint32_t i = 0; i < n; ++i) s[i] = static_cast<char>('A' + (from + i) % 53);
  return s;
}

Sent decode(const Bytes& frame, std::string& error) {
  Sent out;
  std::memcpy(out.to.bytes.data(), frame.data(), 6);
  const uint8_t* p = frame.data() + 14;
  switch (get16(p - 2)) {
    case 0x0800: error = decode_ip(p, frame.size() - 14, out); break;
    case 0x0806: error = decode_arp(p, frame.size() - 14, out); break;
    default: error = "Ethernet type";
  }
  return out;
}

Bytes encode_ip(const IpHeader& ip, const Bytes& payload) {
  Bytes b;
  put(b, ip.to), put(b, ip.from), put16(b, 0x0800);
  auto header = static_cast<uint32_t>(20 + ip.options.size());
  put8(b, static_cast<uint32_t>(ip.version << 4) | header / 4), put8(b, ip.tos);
  put16(b, header + static_cast<uint32_t>(payload.size()));
  put16(b, 0x1234), put16(b, ip.fragment), put8(b, ip.ttl), put8(b, ip.protocol), put16(b, 0);
  put32(b, ip.source.value), put32(b, ip.destination.value), put(b, ip.options);
  uint32_t sum = checksum(b.data() + 14, header) ^ (ip.bad_checksum ? 0x0101u : 0u);
  b[24] = static_cast<uint8_t>(sum >> 8), b[25] = static_cast<uint8_t>(sum);
  b.insert(b.end(), payload.begin(), payload.end());
  while (b.size() < 60) put8(b, 0xee);  // Ethernet's padding, of no meaning
  return b;
}

Bytes encode_tcp(const IpHeader& ip, uint16_t from, uint16_t to, const Seg& s, const std::string& text,
                 bool bad_checksum) {
  Bytes options = options_of(s);
  Bytes b;
  put16(b, from), put16(b, to), put32(b, s.seq), put32(b, s.ack);
  put8(b, static_cast<uint32_t>((20 + options.size()) / 4) << 4), put8(b, s.flags);
  put16(b, s.window.value_or(0)), put16(b, 0), put16(b, s.pointer);
  b.insert(b.end(), options.begin(), options.end());
  put(b, text);
  uint32_t sum = checksum(b.data(), b.size(), pseudo_sum(ip.source, ip.destination, b.size()));
  if (bad_checksum) sum ^= 0x0101;
  b[16] = static_cast<uint8_t>(sum >> 8), b[17] = static_cast<uint8_t>(sum);
  return encode_ip(ip, b);
}

Bytes encode_icmp(uint8_t type, uint8_t code, const std::string& rest, bool bad_checksum) {
  Bytes b;
  put8(b, type), put8(b, code), put16(b, 0), put(b, rest);
  uint32_t sum = checksum(b.data(), b.size()) ^ (bad_checksum ? 0x0101u : 0u);
  b[2] = static_cast<uint8_t>(sum >> 8), b[3] = static_cast<uint8_t>(sum);
  return b;
}

Bytes encode_icmp_error(const IpHeader& ip, const Sent& about, uint8_t type, uint8_t code, uint16_t mtu, size_t quoted) {
  IpHeader header;
  header.source = about.source;
  header.destination = about.destination;
  Bytes ours = encode_tcp(header, about.source_port, about.destination_port, about.seg, *about.seg.bytes);
  std::string rest(2, '\0');
  rest += {static_cast<char>(mtu >> 8), static_cast<char>(mtu)};
  rest.append(ours.begin() + 14, ours.begin() + static_cast<ptrdiff_t>(14 + std::min(quoted, ours.size() - 14)));
  return encode_ip(ip, encode_icmp(type, code, rest));
}

Bytes encode_arp(bool request, const wire::Mac& to, const wire::Mac& sender_mac, Ipv4Address sender,
                 Ipv4Address target) {
  Bytes b;
  put(b, to), put(b, sender_mac), put16(b, 0x0806);
  put16(b, 1), put16(b, 0x0800), put16(b, 0x0604), put16(b, request ? 1 : 2);
  put(b, sender_mac), put32(b, sender.value);
  put(b, request ? wire::Mac{} : to), put32(b, target.value);
  while (b.size() < 60) put8(b, 0xee);
  return b;
}

std::string to_string(const Seg& s) {
  std::string t;
  const std::pair<uint8_t, char> names[] = {{syn, 'S'}, {fin, 'F'}, {rst, 'R'},
                                            {psh, 'P'}, {urg, 'U'}, {ece_bit, 'E'}, {cwr_bit, 'W'}, {ack_bit, 'A'}};
  for (auto [bit, name] : names)
    if (s.flags & bit) t += name;
  t += " seq " + std::to_string(s.seq) + " ack " + std::to_string(s.ack) + " len " + std::to_string(s.length);
  if (s.ecn_bits.value_or(0) != 0) t += " ecn " + std::to_string(*s.ecn_bits);
  if (s.window) t += " win " + std::to_string(*s.window);
  if (s.flags & urg) t += " urgent " + std::to_string(s.pointer);
  if (s.mss_option) t += " mss " + std::to_string(*s.mss_option);
  if (s.scale) t += " wscale " + std::to_string(*s.scale);
  if (s.sack_permitted) t += " sackOK";
  if (s.timestamps) t += " TS";
  if (s.ts_val) t += " val " + std::to_string(*s.ts_val);
  if (s.ts_ecr) t += " ecr " + std::to_string(*s.ts_ecr);
  for (auto [left, right] : s.sacks) t += " sack " + std::to_string(left) + ":" + std::to_string(right);
  return t;
}

}  // namespace millrace::conformance
