// SPDX-License-Identifier: BSD-3-Clause
#include "wire/build.h"

#include <gtest/gtest.h>

#include "frames.h"
#include "wire/icmp.h"
#include "wire/options.h"

namespace millrace::wire {
namespace {

using namespace test;

constexpr uint8_t syn_options = opt_mss | opt_wscale | opt_sack_permitted | opt_timestamps;

Bytes options_of(const Bytes& frame) {
  const size_t header = frame[46] >> 4 << 2;
  return {frame.begin() + 54, frame.begin() + static_cast<ptrdiff_t>(34 + header)};
}

TEST(Build, EveryFieldHasItsPlace) {
  TxSegment tx = peer_segment(ack | psh | urg | ece);
  tx.seq = {0x01020304};
  tx.ack = {0x05060708};
  tx.wnd = 0x1122;
  tx.urgent = 0x3344;
  tx.ttl = 17;
  tx.tos = 0xb8;
  const Bytes f = make_frame(tx, {'a', 'b', 'c'});
  ASSERT_EQ(f.size(), 14u + 20 + 20 + 3);
  EXPECT_EQ(Bytes(f.begin(), f.begin() + 14), (Bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}));
  EXPECT_EQ(f[14], 0x45);
  EXPECT_EQ(f[15], 0xb8);  // req: RFC9293-MUST-48
  EXPECT_EQ(get16(f, 16), 43);
  EXPECT_EQ(get16(f, 18), 0);                          // req: RFC9293-MAY-4
  EXPECT_EQ(get16(f, 20), 0x4000) << "DF, no offset";  // req: RFC6864-4
  EXPECT_EQ(f[22], 17);                                // req: RFC9293-MUST-49
  EXPECT_EQ(f[23], 6);
  EXPECT_EQ(get32(f, 26), peer_ip.value);
  EXPECT_EQ(get32(f, 30), own_ip.value);
  EXPECT_EQ(get16(f, 34), 40000);
  EXPECT_EQ(get16(f, 36), 80);
  EXPECT_EQ(get32(f, 38), 0x01020304u);
  EXPECT_EQ(get32(f, 42), 0x05060708u);
  EXPECT_EQ(get16(f, 46), 0x5000 | ack | psh | urg | ece);
  EXPECT_EQ(get16(f, 48), 0x1122);
  EXPECT_EQ(get16(f, 52), 0x3344);
  EXPECT_EQ(Bytes(f.begin() + 54, f.end()), (Bytes{'a', 'b', 'c'}));
}

// req: RFC9293-MUST-2
TEST(Build, ChecksumsAreWhatTheReferenceComputes) {
  Random random(8);
  for (int i = 0; i < 20000; ++i) {
    TxSegment tx = peer_segment(static_cast<uint8_t>(random.next()));
    tx.options = static_cast<uint8_t>(random.next()) & 31;
    tx.local = {static_cast<uint32_t>(random.next())};
    tx.remote = {static_cast<uint32_t>(random.next())};
    tx.seq = {static_cast<uint32_t>(random.next())};
    tx.ack = {static_cast<uint32_t>(random.next())};
    tx.ts_val = static_cast<uint32_t>(random.next());
    tx.ts_ecr = static_cast<uint32_t>(random.next());
    tx.wnd = static_cast<uint16_t>(random.next());
    tx.urgent = static_cast<uint16_t>(random.next());
    tx.tos = static_cast<uint8_t>(random.next());
    tx.ttl = static_cast<uint8_t>(random.next());
    tx.mss = static_cast<uint16_t>(random.next());
    tx.wscale = static_cast<uint8_t>(random.next());
    SackBlock sacks[4];
    for (auto& s : sacks)
      s = {{static_cast<uint32_t>(random.next())}, {static_cast<uint32_t>(random.next())}};
    const Bytes text = random_bytes(random, random.below(80));
    const Bytes made = make_frame(tx, text, {sacks, random.below(5)});
    Bytes fixed = made;
    fix_checksums(fixed);
    ASSERT_EQ(made, fixed) << "round " << i;
  }
}

TEST(Build, SeveralSlicesWithOddLengths) {
  Random random(9);
  for (int i = 0; i < 2000; ++i) {
    std::vector<Block> blocks;
    std::vector<Slice> slices;
    Bytes text;
    for (uint32_t n = 1 + random.below(limits::slices_per_segment); n != 0; --n) {
      const Bytes part = random_bytes(random, random.below(40));
      text.insert(text.end(), part.begin(), part.end());
      blocks.emplace_back(part, random.below(5));
      slices.push_back(blocks.back().slice());
    }
    TxSegment tx = peer_segment(ack | psh);
    tx.options = opt_timestamps;
    tx.text_len = static_cast<uint16_t>(text.size());
    tx.slice_count = static_cast<uint8_t>(slices.size());
    Bytes out(max_header);
    out.resize(build_header(tx, slices, {}, peer_mac, {}, out.data()));
    out.insert(out.end(), text.begin(), text.end());
    ASSERT_EQ(out, [&] { return make_frame(tx, text); }());
    ASSERT_EQ(verdict_of(out), Count::count_);
  }
}

TEST(Build, OffloadedChecksumsAreLeftToTheHardware) {
  const TxSegment tx = peer_segment();
  const Bytes text(11, 'x');
  const Bytes plain = make_frame(tx, text);
  const Bytes ip = make_frame(tx, text, {}, peer_mac, {true, false});
  const Bytes l4 = make_frame(tx, text, {}, peer_mac, {false, true});
  EXPECT_EQ(get16(ip, 24), 0);
  EXPECT_EQ(get16(ip, 50), get16(plain, 50));
  EXPECT_EQ(get16(l4, 24), get16(plain, 24));
  const uint32_t pseudo = naive_sum({&l4[26], 8}) + 6u + 20 + 11;
  EXPECT_EQ(get16(l4, 50), (pseudo & 0xffff) + (pseudo >> 16)) << "the pseudo-header's sum, not inverted";
  // What the hardware then does: sum everything, that field included, and store the complement.
  EXPECT_EQ(static_cast<uint16_t>(~naive_sum({&l4[34], 31})), get16(plain, 50));
}

TEST(Build, SynOptionsStandAsLinuxWritesThem) {
  TxSegment tx = peer_segment(syn);
  tx.mss = 1460;
  tx.wscale = 7;
  tx.ts_val = 0x11223344;
  tx.ts_ecr = 0x55667788;
  tx.options = syn_options;
  EXPECT_EQ(options_of(make_frame(tx)),
            (Bytes{2, 4, 5, 0xb4, 4, 2, 8, 10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 1, 3, 3, 7}));
  tx.options = opt_mss | opt_timestamps;
  EXPECT_EQ(options_of(make_frame(tx)),
            (Bytes{2, 4, 5, 0xb4, 1, 1, 8, 10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}));
  tx.options = opt_mss | opt_sack_permitted | opt_wscale;
  EXPECT_EQ(options_of(make_frame(tx)), (Bytes{2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7}));
  tx.options = opt_mss;
  EXPECT_EQ(options_of(make_frame(tx)), (Bytes{2, 4, 5, 0xb4}));
  tx.options = 0;
  EXPECT_EQ(options_of(make_frame(tx)), Bytes{});
}

TEST(Build, SynOptionsStandAsFreeBsdWritesThem) {
  TxSegment tx = peer_segment(syn);
  tx.mss = 1460;
  tx.wscale = 6;
  tx.ts_val = 0x11223344;
  tx.ts_ecr = 0x55667788;
  tx.options = syn_options | opt_scale_first;
  EXPECT_EQ(options_of(make_frame(tx)),
            (Bytes{2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 8, 10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}));
  tx.options = opt_mss | opt_sack_permitted | opt_scale_first;
  EXPECT_EQ(options_of(make_frame(tx)), (Bytes{2, 4, 5, 0xb4, 4, 2, 0, 0}));
  tx.options = opt_mss | opt_sack_permitted | opt_wscale | opt_scale_first;
  EXPECT_EQ(options_of(make_frame(tx)), (Bytes{2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 0, 0}));
}

TEST(Build, SackBlocksFollowTheTimestamps) {
  TxSegment tx = peer_segment();
  tx.options = opt_timestamps | opt_sack;
  tx.ts_val = 1;
  tx.ts_ecr = 2;
  const SackBlock sacks[4] = {{{0x10}, {0x20}}, {{0x30}, {0x40}}, {{0x50}, {0x60}}, {{0x70}, {0x80}}};
  EXPECT_EQ(options_of(make_frame(tx, {}, {sacks, 1})),
            (Bytes{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 10, 0, 0, 0, 0x10, 0, 0, 0, 0x20}));
  EXPECT_EQ(options_of(make_frame(tx, {}, {sacks, 4})).size(), 40u) << "three fit beside timestamps";
  tx.options = opt_sack;
  EXPECT_EQ(options_of(make_frame(tx, {}, {sacks, 4})).size(), 36u) << "four without";
  EXPECT_EQ(options_of(make_frame(tx, {}, {sacks, 4}))[3], 34);
  EXPECT_EQ(options_of(make_frame(tx)), Bytes{}) << "no block, no option";
  tx.options = 0;
  EXPECT_EQ(options_of(make_frame(tx, {}, {sacks, 2})), Bytes{}) << "not asked for";
}

// req: RFC9293-MUST-65, RFC2018-2, RFC7323-2.2b
TEST(Build, OffersStandInSynOnly) {
  TxSegment tx = peer_segment(ack);
  tx.options = syn_options;
  EXPECT_EQ(options_of(make_frame(tx)).size(), 12u) << "only the timestamps are left";
  tx.options = opt_mss | opt_wscale | opt_sack_permitted;
  EXPECT_EQ(options_of(make_frame(tx)), Bytes{});
  const SackBlock sacks[] = {{{1}, {2}}};
  tx.flags = syn;
  tx.options = opt_mss | opt_sack;
  EXPECT_EQ(options_of(make_frame(tx, {}, sacks)).size(), 4u) << "and no SACK in a SYN";
}

TEST(Build, HeaderLengthIsWhatIsBuilt) {
  for (uint32_t options = 0; options < 32; ++options)
    for (uint32_t count = 0; count <= 4; ++count) {
      const uint32_t length = tcp_header_length(static_cast<uint8_t>(options), count);
      EXPECT_GE(length, 20u);
      EXPECT_LE(length, 60u);
      EXPECT_EQ(length % 4, 0u);
      const std::vector<SackBlock> sacks(count);
      for (uint8_t flags : {uint8_t{syn}, uint8_t{ack}}) {
        TxSegment tx = peer_segment(flags);
        tx.options = static_cast<uint8_t>(options);
        if (allowed_options(tx.options, flags) != tx.options) continue;
        EXPECT_EQ(make_frame(tx, {}, sacks).size(), 34 + length) << options << ' ' << count;
      }
    }
}

TEST(Build, ArpRequest) {
  TxSegment tx;
  tx.kind = TxSegment::arp_request;
  tx.destination = Mac::broadcast();
  tx.local = own_ip;
  tx.remote = peer_ip;
  const Bytes f = make_frame(tx, {}, {}, own_mac);
  EXPECT_EQ(f, (Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0,  0, 0, 0, 1, 8, 6, 0, 1, 8, 0,  6, 4, 0,
                      1,    2,    0,    0,    0,    0,    1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 200}));
}

TEST(Build, ArpReply) {
  TxSegment tx;
  tx.kind = TxSegment::arp_reply;
  tx.destination = peer_mac;
  tx.local = own_ip;
  tx.remote = peer_ip;
  const Bytes f = make_frame(tx, {}, {}, own_mac);
  EXPECT_EQ(f, (Bytes{2, 0, 0, 0, 0, 2, 2, 0,  0, 0, 0, 1, 8, 6, 0, 1, 8, 0,  6, 4, 0,
                      2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 200}));
  ArpPacket arp;
  ASSERT_TRUE(parse_arp(std::span(f).subspan(14), arp));
  EXPECT_FALSE(arp.request);
  EXPECT_EQ(arp.sender, own_ip);
  EXPECT_EQ(arp.sender_mac, own_mac);
  EXPECT_EQ(arp.target, peer_ip);
}

// req: RFC1122-3.2.2.6a
TEST(Build, EchoReplyReturnsWhatCame) {
  Random random(10);
  for (size_t length = 4; length < 100; ++length) {
    const Bytes rest = length == 4 ? Bytes(4, 0) : random_bytes(random, length);
    TxSegment tx = peer_segment();
    tx.kind = TxSegment::icmp_echo_reply;
    for (bool offload : {false, true}) {
      const Bytes f = make_frame(tx, rest, {}, peer_mac, {false, offload});
      ASSERT_EQ(f.size(), 38 + length);
      ASSERT_EQ(f[23], 1);
      ASSERT_EQ(get16(f, 16), 24 + length);
      ASSERT_EQ(naive_sum({&f[14], 20}), 0xffff);
      ASSERT_EQ(get16(f, 34), 0) << "type and code";
      ASSERT_EQ(naive_sum({&f[34], f.size() - 34}), 0xffff);
      ASSERT_EQ(Bytes(f.begin() + 38, f.end()), rest);
      IcmpMessage message{9, 9};
      ASSERT_TRUE(parse_icmp(std::span(f).subspan(34), message));
      ASSERT_EQ(message.type, 0);
      ASSERT_EQ(message.code, 0);
    }
  }
}

// A header never writes outside its max_header bytes.
TEST(Build, StaysWithinMaxHeader) {
  Random random(11);
  std::unique_ptr<uint8_t[]> exact(new uint8_t[max_header]);
  for (int i = 0; i < 10000; ++i) {
    TxSegment tx = peer_segment(static_cast<uint8_t>(random.next()));
    tx.kind = static_cast<TxSegment::Kind>(random.below(4));
    tx.options = static_cast<uint8_t>(random.next());
    tx.sack_count = static_cast<uint8_t>(random.next());
    const std::vector<SackBlock> sacks(random.below(9));
    ASSERT_LE(build_header(tx, {}, sacks, own_mac, {}, exact.get()), max_header);
  }
}

}  // namespace
}  // namespace millrace::wire
