// SPDX-License-Identifier: BSD-3-Clause
// Endpoints of several cores, joined by rings: every connect succeeds and none is reset, whatever core its frames come to;
// every byte is right, each core carries its share, and as many frames cross as the way of steering predicts.
#include <gtest/gtest.h>
#include <millrace/millrace.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

namespace millrace {
namespace {

constexpr uint16_t first_port = 8000;
constexpr uint32_t server_ports = 4;
constexpr Ipv4Address server_address = ipv4(10, 9, 0, 3);

struct Mode {
  const char* name;
  uint32_t left, right;  // cores
  uint32_t queues;       // 0: as many as cores
  bool agree;            // both ends have a flow on the same core
  bool threads;          // a thread for each core, else all on one
  uint32_t connections = 10'000;
  uint32_t at_a_time = 10'000;
  bool memif = false;    // two devices that are joined by shared memory, not by rings
};

Config end(uint32_t last_byte, uint32_t cores, const Mode& mode) {
  Config config;
  config.address = ipv4(10, 9, 0, last_byte);
  config.cores = cores;
  config.queues = std::min(mode.queues, cores);
  config.hardware_steering = mode.agree;
  config.packet_buffers = 8192;
  config.max_connections = 2 * mode.at_a_time / cores + 1024;
  config.max_time_wait = 16384;
  config.seed = last_byte;
  return config;
}

// The server's end is there first.
std::pair<Endpoint, Endpoint> ends_of(const Mode& mode) {
  Config left = end(2, mode.left, mode), right = end(3, mode.right, mode);
  if (!mode.memif) return Endpoint::pair(left, right);
  // An abstract one: no file. The driver keeps listening at it when its device has gone.
  static int number = 0;
  std::string socket = "socket=/millrace-cores-" + std::to_string(getpid()) + "-" + std::to_string(number++);
  left.device = "net_memif1,role=client," + socket;
  right.device = "net_memif0,role=server," + socket;
  Endpoint server(right);
  return {Endpoint(left), std::move(server)};
}

// What one connection sends and wants back: most of them one segment, some of them many.
struct Text {
  uint32_t core, lane;
  uint32_t length() const { return lane % 64 == 0 ? 20'000 : 100; }
  uint8_t at(uint32_t i) const { return static_cast<uint8_t>((core * 7919 + lane) * 31 + i * 7 + (i >> 8)); }
};

// The connections of one core.
struct Client {
  uint32_t core = 0, wanted = 0, at_a_time = 0;
  uint32_t opened = 0, open = 0, connected = 0, talking = 0, wrong = 0;
  std::atomic<uint32_t> finished{0}, failed{0};
  std::vector<uint32_t> echoed{};
  std::vector<std::pair<ConnectionId, Text>> to_send{};

  void operator()(Channel& channel) {
    if (channel.first_turn()) {
      core = channel.core();
      echoed.resize(wanted);
    }
    for (Event& event : channel.events()) take(channel, event);
    // All may be open at a time, but not all talk at once: that would be more than a core holds.
    while (!to_send.empty() && talking < 64 && send(channel, to_send.back())) {
      to_send.pop_back();
      ++talking;
    }
    for (int i = 0; i < 32 && opened < wanted && open < at_a_time; ++i, ++opened, ++open) {
      auto port = static_cast<uint16_t>(first_port + opened % server_ports);
      channel.connect({.address = server_address, .port = port, .token = opened});
    }
  }

  bool send(Channel& channel, const std::pair<ConnectionId, Text>& what) {
    std::vector<uint8_t> bytes(what.second.length());
    for (uint32_t i = 0; i < bytes.size(); ++i) bytes[i] = what.second.at(i);
    return channel.send(what.first, bytes);
  }

  void take(Channel& channel, Event& event) {
    auto lane = static_cast<uint32_t>(event.token);
    Text text{core, lane};
    switch (event.kind) {
      case Event::connected:
        ++connected;
        wrong += event.connection.core() != core;
        to_send.push_back({event.connection, text});
        break;
      case Event::received:
        for (uint8_t byte : event.bytes()) wrong += byte != text.at(echoed[lane]++);
        if (echoed[lane] != text.length()) break;
        channel.close(event.connection);
        --talking;
        break;
      case Event::closed:
        --open;
        if (event.reason == Event::finished && echoed[lane] == text.length())
          ++finished;
        else
          ++failed;
        break;
      case Event::failed: ++failed; break;
      default: break;
    }
  }
};

struct Server {
  std::atomic<uint64_t> accepted{0}, not_in_order{0};
  void operator()(Channel& channel) {
    if (channel.first_turn())
      for (uint32_t i = 0; i < server_ports; ++i)
        channel.listen({.port = static_cast<uint16_t>(first_port + i), .backlog = 65536});
    for (Event& event : channel.events()) {
      if (event.kind == Event::accepted) ++accepted;
      if (event.kind == Event::received) channel.send(event.connection, event.keep());
      if (event.kind == Event::peer_closed) channel.close(event.connection);
      if (event.kind == Event::closed && event.reason != Event::finished) ++not_in_order;
    }
  }
};

class Cores : public testing::TestWithParam<Mode> {
 protected:
  Cores() : clients_(GetParam().left), servers_(GetParam().right) {
    for (Client& client : clients_) {
      client.wanted = GetParam().connections / GetParam().left;
      client.at_a_time = std::max(GetParam().at_a_time / GetParam().left, 1u);
    }
  }
  uint32_t wanted() const { return GetParam().connections / GetParam().left * GetParam().left; }
  uint32_t ended() const {
    uint32_t sum = 0;
    for (const Client& client : clients_) sum += client.finished + client.failed;
    return sum;
  }
  bool done() const { return ended() >= wanted() || std::chrono::steady_clock::now() > until_; }

  void run();
  void check_ends();
  void check_shares();
  void check_crossings(Endpoint& end, double predicted);

  const Mode& mode_ = GetParam();
  std::pair<Endpoint, Endpoint> ends_ = ends_of(GetParam());
  std::vector<Client> clients_;
  std::vector<Server> servers_;
  const Application client_ = [this](Channel& channel) { clients_[channel.core()](channel); };
  const Application server_ = [this](Channel& channel) { servers_[channel.core()](channel); };
  const std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::now() + std::chrono::seconds(100);
};

void Cores::run() {
  auto& [left, right] = ends_;
  if (!mode_.threads) {
    while (!done()) {
      left.turn(client_);
      right.turn(server_);
    }
    return;
  }
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < std::max(mode_.left, mode_.right); ++i)
    threads.emplace_back([&, i, &a = left, &b = right] {
      while (!done()) {
        bool useful = i < mode_.left && a.turn(i, client_);
        useful |= i < mode_.right && b.turn(i, server_);
        if (!useful) i < mode_.left ? a.idle(i) : b.idle(i);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

void Cores::check_ends() {
  uint32_t connected = 0, finished = 0, failed = 0, wrong = 0;
  for (const Client& client : clients_) {
    connected += client.connected;
    finished += client.finished;
    failed += client.failed;
    wrong += client.wrong;
  }
  EXPECT_EQ(connected, wanted());
  EXPECT_EQ(finished, wanted());
  EXPECT_EQ(failed, 0u);
  EXPECT_EQ(wrong, 0u);
  Counters sum = ends_.first.counters();
  sum.add(ends_.second.counters());
  EXPECT_EQ(sum[Count::listen_elsewhere], 0u);
  // Where threads lose their CPUs, what was sent once more may have its answer when the connection has ended, and a thread
  // may lose frames, too. All of that is TCP's everyday life: no connection has noticed.
  EXPECT_LE(sum[Count::resets_sent], sum[Count::retransmitted] + sum[Count::tail_loss_probes]);
  EXPECT_TRUE(mode_.threads || sum[Count::drop_handover] == 0);
}

// Of ten thousand flows a core's share is a binomial variable: five deviations are never seen.
void Cores::check_shares() {
  double share = static_cast<double>(wanted()) / mode_.right;
  uint64_t accepted = 0;
  for (uint32_t core = 0; core < mode_.right; ++core) {
    EXPECT_NEAR(static_cast<double>(servers_[core].accepted), share, share * 0.1 + 5 * std::sqrt(share)) << core;
    EXPECT_EQ(servers_[core].not_in_order, 0u);
    accepted += servers_[core].accepted;
  }
  EXPECT_EQ(accepted, wanted());
}

// `predicted`: the part of all frames that comes to a core that is not their owner.
void Cores::check_crossings(Endpoint& end, double predicted) {
  Counters sum = end.counters();
  auto frames = static_cast<double>(sum[Count::frames_received]);
  auto over = static_cast<double>(sum[Count::frames_handed_over]);
  EXPECT_EQ(sum[Count::frames_handed_over], sum[Count::frames_taken_over]);
  if (predicted == 0)
    EXPECT_EQ(over, 0);
  else
    EXPECT_NEAR(over / frames, predicted, 0.05);
  RecordProperty("handed_over_percent", static_cast<int>(100 * over / frames));
}

// Core c of `cores` polls queue c of `queues`; a flow that core i of the sender owns leaves by queue i % queues, and its
// receiver is any core.
double crossing_part(const Mode& mode, uint32_t cores, uint32_t senders) {
  uint32_t queues = mode.queues != 0 ? std::min({mode.queues, mode.left, mode.right}) : std::min(mode.left, mode.right);
  if (cores == 1) return 0;
  if (!mode.agree) return 1 - 1.0 / cores;
  // With one key for both ends and tables dealt out in turn: entry i is core i % cores here and core i % senders there.
  uint32_t crossing = 0;
  for (uint32_t i = 0; i < 128; ++i) crossing += i % cores != i % senders % queues;
  return crossing / 128.0;
}

TEST_P(Cores, EveryConnectSucceedsAndNothingIsLost) {
  run();
  // What is still underway comes to rest before it is counted.
  for (int i = 0; i < 100; ++i) {
    ends_.first.turn(client_);
    ends_.second.turn(server_);
  }
  check_ends();
  check_shares();
  check_crossings(ends_.first, crossing_part(mode_, mode_.left, mode_.right));
  check_crossings(ends_.second, crossing_part(mode_, mode_.right, mode_.left));
  EXPECT_EQ(ends_.first.finish(client_), 0);
  EXPECT_EQ(ends_.second.finish(server_), 0);
}

constexpr Mode modes[] = {
    // Each end finds out for itself whose a frame is.
    {"two_software", 2, 2, 0, false, false},
    {"four_software", 4, 4, 0, false, false},
    {"eight_software", 8, 8, 0, false, false},
    {"two_software_threads", 2, 2, 0, false, true, 10'000, 2'000},
    {"eight_software_threads", 8, 8, 0, false, true, 10'000, 2'000},
    {"four_software_100k", 4, 4, 0, false, false, 100'000, 100'000},
    {"four_memif_100k", 4, 4, 0, false, false, 100'000, 100'000, true},
    {"two_to_four_memif_threads", 2, 4, 2, false, true, 10'000, 2'000, true},
    // The wire brings each frame to its core, as RSS does.
    {"four_agree", 4, 4, 0, true, false},
    {"eight_agree_threads", 8, 8, 0, true, true, 10'000, 2'000},
    // Fewer queues than cores, on one side or on both; cores that are no power of two.
    {"four_cores_one_queue", 4, 4, 1, false, false},
    {"eight_cores_two_queues_threads", 8, 8, 2, false, true, 10'000, 2'000},
    {"one_to_four", 1, 4, 0, false, false},
    {"three_to_five", 3, 5, 0, true, false},
    {"five_to_three_threads", 5, 3, 2, false, true, 10'000, 2'000},
};
INSTANTIATE_TEST_SUITE_P(Modes, Cores, testing::ValuesIn(modes), [](const auto& test) { return test.param.name; });

// --- what an application sees ---

constexpr Mode plain{"", 4, 4, 0, false, false, 64, 64};

TEST(CoresApi, AListenerOnOneCoreOnlyIsTold) {
  testing::internal::CaptureStderr();
  auto [left, right] = Endpoint::pair(end(2, 1, plain), end(3, 4, plain));
  int refused = 0, connected = 0;
  auto client = [&](Channel& channel) {
    if (channel.first_turn())
      for (int i = 0; i < 64; ++i) channel.connect({.address = server_address, .port = first_port});
    for (Event& event : channel.events()) {
      connected += event.kind == Event::connected;
      refused += event.kind == Event::closed && event.reason == Event::refused;
    }
  };
  auto server = [](Channel& channel) {
    if (channel.first_turn() && channel.core() == 2) channel.listen({.port = first_port});
    for (Event& event : channel.events()) static_cast<void>(event);
  };
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (connected + refused < 64 && std::chrono::steady_clock::now() < until) {
    left.turn(client);
    right.turn(server);
  }
  EXPECT_GT(connected, 0);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(right.counters()[Count::listen_elsewhere], static_cast<uint64_t>(refused));
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("port 8000 is listened on by 1 of 4 cores"), std::string::npos) << said;
  EXPECT_EQ(left.finish(client), 0);
  EXPECT_EQ(right.finish(server), 0);
}

// A local port that is named must be the core's own; which core that is can be asked.
TEST(CoresApi, ALocalPortThatIsNamed) {
  auto [left, right] = Endpoint::pair(end(2, 4, plain), end(3, 4, plain));
  int connected = 0, elsewhere = 0, other = 0;
  Server echo;
  auto client = [&](Channel& channel) {
    if (channel.first_turn())
      for (uint16_t port = 5000; port < 5064; ++port)
        channel.connect({.address = server_address, .port = first_port, .local_port = port, .token = port});
    for (Event& event : channel.events()) {
      uint32_t owner = channel.owner(ipv4(10, 9, 0, 2), static_cast<uint16_t>(event.token), server_address, first_port);
      if (event.kind == Event::connected && owner == channel.core()) ++connected;
      else if (event.kind == Event::failed && event.reason == Event::other_core && owner != channel.core()) ++elsewhere;
      else if (event.kind == Event::failed || event.kind == Event::connected) ++other;
    }
  };
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (connected + elsewhere + other < 256 && std::chrono::steady_clock::now() < until) {
    left.turn(client);
    right.turn(std::ref(echo));
  }
  EXPECT_EQ(connected, 64);        // each port on one core
  EXPECT_EQ(elsewhere, 3 * 64);    // and on no other
  EXPECT_EQ(other, 0);
  EXPECT_EQ(left.finish(client), 0);
  EXPECT_EQ(right.finish(std::ref(echo)), 0);
}

// run() has a thread for each core, and ends them all.
TEST(CoresApi, RunEndsWithAllItsThreads) {
  auto [left, right] = Endpoint::pair(end(2, 3, plain), end(3, 3, plain));
  std::atomic<uint32_t> cores_seen{0}, connected{0};
  Server echo;
  std::thread server([&, &end = right] { EXPECT_EQ(end.run(std::ref(echo)), 0); });
  auto client = [&, &end = left](Channel& channel) {
    if (channel.first_turn()) {
      cores_seen |= 1u << channel.core();
      channel.connect({.address = server_address, .port = first_port});
    }
    for (Event& event : channel.events())
      if (event.kind == Event::connected && ++connected == 3) end.stop();
  };
  std::thread stopper([&, &end = left] {  // a failure ends, too
    for (int i = 0; i < 3000 && !end.stopping(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    end.stop();
  });
  EXPECT_EQ(left.run(client), 0);
  EXPECT_EQ(connected, 3u);
  EXPECT_EQ(cores_seen, 7u);
  right.stop();
  server.join();
  stopper.join();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
