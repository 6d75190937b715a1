// SPDX-License-Identifier: BSD-3-Clause
// Ethernet, IPv4 and the fixed TCP header; options are in parse_options_test.cc, ARP and ICMP in
// parse_other_test.cc.
#include "wire/parse.h"

#include <gtest/gtest.h>

#include "frames.h"
#include "wire/options.h"

namespace millrace::wire {
namespace {

using namespace test;

TEST(Parse, WhatWasBuiltComesBack) {
  Random random(20);
  for (int i = 0; i < 30000; ++i) {
    TxSegment tx = peer_segment(static_cast<uint8_t>(random.next()));
    tx.options = static_cast<uint8_t>(random.below(32));
    tx.remote_port = static_cast<uint16_t>(1 + random.below(65535));
    tx.local_port = static_cast<uint16_t>(1 + random.below(65535));
    tx.remote = {own_ip.value + random.below(2)};
    tx.seq = {static_cast<uint32_t>(random.next())};
    tx.ack = {static_cast<uint32_t>(random.next())};
    tx.wnd = static_cast<uint16_t>(random.next());
    tx.urgent = static_cast<uint16_t>(random.next());
    tx.ts_val = static_cast<uint32_t>(random.next());
    tx.ts_ecr = static_cast<uint32_t>(random.next());
    tx.mss = static_cast<uint16_t>(random.next());
    tx.wscale = static_cast<uint8_t>(random.next());
    tx.ttl = static_cast<uint8_t>(random.below(3));  // req: RFC1122-3.2.1.7
    tx.tos = static_cast<uint8_t>(random.next());
    std::vector<SackBlock> sacks(random.below(5));
    for (auto& s : sacks)
      s = {{static_cast<uint32_t>(random.next())}, {static_cast<uint32_t>(random.next())}};
    const Bytes text = random_bytes(random, random.below(100));

    Block block(make_frame(tx, text, sacks), random.below(40));
    const Frame frame = block.frame();
    Parsed parsed;
    parsed.run({&frame, 1});
    ASSERT_EQ(parsed.burst.segments, 1u);
    const Segment& seg = parsed.seg();
    const bool is_syn = tx.flags & syn;
    const uint8_t options = allowed_options(tx.options, tx.flags);
    const uint32_t blocks = fitting_sacks(options, static_cast<uint32_t>(sacks.size()));
    ASSERT_EQ(parsed.key(), (FlowKey{tx.remote, peer_ip, tx.remote_port, tx.local_port, 4}));
    ASSERT_EQ(seg.packet, block.packet());
    ASSERT_EQ(seg.seq, tx.seq);
    ASSERT_EQ(seg.ack, tx.ack);
    ASSERT_EQ(seg.wnd, tx.wnd);  // req: RFC9293-MUST-1
    ASSERT_EQ(seg.urgent, tx.urgent);
    ASSERT_EQ(seg.flags, tx.flags);
    ASSERT_EQ(seg.len, text.size() + is_syn + (tx.flags & fin));
    ASSERT_EQ(Bytes(seg.text().bytes().begin(), seg.text().bytes().end()), text);
    ASSERT_EQ(seg.options, blocks ? options : options & ~opt_sack);
    ASSERT_EQ(seg.ts_val, options & opt_timestamps ? tx.ts_val : 0);
    ASSERT_EQ(seg.ts_ecr, options & opt_timestamps ? tx.ts_ecr : 0);
    ASSERT_EQ(seg.mss, options & opt_mss ? tx.mss : 0);  // req: RFC9293-MUST-4
    ASSERT_EQ(seg.wscale, options & opt_wscale ? tx.wscale : 0);
    ASSERT_EQ(seg.sack_count, blocks);
    for (uint32_t b = 0; b < blocks; ++b) ASSERT_EQ(sack_block(seg, b), sacks[b]);
    ASSERT_EQ(seg.source, peer_mac);
    ASSERT_EQ(parsed.counters[Count::bytes_received], text.size());
  }
}

TEST(Parse, ABurstGoesToItsPlacesInOrder) {
  std::vector<Block> blocks;
  std::vector<Frame> frames;
  Bytes arp(14 + 46, 0);
  std::copy_n(Mac::broadcast().bytes.begin(), 6, arp.begin());
  std::copy_n(peer_mac.bytes.begin(), 6, arp.begin() + 6);
  put16(arp, 12, 0x0806);
  for (uint32_t i = 0; i < limits::rx_burst; ++i) {
    TxSegment tx = peer_segment();
    tx.seq = {i};
    Bytes f = make_frame(tx, Bytes(i, 'x'));
    if (i % 4 == 1) f[40] ^= 1;
    blocks.emplace_back(i % 4 == 3 ? arp : f);
    frames.push_back(blocks.back().frame());
  }
  Parsed parsed;
  for (uint64_t turn = 1; turn <= 2; ++turn) {  // a burst forgets the one before
    parsed.run(frames);
    ASSERT_EQ(parsed.burst.segments, 16u);
    ASSERT_EQ(parsed.burst.others, 8u);
    ASSERT_EQ(parsed.released.size(), 8u);
    for (uint32_t i = 0; i < 16; ++i) {
      EXPECT_EQ(parsed.burst.segment[i].seq.value, i * 2);
      EXPECT_EQ(parsed.burst.segment[i].frame, i * 2);
      EXPECT_EQ(parsed.burst.segment[i].packet, frames[i * 2].packet);
      EXPECT_EQ(parsed.burst.key[i].remote_port, 40000);
    }
    for (uint32_t i = 0; i < 8; ++i) {
      EXPECT_EQ(parsed.burst.other[i].frame, i * 4 + 3);
      EXPECT_EQ(parsed.burst.other[i].kind, Other::arp);
      EXPECT_EQ(parsed.burst.other[i].mac, peer_mac);
      EXPECT_EQ(parsed.released[i], frames[i * 4 + 1].packet);
    }
    EXPECT_EQ(parsed.counters[Count::frames_received], 32 * turn);
    EXPECT_EQ(parsed.counters[Count::segments_received], 16 * turn);
    EXPECT_EQ(parsed.counters[Count::bytes_received], 240 * turn);
    EXPECT_EQ(parsed.counters[Count::drop_tcp_checksum], 8 * turn);
  }
  parsed.run({});
  EXPECT_EQ(parsed.burst.segments + parsed.burst.others, 0u);
}

// Segments are made in place, over those of the burst before.
TEST(Parse, NothingOfAnEarlierSegmentIsLeft) {
  TxSegment full = peer_segment(syn | fin | urg);
  full.options = opt_mss | opt_wscale | opt_sack_permitted | opt_timestamps;
  full.mss = full.urgent = 1460;
  full.wscale = 7;
  full.ts_val = full.ts_ecr = 9;
  TxSegment sack = peer_segment();
  sack.options = opt_sack;
  const SackBlock sacks[] = {{{1}, {2}}};
  const Bytes frames[] = {make_frame(full, Bytes(5, 'x')), make_frame(sack, {}, sacks),
                          make_frame(peer_segment())};
  Parsed parsed;
  for (const Bytes& bytes : frames) {
    Block block(bytes);
    const Frame frame = block.frame();
    parsed.run({&frame, 1});
    ASSERT_EQ(parsed.burst.segments, 1u);
  }
  const Segment& seg = parsed.seg();
  EXPECT_EQ(seg.flags, ack);
  EXPECT_EQ(seg.len + seg.text_len + seg.urgent, 0u);
  EXPECT_EQ(seg.options + seg.mss + seg.wscale + seg.sack_count + seg.sack_offset, 0);
  EXPECT_EQ(seg.ts_val + seg.ts_ecr, 0u);
}

TEST(Parse, ATruncatedFrameIsRejectedWhereverItEnds) {
  TxSegment tx = peer_segment();
  tx.options = opt_timestamps | opt_sack;
  const SackBlock sacks[] = {{{1}, {2}}, {{3}, {4}}};
  const Bytes whole = make_frame(tx, Bytes(9, 'x'), sacks);
  for (size_t length = 0; length < whole.size(); ++length)
    for (Verdict v : {Verdict::unknown, Verdict::good})
      ASSERT_EQ(verdict_of({whole.data(), length}, v, v),
                length < 34 ? Count::drop_runt : Count::drop_ip_header)
          << length;
  EXPECT_EQ(verdict_of(whole), accepted);
}

// The datagram itself ends early, and honestly says so.
TEST(Parse, ATruncatedDatagramIsRejectedInItsTcpHeader) {
  TxSegment tx = peer_segment();
  tx.options = opt_timestamps;
  const Bytes whole = make_frame(tx);
  for (size_t length = 34; length < whole.size(); ++length) {
    Bytes f(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
    put16(f, 16, static_cast<uint32_t>(length - 14));
    ASSERT_EQ(verdict_of(f, Verdict::good, Verdict::good), Count::drop_tcp_header) << length;
  }
}

TEST(Parse, EthernetPaddingIsNoText) {
  for (size_t padding = 0; padding < 30; ++padding)
    for (size_t text : {0u, 1u, 5u, 6u}) {
      Bytes f = make_frame(peer_segment(), Bytes(text, 'x'));
      f.resize(f.size() + padding, 0xee);
      accept(f, [&](const Segment& seg) { EXPECT_EQ(seg.text_len, text); });
    }
}

TEST(Parse, EtherTypes) {
  Bytes f = make_frame(peer_segment());
  for (uint32_t type : {0x0801u, 0x86ddu, 0x8100u, 0x88a8u, 0x0000u, 0x0008u, 0x002eu}) {
    put16(f, 12, type);
    EXPECT_EQ(verdict_of(f), Count::drop_ethertype) << type;
  }
}

TEST(Parse, FramesForOthers) {
  for (size_t i = 0; i < 6; ++i) {
    Bytes f = make_frame(peer_segment());
    f[i] ^= 0x40;
    EXPECT_EQ(verdict_of(f), Count::drop_not_for_us) << i;
    put16(f, 12, 0x0806);
    EXPECT_EQ(verdict_of(f), Count::drop_not_for_us) << i;
  }
}

// req: RFC9293-MUST-57, RFC1122-3.3.6
TEST(Parse, TcpToManyIsDropped) {
  for (const Mac& group : {Mac::broadcast(), Mac{{1, 0, 0x5e, 0, 0, 1}}}) {
    TxSegment tx = peer_segment(syn);
    tx.destination = group;
    EXPECT_EQ(verdict_of(make_frame(tx)), Count::drop_not_for_us) << "by frame";
    tx.remote = ipv4(10, 0, 0, 255);
    EXPECT_EQ(verdict_of(make_frame(tx)), Count::drop_not_for_us);
  }
  for (Ipv4Address to :
       {ipv4(255, 255, 255, 255), ipv4(10, 0, 0, 255), ipv4(224, 0, 0, 1), ipv4(239, 1, 2, 3)}) {
    TxSegment tx = peer_segment(syn);
    tx.remote = to;
    EXPECT_EQ(verdict_of(make_frame(tx)), Count::drop_not_for_us) << to_string(to);
  }
}

TEST(Parse, OnlyItsOwnAddressesAreAnswered) {
  TxSegment tx = peer_segment();
  for (uint32_t last : {0u, 3u, 4u, 254u}) {
    tx.remote = ipv4(10, 0, 0, last);
    EXPECT_EQ(verdict_of(make_frame(tx)), Count::drop_not_for_us) << last;
  }
  for (uint32_t last : {1u, 2u}) {
    tx.remote = ipv4(10, 0, 0, last);
    EXPECT_EQ(verdict_of(make_frame(tx)), accepted) << last;
  }
}

// req: RFC1122-3.2.1.1
TEST(Parse, IpVersion) {
  for (uint32_t version = 0; version < 16; ++version) {
    Bytes f = make_frame(peer_segment());
    f[14] = static_cast<uint8_t>(version << 4 | 5);
    EXPECT_EQ(verdict_of(f, Verdict::good), version == 4 ? accepted : Count::drop_ip_version);
  }
}

TEST(Parse, IpLengths) {
  for (uint8_t words = 0; words < 5; ++words) {
    Bytes f = make_frame(peer_segment());
    f[14] = 0x40 | words;
    EXPECT_EQ(verdict_of(f, Verdict::good), Count::drop_ip_header) << +words;
  }
  Bytes f = make_frame(peer_segment());
  f[14] = 0x4f;  // a header of 60 bytes in a datagram of 40
  EXPECT_EQ(verdict_of(f, Verdict::good), Count::drop_ip_header);
  f = make_frame(peer_segment());
  for (uint32_t total : {0u, 19u, 41u, 0xffffu}) {
    put16(f, 16, total);
    EXPECT_EQ(verdict_of(f, Verdict::good, Verdict::good), Count::drop_ip_header) << total;
  }
}

// req: RFC1122-3.2.1.2, RFC9293-MUST-3
TEST(Parse, AnyFlippedBitIsFound) {
  TxSegment tx = peer_segment();
  tx.options = opt_timestamps;
  const Bytes good = make_frame(tx, Bytes(7, 'x'));
  for (size_t bit = 14 * 8; bit < good.size() * 8; ++bit) {
    Bytes f = good;
    f[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    ASSERT_NE(verdict_of(f), accepted) << bit;
  }
  Bytes f = good;
  f[18] ^= 1;
  EXPECT_EQ(verdict_of(f), Count::drop_ip_checksum);
  f = good;
  f.back() ^= 1;
  EXPECT_EQ(verdict_of(f), Count::drop_tcp_checksum);
}

TEST(Parse, HardwareVerdicts) {
  Bytes f = make_frame(peer_segment(), Bytes(3, 'x'));
  for (Verdict v : {Verdict::unknown, Verdict::good, Verdict::intact})
    EXPECT_EQ(verdict_of(f, v, v), accepted);
  EXPECT_EQ(verdict_of(f, Verdict::bad, Verdict::good), Count::drop_ip_checksum);
  EXPECT_EQ(verdict_of(f, Verdict::good, Verdict::bad), Count::drop_tcp_checksum);
  Bytes ip = f;
  ip[24] ^= 1;
  Bytes l4 = f;
  l4[50] ^= 1;
  for (Verdict v : {Verdict::good, Verdict::intact}) {
    EXPECT_EQ(verdict_of(ip, v), accepted);
    EXPECT_EQ(verdict_of(l4, Verdict::unknown, v), accepted);
  }
  EXPECT_EQ(verdict_of(ip), Count::drop_ip_checksum);
  EXPECT_EQ(verdict_of(l4), Count::drop_tcp_checksum);
  EXPECT_EQ(verdict_of(ip, Verdict::unknown, Verdict::good), Count::drop_ip_checksum) << "each for its own";
}

// req: RFC1122-3.2.1.3a, RFC9293-MUST-63
TEST(Parse, ImpossibleSources) {
  for (Ipv4Address from :
       {ipv4(0, 0, 0, 0), ipv4(255, 255, 255, 255), ipv4(224, 0, 0, 1), ipv4(239, 9, 9, 9),
        ipv4(127, 0, 0, 1), ipv4(127, 255, 1, 1), ipv4(10, 0, 0, 255), own_ip, ipv4(10, 0, 0, 2)}) {
    TxSegment tx = peer_segment(syn);
    tx.local = from;
    EXPECT_EQ(verdict_of(make_frame(tx)), Count::drop_ip_source) << to_string(from);
    tx.kind = TxSegment::icmp_echo_reply;
    EXPECT_EQ(verdict_of(make_frame(tx, Bytes(8))), Count::drop_ip_source) << to_string(from);
  }
  for (Ipv4Address from :
       {ipv4(10, 0, 0, 3), ipv4(10, 0, 1, 255), ipv4(126, 0, 0, 1), ipv4(223, 255, 255, 1)}) {
    TxSegment tx = peer_segment(syn);
    tx.local = from;
    EXPECT_EQ(verdict_of(make_frame(tx)), accepted) << to_string(from);
  }
  TxSegment tx = peer_segment();
  tx.local = ipv4(10, 0, 0, 0);
  EXPECT_EQ(verdict_of(make_frame(tx), Verdict::unknown, Verdict::unknown, {ipv4(10, 0, 0, 1), 1, 31}),
            accepted)
      << "a /31 has no broadcast address";
}

TEST(Parse, FragmentsAreNotReassembled) {
  for (uint32_t field : {0x2000u, 0x0001u, 0x1fffu, 0x2001u, 0x6000u}) {
    Bytes f = make_frame(peer_segment());
    put16(f, 20, field);
    EXPECT_EQ(verdict_of(f, Verdict::good), Count::drop_ip_fragment) << field;
  }
  for (uint32_t field : {0x0000u, 0x4000u, 0x8000u}) {  // the reserved bit means nothing
    Bytes f = make_frame(peer_segment());
    put16(f, 20, field);
    EXPECT_EQ(verdict_of(f, Verdict::good), accepted) << field;
  }
}

TEST(Parse, Protocols) {
  for (uint32_t protocol = 0; protocol < 256; ++protocol) {
    if (protocol == 6 || protocol == 1) continue;
    Bytes f = make_frame(peer_segment());
    f[23] = static_cast<uint8_t>(protocol);
    EXPECT_EQ(verdict_of(f, Verdict::good), Count::drop_ip_protocol) << protocol;
  }
}

// req: RFC1122-3.2.1.8, RFC9293-MUST-50
TEST(Parse, IpOptionsAreSkipped) {
  Random random(21);
  for (size_t words = 1; words <= 10; ++words) {
    TxSegment tx = peer_segment();
    tx.options = opt_timestamps;
    tx.ts_val = 77;
    Bytes f = make_frame(tx, {'a', 'b'});
    const Bytes options = random_bytes(random, words * 4);
    f.insert(f.begin() + 34, options.begin(), options.end());
    f[14] = static_cast<uint8_t>(0x45 + words);
    put16(f, 16, static_cast<uint32_t>(f.size() - 14));
    fix_checksums(f);
    accept(f, [&](const Segment& seg) {
      EXPECT_EQ(seg.text_len, 2);
      EXPECT_EQ(seg.text().data()[1], 'b');
      EXPECT_EQ(seg.ts_val, 77u);
    });
  }
}

TEST(Parse, TcpHeaderLength) {
  for (uint8_t words = 0; words < 16; ++words) {
    Bytes f = make_frame(peer_segment(), Bytes(12, 0));  // the text would do as options
    f[46] = static_cast<uint8_t>(words << 4);
    EXPECT_EQ(verdict_of(f, Verdict::good, Verdict::good),
              words >= 5 && words <= 8 ? accepted : Count::drop_tcp_header)
        << +words;
  }
}

TEST(Parse, PortZeroIsNobody) {
  TxSegment tx = peer_segment();
  tx.local_port = 0;
  EXPECT_EQ(verdict_of(make_frame(tx)), Count::drop_tcp_header);
  tx = peer_segment();
  tx.remote_port = 0;
  EXPECT_EQ(verdict_of(make_frame(tx)), Count::drop_tcp_header);
}

TEST(Parse, FramesBeyondTheReachOfAnOffset) {
  const Bytes whole = make_frame(peer_segment(), Bytes(10, 'x'));
  for (size_t headroom : {size_t{0}, 0xffff - whole.size()}) {
    Block block(whole, headroom);
    const Frame frame = block.frame();
    Parsed parsed;
    parsed.run({&frame, 1});
    ASSERT_EQ(parsed.burst.segments, 1u) << headroom;
    EXPECT_EQ(parsed.seg().text().data()[9], 'x');
  }
  for (size_t headroom : {0x10000 - whole.size(), size_t{0x10000}, size_t{0x20000}}) {
    Block block(whole, headroom);
    const Frame frame = block.frame();
    Parsed parsed;
    parsed.run({&frame, 1});
    EXPECT_EQ(parsed.counters[Count::drop_runt], 1u) << headroom;
  }
  Block block(whole, 40);
  Frame before_handle = block.frame();
  before_handle.packet.handle += 41;
  Parsed parsed;
  parsed.run({&before_handle, 1});
  EXPECT_EQ(parsed.counters[Count::drop_runt], 1u);
}

}  // namespace
}  // namespace millrace::wire
