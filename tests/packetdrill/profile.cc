// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packetdrill/profile.h"

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace millrace::packetdrill {
namespace {

void linux_profile(Profile& p) {
  tcp::Params& t = p.config.tcp;
  t.receive_buffer = t.receive_buffer_max = 15 << 20;  // window scale 8
  t.syn_retries = 6;
  t.restart_after_idle = 0;
  t.push_every = 2;  // two segments at least leave as one large one, which ends with PSH
  t.slow_start_stretch = 255;
  t.quick_acks = 16;
  t.rto_min_applies_to = tcp::RtoMin::variance;
}

void freebsd_profile(Profile& p) {
  tcp::Params& t = p.config.tcp;
  t.receive_buffer = t.receive_buffer_max = 2 << 20;  // window scale 6
  t.restart_after_idle = 1;
  p.sysctls = false;
  p.buffers_doubled = false;
}

Profile base() {
  Profile p;
  stack::Config& c = p.config;
  c.core = 1;
  c.max_connections = 256;
  c.max_half_open = 256;
  c.max_time_wait = 256;
  c.max_listeners = 16;
  c.max_port_pools = 16;
  c.max_neighbors = 64;
  c.held_limit = 16384;
  c.first_port = 32768;
  c.secret = {0x6d696c6c, 0x72616365};
  c.tcp.send_limit = 64 << 20;  // the socket's own buffer is the limit
  return p;
}

using Set = void (*)(Profile&, uint64_t);

const std::map<std::string, Set>& keys() {
  static const std::map<std::string, Set> all{
      {"mtu", [](Profile& p, uint64_t v) { p.config.mtu = static_cast<uint16_t>(v); }},
      {"sysctls", [](Profile& p, uint64_t v) { p.sysctls = v != 0; }},
      {"timestamps", [](Profile& p, uint64_t v) { p.config.tcp.timestamps = v != 0; }},
      {"sack", [](Profile& p, uint64_t v) { p.config.tcp.sack = v != 0; }},
      {"window_scaling", [](Profile& p, uint64_t v) { p.config.tcp.window_scaling = v != 0; }},
      {"frto", [](Profile& p, uint64_t v) { p.config.tcp.frto = v != 0; }},
      {"immediate_ack", [](Profile& p, uint64_t v) { p.config.tcp.immediate_ack = v != 0; }},
      {"restart_after_idle", [](Profile& p, uint64_t v) { p.config.tcp.restart_after_idle = v != 0; }},
      {"initial_window", [](Profile& p, uint64_t v) { p.config.tcp.initial_window = static_cast<uint8_t>(v); }},
      {"receive_buffer", [](Profile& p, uint64_t v) { p.config.tcp.receive_buffer = static_cast<uint32_t>(v); }},
      {"send_buffer", [](Profile& p, uint64_t v) { p.send_buffer = static_cast<uint32_t>(v); }},
      {"syn_retries", [](Profile& p, uint64_t v) { p.config.tcp.syn_retries = static_cast<uint8_t>(v); }},
      {"syn_ack_retries", [](Profile& p, uint64_t v) { p.config.tcp.syn_ack_retries = static_cast<uint8_t>(v); }},
      {"push_every", [](Profile& p, uint64_t v) { p.config.tcp.push_every = static_cast<uint8_t>(v); }},
      {"rto_min_ms", [](Profile& p, uint64_t v) { p.config.tcp.rto_min = milliseconds(v); }},
      {"delayed_ack_ms", [](Profile& p, uint64_t v) { p.config.tcp.delayed_ack = milliseconds(v); }},
      {"msl_ms", [](Profile& p, uint64_t v) { p.config.tcp.time_wait = milliseconds(2 * v); }},
  };
  return all;
}

[[noreturn]] void unknown(const std::string& word) {
  std::string known = "linux, freebsd, local=A.B.C.D";
  for (const auto& [name, set] : keys()) known += ", " + name + "=N";
  throw std::invalid_argument("--so_flags: '" + word + "' is none of " + known);
}

void set_key(Profile& p, const std::string& word) {
  size_t equals = word.find('=');
  std::string name = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
  if (name == "local") {
    auto ip = parse_ipv4(value);
    if (!ip) unknown(word);
    p.local = *ip;
    return;
  }
  auto key = keys().find(name);
  bool number = !value.empty() && value.size() < 12 && value.find_first_not_of("0123456789") == std::string::npos;
  if (key == keys().end() || !number) unknown(word);
  key->second(p, std::stoull(value));
}

// The first or the last number of a sysctl; nothing if it cannot be read.
bool sysctl(const char* name, uint64_t& value, bool last = false) {
  std::ifstream file(std::string("/proc/sys/net/ipv4/") + name);
  bool found = false;
  for (uint64_t v; file >> v && (!found || last); found = true) value = v;
  return found;
}

}  // namespace

Profile profile(const std::string& flags) {
  Profile p = base();
  linux_profile(p);
  std::istringstream words(flags);
  for (std::string word; std::getline(words, word, ',');) {
    if (word.empty()) continue;
    if (word == "linux" || word == "freebsd") {
      p = base();
      word == "linux" ? linux_profile(p) : freebsd_profile(p);
    } else {
      set_key(p, word);
    }
  }
  return p;
}

void take_sysctls(Profile& p) {
  tcp::Params& t = p.config.tcp;
  uint64_t v = 0;
  if (sysctl("tcp_timestamps", v)) t.timestamps = v != 0;
  if (sysctl("tcp_sack", v)) t.sack = v != 0;
  if (sysctl("tcp_window_scaling", v)) t.window_scaling = v != 0;
  if (sysctl("tcp_frto", v)) t.frto = v != 0;
  if (sysctl("tcp_slow_start_after_idle", v)) t.restart_after_idle = v != 0;
  if (sysctl("tcp_syn_retries", v)) t.syn_retries = static_cast<uint8_t>(v);
  if (sysctl("tcp_synack_retries", v)) t.syn_ack_retries = static_cast<uint8_t>(v);
  if (sysctl("tcp_min_tso_segs", v)) t.push_every = static_cast<uint8_t>(v);
  if (sysctl("tcp_ecn", v)) t.ecn = v == 1 ? tcp::EcnMode::active : v == 2 ? tcp::EcnMode::passive : tcp::EcnMode::off;
  if (sysctl("tcp_rmem", v, true) && v >= 4096 && v < (1u << 30)) t.receive_buffer = static_cast<uint32_t>(v);
}

}  // namespace millrace::packetdrill
