// SPDX-License-Identifier: BSD-3-Clause
// The keys of an endpoint: Config as files and flags know it. config/README.md describes each.
#include "millrace/settings.h"
#include "millrace/tcp_option_table.h"
#include "run/settings.h"
#include "run/values.h"

namespace millrace {

static constexpr const char* is_address = "an IPv4 address, such as \"10.9.0.1\"";

// Who does it: the NIC where it can, or all here.
static void add_place(Settings& settings, bool& by_hardware, const char* name, const char* flag, const char* help) {
  auto put = [&by_hardware](const std::string& text) {
    by_hardware = text == "hardware";
    return text == "hardware" || text == "software";
  };
  settings.key({.name = name,
                .flag = flag,
                .help = help,
                .expected = "\"hardware\" or \"software\"",
                .flag_value = "software",
                .put = put,
                .show = [&by_hardware] { return run::quoted(by_hardware ? "hardware" : "software"); }});
}

static void add_port(Settings& settings, Config& config) {
  settings.section("port", "the device and its addresses");
  settings.text("device", "--device", config.device,
                "any DPDK device: a virtual one with its arguments, or a PCI address");
  settings.key({.name = "address",
                .flag = "--address",
                .help = "its IPv4 address with the prefix's length",
                .expected = "A.B.C.D/LEN, with LEN from 0 to 32",
                .put =
                    [&](const std::string& text) {
                      return run::parse_prefix(text, config.address, config.prefix_length);
                    },
                .show =
                    [&] {
                      return run::quoted(to_string(config.address) + "/" +
                                         std::to_string(config.prefix_length));
                    }});
  settings.number("addresses", "--addresses", config.address_count, 1, 65536,
                  "so many consecutive ones, from there");
  auto put_gateway = [&](const std::string& text) {
    auto parsed = parse_ipv4(text);
    config.gateway = text.empty() || !parsed ? Ipv4Address{} : *parsed;
    return text.empty() || parsed;
  };
  settings.key({.name = "gateway",
                .flag = "--gateway",
                .help = "where packets to other networks go; empty: nowhere",
                .expected = is_address,
                .put = put_gateway,
                .show = [&] {
                  return run::quoted(config.gateway.is_unspecified() ? "" : to_string(config.gateway));
                }});
}

// What lies below IP.
static void add_link(Settings& settings, Config& config) {
  auto put_mac = [&](const std::string& text) {
    auto parsed = parse_mac(text);
    config.mac = text.empty() || !parsed ? MacAddress{} : *parsed;
    return text.empty() || (parsed && !parsed->is_group() && !parsed->is_unspecified());
  };
  settings.key(
      {.name = "mac",
       .flag = "--mac",
       .help = "its Ethernet address; empty: the device's, or one made from the IP address",
       .expected = "the Ethernet address of one host, such as \"02:00:0a:09:00:02\"",
       .put = put_mac,
       .show = [&] { return run::quoted(config.mac.is_unspecified() ? "" : to_string(config.mac)); }});
  auto put_neighbor = [&](const std::string& text) {
    StaticNeighbor neighbor;
    if (!run::parse_neighbor(text, neighbor)) return false;
    config.neighbors.push_back(neighbor);
    return true;
  };
  auto show_neighbors = [&] {
    std::string out;
    for (const StaticNeighbor& n : config.neighbors)
      out += (out.empty() ? "" : ", ") + run::quoted(to_string(n.address) + "=" + to_string(n.mac));
    return std::string("[") + out + "]";
  };
  settings.key({.name = "neighbors",
                .flag = "--neighbor",
                .help = "Ethernet addresses that are known, not asked for by ARP",
                .expected = "A.B.C.D=MAC, such as \"10.9.0.1=02:00:00:00:00:01\"",
                .type = Key::Type::list,
                .put = put_neighbor,
                .show = show_neighbors,
                .clear = [&] { config.neighbors.clear(); }});
  settings.bytes("mtu", "--mtu", config.mtu, 576, 9000, "the longest IP packet, in bytes");
  settings.number("vlan", "--vlan", config.vlan, 0, 4094, "the VLAN of all its frames; 0: they have no tag");
  add_place(settings, config.hardware_checksums, "checksums", "--software-checksums",
            "where checksums are computed: by the NIC if it can, or all here");
  add_place(settings, config.hardware_segmentation, "segmentation", "--software-segmentation",
            "where long segments are cut: by the NIC (TSO) if it can, or here");
  add_place(settings, config.hardware_vlan, "vlan_tags", "--software-vlan",
            "where VLAN tags are inserted and stripped: by the NIC if it can, or here");
  settings.bytes("copy_limit", "--copy-limit", config.copy_limit, 0, 65535,
                  "bytes of text that are copied into a frame; longer ones are sent in place, if the device can");
  settings.text("pcap", "--pcap", config.pcap, "write all its frames to a file (pcapng); empty: no", "a file's name");
}

// The options that have a flag of their own; the others are in files, and with --set.
static std::pair<const char*, const char*> flag_of(const TcpOption& option) {
  std::string_view key = option.key;
  if (key == "time_wait") return {"--time-wait", "how long TIME-WAIT lasts: 2MSL"};
  if (key == "syn_retries") return {"--syn-retries", "SYNs sent again before a connect has timed out"};
  return {"", ""};
}

static void add_tcp(Settings& settings, TcpOptions& options, const TcpOption& option) {
  using Unit = TcpOption::Unit;
  auto [flag, help] = flag_of(option);
  auto put = [&options, &option](const std::string& text) {
    uint64_t value = 0;
    Duration time;
    if (option.unit == Unit::time) {
      if (!parse_time(text, time)) return false;
      value = time.ns;
    } else if (option.unit == Unit::flag || option.unit == Unit::choice) {
      try {
        value = parse(option, text);
      } catch (const ConfigError&) {
        return false;
      }
    } else if (!run::parse_scaled(text, option.unit == Unit::bytes, 0, UINT64_MAX, value)) {
      return false;
    }
    if (value < option.least || value > option.most) return false;
    option.put(options, value);
    return true;
  };
  auto show = [&options, &option] {
    uint64_t value = option.get(options);
    if (option.unit == Unit::time) return run::quoted(to_text(Duration{value}));
    if (option.unit == Unit::flag) return std::string(value != 0 ? "true" : "false");
    return option.unit == Unit::choice ? run::quoted(option.choices[value]) : std::to_string(value);
  };
  Key::Type type = option.unit == Unit::flag                                  ? Key::Type::boolean
                   : option.unit == Unit::time || option.unit == Unit::choice ? Key::Type::text
                                                                              : Key::Type::number;
  std::string what = expected(option);
  if (option.unit == Unit::time)
    what = "a time from \"" + to_text(Duration{option.least}) + "\" to \"" + to_text(Duration{option.most}) +
           "\", with ns, us, ms, s, m or h";
  if (option.unit == Unit::flag) what = "true or false";
  settings.key({.name = option.key,
                .flag = flag,
                .help = help,
                .expected = what,
                .type = type,
                .form = option.unit == Unit::time ? "TIME" : "N",
                .put = put,
                .show = show});
}

static void add_lcore(Settings& settings, Config& config) {
  auto put = [&config](const std::string& text) {
    uint64_t number = Config::any_lcore;
    if (text != "any" && !run::parse_number(text, 0, 1023, number)) return false;
    config.lcore = static_cast<uint32_t>(number);
    return true;
  };
  auto show = [&config] {
    return config.lcore == Config::any_lcore ? run::quoted("any") : std::to_string(config.lcore);
  };
  settings.key({.name = "lcore",
                .flag = "--lcore",
                .help = "the CPU that runs the first; the others take the next that this process may use. \"any\": near the device",
                .expected = "a number from 0 to 1023, or \"any\"",
                .type = Key::Type::text_or_number,
                .put = put,
                .show = show});
}

void Settings::add(Config& config) {
  add_port(*this, config);
  add_link(*this, config);
  section("core", "who runs it");
  number("cores", "--cores", config.cores, 1, 256, "so many, each on an lcore of its own with a share of the flows");
  add_lcore(*this, config);
  number("queues", "--queues", config.queues, 0, 256,
         "of the device each way; 0: one for each core, as far as it has them");
  add_place(*this, config.hardware_steering, "steering", "--software-steering",
            "who brings frames to their cores: the NIC's RSS if it has one, or all here");
  choice<Idle>("idle", "--idle", config.idle,
               {{"auto", Idle::automatic}, {"spin", Idle::spin}, {"pause", Idle::pause}, {"sleep", Idle::sleep}},
               "without work: look again at once, with pauses, or sleep; auto: sleep where a kernel is at the other end");
  number("seed", "--seed", config.seed, 0, INT64_MAX,
         "makes ports, sequence numbers and Poisson arrivals repeatable; 0: random");
  section("pools", "places of each core, all taken at the start");
  number("connections", "--max-connections", config.max_connections, 1, (1 << 24) - 2,
         "connections at a time");
  number("time_wait", "--time-wait-records", config.max_time_wait, 1, 1 << 28,
         "connections in TIME-WAIT, 64 bytes each; beyond, the oldest ends early");
  number("packet_buffers", "--packet-buffers", config.packet_buffers, 4096, 1 << 26,
         "buffers for each of receiving and sending, 2.4 KB each (longer with --mtu above 1500)");
  number("ring_size", "", config.ring_size, 2, 1 << 20, "events, and requests, of a channel; a power of two");
  number("destinations", "", config.port_pools, 0, 65535,
         "destinations of connects at a time, 128 KB each; 0: 64, or 4 for each address");
  number("half_open", "", config.max_half_open, 0, 1 << 24,
         "passive opens under way; 0: as connections, 256 to 65536");
  number("listener_half_open", "", config.listener_half_open, 0, 1 << 24,
         "of them, one listener's at most; 0: three quarters");
  number("first_port", "", config.first_port, 1, 65535, "local ports of connects, from");
  number("last_port", "", config.last_port, 1, 65535, "to");
  section("tcp", "the protocol");
  for (const TcpOption& option : tcp_options) add_tcp(*this, config.tcp, option);
  section("eal", "DPDK's own options");
  list("options", "", config.eal,
       "instead of those that are chosen; what stands before -- on a command line is this",
       "an EAL option, such as \"--no-huge\"");
  text("share", "--share", config.share,
       "a name under which dpdk-dumpcap can attach; needs huge pages; empty: nobody can", "a name");
  eal_ = &config.eal;
  check([&config] { run::check(config); });
}

void Settings::add_application(Config& config) {
  section("application", "what the program does");
  number("port", "--port", config.port, 1, 65535, "the TCP port to listen on");
  choice<Mode>("mode", "--mode", config.mode, {{"inline", Mode::inlined}, {"thread", Mode::thread}},
               "run it on the worker's own thread, or on another");
}

}  // namespace millrace
