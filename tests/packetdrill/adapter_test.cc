// SPDX-License-Identifier: BSD-3-Clause
// The sockets of the adapter, without a packetdrill: what scripts of others have found wrong with them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "tests/packetdrill/sockets.h"
#include "wire/build.h"

namespace millrace::packetdrill {
namespace {

constexpr Ipv4Address own = ipv4(192, 168, 0, 1), peer = ipv4(192, 0, 2, 1);
constexpr uint16_t own_port = 8080, peer_port = 5000;

struct Seen {
  uint8_t flags = 0;
  uint32_t seq = 0, ack = 0;
  size_t length = 0;  // of the text
  uint16_t mss = 0;   // of a SYN
  Instant at;
};

struct Adapter : testing::Test {
  Sockets sockets{profile("linux,sysctls=0,timestamps=0")};
  uint32_t iss = 0;  // the stack's

  void in(uint8_t flags, uint32_t seq, uint32_t ack = 0, size_t length = 0) {
    wire::TxSegment tx;
    tx.flags = flags;
    tx.local = peer, tx.local_port = peer_port;
    tx.remote = own, tx.remote_port = own_port;
    tx.seq = wire::Seq{seq}, tx.ack = wire::Seq{iss + ack};
    tx.wnd = 60000, tx.ttl = 64;
    if (flags & wire::syn) tx.options = wire::opt_mss, tx.mss = 1000;
    Bytes text(length, 'x');
    Slice slice{PacketRef{text.data()}, Slice::registered, 0, static_cast<uint16_t>(length)};
    tx.text_len = static_cast<uint16_t>(length), tx.slice_count = 1;
    Bytes bytes(wire::max_header);
    bytes.resize(wire::build_header(tx, {&slice, 1}, {}, {}, {}, bytes.data()));
    bytes.insert(bytes.end(), text.begin(), text.end());
    ASSERT_EQ(sockets.packet_in(bytes.data() + 14, bytes.size() - 14), 0);
  }
  Seen out() {
    uint8_t b[4000];
    size_t length = sizeof b;
    long long us = 0;
    EXPECT_EQ(sockets.packet_out(b, &length, &us), 0);
    if (length < 40) return {};
    auto word = [&](size_t i) { return uint32_t{b[i]} << 24 | b[i + 1] << 16 | b[i + 2] << 8 | b[i + 3]; };
    Seen seen{b[33], word(24), word(28), length - 20 - (b[32] >> 4) * 4u, 0, Instant{} + microseconds(static_cast<uint64_t>(us))};
    if (seen.flags & wire::syn) {
      iss = seen.seq;
      seen.mss = static_cast<uint16_t>(b[42] << 8 | b[43]);  // the first option
    }
    seen.seq -= iss;
    return seen;
  }
  int listening(int domain = AF_INET) {
    int fd = sockets.socket(domain, SOCK_STREAM, 0);
    sockaddr_in a4{};
    a4.sin_family = AF_INET, a4.sin_port = htons(own_port), a4.sin_addr.s_addr = htonl(own.value);
    sockaddr_in6 a6{};
    a6.sin6_family = AF_INET6, a6.sin6_port = htons(own_port);
    inet_pton(AF_INET6, "::ffff:192.168.0.1", &a6.sin6_addr);
    bool six = domain == AF_INET6;
    EXPECT_EQ(sockets.bind(fd, six ? reinterpret_cast<sockaddr*>(&a6) : reinterpret_cast<sockaddr*>(&a4),
                           six ? sizeof a6 : sizeof a4), 0);
    EXPECT_EQ(sockets.listen(fd, 5), 0);
    return fd;
  }
  int accepted(int listener) {
    in(wire::syn, 0);
    EXPECT_EQ(out().flags, wire::syn | wire::ack);
    in(wire::ack, 1, 1);
    return sockets.accept(listener, nullptr, nullptr);
  }
  void set(int fd, int name, int value) {
    EXPECT_EQ(sockets.set_option(fd, IPPROTO_TCP, name, &value, sizeof value), 0);
  }
  ssize_t send(int fd, size_t length, int flags) {
    Bytes text(length, 'y');
    iovec part{text.data(), length};
    return sockets.send(fd, {&part, 1}, flags);
  }
  ssize_t receive(int fd, int flags) {
    char text[4000];
    iovec part{text, sizeof text};
    return sockets.receive(fd, {&part, 1}, flags);
  }
};

TEST_F(Adapter, TcpInfoBeforeThereIsAStack) {
  int fd = sockets.socket(AF_INET, SOCK_STREAM, 0);
  tcp_info info;
  socklen_t length = sizeof info;
  ASSERT_EQ(sockets.diagnostics(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  EXPECT_EQ(info.tcpi_state, 7);  // CLOSED
}

TEST_F(Adapter, TextThatComesWithTheHandshakesAckIsTheNewSockets) {
  int listener = listening();
  in(wire::syn, 0);
  out();
  in(wire::ack, 1, 1, 4);
  int fd = sockets.accept(listener, nullptr, nullptr);
  EXPECT_EQ(receive(fd, MSG_DONTWAIT), 4);
}

TEST_F(Adapter, AddressesHaveTheFamilyOfTheirSocket) {
  for (int domain : {AF_INET, AF_INET6}) {
    int listener = listening(domain);
    in(wire::syn, 0);
    out();
    in(wire::ack, 1, 1);
    sockaddr_storage a{};
    socklen_t length = sizeof a;
    int fd = sockets.accept(listener, reinterpret_cast<sockaddr*>(&a), &length);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(a.ss_family, domain);
    EXPECT_EQ(length, domain == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    char text[INET6_ADDRSTRLEN] = "";
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&a);
    const auto* in4 = reinterpret_cast<const sockaddr_in*>(&a);
    inet_ntop(domain, domain == AF_INET ? static_cast<const void*>(&in4->sin_addr) : &in6->sin6_addr, text, sizeof text);
    EXPECT_STREQ(text, domain == AF_INET ? "192.0.2.1" : "::ffff:192.0.2.1");
    EXPECT_EQ(ntohs(domain == AF_INET ? in4->sin_port : in6->sin6_port), peer_port);
    in(wire::rst, 1);
    sockets.close(fd);
    sockets.close(listener);
  }
}

// The script's own thread moves the clock: waiting for it in there would be for ever.
TEST_F(Adapter, TheScriptsThreadWaitsForTimersOnly) {
  int fd = accepted(listening());
  EXPECT_EQ(receive(fd, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
  pollfd p{fd, POLLIN, 0};
  timeval before{}, after{};
  sockets.time_of_day(&before);
  EXPECT_EQ(sockets.poll(&p, 1, 5000), 0);
  sockets.time_of_day(&after);
  EXPECT_EQ(after.tv_sec - before.tv_sec, 5);
}

// RFC9293-MUST-60: whole segments leave, the rest when it is due
TEST_F(Adapter, MsgMoreKeepsLessThanASegment) {
  int fd = accepted(listening());
  set(fd, TCP_NODELAY, 1);
  EXPECT_EQ(send(fd, 2300, MSG_MORE), 2300);
  Seen first = out();
  EXPECT_EQ(first.length, 1000u);
  EXPECT_EQ(out().length, 1000u);
  EXPECT_EQ(send(fd, 100, 0), 100);
  Seen rest = out();
  EXPECT_EQ(rest.length, 400u);
  EXPECT_EQ(rest.flags, wire::ack | wire::psh);
  in(wire::ack, 1, 2401);
  EXPECT_EQ(send(fd, 40, MSG_MORE), 40);
  timeval now{};
  sockets.time_of_day(&now);
  Seen late = out();
  EXPECT_EQ(late.length, 40u);
  auto at = Instant{} + seconds(static_cast<uint64_t>(now.tv_sec)) + microseconds(static_cast<uint64_t>(now.tv_usec));
  EXPECT_NEAR(static_cast<double>((late.at - at).us()), 200'000, 10);
}

TEST_F(Adapter, TheCorkComesOut) {
  int fd = accepted(listening());
  set(fd, TCP_CORK, 1);
  EXPECT_EQ(send(fd, 40, 0), 40);
  EXPECT_EQ(send(fd, 40, 0), 40);
  set(fd, TCP_CORK, 0);
  Seen seen = out();
  EXPECT_EQ(seen.length, 80u);
  EXPECT_EQ(seen.flags, wire::ack | wire::psh);
  EXPECT_EQ(sockets.shutdown(fd, SHUT_WR), 0);
  in(wire::ack, 1, 81);
  EXPECT_EQ(out().flags, wire::fin | wire::ack);
}

// Also of a listener that is open already
TEST_F(Adapter, MaximumSegmentSize) {
  int listener = listening();
  set(listener, TCP_MAXSEG, 700);
  in(wire::syn, 0);
  EXPECT_EQ(out().mss, 700);
  int value = 0;
  socklen_t length = sizeof value;
  in(wire::ack, 1, 1);
  int fd = sockets.accept(listener, nullptr, nullptr);
  EXPECT_EQ(sockets.get_option(fd, IPPROTO_TCP, TCP_MAXSEG, &value, &length), 0);
  EXPECT_EQ(value, 700);
}

// RFC9293-MUST-27, -28, -29: chosen before there is a connection
TEST_F(Adapter, KeepAlive) {
  int listener = listening();
  int on = 1;
  EXPECT_EQ(sockets.set_option(listener, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), 0);
  set(listener, TCP_KEEPIDLE, 10);
  set(listener, TCP_KEEPINTVL, 3);
  set(listener, TCP_KEEPCNT, 2);
  int fd = accepted(listener);
  timeval now{};
  sockets.time_of_day(&now);
  auto second = [&](const Seen& seen) { return seen.at.s() - static_cast<uint64_t>(now.tv_sec); };
  EXPECT_EQ(second(out()), 10u);
  EXPECT_EQ(second(out()), 13u);
  EXPECT_EQ(receive(fd, 0), -1);
  EXPECT_EQ(errno, ETIMEDOUT);
}

}  // namespace
}  // namespace millrace::packetdrill
