// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packetdrill/profile.h"

#include <algorithm>
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
  t.beta_of_cwnd = true;
  t.delay_fin_ack = true;
  t.require_timestamps = false;
}

void freebsd_profile(Profile& p) {
  tcp::Params& t = p.config.tcp;
  t.receive_buffer = 65536;
  t.receive_buffer_max = 2 << 20;  // window scale 6
  t.whole_segments = true;
  t.ack_second = true;
  t.closing_fin = true;
  t.syn_layout = tcp::SynLayout::scale_first;
  t.ecn_syns = 2;
  t.syn_retries = 12;
  t.syn_ack_retries = 3;
  t.syn_limit = seconds(75);
  t.rto_min = milliseconds(30);
  t.rto_slop = milliseconds(200);
  t.delayed_ack = milliseconds(40);
  t.restart_after_idle = 1;
  t.tail_loss_probe = false;
  p.freebsd = true;
  p.send_buffer = 32768;
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
      {"receive_buffer", [](Profile& p, uint64_t v) { set_receive_buffer(p, v); }},
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

}  // namespace

// What does not grow stays so.
void set_receive_buffer(Profile& p, uint64_t bytes) {
  tcp::Params& t = p.config.tcp;
  bool grows = t.receive_buffer_max > t.receive_buffer;
  t.receive_buffer = static_cast<uint32_t>(bytes);
  t.receive_buffer_max = grows ? std::max(t.receive_buffer, t.receive_buffer_max) : t.receive_buffer;
}

bool congestion_of(const std::string& name, Congestion& out) {
  if (name == "cubic")
    out = Congestion::cubic;
  else if (name == "reno" || name == "newreno")
    out = Congestion::newreno;
  else if (name == "dctcp")
    out = Congestion::dctcp;
  else
    return false;
  return true;
}

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

}  // namespace millrace::packetdrill
