// SPDX-License-Identifier: BSD-3-Clause
// A command line -> Config: the flags that all programs share, and how they say what is wrong.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "millrace/config.h"

namespace millrace {

static Ipv4Address address_of(const char* flag, const std::string& text) {
  auto address = parse_ipv4(text);
  if (!address) throw CLI::ValidationError(flag, "'" + text + "' is not A.B.C.D");
  return *address;
}

static void set_address(Config& config, const std::string& text) {
  size_t slash = text.find('/');
  std::string length = slash == std::string::npos ? "" : text.substr(slash + 1);
  bool is_number =
      !length.empty() && length.size() <= 2 && length.find_first_not_of("0123456789") == std::string::npos;
  if (!is_number || std::stoul(length) > 32)
    throw CLI::ValidationError("--address", "'" + text + "' is not A.B.C.D/LEN, with LEN from 0 to 32");
  config.address = address_of("--address", text.substr(0, slash));
  config.prefix_length = static_cast<uint8_t>(std::stoul(length));
}

static void add_flags(CLI::App& app, Config& config) {
  app.add_option("--device", config.device,
                 "any DPDK device: a virtual one with its arguments, or a PCI address")
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--address", [&](const std::string& text) { set_address(config, text); }, "the endpoint's address")
      ->type_name("A.B.C.D/LEN")
      ->default_str(to_string(config.address) + "/" + std::to_string(config.prefix_length));
  app.add_option("--addresses", config.address_count, "so many consecutive ones, from there")
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--gateway", [&](const std::string& text) { config.gateway = address_of("--gateway", text); },
         "where packets to other networks go")
      ->type_name("A.B.C.D");
  app.add_option("--port", config.port, "where to listen, or connect to")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  app.add_option("--lcore", config.lcore, "the CPU that runs the endpoint")->capture_default_str();
  app.add_option("--max-connections", config.max_connections, "connections at a time")->capture_default_str();
  app.add_option("--packet-buffers", config.packet_buffers,
                 "buffers for each of receiving and sending, 2.4 KB each")
      ->capture_default_str();
  app.add_option("--seed", config.seed, "makes ports and sequence numbers repeatable; 0: random")
      ->capture_default_str();
  app.add_flag_callback(
      "--software-checksums", [&] { config.hardware_checksums = false; },
      "compute all checksums here, whatever the NIC can");
}

Config Config::from_arguments(int argc, char** argv) {
  Config config;
  // What stands before a `--` is EAL's.
  int first = 1;
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--") == 0) {
      config.eal.assign(argv + 1, argv + i);
      first = i + 1;
      break;
    }
  const char* slash = argc > 0 ? std::strrchr(argv[0], '/') : nullptr;
  std::string program = slash != nullptr ? slash + 1 : argc > 0 ? argv[0] : "millrace";

  CLI::App app{program + " [EAL options --] [flags]", program};
  add_flags(app, config);
  std::vector<std::string> words(argv + std::min(first, argc), argv + argc);
  std::reverse(words.begin(), words.end());  // the order that CLI11 takes words in
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    std::exit(0);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s (flags: %s --help)\n", program.c_str(), error.what(), program.c_str());
    std::exit(2);
  }
  return config;
}

}  // namespace millrace
