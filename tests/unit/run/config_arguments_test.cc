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

using ConfigArgumentsDeath = testing::Test;

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
