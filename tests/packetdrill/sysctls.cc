// SPDX-License-Identifier: BSD-3-Clause
// What scripts set with sysctl, as configuration keys.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "tests/packetdrill/profile.h"

namespace millrace::packetdrill {
namespace {

// The first or the last number of a sysctl; nothing if it cannot be read.
bool sysctl(const char* name, uint64_t& value, bool last = false) {
  std::ifstream file(std::string("/proc/sys/net/ipv4/") + name);
  bool found = false;
  for (uint64_t v; file >> v && (!found || last); found = true) value = v;
  return found;
}

std::string sysctl_text(const char* name) {
  std::string word;
  std::ifstream(std::string("/proc/sys/net/ipv4/") + name) >> word;
  return word;
}

tcp::EcnMode ecn_mode(uint64_t v) {
  return v == 1 ? tcp::EcnMode::active : v == 2 ? tcp::EcnMode::passive : tcp::EcnMode::off;
}

// Where no script can have set anything, what is found there is not meant for us.
bool writable() { return access("/proc/sys/net/ipv4/tcp_rmem", W_OK) == 0; }

void take_linux(Profile& p) {
  if (!writable()) return;
  tcp::Params& t = p.config.tcp;
  uint64_t v = 0;
  if (sysctl("tcp_timestamps", v)) t.timestamps = v != 0;
  if (sysctl("tcp_sack", v)) t.sack = v != 0;
  if (sysctl("tcp_dsack", v)) t.dsack = v != 0;
  if (sysctl("tcp_window_scaling", v)) t.window_scaling = v != 0;
  if (sysctl("tcp_frto", v)) t.frto = v != 0;
  if (sysctl("tcp_early_retrans", v)) t.tail_loss_probe = v >= 3;
  if (sysctl("tcp_slow_start_after_idle", v)) t.restart_after_idle = v != 0;
  if (sysctl("tcp_syn_retries", v)) t.syn_retries = static_cast<uint8_t>(v);
  if (sysctl("tcp_synack_retries", v)) t.syn_ack_retries = static_cast<uint8_t>(v);
  if (sysctl("tcp_min_tso_segs", v)) t.push_every = static_cast<uint8_t>(v);
  if (sysctl("tcp_ecn", v)) t.ecn = ecn_mode(v);
  if (sysctl("tcp_fin_timeout", v)) t.fin_wait_2 = seconds(v);
  if (sysctl("tcp_keepalive_time", v)) t.keepalive_time = seconds(v);
  if (sysctl("tcp_keepalive_intvl", v)) t.keepalive_interval = seconds(v);
  if (sysctl("tcp_keepalive_probes", v)) t.keepalive_probes = static_cast<uint8_t>(v);
  if (sysctl("tcp_rto_max_ms", v)) t.rto_max = std::max(milliseconds(v), t.rto_initial);
  if (sysctl("tcp_rto_min_us", v)) t.rto_min = std::min(microseconds(v), t.rto_initial);
  congestion_of(sysctl_text("tcp_congestion_control"), p.congestion);
  if (sysctl("tcp_rmem", v, true) && v >= 4096 && v < (1u << 30)) set_receive_buffer(p, v);
}

using Set = void (*)(Profile&, uint64_t);

// Of FreeBSD's keys those that mean something here.
const std::map<std::string, Set>& freebsd_keys() {
  static const std::map<std::string, Set> all{
      {"rfc1323", [](Profile& p, uint64_t v) { p.config.tcp.timestamps = p.config.tcp.window_scaling = v != 0; }},
      {"sack.enable", [](Profile& p, uint64_t v) { p.config.tcp.sack = v != 0; }},
      {"ecn.enable", [](Profile& p, uint64_t v) { p.config.tcp.ecn = ecn_mode(v); }},
      {"ecn.maxretries", [](Profile& p, uint64_t v) { p.config.tcp.ecn_syns = static_cast<uint8_t>(v + 1); }},
      {"recvspace", [](Profile& p, uint64_t v) { p.config.tcp.receive_buffer = static_cast<uint32_t>(v); }},
      {"sendspace", [](Profile& p, uint64_t v) { p.send_buffer = static_cast<uint32_t>(v); }},
      {"insecure_rst", [](Profile& p, uint64_t v) { p.config.tcp.exact_rst = v == 0; }},
      {"insecure_syn", [](Profile& p, uint64_t v) { p.config.tcp.challenge_syn = v == 0; }},
      {"drop_synfin", [](Profile& p, uint64_t v) { p.config.tcp.drop_syn_fin = v != 0; }},
      {"tolerate_missing_ts", [](Profile& p, uint64_t v) { p.config.tcp.require_timestamps = v == 0; }},
      {"rexmit_drop_options", [](Profile& p, uint64_t v) { p.config.tcp.syns_with_options = v != 0 ? 3 : 255; }},
      {"rexmit_slop", [](Profile& p, uint64_t v) { p.config.tcp.rto_slop = milliseconds(v); }},
      {"rexmit_initial", [](Profile& p, uint64_t v) { p.config.tcp.rto_initial = milliseconds(v); }},
      {"rexmit_min", [](Profile& p, uint64_t v) { p.config.tcp.rto_min = milliseconds(v); }},
      {"delacktime", [](Profile& p, uint64_t v) { p.config.tcp.delayed_ack = milliseconds(v); }},
      {"keepinit", [](Profile& p, uint64_t v) { p.config.tcp.syn_limit = milliseconds(v); }},
      {"keepidle", [](Profile& p, uint64_t v) { p.config.tcp.keepalive_time = milliseconds(v); }},
      {"keepintvl", [](Profile& p, uint64_t v) { p.config.tcp.keepalive_interval = milliseconds(v); }},
      {"keepcnt", [](Profile& p, uint64_t v) { p.config.tcp.keepalive_probes = static_cast<uint8_t>(v); }},
      {"msl", [](Profile& p, uint64_t v) { p.config.tcp.time_wait = milliseconds(2 * v); }},
      {"syncookies_only",
       [](Profile& p, uint64_t v) {
         p.config.tcp.syn_cookies = v != 0 ? tcp::SynCookies::always : tcp::SynCookies::on_overflow;
       }},
  };
  return all;
}

void take_freebsd(Profile& p) {
  const char* name = std::getenv("MILLRACE_SYSCTLS");
  if (name == nullptr) return;
  constexpr uint64_t most = 65535u << 14;  // of what a window can say
  const std::string tcp_keys = "net.inet.tcp.";
  std::ifstream file(name);
  uint64_t value = 0;
  for (std::string key; file >> key >> value;) {
    if (key == "kern.ipc.maxsockbuf") p.config.tcp.receive_buffer_max = static_cast<uint32_t>(std::min(value, most));
    if (!key.starts_with(tcp_keys)) continue;
    auto at = freebsd_keys().find(key.substr(tcp_keys.size()));
    if (at != freebsd_keys().end()) at->second(p, value);
  }
}

}  // namespace

void take_sysctls(Profile& p) {
  p.freebsd ? take_freebsd(p) : take_linux(p);
}

}  // namespace millrace::packetdrill
