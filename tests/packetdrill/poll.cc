// SPDX-License-Identifier: BSD-3-Clause
// poll and epoll.
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "tests/packetdrill/sockets.h"

namespace millrace::packetdrill {

static Instant deadline_of(Instant now, int timeout_ms) {
  return timeout_ms < 0 ? Instant::never() : now + milliseconds(static_cast<uint64_t>(timeout_ms));
}

short Sockets::ready(Socket& s) {
  int events = 0;
  if (s.kind == Socket::listening) return s.waiting.empty() ? 0 : POLLIN | POLLRDNORM;
  if (s.kind == Socket::fresh) return POLLOUT | POLLWRNORM | POLLHUP;
  if (s.kind == Socket::connecting) return 0;
  bool gone = s.kind == Socket::gone;
  if (s.text_bytes > 0 || s.peer_closed || s.read_shut || gone) events |= POLLIN | POLLRDNORM;
  if (s.peer_closed || s.read_shut || gone) events |= POLLRDHUP;
  // Room for a third, so that who waits is not woken for every segment.
  bool room = send_room(s) >= s.send_buffer / 3;
  if (room) s.was_full = false;
  if (gone || s.write_shut || room) events |= POLLOUT | POLLWRNORM;
  if (gone || (s.write_shut && (s.peer_closed || s.read_shut))) events |= POLLHUP;
  if (s.error != 0) events |= POLLERR;
  return static_cast<short>(events);
}

int Sockets::poll(pollfd* fds, nfds_t count, int timeout_ms) {
  Lock lock(mutex_);
  int found = 0;
  auto attempt = [&] {
    found = 0;
    for (pollfd& p : std::span{fds, count}) {
      Socket* s = find(p.fd);
      int always = POLLERR | POLLHUP | POLLNVAL;
      p.revents = static_cast<short>(s == nullptr ? POLLNVAL : ready(*s) & (p.events | always));
      if (p.revents != 0) ++found;
    }
    return found > 0;
  };
  block(lock, attempt, deadline_of(machine_.now(), timeout_ms));
  return found;
}

int Sockets::epoll_create() {
  Lock lock(mutex_);
  int fd = eventfd(0, EFD_CLOEXEC);
  epolls_[fd];
  return fd;
}

int Sockets::epoll_ctl(int epoll_fd, int op, int fd, const epoll_event* event) {
  Lock lock(mutex_);
  auto at = epolls_.find(epoll_fd);
  if (at == epolls_.end() || find(fd) == nullptr) return fail(EBADF);
  auto& watches = at->second;
  bool known = watches.count(fd) != 0;
  if (op == EPOLL_CTL_ADD && known) return fail(EEXIST);
  if (op != EPOLL_CTL_ADD && !known) return fail(ENOENT);
  if (op == EPOLL_CTL_DEL) {
    watches.erase(fd);
    return 0;
  }
  Watch w;
  w.event = *event;
  watches[fd] = w;
  settle();
  return 0;
}

// An edge is told when something has happened since it was told last.
bool Sockets::report(Socket& s, Watch& w, epoll_event& out) {
  uint32_t wanted = w.event.events;
  uint32_t events = static_cast<uint16_t>(ready(s)) & (wanted | EPOLLERR | EPOLLHUP);
  if (wanted & EPOLLET) {
    if (w.ins == s.ins) events &= ~uint32_t{EPOLLIN | EPOLLRDNORM | EPOLLRDHUP};
    if (w.outs == s.outs) events &= ~uint32_t{EPOLLOUT | EPOLLWRNORM};
    if (w.ins == s.ins && w.outs == s.outs) events = 0;
    // An edge of one side shows the other too, as it is now.
    else if (events != 0) events = static_cast<uint16_t>(ready(s)) & (wanted | EPOLLERR | EPOLLHUP);
  }
  if (events == 0) return false;
  out = w.event;
  out.events = events;
  w.ins = s.ins;
  w.outs = s.outs;
  if (wanted & EPOLLONESHOT) w.event.events = 0;
  return true;
}

int Sockets::epoll_wait(int epoll_fd, epoll_event* events, int max_events, int timeout_ms) {
  Lock lock(mutex_);
  auto at = epolls_.find(epoll_fd);
  if (at == epolls_.end()) return fail(EBADF);
  int found = 0;
  auto attempt = [&] {
    found = 0;
    for (auto& [fd, watch] : at->second) {
      Socket* s = find(fd);
      bool off = watch.event.events == 0;  // EPOLLONESHOT, told
      if (s != nullptr && !off && found < max_events && report(*s, watch, events[found])) ++found;
    }
    return found > 0;
  };
  block(lock, attempt, deadline_of(machine_.now(), timeout_ms));
  return found;
}

}  // namespace millrace::packetdrill
