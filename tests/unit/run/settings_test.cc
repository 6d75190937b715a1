// SPDX-License-Identifier: BSD-3-Clause
// run/settings: what is refused, with which words, and what the core is given.
#include "run/settings.h"

#include <gtest/gtest.h>

namespace millrace::run {
namespace {

std::string refusal(const Config& config) {
  try {
    check(config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

TEST(Settings, defaults_are_accepted) {
  EXPECT_EQ(refusal(Config{}), "");
}

TEST(Settings, addresses_that_no_host_may_have_are_refused) {
  for (Ipv4Address a : {Ipv4Address{}, ipv4(224, 0, 0, 1), ipv4(127, 0, 0, 1), ipv4(10, 9, 0, 255)}) {
    Config config;
    config.address = a;
    EXPECT_TRUE(contains(refusal(config), to_string(a).c_str())) << refusal(config);
  }
}

TEST(Settings, a_gateway_must_be_on_the_link_and_another) {
  Config config;
  config.gateway = ipv4(10, 8, 0, 1);
  EXPECT_TRUE(contains(refusal(config), "is not in 10.9.0.2/24"));
  config.gateway = config.address;
  EXPECT_TRUE(contains(refusal(config), "own address"));
  config.gateway = ipv4(10, 9, 0, 1);
  EXPECT_EQ(refusal(config), "");
}

TEST(Settings, consecutive_addresses_must_fit_the_subnet) {
  Config config;
  config.address_count = 253;  // 10.9.0.2 to .254
  EXPECT_EQ(refusal(config), "");
  config.address_count = 254;  // .255 is the broadcast address
  EXPECT_NE(refusal(config), "");
  config.address_count = 300;
  EXPECT_TRUE(contains(refusal(config), "do not fit"));
}

TEST(Settings, numbers_out_of_range_are_refused_by_name) {
  Config config;
  config.ring_size = 1000;
  EXPECT_TRUE(contains(refusal(config), "ring_size"));
  config = {};
  config.packet_buffers = 100;
  EXPECT_TRUE(contains(refusal(config), "packet_buffers"));
  config = {};
  config.max_connections = 1 << 24;
  EXPECT_TRUE(contains(refusal(config), "max_connections"));
}

TEST(Settings, a_seed_makes_all_secrets_repeatable) {
  nic::Port port;
  Config config;
  config.seed = 7;
  stack::Config one = stack_config(config, port), two = stack_config(config, port);
  EXPECT_EQ(one.secret.k0, two.secret.k0);
  EXPECT_EQ(one.seed, two.seed);
  config.seed = 0;
  one = stack_config(config, port), two = stack_config(config, port);
  EXPECT_NE(one.secret.k0, two.secret.k0);
  EXPECT_NE(one.seed, two.seed);
}

TEST(Settings, the_core_may_never_hold_all_buffers) {
  for (uint32_t buffers : {nic::least_packet_buffers(), 16384u, 1u << 20}) {
    Config config;
    config.packet_buffers = buffers;
    EXPECT_GE(buffers - nic::held_limit(config), nic::ring_pair_size + 256);
    EXPECT_GE(nic::held_limit(config), 512u);
  }
}

TEST(Settings, time_wait_is_twice_the_msl) {
  Config config;
  config.time_wait = seconds(10);
  config.max_time_wait = 1000;
  stack::Config core = stack_config(config, nic::Port{});
  EXPECT_EQ(core.tcp.msl, seconds(5));
  EXPECT_EQ(core.max_time_wait, 1024u);
}

TEST(Settings, whether_unreachable_ends_an_open_is_the_users_choice) {
  Config config;
  EXPECT_TRUE(stack_config(config, nic::Port{}).tcp.unreachable_ends_open);
  config.unreachable_ends_open = false;
  EXPECT_FALSE(stack_config(config, nic::Port{}).tcp.unreachable_ends_open);
}

}  // namespace
}  // namespace millrace::run
