// SPDX-License-Identifier: BSD-3-Clause
// Two whole endpoints in one process, joined by rings: what an application sees, down to the last buffer.
#include <gtest/gtest.h>
#include <millrace/millrace.h>

#include <chrono>
#include <functional>
#include <random>
#include <thread>
#include <vector>

namespace millrace {
namespace {

constexpr uint16_t echo_port = 7;

Config end(uint32_t last_byte) {
  Config config;
  config.address = ipv4(10, 9, 0, last_byte);
  config.packet_buffers = 4096;
  config.max_connections = 1024;
  config.max_time_wait = 1024;
  config.seed = last_byte;
  return config;
}

// The pattern of apps/echo.
void echo(Channel& channel) {
  if (channel.first_turn()) channel.listen({.port = echo_port});
  for (Event& event : channel.events()) {
    if (event.kind == Event::received) channel.send(event.connection, event.keep());
    if (event.kind == Event::peer_closed) channel.close(event.connection);
  }
}

std::vector<uint8_t> random_bytes(size_t count) {
  std::mt19937_64 random{1};
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

// Sends `text` with at most `window` bytes unechoed, and closes when all of it is back.
struct Client {
  std::vector<uint8_t> text;
  size_t window = 64 * 1024;
  bool use_registered = false;
  std::vector<uint8_t> echoed{};
  size_t sent = 0;
  ConnectionId connection{};
  Event::Reason reason = Event::no_reason;
  bool closed = false;
  int failures = 0;

  void operator()(Channel& channel) {
    if (channel.first_turn()) channel.connect({.address = ipv4(10, 9, 0, 3), .port = echo_port, .token = 99});
    for (Event& event : channel.events()) {
      if (event.kind == Event::connected) {
        connection = event.connection;
        EXPECT_EQ(event.token, 99u);
      }
      if (event.kind == Event::received) {
        echoed.insert(echoed.end(), event.bytes().begin(), event.bytes().end());
        if (echoed.size() == text.size()) channel.close(connection);
      }
      if (event.kind == Event::failed) ++failures;
      if (event.kind == Event::closed) {
        closed = true;
        reason = event.reason;
      }
    }
    while (connection && !closed && sent < text.size() && sent - echoed.size() < window) {
      size_t count = std::min<size_t>(8192, text.size() - sent);
      std::span<const uint8_t> part{text.data() + sent, count};
      if (use_registered)
        channel.send(connection, Channel::registered(part));
      else if (!channel.send(connection, part))
        break;
      sent += count;
    }
  }
};

// Turns of both ends on this thread until `done` or the time is over.
bool run_until(Endpoint& left, const Application& a, Endpoint& right, const Application& b,
               const std::function<bool()>& done, int milliseconds = 20'000) {
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (!done() && std::chrono::steady_clock::now() < until) {
    left.turn(a);
    right.turn(b);
  }
  return done();
}

void echo_one_megabyte(bool use_registered) {
  auto [left, right] = Endpoint::pair(end(2), end(3));
  Client client{.text = random_bytes(1 << 20), .use_registered = use_registered};
  EXPECT_TRUE(run_until(left, std::ref(client), right, echo, [&] { return client.closed; }))
      << client.sent << " bytes sent, " << client.echoed.size() << " echoed";
  EXPECT_TRUE(client.echoed == client.text);
  EXPECT_EQ(client.reason, Event::finished) << name(client.reason);
  EXPECT_EQ(client.failures, 0);
  EXPECT_EQ(left.finish(), 0);
  EXPECT_EQ(right.finish(echo), 0);
}

TEST(RingPair, a_megabyte_comes_back_and_so_do_all_buffers) {
  echo_one_megabyte(false);
}
TEST(RingPair, a_megabyte_of_constant_payload_comes_back) {
  echo_one_megabyte(true);
}

TEST(RingPair, an_end_in_full_flight_gives_all_buffers_back) {
  auto [left, right] = Endpoint::pair(end(2), end(3));
  Client client{.text = random_bytes(1 << 20)};
  EXPECT_TRUE(run_until(left, std::ref(client), right, echo, [&] { return client.echoed.size() > 100'000; }));
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(left.finish(std::ref(client)), 0);
  EXPECT_EQ(right.finish(echo), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(2500));
}

TEST(RingPair, an_echo_is_one_packet_and_not_two) {
  auto [left, right] = Endpoint::pair(end(2), end(3));
  ConnectionId connection;
  int echoed = 0;
  uint8_t byte = 42;
  uint64_t before = 0;
  auto client = [&, &server = right](Channel& channel) {
    if (channel.first_turn()) channel.connect({.address = ipv4(10, 9, 0, 3), .port = echo_port});
    for (Event& event : channel.events()) {
      if (event.kind == Event::connected) connection = event.connection;
      if (event.kind == Event::received && ++echoed == 1) before = server.counters()[Count::segments_sent];
      if (event.kind == Event::connected || (event.kind == Event::received && echoed < 100))
        channel.send(connection, Channel::registered({&byte, 1}));
    }
  };
  EXPECT_TRUE(run_until(left, client, right, echo, [&] { return echoed == 100; }));
  EXPECT_EQ(right.counters()[Count::segments_sent] - before, 99u);
  EXPECT_EQ(left.finish(), 0);
  EXPECT_EQ(right.finish(), 0);
}

TEST(RingPair, a_second_listener_and_a_closed_port_are_refused) {
  auto [left, right] = Endpoint::pair(end(2), end(3));
  Event::Reason listener = Event::no_reason, connect = Event::no_reason;
  auto server = [&](Channel& channel) {
    if (channel.first_turn()) {
      channel.listen({.port = 80});
      channel.listen({.port = 80});
    }
    for (Event& event : channel.events())
      if (event.kind == Event::failed) listener = event.reason;
  };
  auto client = [&](Channel& channel) {
    if (channel.first_turn()) channel.connect({.address = ipv4(10, 9, 0, 3), .port = 81});
    for (Event& event : channel.events())
      if (event.kind == Event::closed) connect = event.reason;
  };
  EXPECT_TRUE(run_until(left, client, right, server, [&] { return listener != 0 && connect != 0; }));
  EXPECT_EQ(listener, Event::in_use);
  EXPECT_EQ(connect, Event::refused);
  EXPECT_EQ(left.finish(), 0);
  EXPECT_EQ(right.finish(), 0);
}

TEST(RingPair, rings_of_two_are_slow_but_complete) {
  Config small_left = end(2), small_right = end(3);
  small_left.ring_size = small_right.ring_size = 2;
  auto [left, right] = Endpoint::pair(small_left, small_right);
  Client client{.text = random_bytes(256 * 1024)};
  EXPECT_TRUE(run_until(left, std::ref(client), right, echo, [&] { return client.closed; }))
      << client.sent << " bytes sent, " << client.echoed.size() << " echoed";
  EXPECT_TRUE(client.echoed == client.text);
  EXPECT_EQ(left.finish(), 0);
  EXPECT_EQ(right.finish(), 0);
}

// Each end on a thread of its own, and the client's application on a third.
TEST(RingPair, an_application_on_a_thread_of_its_own) {
  Config right_config = end(3);
  right_config.lcore = std::thread::hardware_concurrency() > 1 ? 1 : 0;
  auto [left, right] = Endpoint::pair(end(2), right_config);
  Channel& channel = left.attach();
  Client client{.text = random_bytes(256 * 1024)};
  int server_result = -1, client_result = -1;
  std::thread server([&, &endpoint = right] { server_result = endpoint.run(echo); });
  std::thread core([&, &endpoint = left] { client_result = endpoint.run([](Channel&) {}); });
  channel.connect({.address = ipv4(10, 9, 0, 3), .port = echo_port, .token = 99});
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!client.closed && std::chrono::steady_clock::now() < until) {
    client(channel);
    std::this_thread::yield();
  }
  EXPECT_TRUE(client.echoed == client.text) << client.echoed.size();
  left.stop();
  core.join();
  right.stop();
  server.join();
  EXPECT_EQ(client_result, 0);
  EXPECT_EQ(server_result, 0);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
