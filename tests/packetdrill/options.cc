// SPDX-License-Identifier: BSD-3-Clause
// Socket options, fcntl and ioctl. What has no meaning here is kept and read back.
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/packetdrill/sockets.h"

namespace millrace::packetdrill {
namespace {

int give(int value, void* out, socklen_t* length) {
  if (out == nullptr || length == nullptr) return fail(EFAULT);
  *length = static_cast<socklen_t>(std::min<size_t>(*length, sizeof value));
  std::memcpy(out, &value, *length);
  return 0;
}

constexpr int tcp_keepinit = 128;  // FreeBSD's number of TCP_KEEPINIT

uint32_t seconds_of(uint32_t ms) { return (ms + 999) / 1000; }
uint32_t seconds_of(Duration d) { return static_cast<uint32_t>(d.ms() / 1000); }

// What the stack does where a socket has not been told otherwise.
bool keepalive_default(const tcp::Params& p, int name, int& value) {
  switch (name) {
    case TCP_KEEPIDLE: value = static_cast<int>(seconds_of(p.keepalive_time)); return true;
    case TCP_KEEPINTVL: value = static_cast<int>(seconds_of(p.keepalive_interval)); return true;
    case TCP_KEEPCNT: value = p.keepalive_probes; return true;
    case tcp_keepinit: value = static_cast<int>(seconds_of(p.syn_limit)); return true;
    default: return false;
  }
}

int maximum_segment(const Socket& s, const tcp::Tcb* tcb) {
  if (tcb != nullptr && s.kind == Socket::connected) return tcb->mss;
  return s.max_segment != 0 ? s.max_segment : 536;
}

}  // namespace

void Sockets::set_live(Socket& s, Setting setting, uint64_t value) {
  if (s.kind != Socket::connected && s.kind != Socket::connecting) return;
  Request r = request(s, Request::set);
  r.setting = {setting, value};
  if (r.connection) machine_.ask(r);
}

// What was chosen before there was a connection holds for it, too.
void Sockets::set_keepalive(Socket& s) {
  if (!s.options.keepalive) return;
  for (auto [name, setting] : {std::pair{TCP_KEEPIDLE, Setting::keepalive},
                               std::pair{TCP_KEEPINTVL, Setting::keepalive_interval},
                               std::pair{TCP_KEEPCNT, Setting::keepalive_probes}}) {
    int number = 0;
    keepalive_default(machine_.params(), name, number);
    auto chosen = s.values.find({IPPROTO_TCP, name});
    if (chosen != s.values.end()) std::memcpy(&number, chosen->second.data(), std::min(chosen->second.size(), sizeof number));
    set_live(s, setting, static_cast<uint64_t>(std::max(number, 1)));
  }
}

// False: not one of ours.
bool Sockets::set_tcp(Socket& s, int name, int value) {
  switch (name) {
    case TCP_NODELAY:
      s.options.no_delay = value != 0;
      if (value != 0) let_go(s, s.kept.more);
      set_live(s, Setting::no_delay, value != 0);
      return true;
    case TCP_USER_TIMEOUT:
      s.user_timeout_ms = static_cast<uint32_t>(value);
      s.options.user_timeout_s = static_cast<uint16_t>(seconds_of(s.user_timeout_ms));
      if (value > 0) set_live(s, Setting::user_timeout_s, seconds_of(s.user_timeout_ms));
      return true;
    case TCP_QUICKACK: set_live(s, Setting::immediate_ack, value != 0); return true;
    case TCP_CORK:
      s.corked = value != 0;
      if (!s.corked) let_go(s, s.kept.more);
      return true;
    case TCP_INQ: s.tells_rest = value != 0; return true;
    case tcp_keepinit: s.connect_timeout_s = static_cast<uint16_t>(std::clamp(value, 0, 65535)); return true;
    default: return false;
  }
}

bool Sockets::set_ip(Socket& s, int name, int value) {
  if (name == IP_TTL) s.options.ttl = static_cast<uint8_t>(value);
  if (name != IP_TOS) return false;
  s.options.dscp = static_cast<uint8_t>((value & 0xff) >> 2);
  set_live(s, Setting::dscp, s.options.dscp);
  return true;
}

int Sockets::set_option(int fd, int level, int name, const void* value, socklen_t length) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (value == nullptr) return fail(EFAULT);
  const auto* bytes = static_cast<const uint8_t*>(value);
  s->values[{level, name}].assign(bytes, bytes + length);
  int number = 0;
  std::memcpy(&number, value, std::min<size_t>(length, sizeof number));
  if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
    const char* text = static_cast<const char*>(value);
    return congestion_of({text, strnlen(text, length)}, s->options.congestion) ? 0 : fail(ENOENT);
  }
  if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT && number < 0) return fail(EINVAL);
  if (level == IPPROTO_TCP && name == TCP_MAXSEG) {
    // Of an open one it would be too late; it is stored and read back until then.
    if (number != 0 && (number < 88 || number > 32767)) return fail(EINVAL);
    s->max_segment = static_cast<uint16_t>(number);
    if (s->kind == Socket::listening) {  // for those to come
      ask_listen(*s, Request::unlisten);
      ask_listen(*s, Request::listen);
      settle();
    }
    return 0;
  }
  if (level == IPPROTO_TCP) set_tcp(*s, name, number);
  if (level == IPPROTO_IP) set_ip(*s, name, number);
  if (level == SOL_SOCKET && name == SO_LINGER && length >= sizeof(linger)) {
    linger l;
    std::memcpy(&l, value, sizeof l);
    s->linger_reset = l.l_onoff != 0 && l.l_linger == 0;
  }
  uint32_t factor = machine_.profile.buffers_doubled ? 2 : 1;
  if (level == SOL_SOCKET && name == SO_SNDBUF) s->send_buffer = static_cast<uint32_t>(std::max(number, 2048)) * factor;
  if (level == SOL_SOCKET && name == SO_RCVBUF)
    s->options.receive_buffer_kb = static_cast<uint16_t>(std::clamp(number / 1024, 3, 65535));
  if (level == SOL_SOCKET && name == SO_KEEPALIVE) {
    s->options.keepalive = number != 0;
    if (number == 0) set_live(*s, Setting::keepalive, 0);
  }
  bool keep = level == IPPROTO_TCP && (name == TCP_KEEPIDLE || name == TCP_KEEPINTVL || name == TCP_KEEPCNT);
  if (keep || (level == SOL_SOCKET && name == SO_KEEPALIVE)) set_keepalive(*s);
  settle();
  return 0;
}

uint32_t Sockets::receive_buffer(Socket& s) {
  const tcp::Tcb* tcb = machine_.tcb(id_of(s));
  uint32_t asked = s.options.receive_buffer_kb * 1024u;
  uint32_t bytes = tcb != nullptr ? tcb->receive_buffer : asked != 0 ? asked : machine_.params().receive_buffer;
  return machine_.profile.buffers_doubled ? 2 * bytes : bytes;
}

int Sockets::get_option(int fd, int level, int name, void* value, socklen_t* length) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (level == IPPROTO_TCP && name == TCP_INFO) return tcp_info(*s, value, length);
  tcp::Tcb* tcb = machine_.tcb(id_of(*s));
  auto kept = s->values.find({level, name});
  int number = 0;
  if (level == SOL_SOCKET && name == SO_ERROR) return give(take_error(*s), value, length);
  if (level == SOL_SOCKET && name == SO_TYPE) return give(SOCK_STREAM, value, length);
  if (level == SOL_SOCKET && name == SO_RCVBUF) return give(static_cast<int>(receive_buffer(*s)), value, length);
  if (level == SOL_SOCKET && name == SO_SNDBUF) return give(static_cast<int>(s->send_buffer), value, length);
  if (level == IPPROTO_TCP && name == TCP_MAXSEG)
    return give(maximum_segment(*s, tcb), value, length);
  if (level == IPPROTO_TCP && name == TCP_NODELAY) return give(s->options.no_delay, value, length);
  if (level == IPPROTO_TCP && kept == s->values.end() && keepalive_default(machine_.params(), name, number))
    return give(number, value, length);
  if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT)
    return give(static_cast<int>(s->user_timeout_ms), value, length);
  if (level == IPPROTO_IP && name == IP_TOS) return give(s->options.dscp << 2, value, length);
  if (kept == s->values.end()) return level == SOL_SOCKET ? give(0, value, length) : fail(ENOPROTOOPT);
  *length = static_cast<socklen_t>(std::min<size_t>(*length, kept->second.size()));
  std::memcpy(value, kept->second.data(), *length);
  return 0;
}

int Sockets::fcntl(int fd, int command, long argument) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (command == F_GETFL) return O_RDWR | (s->nonblocking ? O_NONBLOCK : 0);
  if (command == F_SETFL) s->nonblocking = argument & O_NONBLOCK;
  return 0;
}

int Sockets::ioctl(int fd, unsigned long request, void* argument) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  int number = 0;
  switch (request) {
    case SIOCINQ:  // FIONREAD
      if (s->kind == Socket::listening) return fail(EINVAL);
      number = static_cast<int>(s->text_bytes);
      break;
    case SIOCOUTQ: number = static_cast<int>(queued(*s)); break;
    case FIONBIO:
      std::memcpy(&number, argument, sizeof number);
      s->nonblocking = number != 0;
      return 0;
    default: return fail(ENOTTY);
  }
  std::memcpy(argument, &number, sizeof number);
  return 0;
}

}  // namespace millrace::packetdrill
