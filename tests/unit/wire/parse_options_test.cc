// SPDX-License-Identifier: BSD-3-Clause
// TCP options, in frames and alone.
#include "wire/parse.h"

#include <gtest/gtest.h>

#include "frames.h"
#include "wire/options.h"

namespace millrace::wire {
namespace {

using namespace test;

// A frame of a segment whose options are exactly these bytes (a multiple of 4).
Bytes with_options(const Bytes& options, uint8_t flags = ack, const Bytes& text = {}) {
  Bytes f = make_frame(peer_segment(flags), text);
  f.insert(f.begin() + 54, options.begin(), options.end());
  f[46] = static_cast<uint8_t>((5 + options.size() / 4) << 4);
  put16(f, 16, static_cast<uint32_t>(f.size() - 14));
  fix_checksums(f);
  return f;
}

// req: RFC9293-MUST-4, RFC9293-MUST-5, RFC9293-MUST-6, RFC9293-MUST-64
TEST(Options, InAnyOrderAtAnyAlignment) {
  const Bytes syn_area{254, 5, 9, 9, 9, 1, 2, 4, 0x12, 0x34, 3, 3, 15, 8,
                       10,  0, 0, 0, 5, 0, 0, 0, 6,    4,    2, 1, 0,  0};
  accept(with_options(syn_area, syn), [](const Segment& seg) {
    EXPECT_EQ(seg.options, opt_mss | opt_wscale | opt_timestamps | opt_sack_permitted);
    EXPECT_EQ(seg.mss, 0x1234);
    EXPECT_EQ(seg.wscale, 15) << "as received";
    EXPECT_EQ(seg.ts_val, 5u);
    EXPECT_EQ(seg.ts_ecr, 6u);
    EXPECT_EQ(seg.len, 1u);
  });
  const Bytes area{5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 8, 10, 0, 0, 0, 3, 0, 0, 0, 4};
  for (uint8_t flags : {uint8_t{ack}, uint8_t{ack | fin}, uint8_t{rst}, uint8_t{ack | psh}})
    accept(with_options(area, flags, {'x'}), [](const Segment& seg) {
      EXPECT_EQ(seg.options, opt_sack | opt_timestamps);
      ASSERT_EQ(seg.sack_count, 1);
      EXPECT_EQ(sack_block(seg, 0), (SackBlock{{1}, {2}}));
      EXPECT_EQ(seg.ts_ecr, 4u);
      EXPECT_EQ(seg.text_len, 1);
    });
}

TEST(Options, TimestampsInTheUsualPlaceAndMoreBehind) {
  const Bytes stamps{1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 8};
  accept(with_options(stamps), [](const Segment& seg) {
    EXPECT_EQ(seg.options, opt_timestamps);
    EXPECT_EQ(seg.ts_val, 7u);
    EXPECT_EQ(seg.ts_ecr, 8u);
  });
  Bytes more = stamps;
  for (uint8_t b : {1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4}) more.push_back(b);
  accept(with_options(more), [](const Segment& seg) {
    EXPECT_EQ(seg.options, opt_timestamps | opt_sack);
    ASSERT_EQ(seg.sack_count, 2);
    EXPECT_EQ(sack_block(seg, 1), (SackBlock{{3}, {4}}));
  });
  Bytes broken = stamps;
  for (uint8_t b : {5, 4, 0, 0}) broken.push_back(b);
  EXPECT_EQ(verdict_of(with_options(broken)), Count::drop_tcp_options);
}

// req: RFC9293-MUST-69
TEST(Options, NothingIsReadBehindTheEnd) {
  accept(with_options({0, 2, 4, 1}, syn), [](const Segment& seg) { EXPECT_EQ(seg.options, 0); });
  accept(with_options({1, 0, 8, 0}, syn), [](const Segment& seg) { EXPECT_EQ(seg.options, 0); });
  accept(with_options(Bytes(40, 1)), [](const Segment& seg) { EXPECT_EQ(seg.options, 0); });
}

// req: RFC9293-MUST-65, RFC7323-2.2b, RFC2018-2
TEST(Options, OffersOutsideSynAreIgnored) {
  const Bytes area{2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7};
  accept(with_options(area, ack), [](const Segment& seg) {
    EXPECT_EQ(seg.options, 0);
    EXPECT_EQ(seg.mss, 0);
    EXPECT_EQ(seg.wscale, 0);
  });
  accept(with_options(area, syn | ack), [](const Segment& seg) {
    EXPECT_EQ(seg.options, opt_mss | opt_sack_permitted | opt_wscale);
    EXPECT_EQ(seg.mss, 1460);
    EXPECT_EQ(seg.wscale, 7);
  });
  accept(with_options({1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}, syn), [](const Segment& seg) {
    EXPECT_EQ(seg.options, 0);
    EXPECT_EQ(seg.sack_count, 0);
  });
}

// req: RFC9293-MUST-7, RFC9293-MUST-68
TEST(Options, IllegalLengths) {
  for (uint8_t flags : {uint8_t{syn}, uint8_t{ack}})
    for (int kind = 2; kind < 256; ++kind)
      for (int length = 0; length < 256; ++length) {
        Bytes area(40, 1);
        area[0] = static_cast<uint8_t>(kind);
        area[1] = static_cast<uint8_t>(length);
        bool legal = length >= 2 && length <= 40;
        if (kind == 2) legal = length == 4;
        if (kind == 3) legal = length == 3;
        if (kind == 4) legal = length == 2;
        if (kind == 5) legal = length == 10 || length == 18 || length == 26 || length == 34;
        if (kind == 8) legal = length == 10;
        ASSERT_EQ(verdict_of(with_options(area, flags), Verdict::good, Verdict::good),
                  legal ? accepted : Count::drop_tcp_options)
            << kind << ' ' << length;
      }
  EXPECT_EQ(verdict_of(with_options({1, 1, 1, 2})), Count::drop_tcp_options) << "no room for a length byte";
  EXPECT_EQ(verdict_of(with_options({1, 1, 8, 10})), Count::drop_tcp_options) << "runs over the header's end";
  EXPECT_EQ(verdict_of(with_options({1, 1, 8, 10}, ack, Bytes(20, 'x'))), Count::drop_tcp_options)
      << "though the text would have the bytes";
}

// The area ends where its heap block ends: a sanitizer sees any byte read behind it.
TEST(Options, RandomAreasAreReadWithinTheirBounds) {
  Random random(22);
  const Bytes likely{0, 1, 2, 3, 4, 5, 8, 10, 18, 34, 40, 254};
  for (int i = 0; i < 100000; ++i) {
    Bytes area = random_bytes(random, 4 * random.below(11));
    for (auto& b : area)
      if (random.below(3) != 0) b = likely[random.below(static_cast<uint32_t>(likely.size()))];
    Block block(area, 4);
    Segment seg;
    seg.packet = block.packet();
    seg.flags = static_cast<uint8_t>(random.next());
    if (!read_options(block.frame().data, static_cast<uint32_t>(area.size()), seg)) continue;
    ASSERT_LE(seg.sack_count, 4);
    ASSERT_EQ(seg.sack_count != 0, (seg.options & opt_sack) != 0);
    for (uint32_t b = 0; b < seg.sack_count; ++b) {
      ASSERT_GE(seg.sack_offset, 4 + 2);
      ASSERT_LE(seg.sack_offset + 8 * (b + 1), 4 + area.size());
      static_cast<void>(sack_block(seg, b));
    }
  }
}

TEST(Options, RandomAreasInWholeFrames) {
  Random random(23);
  for (int i = 0; i < 20000; ++i) {
    const Bytes area = random_bytes(random, 4 * random.below(11));
    const Count reason = verdict_of(with_options(area, static_cast<uint8_t>(random.next())));
    ASSERT_TRUE(reason == accepted || reason == Count::drop_tcp_options);
  }
}

}  // namespace
}  // namespace millrace::wire
