// SPDX-License-Identifier: BSD-3-Clause
// The states of all sockets, for scripts that ask their system's tools: a line each in a file that a stand-in shows.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/packetdrill/sockets.h"

namespace millrace::packetdrill {
namespace {

// As FreeBSD's sockstat names them.
const char* name_of(tcp::State state) {
  switch (state) {
    case tcp::State::listen: return "LISTEN";
    case tcp::State::syn_sent: return "SYN_SENT";
    case tcp::State::syn_received: return "SYN_RCVD";
    case tcp::State::established: return "ESTABLISHED";
    case tcp::State::fin_wait_1: return "FIN_WAIT_1";
    case tcp::State::fin_wait_2: return "FIN_WAIT_2";
    case tcp::State::close_wait: return "CLOSE_WAIT";
    case tcp::State::closing: return "CLOSING";
    case tcp::State::last_ack: return "LAST_ACK";
    case tcp::State::time_wait: return "TIME_WAIT";
    default: return "CLOSED";
  }
}

void line(std::ostream& out, int fd, const Address& local, const Address& remote, tcp::State state) {
  const char* command = fd >= 0 ? "packetdrill" : "?";
  out << "root " << command << " 1 " << fd << " tcp4 " << to_string(local.ip) << ':' << local.port << ' '
      << to_string(remote.ip) << ':' << remote.port << ' ' << name_of(state) << '\n';
}

// Of a connection that has left its TCB.
tcp::State state_of_gone(const stack::Stack& stack, const Socket& s) {
  for (uint32_t i = 0; i < stack.time_waits.capacity(); ++i) {
    const tcp::TimeWait& record = stack.time_waits[i];
    if (record.alive && record.key.remote == s.remote.ip && record.key.remote_port == s.remote.port &&
        record.key.local_port == s.local.port)
      return tcp::State::time_wait;
  }
  return tcp::State::closed;
}

}  // namespace

tcp::State Sockets::state_of(Socket& s) {
  if (s.kind == Socket::listening) return tcp::State::listen;
  if (s.kind == Socket::fresh) return tcp::State::closed;
  if (tcp::Tcb* tcb = machine_.tcb(id_of(s))) return tcb->state;
  return machine_.started() ? state_of_gone(machine_.stack(), s) : tcp::State::closed;
}

void Sockets::write_states() {
  if (states_file_ == nullptr) return;
  std::ostringstream text;
  for (auto& [fd, s] : sockets_) line(text, fd, s->local, s->remote, state_of(*s));
  if (machine_.started()) {
    const auto& half_opens = machine_.stack().half_opens;
    for (uint32_t i = 0; i < half_opens.capacity(); ++i) {
      const tcp::HalfOpen& record = half_opens[i];
      if (!record.in_use) continue;
      line(text, -1, {record.key.local, record.key.local_port}, {record.key.remote, record.key.remote_port},
           tcp::State::syn_received);
    }
  }
  if (text.str() == states_) return;
  states_ = text.str();
  std::ofstream(states_file_, std::ios::trunc) << states_;
}

}  // namespace millrace::packetdrill
