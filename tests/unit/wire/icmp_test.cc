// SPDX-License-Identifier: BSD-3-Clause
// ICMP messages, and the segment that an error quotes.
#include "wire/icmp.h"

#include <gtest/gtest.h>

#include "frames.h"

namespace millrace::wire {
namespace {

using namespace test;

TEST(Icmp, ChecksumAndLength) {
  Random random(24);
  IcmpMessage message;
  for (size_t length = 0; length < 60; ++length) {
    Bytes icmp = random_bytes(random, length);
    if (length >= 4) {
      icmp[0] = 8;
      icmp[1] = 3;
      put16(icmp, 2, 0);
      put16(icmp, 2, static_cast<uint16_t>(~naive_sum(icmp)));
    }
    Block block(icmp);
    EXPECT_EQ(parse_icmp({block.frame().data, length}, message), length >= 8) << length;
    if (length < 8) continue;
    EXPECT_EQ(message.type, 8);
    EXPECT_EQ(message.code, 3);
    icmp[length - 1] ^= 4;
    EXPECT_FALSE(parse_icmp(icmp, message));
  }
}

void fix_checksum(Bytes& icmp) {
  put16(icmp, 2, 0);
  put16(icmp, 2, static_cast<uint16_t>(~naive_sum(icmp)));
}

// What a router says of a segment that `own_ip` has sent: `quoted` bytes of the datagram come back.
Bytes error_message(uint8_t type, uint8_t code, uint16_t mtu, size_t quoted = 28) {
  TxSegment tx = peer_segment();
  std::swap(tx.local, tx.remote);
  std::swap(tx.local_port, tx.remote_port);
  Bytes datagram = make_frame(tx, Bytes(1000, 7), {}, own_mac);
  Bytes icmp(8 + quoted);
  icmp[0] = type;
  icmp[1] = code;
  put16(icmp, 6, mtu);
  std::copy_n(datagram.begin() + 14, quoted, icmp.begin() + 8);
  fix_checksum(icmp);
  return icmp;
}

// In a block of exactly its size: a sanitizer sees what is read behind it.
Count parse(const Bytes& icmp, IcmpError& out, Ipv4Address to = own_ip) {
  Block block(icmp);
  return parse_icmp_error({block.frame().data, icmp.size()}, to, out);
}

// req: RFC1122-3.2.2b
TEST(Icmp, AnErrorNamesTheSegmentInOurTerms) {
  for (uint8_t type : {3, 11, 12})
    for (size_t quoted : {size_t{28}, size_t{29}, size_t{40}, size_t{548}}) {
      const Bytes icmp = error_message(type, 4, 1280, quoted);
      EXPECT_TRUE(is_icmp_error(icmp));
      IcmpError error{};
      ASSERT_EQ(parse(icmp, error), accepted);
      EXPECT_EQ(error.type, type);
      EXPECT_EQ(error.code, 4);
      EXPECT_EQ(error.mtu, 1280);
      EXPECT_EQ(error.length, 1040);
      EXPECT_EQ(error.key, (FlowKey{own_ip, peer_ip, 80, 40000, 4}));
      EXPECT_EQ(error.seq, Seq{1000});
    }
}

TEST(Icmp, OthersAreNoErrors) {
  for (int type = 0; type < 256; ++type) {
    const Bytes icmp{static_cast<uint8_t>(type)};
    EXPECT_EQ(is_icmp_error(icmp), type == 3 || type == 11 || type == 12) << type;
  }
  EXPECT_FALSE(is_icmp_error({}));
}

TEST(Icmp, AQuoteMayHaveIpOptions) {
  Bytes icmp = error_message(3, 1, 0);
  icmp.insert(icmp.begin() + 28, 8, 0);
  icmp[8] = 0x47;
  fix_checksum(icmp);
  IcmpError error{};
  ASSERT_EQ(parse(icmp, error), accepted);
  EXPECT_EQ(error.seq, Seq{1000});
  icmp.pop_back();  // ... and then its eight bytes are not all there
  fix_checksum(icmp);
  EXPECT_EQ(parse(icmp, error), Count::drop_icmp_quote);
}

TEST(Icmp, AQuoteThatIsNoSegmentOfOursIsRefused) {
  const Bytes good = error_message(3, 1, 0);
  IcmpError error{};
  for (size_t length = 0; length < good.size(); ++length) {
    Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_EQ(parse(cut, error), Count::drop_icmp_quote) << length;
  }
  // Version, header length below and beyond, fragment offset and MF, protocol, source.
  for (auto [at, value] : {std::pair{8, 0x65}, {8, 0x44}, {8, 0x48}, {14, 0x20}, {15, 1}, {17, 17}, {23, 3}}) {
    Bytes icmp = good;
    icmp[static_cast<size_t>(at)] = static_cast<uint8_t>(value);
    fix_checksum(icmp);
    EXPECT_EQ(parse(icmp, error), Count::drop_icmp_quote) << at;
  }
  EXPECT_EQ(parse(good, error, peer_ip), Count::drop_icmp_quote);
  EXPECT_EQ(parse(good, error), accepted);
}

TEST(Icmp, AnErrorWithABadChecksumOrCodeIsRefused) {
  const Bytes good = error_message(3, 1, 0);
  IcmpError error{};
  for (size_t at : {2u, 5u, 18u, 30u, 35u}) {
    Bytes icmp = good;
    icmp[at] ^= 0x10;
    EXPECT_EQ(parse(icmp, error), Count::drop_icmp) << at;
  }
  EXPECT_EQ(parse(error_message(3, 15, 0), error), accepted);
  EXPECT_EQ(parse(error_message(3, 16, 0), error), Count::drop_icmp);
}

}  // namespace
}  // namespace millrace::wire
