// SPDX-License-Identifier: BSD-3-Clause
// TCP_INFO from a connection's diagnostics. Scripts assert on it in %{ ... }% blocks.
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "stack/diagnostics.h"
#include "tests/packetdrill/sockets.h"

namespace millrace::packetdrill {
namespace {

uint8_t state_number(State state) {
  switch (state) {
    case State::established: return 1;
    case State::syn_sent: return 2;
    case State::syn_received: return 3;
    case State::fin_wait_1: return 4;
    case State::fin_wait_2: return 5;
    case State::time_wait: return 6;
    case State::close_wait: return 8;
    case State::last_ack: return 9;
    case State::listen: return 10;
    case State::closing: return 11;
    default: return 7;
  }
}

uint8_t phase_number(Phase phase) {
  switch (phase) {
    case Phase::disorder: return TCP_CA_Disorder;
    case Phase::cwr: return TCP_CA_CWR;
    case Phase::recovery: return TCP_CA_Recovery;
    case Phase::loss: return TCP_CA_Loss;
    default: return TCP_CA_Open;
  }
}

uint32_t us(Duration d) { return static_cast<uint32_t>(d.us()); }

uint32_t segments(const Diagnostics& d, uint64_t bytes) {
  return static_cast<uint32_t>((bytes + d.send_mss - 1) / d.send_mss);
}

void fill_sending(const Diagnostics& d, ::tcp_info& info) {
  info.tcpi_rto = us(d.rto);
  info.tcpi_snd_mss = d.send_mss;
  info.tcpi_unacked = segments(d, d.in_flight);
  info.tcpi_sacked = segments(d, d.sacked);
  info.tcpi_lost = segments(d, d.lost + d.resent);  // lost and under way again counts as lost until it has arrived
  info.tcpi_retrans = segments(d, d.resent);
  info.tcpi_total_retrans = d.resent_segments;
  info.tcpi_rtt = us(d.srtt);
  info.tcpi_rttvar = us(d.rttvar);
  info.tcpi_min_rtt = d.min_rtt.ns != 0 ? us(d.min_rtt) : ~0u;
  info.tcpi_snd_ssthresh = d.ssthresh >= 0x7fffffff ? 0x7fffffff : d.ssthresh / d.send_mss;
  info.tcpi_snd_cwnd = d.cwnd / d.send_mss;
  info.tcpi_reordering = 3;  // segments; RACK counts none
  info.tcpi_notsent_bytes = d.unsent;
  info.tcpi_bytes_acked = d.bytes_acked;
  info.tcpi_bytes_sent = d.bytes_sent + d.resent_bytes;
  info.tcpi_bytes_retrans = d.resent_bytes;
  info.tcpi_dsack_dups = d.dsacks;
  info.tcpi_reord_seen = d.reordering;
  info.tcpi_segs_out = d.segments_out;
  info.tcpi_data_segs_out = d.text_segments_out;
  info.tcpi_delivered = segments(d, d.delivered) + 1;
  info.tcpi_delivered_ce = segments(d, d.delivered_ce);
  info.tcpi_delivery_rate = d.rate_interval.ns != 0 ? uint64_t{d.rate_bytes} * 1'000'000'000 / d.rate_interval.ns : 0;
  info.tcpi_delivery_rate_app_limited = d.rate_app_limited;
  info.tcpi_busy_time = d.busy.us();
  info.tcpi_rwnd_limited = d.limited_by_receiver.us();
  info.tcpi_sndbuf_limited = d.limited_by_send_buffer.us();
}

void fill(const Diagnostics& d, Instant now, ::tcp_info& info) {
  auto since = [now](Instant at) { return at == Instant{} ? 0 : static_cast<uint32_t>((now - at).ms()); };
  info.tcpi_state = state_number(d.state);
  info.tcpi_ca_state = phase_number(d.phase);
  info.tcpi_retransmits = d.timeouts_in_a_row;
  info.tcpi_probes = d.keepalive_probes;
  info.tcpi_backoff = d.backoff;
  if (d.timestamps) info.tcpi_options |= TCPI_OPT_TIMESTAMPS;
  if (d.sack) info.tcpi_options |= TCPI_OPT_SACK;
  if (d.window_scaling) info.tcpi_options |= TCPI_OPT_WSCALE;
  if (d.ecn) info.tcpi_options |= TCPI_OPT_ECN;
  info.tcpi_snd_wscale = d.send_wscale & 15;
  info.tcpi_rcv_wscale = d.receive_wscale & 15;
  info.tcpi_ato = us(d.delayed_ack);
  info.tcpi_advmss = d.receive_mss;
  info.tcpi_pmtu = d.path_mtu;
  info.tcpi_bytes_received = d.bytes_received;
  info.tcpi_segs_in = d.segments_in;
  info.tcpi_data_segs_in = d.text_segments_in;
  info.tcpi_rcv_ooopack = d.out_of_order_total;
  info.tcpi_rcv_rtt = us(d.receiver_rtt);
  info.tcpi_last_data_sent = since(d.text_sent);
  info.tcpi_last_data_recv = since(std::max(d.text_received, d.established));
  info.tcpi_last_ack_recv = since(d.ack_received);
  fill_sending(d, info);
}

}  // namespace

// The caller's structure may be longer than the one known here: the rest of it is zero.
int Sockets::tcp_info(Socket& s, void* out, socklen_t* length) {
  ::tcp_info info{};
  info.tcpi_state = s.kind == Socket::listening ? 10 : 7;
  Diagnostics d;
  if (machine_.started() && stack::diagnostics(machine_.stack(), id_of(s), machine_.now(), d)) fill(d, machine_.now(), info);
  std::memset(out, 0, *length);
  std::memcpy(out, &info, std::min<size_t>(*length, sizeof info));
  return 0;
}

int Sockets::diagnostics(int fd, int level, int name, void* value, socklen_t* length) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return -1;
  if (level == IPPROTO_TCP && name == TCP_INFO) return tcp_info(*s, value, length);
  bool memory = level == SOL_SOCKET && name == SO_MEMINFO;
  if (memory) std::memset(value, 0, *length);
  if (level == IPPROTO_TCP && name == TCP_CC_INFO) *length = 0;
  return memory || (level == IPPROTO_TCP && name == TCP_CC_INFO) ? 0 : -1;
}

}  // namespace millrace::packetdrill
