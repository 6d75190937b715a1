// SPDX-License-Identifier: BSD-3-Clause
// The table of C functions over one Sockets.
#include <dlfcn.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "tests/packetdrill/interface.h"
#include "tests/packetdrill/preload.h"
#include "tests/packetdrill/sockets.h"

namespace millrace {

[[noreturn]] void ensure_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "millrace: %s:%d: '%s' does not hold\n", file, line, condition);
  std::abort();
}

namespace packetdrill {
namespace {

Sockets& of(void* user) { return *static_cast<Sockets*>(user); }
Sockets* current = nullptr;

int diagnostics(int fd, int level, int name, void* value, socklen_t* length) {
  return current != nullptr ? current->diagnostics(fd, level, name, value, length) : -1;
}

// Block copies of the script's buffers are described as one part.
ssize_t receive(void* user, int fd, void* buffer, size_t size, int flags) {
  iovec part{buffer, size};
  return of(user).receive(fd, {&part, 1}, flags);
}
ssize_t send(void* user, int fd, const void* buffer, size_t size, int flags) {
  iovec part{const_cast<void*>(buffer), size};
  return of(user).send(fd, {&part, 1}, flags);
}
std::span<const iovec> parts(const iovec* first, size_t count) { return {first, count}; }

int variadic_fcntl(void* user, int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  long argument = va_arg(list, long);
  va_end(list);
  return of(user).fcntl(fd, command, argument);
}
int variadic_ioctl(void* user, int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  return of(user).ioctl(fd, request, argument);
}

void set_data_calls(packetdrill_interface& t) {
  t.read = [](void* u, int fd, void* b, size_t n) { return receive(u, fd, b, n, 0); };
  t.readv = [](void* u, int fd, const iovec* v, int n) {
    return of(u).receive(fd, parts(v, static_cast<size_t>(n)), 0);
  };
  t.recv = receive;
  t.recvfrom = [](void* u, int fd, void* b, size_t n, int flags, sockaddr*, socklen_t*) {
    return receive(u, fd, b, n, flags);
  };
  t.recvmsg = [](void* u, int fd, msghdr* m, int flags) { return of(u).receive_message(fd, *m, flags); };
  t.write = [](void* u, int fd, const void* b, size_t n) { return send(u, fd, b, n, 0); };
  t.writev = [](void* u, int fd, const iovec* v, int n) { return of(u).send(fd, parts(v, static_cast<size_t>(n)), 0); };
  t.send = send;
  t.sendto = [](void* u, int fd, const void* b, size_t n, int flags, const sockaddr*, socklen_t) {
    return send(u, fd, b, n, flags);
  };
  t.sendmsg = [](void* u, int fd, const msghdr* m, int flags) {
    return of(u).send(fd, parts(m->msg_iov, m->msg_iovlen), flags);
  };
}

void set_socket_calls(packetdrill_interface& t) {
  t.socket = [](void* u, int domain, int type, int protocol) { return of(u).socket(domain, type, protocol); };
  t.bind = [](void* u, int fd, const sockaddr* a, socklen_t n) { return of(u).bind(fd, a, n); };
  t.listen = [](void* u, int fd, int backlog) { return of(u).listen(fd, backlog); };
  t.accept = [](void* u, int fd, sockaddr* a, socklen_t* n) { return of(u).accept(fd, a, n); };
  t.connect = [](void* u, int fd, const sockaddr* a, socklen_t n) { return of(u).connect(fd, a, n); };
  t.fcntl = variadic_fcntl;
  t.ioctl = variadic_ioctl;
  t.close = [](void* u, int fd) { return of(u).close(fd); };
  t.shutdown = [](void* u, int fd, int how) { return of(u).shutdown(fd, how); };
  t.getsockopt = [](void* u, int fd, int level, int name, void* v, socklen_t* n) {
    return of(u).get_option(fd, level, name, v, n);
  };
  t.setsockopt = [](void* u, int fd, int level, int name, const void* v, socklen_t n) {
    return of(u).set_option(fd, level, name, v, n);
  };
  t.poll = [](void* u, pollfd* fds, nfds_t n, int timeout) { return of(u).poll(fds, n, timeout); };
  t.epoll_create = [](void* u, int) { return of(u).epoll_create(); };
  t.epoll_ctl = [](void* u, int epoll, int op, int fd, epoll_event* e) { return of(u).epoll_ctl(epoll, op, fd, e); };
  t.epoll_wait = [](void* u, int epoll, epoll_event* e, int n, int timeout) {
    return of(u).epoll_wait(epoll, e, n, timeout);
  };
  t.pipe = [](void*, int*) { return fail(ENOSYS); };
  t.splice = [](void*, int, loff_t*, int, loff_t*, size_t, unsigned) { return fail(ENOSYS); };
}

void set_world_calls(packetdrill_interface& t) {
  t.free = [](void* u) {
    current = nullptr;
    delete static_cast<Sockets*>(u);
  };
  t.netdev_send = [](void* u, const void* packet, size_t n) { return of(u).packet_in(packet, n); };
  t.netdev_receive = [](void* u, void* packet, size_t* n, long long* time) { return of(u).packet_out(packet, n, time); };
  t.usleep = [](void* u, useconds_t us) { return of(u).sleep(us); };
  t.gettimeofday = [](void* u, timeval* tv, struct timezone*) { return of(u).time_of_day(tv); };
}

}  // namespace
}  // namespace packetdrill
}  // namespace millrace

extern "C" __attribute__((visibility("default"))) void packetdrill_interface_init(const char* flags,
                                                                                  packetdrill_interface* table) {
  using namespace millrace::packetdrill;
  try {
    auto* sockets = new Sockets(profile(flags != nullptr ? flags : ""));
    *table = {};
    table->user = sockets;
    set_socket_calls(*table);
    set_data_calls(*table);
    set_world_calls(*table);
    current = sockets;
    // The preloaded object, if there is one, asks us.
    if (void* hook = dlsym(RTLD_DEFAULT, millrace_option_hook_name))
      *static_cast<millrace_option_hook*>(hook) = diagnostics;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "millrace: %s\n", e.what());
    std::exit(2);
  }
}
