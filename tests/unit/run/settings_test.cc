// SPDX-License-Identifier: BSD-3-Clause
// run/settings: what is refused, with which words, and what the core is given.
#include "run/settings.h"

#include <gtest/gtest.h>

#include "millrace/tcp_option_table.h"

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
  config.gateway = ipv4(10, 9, 0, 255);
  EXPECT_TRUE(contains(refusal(config), "is the broadcast address"));
  config.gateway = ipv4(10, 9, 0, 1);
  EXPECT_EQ(refusal(config), "");
}

// Clouds give a host /32 and a gateway that is on the link without being in a common network.
TEST(Settings, with_a_prefix_of_32_the_gateway_may_be_any_on_the_link) {
  Config config;
  config.prefix_length = 32;
  for (Ipv4Address gateway : {ipv4(10, 9, 0, 1), ipv4(10, 9, 0, 255), ipv4(172, 31, 1, 1), ipv4(169, 254, 1, 1)}) {
    config.gateway = gateway;
    EXPECT_EQ(refusal(config), "") << to_string(gateway);
    EXPECT_TRUE(is_neighbor(config, gateway));
  }
  EXPECT_FALSE(is_neighbor(config, ipv4(10, 9, 0, 1)));
  EXPECT_FALSE(is_neighbor(config, Ipv4Address{}));
  config.neighbors = {{config.gateway, {{2, 0, 0, 0, 0, 1}}}};
  EXPECT_EQ(refusal(config), "");
  config.neighbors[0].address = ipv4(10, 9, 0, 1);
  EXPECT_TRUE(contains(refusal(config), "10.9.0.1 is no other host"));
  config.neighbors.clear();
  for (Ipv4Address gateway : {ipv4(224, 0, 0, 1), ipv4(127, 0, 0, 1), ipv4(255, 255, 255, 255), config.address}) {
    config.gateway = gateway;
    EXPECT_TRUE(contains(refusal(config), to_string(gateway).c_str())) << to_string(gateway);
  }
  config.prefix_length = 24;
  config.gateway = ipv4(10, 9, 0, 255);
  EXPECT_TRUE(contains(refusal(config), "is the broadcast address"));
}

TEST(Settings, the_kernels_end_of_a_tap_is_the_gateway_or_a_free_address) {
  Config config;
  config.device = "net_tap0,iface=mr0";
  EXPECT_EQ(kernel_end_of_tap(config), "sudo ip address add 10.9.0.1/24 dev mr0");
  config.prefix_length = 31;
  EXPECT_EQ(kernel_end_of_tap(config), "sudo ip address add 10.9.0.3/31 dev mr0");
  config.address = ipv4(10, 9, 0, 3);
  EXPECT_EQ(kernel_end_of_tap(config), "sudo ip address add 10.9.0.2/31 dev mr0");
  config.prefix_length = 32;
  config.gateway = ipv4(172, 31, 1, 1);
  EXPECT_EQ(kernel_end_of_tap(config), "sudo ip address add 172.31.1.1/32 dev mr0; sudo ip route add 10.9.0.3 dev mr0");
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
  // Cores of one endpoint have nothing in common.
  stack::Config third = stack_config(config, port, 3);
  EXPECT_NE(one.secret.k0, third.secret.k0);
  EXPECT_NE(one.seed, third.seed);
  EXPECT_EQ(third.core, 3u);
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

TEST(Settings, time_wait_records_are_a_power_of_two) {
  Config config;
  config.max_time_wait = 1000;
  EXPECT_EQ(stack_config(config, nic::Port{}).max_time_wait, 1024u);
}

TEST(Settings, half_open_limits_and_ports_reach_the_core) {
  Config config;
  config.max_connections = 1000;
  EXPECT_EQ(stack_config(config, nic::Port{}).max_half_open, 1000u);
  config.max_half_open = 64;
  config.listener_half_open = 32;
  config.first_port = 20000;
  config.last_port = 30000;
  EXPECT_EQ(refusal(config), "");
  stack::Config core = stack_config(config, nic::Port{});
  EXPECT_EQ(core.max_half_open, 64u);
  EXPECT_EQ(core.listener_half_open, 32u);
  EXPECT_EQ(core.first_port, 20000);
  EXPECT_EQ(core.last_port, 30000);
  config.listener_half_open = 65;
  EXPECT_TRUE(contains(refusal(config), "listener_half_open is max_half_open at most (64)"));
  config.listener_half_open = 0;
  config.first_port = 30001;
  EXPECT_TRUE(contains(refusal(config), "first_port is 1 to last_port"));
}

// --- the table of TCP's options ---

struct Anything {
  template <class T>
  operator T() const;
};

template <class T, class... Members>
constexpr size_t members() {
  if constexpr (requires { T{Members{}..., Anything{}}; })
    return members<T, Members..., Anything>();
  else
    return sizeof...(Members);
}

static_assert(members<TcpOptions>() == tcp_options.size(), "each member of TcpOptions stands in the table");

TEST(TcpOptionTable, each_is_another_member_and_holds_its_bounds) {
  for (const TcpOption& option : tcp_options) {
    EXPECT_EQ(find_tcp_option(option.key), &option);
    for (uint64_t value : {option.least, option.most}) {
      TcpOptions changed;
      option.put(changed, value);
      EXPECT_EQ(option.get(changed), value) << option.key;
      for (const TcpOption& other : tcp_options) {
        if (&other == &option) continue;
        EXPECT_EQ(other.get(changed), other.get(TcpOptions{})) << other.key;
      }
    }
  }
  EXPECT_EQ(find_tcp_option("rto"), nullptr);
}

TEST(TcpOptionTable, values_are_read_as_they_are_printed) {
  for (const TcpOption& option : tcp_options)
    for (uint64_t value : {option.least, option.get(TcpOptions{}), option.most})
      EXPECT_EQ(parse(option, to_string(option, value)), value) << option.key;
  const TcpOption& rto_min = *find_tcp_option("rto_min");
  EXPECT_EQ(to_string(rto_min, milliseconds(200).ns), "200 ms");
  EXPECT_EQ(parse(rto_min, "5ms"), milliseconds(5).ns);
  EXPECT_EQ(parse(rto_min, "2 min"), seconds(120).ns);
  EXPECT_EQ(parse(*find_tcp_option("sack"), "off"), 0u);
  EXPECT_EQ(parse(*find_tcp_option("ecn"), "active"), 2u);
}

std::string misread(const char* key, const char* text) {
  try {
    parse(*find_tcp_option(key), text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(TcpOptionTable, what_cannot_be_is_refused_with_key_value_and_what_is_expected) {
  EXPECT_EQ(misread("rto_min", "0"), "tcp.rto_min is '0': expected a time from 1 ms to 3600 s");
  EXPECT_EQ(misread("rto_min", "200"), "tcp.rto_min is '200': expected a time from 1 ms to 3600 s");
  EXPECT_EQ(misread("delayed_ack", "500 ms"), "tcp.delayed_ack is '500 ms': expected a time from 0 s to 499 ms");
  EXPECT_EQ(misread("ack_every", "2 segments"), "tcp.ack_every is '2 segments': expected segments from 1 to 64");
  EXPECT_EQ(misread("syn_retries", "-1"), "tcp.syn_retries is '-1': expected a number from 0 to 127");
  EXPECT_EQ(misread("sack", "perhaps"), "tcp.sack is 'perhaps': expected on or off");
  EXPECT_EQ(misread("syn_cookies", "never"), "tcp.syn_cookies is 'never': expected off, on_overflow or always");
  EXPECT_EQ(misread("persist_max", "99999999999999999 h"),
            "tcp.persist_max is '99999999999999999 h': expected a time from 1 ms to 3600 s");
}

TEST(Settings, each_tcp_option_out_of_its_bounds_is_refused) {
  for (const TcpOption& option : tcp_options)
    for (uint64_t value : {option.least - 1, option.most + 1}) {
      Config config;
      option.put(config.tcp, value);
      if (option.get(config.tcp) != value) continue;  // the member cannot even say it
      std::string why = refusal(config);
      EXPECT_TRUE(contains(why, ("tcp." + std::string{option.key} + " is " + to_string(option, value)).c_str())) << why;
      EXPECT_TRUE(contains(why, ("expected " + expected(option)).c_str())) << why;
    }
}

TEST(Settings, tcp_options_that_contradict_each_other_are_refused) {
  Config config;
  config.tcp.rto_min = seconds(2);
  EXPECT_TRUE(contains(refusal(config), "tcp.rto_initial is below tcp.rto_min"));
  config.tcp.rto_initial = config.tcp.rto_min = seconds(200);
  EXPECT_TRUE(contains(refusal(config), "tcp.rto_max is below tcp.rto_initial"));
  config = {};
  config.tcp.persist_min = seconds(121);
  EXPECT_TRUE(contains(refusal(config), "tcp.persist_max is below tcp.persist_min"));
  config = {};
  config.tcp.receive_buffer = 4096;
  EXPECT_TRUE(contains(refusal(config), "tcp.receive_buffer_max is more than 16384 times"));
}

TEST(Settings, each_tcp_option_reaches_the_core) {
  for (const TcpOption& option : tcp_options) {
    Config config;
    uint64_t value = option.get(config.tcp) == option.least ? option.most : option.least;
    option.put(config.tcp, value);
    EXPECT_EQ(option.get(stack_config(config, nic::Port{}).tcp), value) << option.key;
  }
  Config config;
  config.tcp.delayed_ack = {};
  EXPECT_TRUE(stack_config(config, nic::Port{}).tcp.immediate_ack);
}

TEST(Settings, whether_unreachable_ends_an_open_is_the_users_choice) {
  Config config;
  EXPECT_TRUE(stack_config(config, nic::Port{}).tcp.unreachable_ends_open);
  config.tcp.unreachable_ends_open = false;
  EXPECT_FALSE(stack_config(config, nic::Port{}).tcp.unreachable_ends_open);
}

}  // namespace
}  // namespace millrace::run
