// SPDX-License-Identifier: BSD-3-Clause
// The command line that all programs share: values, EAL's part, and exit codes.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "millrace/config.h"

namespace millrace {
namespace {

Config parse(std::vector<std::string> words) {
  words.insert(words.begin(), "/somewhere/millrace-echo");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return Config::from_arguments(static_cast<int>(words.size()), argv.data());
}

TEST(ConfigArguments, none_gives_the_defaults) {
  Config config = parse({});
  EXPECT_EQ(config.device, Config{}.device);
  EXPECT_EQ(config.address, ipv4(10, 9, 0, 2));
  EXPECT_EQ(config.prefix_length, 24);
  EXPECT_EQ(config.port, 7);
  EXPECT_TRUE(config.eal.empty());
  EXPECT_TRUE(config.hardware_checksums);
}

TEST(ConfigArguments, flags_in_any_order_and_both_spellings) {
  Config config = parse({"--port=8080", "--lcore", "1", "--address", "192.168.7.9/16", "--gateway",
                         "192.168.0.1", "--device", "net_tap3,iface=mr3", "--packet-buffers", "8192",
                         "--software-checksums", "--seed", "42", "--addresses", "3"});
  EXPECT_EQ(config.port, 8080);
  EXPECT_EQ(config.lcore, 1u);
  EXPECT_EQ(config.address, ipv4(192, 168, 7, 9));
  EXPECT_EQ(config.prefix_length, 16);
  EXPECT_EQ(config.gateway, ipv4(192, 168, 0, 1));
  EXPECT_EQ(config.device, "net_tap3,iface=mr3");
  EXPECT_EQ(config.packet_buffers, 8192u);
  EXPECT_FALSE(config.hardware_checksums);
  EXPECT_EQ(config.seed, 42u);
  EXPECT_EQ(config.address_count, 3u);
}

TEST(ConfigArguments, what_stands_before_two_dashes_is_eals) {
  Config config = parse({"--no-pci", "-l", "1", "--", "--port", "9"});
  EXPECT_EQ(config.eal, (std::vector<std::string>{"--no-pci", "-l", "1"}));
  EXPECT_EQ(config.port, 9);
}

TEST(ConfigArguments, two_dashes_first_leave_eal_to_be_chosen) {
  Config config = parse({"--", "--port", "9"});
  EXPECT_TRUE(config.eal.empty());
  EXPECT_EQ(config.port, 9);
}

// k, M, G: powers of 1,000; Ki, Mi, Gi: of 1,024; K: 1,024, where bytes are asked.
TEST(ConfigArguments, numbers_may_have_a_suffix) {
  Config config = parse({"--max-connections", "20k", "--time-wait-records=1Mi", "--packet-buffers", "1.5M", "--copy-limit", "2K",
                         "--mtu", "1.5k", "--seed", "2G", "--addresses", "0.128k", "--set", "tcp.receive_buffer=64K", "--address",
                         "10.0.0.1/8"});
  EXPECT_EQ(config.max_connections, 20'000u);
  EXPECT_EQ(config.max_time_wait, 1u << 20);
  EXPECT_EQ(config.packet_buffers, 1'500'000u);
  EXPECT_EQ(config.copy_limit, 2048u);
  EXPECT_EQ(config.mtu, 1500);
  EXPECT_EQ(config.seed, 2'000'000'000u);
  EXPECT_EQ(config.address_count, 128u);
  EXPECT_EQ(config.tcp.receive_buffer, 65536u);
  EXPECT_EQ(parse({"--seed", "9223372036854775807"}).seed, uint64_t{INT64_MAX});  // no digit is lost
}

using ConfigArgumentsDeath = testing::Test;

TEST(ConfigArgumentsDeath, other_suffixes_are_refused) {
  auto exit_2 = testing::ExitedWithCode(2);
  for (const char* text : {"20K", "20KB", "20m", "20 k", "k", "1.0001k", "1.k", ".5k", "-1k", "1e3", "20kk", "20T", "1.5", "20ki",
                           "99999999999G", "18446744073709551616k"})
    EXPECT_EXIT(parse({"--max-connections", text}), exit_2, "^millrace-echo: --max-connections: '[^\n]*\n$") << text;
  EXPECT_EXIT(parse({"--copy-limit", "2KiB"}), exit_2, "--copy-limit");
}

TEST(ConfigArgumentsDeath, an_unknown_flag_is_told_with_the_nearest_one) {
  auto exit_2 = testing::ExitedWithCode(2);
  EXPECT_EXIT(parse({"--prot", "7"}), exit_2, "^millrace-echo: unknown flag --prot, expected perhaps --port [^\n]*\n$");
  EXPECT_EXIT(parse({"--adress=10.9.0.2/24"}), exit_2, "unknown flag --adress, expected perhaps --address ");
  EXPECT_EXIT(parse({"--port", "7", "--max-conections", "7"}), exit_2, "--max-conections, expected perhaps --max-connections ");
  EXPECT_EXIT(parse({"--nothing-like-that-at-all"}), exit_2, "unknown flag --nothing-like-that-at-all \\(flags: ");
  EXPECT_EXIT(parse({"7"}), exit_2, "a word too many: 7 ");
}

TEST(ConfigArgumentsDeath, the_version) {
  EXPECT_EXIT(parse({"--version"}), testing::ExitedWithCode(0), "");
}

TEST(ConfigArgumentsDeath, wrong_use_says_so_in_one_line_and_exits_with_2) {
  auto exit_2 = testing::ExitedWithCode(2);
  EXPECT_EXIT(parse({"--nonsense"}), exit_2, "^millrace-echo: [^\n]*--nonsense[^\n]*\n$");
  EXPECT_EXIT(parse({"--address", "10.0.0.1"}), exit_2, "^millrace-echo: --address: '10.0.0.1'[^\n]*\n$");
  EXPECT_EXIT(parse({"--address", "10.0.0.1/33"}), exit_2, "33");
  EXPECT_EXIT(parse({"--address", "10.0.0.1/-1"}), exit_2, "-1");
  EXPECT_EXIT(parse({"--address", "10.0.0/8"}), exit_2, "A.B.C.D");
  EXPECT_EXIT(parse({"--gateway", "nowhere"}), exit_2, "nowhere");
  EXPECT_EXIT(parse({"--port", "65536"}), exit_2, "--port");
  EXPECT_EXIT(parse({"--port", "0"}), exit_2, "--port");
  EXPECT_EXIT(parse({"--port"}), exit_2, "--port");
  EXPECT_EXIT(parse({"--lcore", "-1"}), exit_2, "--lcore");
}

TEST(ConfigArgumentsDeath, help_exits_with_0) {
  EXPECT_EXIT(parse({"--help"}), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace millrace
