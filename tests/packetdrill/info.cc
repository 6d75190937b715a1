// SPDX-License-Identifier: BSD-3-Clause
// TCP_INFO from a TCB. Scripts assert on it in %{ ... }% blocks.
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/packetdrill/sockets.h"

namespace millrace::packetdrill {
namespace {

uint8_t state_number(tcp::State state) {
  switch (state) {
    case tcp::State::established: return 1;
    case tcp::State::syn_sent: return 2;
    case tcp::State::syn_received: return 3;
    case tcp::State::fin_wait_1: return 4;
    case tcp::State::fin_wait_2: return 5;
    case tcp::State::time_wait: return 6;
    case tcp::State::close_wait: return 8;
    case tcp::State::last_ack: return 9;
    case tcp::State::closing: return 11;
    default: return 7;
  }
}

uint32_t segments(const tcp::Tcb& tcb, uint32_t bytes) { return (bytes + tcb.mss - 1) / tcb.mss; }

// What was lost and is under way again counts as lost until it has arrived.
uint32_t resent(const stack::Stack& stack, const tcp::Tcb& tcb) {
  uint32_t bytes = 0;
  for (const tcp::Flight* f = &tcb.first;; f = &stack.cx.flights[f->next]) {
    if (f->state == tcp::Flight::flying && f->sends > 1) bytes += f->length();
    if (f->next == no_index) return bytes;
  }
}

uint8_t congestion_state(const tcp::Tcb& tcb) {
  if (tcb.is(tcp::in_loss)) return TCP_CA_Loss;
  if (tcb.is(tcp::in_recovery)) return TCP_CA_Recovery;
  if (wire::after(tcb.ecn_recover, tcb.snd.una)) return TCP_CA_CWR;
  return tcb.sacked > 0 || tcb.dup_acks > 0 ? TCP_CA_Disorder : TCP_CA_Open;
}

void fill(const stack::Stack& stack, const tcp::Tcb& tcb, ::tcp_info& info) {
  const tcp::Params& p = stack.cx.params;
  info.tcpi_state = state_number(tcb.state);
  info.tcpi_ca_state = congestion_state(tcb);
  info.tcpi_retransmits = tcb.timeouts;
  info.tcpi_backoff = tcb.backoff;
  if (tcb.is(tcp::ts_ok)) info.tcpi_options |= TCPI_OPT_TIMESTAMPS;
  if (tcb.is(tcp::sack_ok)) info.tcpi_options |= TCPI_OPT_SACK;
  if (tcb.is(tcp::ws_ok)) info.tcpi_options |= TCPI_OPT_WSCALE;
  info.tcpi_snd_wscale = tcb.snd_wscale & 15;
  info.tcpi_rcv_wscale = tcb.rcv_wscale & 15;
  info.tcpi_rto = tcb.rtt.rto;
  info.tcpi_ato = static_cast<uint32_t>(p.delayed_ack.us());
  info.tcpi_snd_mss = tcb.mss;
  info.tcpi_unacked = segments(tcb, wire::distance(tcb.snd.una, tcb.snd.nxt));
  info.tcpi_sacked = segments(tcb, tcb.sacked);
  info.tcpi_lost = segments(tcb, tcb.absent - tcb.sacked + resent(stack, tcb));
  info.tcpi_retrans = segments(tcb, resent(stack, tcb));
  info.tcpi_rtt = tcb.rtt.srtt >> 3;
  info.tcpi_rttvar = tcb.rtt.rttvar >> 2;
  info.tcpi_snd_ssthresh = tcb.ssthresh >= 0x7fffffff ? 0x7fffffff : tcb.ssthresh / tcb.mss;
  info.tcpi_snd_cwnd = tcb.cwnd / tcb.mss;
  info.tcpi_advmss = stack.cx.own_mss;
  info.tcpi_pmtu = tcb.path_mtu != 0 ? tcb.path_mtu : stack.config.mtu;
  info.tcpi_reordering = 3;
  info.tcpi_min_rtt = tcb.min_rtt != 0 ? tcb.min_rtt : ~0u;
  info.tcpi_notsent_bytes = wire::before(tcb.snd.nxt, tcb.end) ? wire::distance(tcb.snd.nxt, tcb.end) : 0;
  info.tcpi_bytes_acked = wire::distance(tcb.iss + 1, tcb.snd.una);
  info.tcpi_bytes_received = wire::distance(tcb.irs + 1, tcb.rcv.nxt);
  info.tcpi_delivered = static_cast<uint32_t>(((wire::distance(tcb.iss + 1, tcb.snd.una) + tcb.sacked) + tcb.mss - 1) / tcb.mss) + 1;
}

}  // namespace

// The caller's structure may be longer than the one known here: the rest of it is zero.
int Sockets::tcp_info(Socket& s, void* out, socklen_t* length) {
  ::tcp_info info{};
  info.tcpi_state = s.kind == Socket::listening ? 10 : 7;
  if (tcp::Tcb* tcb = machine_.tcb(id_of(s))) fill(machine_.stack(), *tcb, info);
  if (s.text_at != Instant{}) info.tcpi_last_data_recv = static_cast<uint32_t>((machine_.now() - s.text_at).ms());
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
