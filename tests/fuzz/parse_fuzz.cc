// SPDX-License-Identifier: BSD-3-Clause
// Any frame whatever may be given to parse: it reads within the frame, puts the packet in exactly one place,
// and what it says of a segment lies within the frame, too. With clang: -fsanitize=fuzzer
// -DMILLRACE_LIBFUZZER. Without, main() below runs a fixed number of seeded inputs: random ones, and valid
// frames with a few bytes changed.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/siphash.h"
#include "wire/build.h"
#include "wire/icmp.h"
#include "wire/parse.h"

namespace {

using namespace millrace;
using namespace millrace::wire;

constexpr Mac own_mac{{2, 0, 0, 0, 0, 1}}, peer_mac{{2, 0, 0, 0, 0, 2}};
constexpr LocalAddresses local{ipv4(10, 0, 0, 1), 1, 24};
constexpr size_t headroom = 16;
unsigned long long errors_taken = 0;

void check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "parse_fuzz: %s\n", what);
  std::abort();
}

void check_segment(const Segment& seg, const FlowKey& key, size_t end) {
  check(seg.text_offset >= headroom + 54 && seg.text_offset + size_t{seg.text_len} <= end,
        "text outside the frame");
  check(seg.len == seg.text_len + uint32_t{seg.has(syn)} + seg.has(fin), "SEG.LEN");
  check(seg.sack_count <= 4 && (seg.sack_count != 0) == ((seg.options & opt_sack) != 0), "SACK count");
  check(seg.sack_count == 0 || seg.sack_offset + size_t{seg.sack_count} * 8 <= seg.text_offset,
        "SACK outside");
  for (uint32_t i = 0; i < seg.sack_count; ++i) static_cast<void>(sack_block(seg, i));
  constexpr uint8_t offers = opt_mss | opt_wscale | opt_sack_permitted;
  check(seg.has(syn) || (seg.options & offers) == 0, "an offer outside SYN");
  check(key.local_port != 0 && key.remote_port != 0 && local.contains(key.local), "key");
}

void check_other(const OtherFrame& other, const Frame& frame) {
  check(size_t{other.offset} + other.length <= frame.length, "other outside the frame");
  const std::span<const uint8_t> bytes{frame.data + other.offset, other.length};
  ArpPacket arp;
  IcmpMessage icmp;
  IcmpError error;
  if (other.kind == Other::arp) {
    static_cast<void>(parse_arp(bytes, arp));
    return;
  }
  const bool is_message = parse_icmp(bytes, icmp);
  if (!is_icmp_error(bytes)) return;
  const Count verdict = parse_icmp_error(bytes, other.destination, error);
  check(verdict == Count::count_ || verdict == Count::drop_icmp || verdict == Count::drop_icmp_quote, "ICMP verdict");
  check(verdict != Count::count_ || (is_message && error.type == icmp.type && local.contains(error.key.local)),
        "ICMP error");
  errors_taken += verdict == Count::count_;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ParsedBurst burst;
  static Counters counters;
  // Of exactly this size: a sanitizer sees the first byte read behind the frame.
  std::unique_ptr<uint8_t[]> memory(new uint8_t[headroom + size]());
  if (size != 0) std::memcpy(memory.get() + headroom, data, size);
  const Frame frame{
      {memory.get()}, memory.get() + headroom, static_cast<uint32_t>(size), Verdict::good, Verdict::good};
  PacketRef room[1];
  Batch<PacketRef> release{std::span<PacketRef>(room)};
  parse_burst({&frame, 1}, local, own_mac, burst, release, counters);
  check(burst.segments + burst.others + release.size() == 1, "not in exactly one place");
  if (burst.segments != 0) check_segment(burst.segment[0], burst.key[0], headroom + size);
  if (burst.others != 0) check_other(burst.other[0], frame);
  return 0;
}

#ifndef MILLRACE_LIBFUZZER

namespace {

std::vector<uint8_t> valid_frame(Random& random) {
  TxSegment tx;
  tx.kind = static_cast<TxSegment::Kind>(random.below(8) < 5 ? 0 : random.below(4));
  tx.flags = static_cast<uint8_t>(random.next());
  tx.options = static_cast<uint8_t>(random.below(32));
  tx.sack_count = static_cast<uint8_t>(random.below(5));
  tx.destination = own_mac;
  tx.local = ipv4(10, 0, 0, 200);
  tx.remote = local.first;
  tx.local_port = 1234;
  tx.remote_port = 80;
  tx.text_len = static_cast<uint16_t>(random.below(64));
  const SackBlock sacks[4]{};
  std::vector<uint8_t> out(max_header);
  out.resize(build_header(tx, {}, sacks, peer_mac, {}, out.data()));
  if (tx.kind == TxSegment::tcp || tx.kind == TxSegment::icmp_echo_reply)
    out.resize(out.size() + tx.text_len, 'x');
  return out;
}

uint16_t sum_of(const uint8_t* at, size_t length) {
  uint32_t sum = 0;
  for (size_t i = 0; i < length; ++i) sum += i % 2 == 0 ? uint32_t{at[i]} << 8 : at[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// An ICMP error that quotes `quoted`, a frame of ours, or what became of it; with the right checksum mostly.
std::vector<uint8_t> error_about(const std::vector<uint8_t>& quoted, Random& random) {
  constexpr uint8_t types[] = {3, 3, 3, 11, 12, 4};
  std::vector<uint8_t> out(42);
  TxSegment outer;
  outer.kind = TxSegment::icmp_echo_reply;
  outer.destination = own_mac;
  outer.local = ipv4(10, 0, 0, 254);
  outer.remote = local.first;
  const size_t length = quoted.size() < 14 ? 0 : std::min<size_t>(quoted.size() - 14, random.below(80));
  outer.text_len = static_cast<uint16_t>(4 + length);
  std::vector<uint8_t> header(max_header);
  build_header(outer, {}, {}, peer_mac, {}, header.data());
  std::copy_n(header.begin(), 34, out.begin());
  out[34] = types[random.below(6)];
  out[35] = static_cast<uint8_t>(random.below(18));
  out[40] = static_cast<uint8_t>(random.next());
  out[41] = static_cast<uint8_t>(random.next());
  if (length != 0) out.insert(out.end(), quoted.begin() + 14, quoted.begin() + 14 + static_cast<ptrdiff_t>(length));
  if (length > 16) std::copy_n(out.begin() + 30, 4, out.begin() + 54);  // who has sent it is who gets the error
  const uint16_t sum = sum_of(out.data() + 34, out.size() - 34);
  if (random.below(8) != 0) out[36] = static_cast<uint8_t>(sum >> 8), out[37] = static_cast<uint8_t>(sum);
  return out;
}

// A few bytes changed, most of them where the headers are; sometimes cut or longer.
void mutate(std::vector<uint8_t>& frame, Random& random) {
  for (uint32_t n = random.below(6); n != 0; --n) {
    const auto size = static_cast<uint32_t>(frame.size());
    uint8_t& byte = frame[random.below(2) && size > 46 ? 46 + random.below(size - 46) : random.below(size)];
    switch (random.below(3)) {
      case 0: byte = static_cast<uint8_t>(random.next()); break;
      case 1: byte ^= static_cast<uint8_t>(1u << random.below(8)); break;
      default: byte = static_cast<uint8_t>(random.below(12)); break;
    }
  }
  if (random.below(8) == 0) frame.resize(random.below(static_cast<uint32_t>(frame.size()) + 1));
  if (random.below(8) == 0)
    frame.resize(frame.size() + random.below(20), static_cast<uint8_t>(random.next()));
}

}  // namespace

// parse_fuzz [inputs] [seed]
int main(int argc, char** argv) {
  const unsigned long long inputs = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 300000;
  Random random(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1);
  for (unsigned long long i = 0; i < inputs; ++i) {
    std::vector<uint8_t> frame;
    if (random.below(8) == 0) {
      frame.resize(random.below(120));
      for (auto& b : frame) b = static_cast<uint8_t>(random.next());
    } else {
      frame = valid_frame(random);
      mutate(frame, random);
      if (random.below(4) == 0) frame = error_about(frame, random);
    }
    LLVMFuzzerTestOneInput(frame.data(), frame.size());
  }
  std::printf("%llu inputs, %llu ICMP errors taken\n", inputs, errors_taken);
  check(inputs < 10000 || errors_taken > inputs / 200, "hardly an ICMP error was taken");
  return 0;
}

#endif
