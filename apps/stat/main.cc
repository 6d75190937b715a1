// SPDX-License-Identifier: BSD-3-Clause
// millrace-stat: what `ss`, `netstat -s`, `ip` and `top` show, of a running Millrace program.
#include <millrace/address.h>
#include <millrace/nearest.h>
#include <millrace/process.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "commands.h"

using namespace millrace::stat;

namespace {

CLI::Validator is_address() {
  return {[](std::string& text) {
            bool good = millrace::parse_ipv4(text).has_value();
            return good ? std::string() : text + " is no IPv4 address";
          },
          "A.B.C.D"};
}

// "10k", as all programs take numbers: of millrace/settings.h this one knows nothing.
CLI::Validator with_suffix() {
  return {[](std::string& text) {
            constexpr std::pair<const char*, unsigned long> units[] = {
                {"k", 1'000}, {"M", 1'000'000}, {"G", 1'000'000'000}, {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}};
            size_t digits = text.find_first_not_of("0123456789");
            if (digits == 0 || digits == std::string::npos || digits > 10) return std::string();
            for (auto [name, unit] : units)
              if (text.substr(digits) == name) {
                text = std::to_string(std::stoul(text) * unit);
                break;
              }
            return std::string();
          },
          ""};
}

CLI::App* add(CLI::App& app, Wishes& wishes, const char* name, const char* about) {
  CLI::App* command = app.add_subcommand(name, about);
  command->add_flag("-j,--json", wishes.json, "as JSON; the names are in apps/stat/README.md");
  if (std::string(name) == "list") return command;
  command->add_option("-f,--file-prefix", wishes.prefix, "which program, if several run: millrace-stat list")
      ->type_name("NAME");
  command->add_option("-e,--endpoint", wishes.endpoint, "of a program with several; otherwise all")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 20));
  return command;
}

void add_conns(CLI::App& app, Wishes& wishes) {
  CLI::App* conns = add(app, wishes, "conns", "connections, as ss -t shows them; with -i, as ss -ti");
  conns->add_flag("-i,--info", wishes.info, "a second line: round trips, cwnd, losses, what sending waited for");
  conns->add_flag("-a,--all", wishes.all, "also LISTEN, SYN-RECEIVED and TIME-WAIT");
  conns->add_flag("-l,--listening", wishes.listening, "LISTEN only, or also, beside --state");
  conns->add_option("-s,--state", wishes.states, "in this state, or of this group; again for more: all, established, time-wait ...")
      ->type_name("STATE")
      ->allow_extra_args(false);
  auto add_port = [&](const char* flag, int& value, const char* help) {
    conns->add_option(flag, value, help)->type_name("N")->check(CLI::Range(1, 65535));
  };
  add_port("-p,--port", wishes.port, "with this port at either end");
  add_port("--local-port", wishes.local_port, "with this one here");
  add_port("--remote-port", wishes.remote_port, "with this one there");
  conns->add_option("--address", wishes.address, "with this address at either end")->type_name("A.B.C.D")->check(is_address());
}

int run(const CLI::App& app, const Wishes& wishes) {
  std::string command = app.get_subcommands().front()->get_name();
  if (command == "list") show_programs(wishes);
  if (command == "conns") show_connections(wishes);
  if (command == "stats") show_stats(wishes);
  if (command == "ports") show_ports(wishes);
  if (command == "neigh") show_neighbors(wishes);
  if (command == "top") show_top(wishes);
  return 0;
}

// What was not expected; empty: that is not what is wrong.
std::string what_is_unknown(const CLI::App& app) {
  std::vector<std::string> left = app.remaining(true), flags, commands;
  auto add_flags = [&](const CLI::App& of) {
    for (const CLI::Option* option : of.get_options())
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  };
  add_flags(app);
  for (const CLI::App* command : app.get_subcommands()) add_flags(*command);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(command->get_name());
  for (const std::string& word : left)
    if (word.starts_with("-")) return millrace::unknown_word("flag", word.substr(0, word.find('=')), flags);
  if (left.empty()) return "";
  return app.get_subcommands().empty() ? millrace::unknown_word("command", left[0], commands) : "a word too many: " + left[0];
}

}  // namespace

int main(int argc, char** argv) {
  millrace::prepare_process();
  Wishes wishes;
  CLI::App app{"Shows what a running Millrace program does, over its telemetry socket. Reading stops no core.", "millrace-stat"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "millrace-stat " MILLRACE_VERSION);
  add_conns(app, wishes);
  add(app, wishes, "stats", "counters, as nstat shows them, drops with their reasons")
      ->add_flag("-z,--zeros", wishes.zeros, "also those that are 0");
  add(app, wishes, "ports", "devices, addresses, frames, buffers");
  add(app, wishes, "neigh", "neighbours, as ip neighbour shows them");
  CLI::App* top = add(app, wishes, "top", "rates of each core: a screen that redraws, or lines when piped");
  top->add_option("-n,--count", wishes.count, "so many times; otherwise without end")
      ->type_name("N")
      ->transform(with_suffix())
      ->check(CLI::Range(1u, 1u << 30));
  top->add_option("-d,--interval", wishes.interval, "seconds between them")->type_name("S")->capture_default_str()->check(CLI::Range(0.05, 3600.0));
  add(app, wishes, "list", "the programs that can be asked");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return millrace::with_output_written(app.exit(help), "millrace-stat");
  } catch (const CLI::ParseError& error) {
    std::string unknown = what_is_unknown(app);
    std::fprintf(stderr, "millrace-stat: %s (millrace-stat --help)\n", unknown.empty() ? error.what() : unknown.c_str());
    return 2;
  }
  try {
    return millrace::with_output_written(run(app, wishes), "millrace-stat");
  } catch (const Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "millrace-stat: %s\n", failure.what());
    return failure.code;
  } catch (const Json::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "millrace-stat: an answer that is not understood: %s\n", error.what());
    return 1;
  }
}
