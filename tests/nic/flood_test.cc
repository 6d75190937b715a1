// SPDX-License-Identifier: BSD-3-Clause
// A flood of forged SYNs over net_ring: raw frames from the client's end of the pair, while the client connects, and while
// connections that were there before go on.
#include <gtest/gtest.h>
#include <millrace/millrace.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <chrono>
#include <map>

#include "base/siphash.h"
#include "nic/eal.h"
#include "nic/mempool.h"
#include "wire/build.h"

namespace millrace {
namespace {

constexpr uint16_t echo_port = 7;
constexpr Ipv4Address client_address = ipv4(10, 9, 0, 2);
constexpr Ipv4Address server_address = ipv4(10, 9, 0, 3);

Config end(Ipv4Address address) {
  Config config;
  config.address = address;
  config.packet_buffers = 8192;
  config.max_connections = 1024;  // and as many half-open ones
  config.max_time_wait = 4096;
  config.seed = address.value;
  return config;
}

void echo(Channel& channel) {
  if (channel.first_turn()) channel.listen({.port = echo_port});
  for (Event& event : channel.events()) {
    if (event.kind == Event::received) channel.send(event.connection, event.keep());
    if (event.kind == Event::peer_closed) channel.close(event.connection);
  }
}

wire::Mac mac_of(Ipv4Address a) {  // as nic/port makes it for a ring
  return {{0x02, 0x6d, static_cast<uint8_t>(a.value >> 24), static_cast<uint8_t>(a.value >> 16),
           static_cast<uint8_t>(a.value >> 8), static_cast<uint8_t>(a.value)}};
}

// SYNs from anywhere to the server, written into the client's port.
class Flood {
 public:
  explicit Flood(uint16_t port) : port_(port) {}

  void send(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      rte_mbuf* mbuf = pool_.take();
      if (mbuf == nullptr) return;  // what has been sent is still under way
      wire::TxSegment syn;
      syn.flags = wire::syn;
      syn.options = wire::opt_mss | wire::opt_sack_permitted | wire::opt_timestamps | wire::opt_wscale;
      syn.destination = mac_of(server_address);
      syn.local = {0xc6120000u | (random_.below(0xffff) + 1)};  // 198.18.0.0/16: nobody answers from there
      syn.remote = server_address;
      syn.local_port = static_cast<uint16_t>(1024 + random_.below(60000));
      syn.remote_port = echo_port;
      syn.seq = wire::Seq{static_cast<uint32_t>(random_.next())};
      syn.wnd = 65535;
      syn.mss = 1460;
      syn.wscale = 7;
      syn.ts_val = static_cast<uint32_t>(random_.next());
      mbuf->data_off = nic::buffer_headroom;
      mbuf->ol_flags = 0;
      uint32_t length = wire::build_header(syn, {}, {}, mac_of(client_address), {}, rte_pktmbuf_mtod(mbuf, uint8_t*));
      mbuf->data_len = static_cast<uint16_t>(length);
      mbuf->pkt_len = length;
      if (rte_eth_tx_burst(port_, 0, &mbuf, 1) == 0) {
        rte_pktmbuf_free(mbuf);
        return;
      }
      ++sent_;
    }
  }
  uint64_t sent() const { return sent_; }
  const nic::PacketPool& pool() const { return pool_; }

 private:
  const uint16_t port_;
  nic::PacketPool pool_{"flood", {4096, nic::room_for(1500), nic::cache_size(4096), SOCKET_ID_ANY, nic::small_pages(), false}};
  Random random_{1};
  uint64_t sent_ = 0;
};

// `kept` connections that send a line whenever the one before is back, and `wanted` more, eight at a time, that connect,
// have one line echoed, and close.
class Client {
 public:
  explicit Client(uint32_t wanted) : wanted_(wanted) {}

  void operator()(Channel& channel) {
    if (channel.first_turn())
      for (uint32_t i = 0; i < kept; ++i) connect(channel, i);
    while (connecting && begun < wanted_ && begun - done - failed < 8) connect(channel, kept + begun++);
    for (Event& event : channel.events()) handle(channel, event);
  }

  static constexpr uint32_t kept = 16;
  bool connecting = false;
  uint32_t begun = 0, done = 0, failed = 0;
  uint32_t established = 0, lost = 0, wrong = 0;
  std::map<uint64_t, uint64_t> lines;  // of each kept one

 private:
  void connect(Channel& channel, uint64_t token) {
    channel.connect({.address = server_address, .port = echo_port, .token = token});
  }
  void say(Channel& channel, Event& event) {
    line_.assign(200, static_cast<uint8_t>(event.token * 7 + lines[event.token]));
    if (!channel.send(event.connection, line_)) ++wrong;
  }
  void handle(Channel& channel, Event& event) {
    bool is_kept = event.token < kept;
    switch (event.kind) {
      case Event::connected:
        established += is_kept;
        say(channel, event);
        break;
      case Event::received:
        for (uint8_t byte : event.bytes()) wrong += byte != static_cast<uint8_t>(event.token * 7 + lines[event.token]);
        if (event.length != 200) ++wrong;
        if (!is_kept) return channel.close(event.connection);
        ++lines[event.token];
        say(channel, event);
        break;
      case Event::closed:
        if (is_kept)
          ++lost;
        else
          ++(event.reason == Event::finished ? done : failed);
        break;
      case Event::failed:
        if (!is_kept) ++failed;
        break;
      default: break;
    }
  }
  const uint32_t wanted_;
  std::vector<uint8_t> line_;
};

TEST(RingFlood, who_means_it_connects_and_connections_lose_nothing) {
  constexpr uint32_t wanted = 2000;
  Config server_config = end(server_address);
  server_config.gateway = client_address;  // where its answers to strangers go, and are dropped
  auto [left, right] = Endpoint::pair(end(client_address), server_config);
  uint16_t port = RTE_MAX_ETHPORTS, id;
  RTE_ETH_FOREACH_DEV(id) port = port == RTE_MAX_ETHPORTS ? id : port;  // the first of the pair
  Flood flood(port);
  Client client{wanted};
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  auto turns_until = [&](auto&& done, uint32_t forged) {
    while (!done() && std::chrono::steady_clock::now() < until) {
      if (forged != 0) flood.send(forged);
      left.turn(std::ref(client));
      right.turn(echo);
    }
    return done();
  };
  EXPECT_TRUE(turns_until([&] { return client.established == Client::kept; }, 0));
  // The server takes 32 frames a turn: most of them are forged.
  EXPECT_TRUE(turns_until([&] { return right.counters()[Count::syn_cookies_sent] > 100; }, 20));
  uint64_t before = 0, after = 0;
  for (auto& [token, lines] : client.lines) before += lines;
  client.connecting = true;
  EXPECT_TRUE(turns_until([&] { return client.done + client.failed == wanted; }, 20))
      << client.begun << " begun, " << client.done << " done, " << client.failed << " failed";
  for (auto& [token, lines] : client.lines) after += lines;

  EXPECT_GE(client.done, wanted * 99 / 100);
  EXPECT_EQ(client.lost, 0u);
  EXPECT_EQ(client.wrong, 0u);
  EXPECT_GT(after, before + wanted);  // a line and more each turn or two, as without the flood
  EXPECT_EQ(left.counters()[Count::retransmission_timeouts] + right.counters()[Count::retransmission_timeouts], 0u);
  EXPECT_GT(flood.sent(), 20'000u);
  EXPECT_GT(right.counters()[Count::syn_cookies_accepted], 0u);
  EXPECT_EQ(left.finish(std::ref(client)), 0);
  EXPECT_EQ(right.finish(echo), 0);
  EXPECT_EQ(flood.pool().missing(), 0u);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
