// SPDX-License-Identifier: BSD-3-Clause
// Counters, as `nstat` and `netstat -s` show them, and what the core does.
#include <map>

#include "commands.h"
#include "text.h"

namespace millrace::stat {

// What Linux calls the same (`nstat`); where it counts a little differently there is none.
static const std::map<std::string, const char*> linux_names = {
    {"active_opens", "TcpActiveOpens"},
    {"passive_opens", "TcpPassiveOpens"},
    {"segments_received", "TcpInSegs"},
    {"resets_sent", "TcpOutRsts"},
    {"drop_tcp_checksum", "TcpInCsumErrors"},
    {"retransmission_timeouts", "TcpExtTCPTimeouts"},
    {"fast_retransmits", "TcpExtTCPFastRetrans"},
    {"tail_loss_probes", "TcpExtTCPLossProbes"},
    {"tail_losses", "TcpExtTCPLossProbeRecovery"},
    {"out_of_order", "TcpExtTCPOFOQueue"},
    {"delayed_acks", "TcpExtDelayedACKs"},
    {"window_probes_sent", "TcpExtTCPWinProbe"},
    {"keepalive_probes_sent", "TcpExtTCPKeepAlive"},
    {"challenge_acks", "TcpExtTCPChallengeACK"},
    {"paws_rejected", "TcpExtPAWSEstab"},
    {"time_wait_taken_over", "TcpExtTWRecycled"},
    {"time_wait_recycled_early", "TcpExtTCPTimeWaitOverflow"},
    {"listen_overflow", "TcpExtListenOverflows"},
    {"syn_cookies_sent", "TcpExtSyncookiesSent"},
    {"syn_cookies_accepted", "TcpExtSyncookiesRecv"},
    {"syn_cookies_failed", "TcpExtSyncookiesFailed"},
    {"orphans_reset", "TcpExtTCPAbortOnMemory"},
    {"drop_out_of_order_limit", "TcpExtTCPOFODrop"},
    {"drop_no_window", "TcpExtTCPZeroWindowDrop"},
};

static bool begins_with(const std::string& text, std::initializer_list<const char*> beginnings) {
  for (const char* beginning : beginnings)
    if (text.rfind(beginning, 0) == 0) return true;
  return false;
}

// The parts of the screen, in order. A counter that is new here is TCP's.
static const char* const parts[] = {"Now", "Frames and segments", "Tcp", "Dropped, and why", "Around Tcp", "Application"};

static size_t part_of(const std::string& name) {
  if (name.ends_with("_now")) return 0;
  if (begins_with(name, {"drop_"})) return 3;
  if (begins_with(name, {"arp_", "icmp_", "path_mtu_", "neighbor_"})) return 4;
  if (begins_with(name, {"requests_", "events_"})) return 5;
  return begins_with(name, {"frames_", "segments_", "bytes_", "pure_acks_", "answers_"}) ? 1 : 2;
}

// What is no counter: whose they are, and what the head line says.
static bool is_head(const std::string& name) {
  for (const char* other : {"endpoint", "core", "port", "address", "time_us", "useful_cycles", "total_cycles",
                            "asleep_cycles", "cycles_per_second", "turns", "useful_turns", "sleeps", "wakeups", "longest_turn_us",
                            "longest_turn_off_cpu_us", "cpu", "error"})
    if (name == other) return true;
  return false;
}

static void print(const Json& stats, bool zeros) {
  auto number = [&](const char* name) { return stats.value(name, 0.0); };
  double total = number("total_cycles"), seconds = total / std::max(number("cycles_per_second"), 1.0);
  double useful = total == 0 ? 0 : 100 * number("useful_cycles") / total;
  double asleep = total == 0 ? 0 : std::min(100 * number("asleep_cycles") / total, 100 - useful);
  std::printf("%s %s, core %lu on CPU %lu: %.1f %% useful, %.1f %% idle, %.1f %% asleep in %s\n", stats.value("port", "").c_str(),
              stats.value("address", "").c_str(), stats.value("core", 0ul), stats.value("cpu", 0ul), useful, 100 - useful - asleep, asleep,
              time_text(static_cast<uint64_t>(1e6 * seconds)).c_str());
  std::printf("%s turns, %s of them useful, the longest %s (off its CPU for %s of it); %s sleeps, %s ended by work\n",
              short_number(number("turns")).c_str(), short_number(number("useful_turns")).c_str(),
              time_text(stats.value("longest_turn_us", 0ul)).c_str(),
              time_text(stats.value("longest_turn_off_cpu_us", 0ul)).c_str(), short_number(number("sleeps")).c_str(),
              short_number(number("wakeups")).c_str());
  for (size_t part = 0; part < std::size(parts); ++part) {
    bool begun = false;
    for (const auto& [name, value] : stats.items()) {
      if (is_head(name) || part_of(name) != part || (value == 0 && !zeros && part != 0)) continue;
      if (!begun) std::printf("%s\n", parts[part]);
      begun = true;
      auto known = linux_names.find(name);
      if (known == linux_names.end())
        std::printf("%16lu  %s\n", value.get<unsigned long>(), name.c_str());
      else
        std::printf("%16lu  %-28s %s\n", value.get<unsigned long>(), name.c_str(), known->second);
    }
  }
}

void show_stats(const Wishes& wishes) {
  Program program = choose(wishes.prefix);
  Json all = {{"program", program.name}, {"pid", program.pid}, {"file_prefix", program.prefix}, {"endpoints", Json::array()}};
  std::string silent;
  for (const EndpointName& endpoint : chosen(program, wishes)) {
    Json stats = program.ask("/millrace/stats," + std::to_string(endpoint.number));
    // Counters can be read without the core, so they are shown also if it takes no turns.
    if (stats.contains("error")) silent = stats["error"].get<std::string>();
    all["endpoints"].push_back(stats);
    if (wishes.json) continue;
    if (&all["endpoints"].back() != &all["endpoints"].front()) std::printf("\n");
    print(stats, wishes.zeros);
  }
  if (wishes.json) std::printf("%s\n", all.dump(2).c_str());
  if (!silent.empty()) throw Failure(1, program.name + ": " + silent);
}

}  // namespace millrace::stat
