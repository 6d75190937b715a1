// SPDX-License-Identifier: BSD-3-Clause
// Opening, sending, receiving, closing.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/packetdrill/sockets.h"

namespace millrace::packetdrill {
namespace {

// IPv4, or IPv4 in IPv6's clothes.
bool read_address(const sockaddr* from, socklen_t length, Address& out) {
  if (from->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(from);
    out = {{ntohl(in->sin_addr.s_addr)}, ntohs(in->sin_port)};
    return true;
  }
  if (from->sa_family != AF_INET6 || length < sizeof(sockaddr_in6)) return false;
  const auto* in = reinterpret_cast<const sockaddr_in6*>(from);
  const uint8_t* b = in->sin6_addr.s6_addr;
  out = {ipv4(b[12], b[13], b[14], b[15]), ntohs(in->sin6_port)};
  return IN6_IS_ADDR_V4MAPPED(&in->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&in->sin6_addr);
}

int fail_address(const sockaddr* address) {
  return address->sa_family == AF_INET6 ? fail_ipv6() : fail(EAFNOSUPPORT);
}

template <typename T>
void give_address(const T& in, sockaddr* out, socklen_t* length) {
  std::memcpy(out, &in, std::min<size_t>(*length, sizeof in));
  *length = sizeof in;
}

void write_address(const Address& from, bool ipv6, sockaddr* out, socklen_t* length) {
  if (out == nullptr || length == nullptr) return;
  if (ipv6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(from.port);
    uint8_t* mapped = in.sin6_addr.s6_addr;
    mapped[10] = mapped[11] = 0xff;
    for (uint32_t i = 0; i < 4; ++i) mapped[12 + i] = static_cast<uint8_t>(from.ip.value >> (24 - 8 * i));
    return give_address(in, out, length);
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(from.port);
  in.sin_addr.s_addr = htonl(from.ip.value);
  give_address(in, out, length);
}

size_t total(std::span<const iovec> parts) {
  size_t n = 0;
  for (const iovec& part : parts) n += part.iov_len;
  return n;
}

bool readable(std::span<const iovec> parts) {
  for (const iovec& part : parts)
    if (part.iov_base == nullptr && part.iov_len > 0) return false;
  return true;
}

std::vector<uint8_t> gathered(std::span<const iovec> parts) {
  std::vector<uint8_t> all;
  for (const iovec& part : parts) {
    const auto* at = static_cast<const uint8_t*>(part.iov_base);
    all.insert(all.end(), at, at + part.iov_len);
  }
  return all;
}

constexpr size_t largest_slice = 60'000;

}  // namespace

Request Sockets::request(Socket& s, Request::Kind kind) {
  Request r;
  r.kind = kind;
  r.connection = id_of(s);
  return r;
}

// An active open has a token only until `connected`.
ConnectionId Sockets::id_of(Socket& s) {
  if (!s.id && s.kind == Socket::connecting)
    if (tcp::Tcb* tcb = machine_.tcb_of_token(s.token)) return machine_.id_of(*tcb);
  return s.id;
}

int Sockets::take_error(Socket& s) { return std::exchange(s.error, 0); }

// --- opening ---

int Sockets::socket(int domain, int type, int protocol) {
  Lock lock(mutex_);
  if (domain != AF_INET && domain != AF_INET6) return fail(EAFNOSUPPORT);
  if ((type & 0xf) != SOCK_STREAM || (protocol != 0 && protocol != IPPROTO_TCP)) return fail(EPROTONOSUPPORT);
  // Scripts look at what they have set before an address is heard of.
  if (!machine_.started() && machine_.profile.sysctls) take_sysctls(machine_.profile);
  Socket& s = add(domain == AF_INET6);
  s.nonblocking = type & SOCK_NONBLOCK;
  s.options.congestion = machine_.profile.congestion;
  return s.fd;
}

int Sockets::bind(int fd, const sockaddr* address, socklen_t length) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (!read_address(address, length, s->local)) return fail_address(address);
  if (!s->local.ip.is_unspecified()) machine_.start(s->local.ip);
  return 0;
}

void Sockets::ask_listen(Socket& s, Request::Kind kind) {
  Request r;
  r.kind = kind;
  r.token = s.token;
  // The stack counts connections that their application was not told of, and we are told at once.
  r.backlog = 1024;
  r.max_segment = s.max_segment;
  r.open = OpenArguments{};
  if (!s.local.ip.is_unspecified()) r.open.local = s.local.ip;
  r.open.local_port = s.local.port;
  r.open.options = s.options;
  machine_.ask(r);
}

int Sockets::listen(int fd, int backlog) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->kind != Socket::fresh && s->kind != Socket::listening) return fail(EINVAL);
  machine_.start(machine_.profile.local);
  s->backlog = static_cast<uint32_t>(std::max(backlog, 0));
  if (s->kind == Socket::listening) return 0;
  s->kind = Socket::listening;
  ask_listen(*s, Request::listen);
  settle();
  if (int error = take_error(*s)) return fail(error);
  return 0;
}

int Sockets::accept(int fd, sockaddr* address, socklen_t* length) {
  Lock lock(mutex_);
  Socket* listener = find(fd);
  if (listener == nullptr) return fail(EBADF);
  if (listener->kind != Socket::listening) return fail(EINVAL);
  Socket* s = nullptr;
  auto attempt = [&] {
    if (listener->waiting.empty()) return false;
    s = listener->waiting.front();
    listener->waiting.pop_front();
    return true;
  };
  if (!block(lock, attempt, listener->nonblocking ? Instant{} : Instant::never())) return fail(EAGAIN);
  write_address(s->remote, s->ipv6, address, length);
  return s->fd;
}

int Sockets::connect(int fd, const sockaddr* address, socklen_t length) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->kind == Socket::connecting) return fail(EALREADY);
  if (s->kind == Socket::connected) return fail(EISCONN);
  if (s->kind == Socket::gone && s->error != 0) return fail(take_error(*s));
  if (!read_address(address, length, s->remote)) return fail_address(address);
  machine_.start(machine_.profile.local);
  Request r;
  r.kind = Request::connect;
  r.token = s->token;
  r.max_segment = s->max_segment;
  r.open = OpenArguments{};
  if (!s->local.ip.is_unspecified()) r.open.local = s->local.ip;
  r.open.local_port = s->local.port;
  r.open.remote = s->remote.ip;
  r.open.remote_port = s->remote.port;
  r.open.options = s->options;
  if (s->connect_timeout_s != 0) r.open.options.user_timeout_s = s->connect_timeout_s;
  s->kind = Socket::connecting;
  machine_.ask(r);
  auto attempt = [&] { return s->kind != Socket::connecting; };
  if (!block(lock, attempt, s->nonblocking ? Instant{} : Instant::never())) return fail(EINPROGRESS);
  if (int error = take_error(*s)) return fail(error);
  return 0;
}

// --- receiving ---

void Sockets::recycle(const Slice& slice) {
  Request r;
  r.kind = Request::recycle;
  r.slice_count = 1;
  r.slices[0] = slice;
  machine_.ask(r);
}

void Sockets::drop_text(Socket& s) {
  for (const Slice& slice : s.text) recycle(slice);
  s.text.clear();
  s.text_bytes = s.text_read = 0;
}

size_t Sockets::copy_text(Socket& s, std::span<const iovec> into, bool peek) {
  size_t copied = 0, slice = 0, at = s.text_read;
  for (const iovec& part : into) {
    for (size_t done = 0; done < part.iov_len && slice < s.text.size();) {
      const Slice& from = s.text[slice];
      size_t n = std::min<size_t>(part.iov_len - done, from.length - at);
      if (part.iov_base != nullptr) std::memcpy(static_cast<uint8_t*>(part.iov_base) + done, from.data() + at, n);
      done += n, at += n, copied += n;
      if (at == from.length) ++slice, at = 0;
    }
  }
  if (peek) return copied;
  for (; slice > 0; --slice) {
    recycle(s.text.front());
    s.text.pop_front();
  }
  s.text_read = at;
  s.text_bytes -= copied;
  return copied;
}

ssize_t Sockets::receive(int fd, std::span<const iovec> into, int flags) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->kind == Socket::fresh || s->kind == Socket::listening) return fail(ENOTCONN);
  size_t wanted = total(into);
  size_t least = flags & MSG_WAITALL ? wanted : 1;
  if (!readable(into) && !(flags & MSG_TRUNC)) return fail(EFAULT);
  auto attempt = [&] {
    return s->text_bytes >= least || s->peer_closed || s->read_shut || s->kind == Socket::gone || wanted == 0;
  };
  bool wait = !s->nonblocking && !(flags & MSG_DONTWAIT);
  ssize_t result = 0;
  // What is read leaves at this time, not when the waiting thread wakes.
  auto take = [&] {
    if (!attempt()) return false;
    result = static_cast<ssize_t>(copy_text(*s, into, flags & MSG_PEEK));
    return true;
  };
  if (!block(lock, take, wait ? Instant::never() : Instant{})) return fail(EAGAIN);
  if (result == 0 && wanted > 0)
    if (int error = take_error(*s)) return fail(error);
  return result;
}

// With what is left to be read, for who has asked for it: the FIN counts as one.
ssize_t Sockets::receive_message(int fd, msghdr& message, int flags) {
  size_t room = std::exchange(message.msg_controllen, 0);
  message.msg_flags = 0;
  message.msg_namelen = 0;
  ssize_t got = receive(fd, {message.msg_iov, message.msg_iovlen}, flags);
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (got < 0 || s == nullptr || !s->tells_rest || room < CMSG_SPACE(sizeof(int))) return got;
  int rest = static_cast<int>(s->text_bytes) + (s->peer_closed ? 1 : 0);
  message.msg_controllen = CMSG_SPACE(sizeof rest);
  cmsghdr* told = CMSG_FIRSTHDR(&message);
  told->cmsg_level = IPPROTO_TCP;
  told->cmsg_type = TCP_CM_INQ;
  told->cmsg_len = CMSG_LEN(sizeof rest);
  std::memcpy(CMSG_DATA(told), &rest, sizeof rest);
  return got;
}

// --- sending ---

size_t Sockets::queued(Socket& s) {
  tcp::Tcb* tcb = machine_.tcb(id_of(s));
  return s.kept.text.size() + (tcb != nullptr ? wire::distance(tcb->snd.una, tcb->end) : 0);
}

size_t Sockets::send_room(Socket& s) {
  size_t used = queued(s);
  return used < s.send_buffer ? s.send_buffer - used : 0;
}

void Sockets::queue(Socket& s, std::span<const uint8_t> text, bool more, bool urgent) {
  while (!text.empty()) {
    Request r = request(s, Request::send);
    while (!text.empty() && r.slice_count < Request::max_slices) {
      size_t n = std::min(text.size(), largest_slice);
      r.slices[r.slice_count++] = machine_.buffer(text.first(n));
      text = text.subspan(n);
    }
    r.more = more || !text.empty();
    r.urgent = urgent && text.empty();
    machine_.ask(r);
  }
}

// Whole segments leave; the rest waits for more, for 200 ms at most (RFC9293-MUST-60).
void Sockets::keep_or_queue(Socket& s, std::span<const uint8_t> text, bool more, bool urgent) {
  tcp::Tcb* tcb = machine_.tcb(id_of(s));
  bool keep = (more || s.corked) && !urgent && tcb != nullptr && !text.empty();
  if (!keep && s.kept.text.empty()) return queue(s, text, more, urgent);
  auto& kept = s.kept;
  bool first = kept.text.empty();
  kept.text.insert(kept.text.end(), text.begin(), text.end());
  kept.more = more;
  if (!keep) {
    std::vector<uint8_t> all = std::exchange(kept.text, {});
    kept.until = Instant::never();
    return queue(s, all, more, urgent);
  }
  size_t whole = kept.text.size() / tcb->mss * tcb->mss;
  queue(s, std::span{kept.text}.first(whole), true, false);
  kept.text.erase(kept.text.begin(), kept.text.begin() + static_cast<ptrdiff_t>(whole));
  if (first || whole > 0) {
    kept.until = machine_.now() + milliseconds(200);
    kept.una = tcb->snd.una;
  }
  if (kept.text.empty()) kept.until = Instant::never();
}

void Sockets::let_go(Socket& s, bool more) {
  s.kept.until = Instant::never();
  if (s.kept.text.empty()) return;
  std::vector<uint8_t> text = std::exchange(s.kept.text, {});
  queue(s, text, more, false);
}

void Sockets::let_go_due() {
  for (auto& [fd, s] : sockets_) {
    if (s->kept.text.empty()) continue;
    tcp::Tcb* tcb = machine_.tcb(id_of(*s));
    bool acked = tcb != nullptr && tcb->snd.una != s->kept.una && !s->corked;
    if (s->kept.until <= machine_.now())
      let_go(*s, false);
    else if (acked)
      let_go(*s, true);
  }
}

ssize_t Sockets::send(int fd, std::span<const iovec> from, int flags) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->kind == Socket::listening || s->kind == Socket::fresh || s->write_shut)
    return fail(s->error != 0 ? take_error(*s) : EPIPE);
  if (!readable(from)) return fail(EFAULT);
  std::vector<uint8_t> text = gathered(from);
  size_t done = 0;
  // As much as there is room for, and the rest when there is more.
  auto attempt = [&] {
    if (s->kind == Socket::gone || s->write_shut) return true;
    if (s->kind == Socket::connecting) return false;
    size_t n = std::min(send_room(*s), text.size() - done);
    keep_or_queue(*s, std::span{text}.subspan(done, n), flags & MSG_MORE, flags & MSG_OOB);
    if (n > 0) machine_.run();
    done += n;
    s->was_full = done < text.size();
    return done == text.size();
  };
  bool wait = !s->nonblocking && !(flags & MSG_DONTWAIT);
  bool all = block(lock, attempt, wait ? Instant::never() : Instant{});
  if (done == 0 && !text.empty()) {
    if (!all) return fail(EAGAIN);
    int error = take_error(*s);
    return fail(error != 0 ? error : EPIPE);
  }
  return static_cast<ssize_t>(done);
}

// --- closing ---

// Text that was not read, or SO_LINGER with no time: RST (RFC9293-SHLD-3).
void Sockets::ask_close(Socket& s) {
  let_go(s, false);
  bool reset = s.linger_reset || s.text_bytes > 0;
  Request r = request(s, reset ? Request::abort : Request::close);
  if (r.connection) machine_.ask(r);
}

int Sockets::close(int fd) {
  Lock lock(mutex_);
  if (epolls_.erase(fd) > 0) return ::close(fd);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  for (auto& [epoll, watches] : epolls_) watches.erase(fd);
  if (s->kind == Socket::listening) {
    ask_listen(*s, Request::unlisten);
    for (Socket* waiting : s->waiting) {
      Request abort = request(*waiting, Request::abort);
      machine_.ask(abort);
    }
    s->waiting.clear();
    s->kind = Socket::gone;
  } else if (s->kind != Socket::fresh && s->kind != Socket::gone) {
    ask_close(*s);
  }
  drop_text(*s);
  by_token_.erase(s->token);
  closed_.push_back(std::move(sockets_[fd]));
  sockets_.erase(fd);
  settle();
  return ::close(fd);
}

int Sockets::shutdown(int fd, int how) {
  Lock lock(mutex_);
  Socket* s = find(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->kind == Socket::listening) {
    s->kind = Socket::fresh;
    return 0;
  }
  if (s->kind == Socket::gone || s->kind == Socket::fresh) return fail(ENOTCONN);
  if (how == SHUT_RD || how == SHUT_RDWR) {
    s->read_shut = true;
    if (machine_.profile.freebsd) set_live(*s, Setting::immediate_ack, 1);
  }
  if ((how == SHUT_WR || how == SHUT_RDWR) && !s->write_shut) {
    s->write_shut = true;
    let_go(*s, false);
    machine_.ask(request(*s, s->kind == Socket::connecting ? Request::close : Request::shutdown));
  }
  ++s->ins;
  ++s->outs;
  settle();
  return 0;
}

}  // namespace millrace::packetdrill
