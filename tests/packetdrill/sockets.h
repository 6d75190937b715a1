// SPDX-License-Identifier: BSD-3-Clause
// The sockets API over a Machine, as packetdrill's two threads use it: one runs the script and with it the clock, the
// other makes the calls that block. All of it is under one lock; a call that cannot be done yet leaves an attempt
// behind, which the script's thread makes again whenever something has happened, at that very time.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <thread>

#include "tests/packetdrill/machine.h"

namespace millrace::packetdrill {

struct Address {
  Ipv4Address ip;
  uint16_t port = 0;
};

struct Socket {
  enum Kind : uint8_t { fresh, listening, connecting, connected, gone };

  int fd = -1;
  Kind kind = fresh;
  bool ipv6 = false;           // its addresses are IPv4-mapped
  bool nonblocking = false;
  bool peer_closed = false;
  bool read_shut = false;
  bool write_shut = false;
  bool tells_rest = false;     // TCP_INQ
  bool linger_reset = false;   // SO_LINGER with a time of 0
  bool corked = false;         // TCP_CORK
  int error = 0;               // told once: by a call, or as SO_ERROR
  int last_error = 0;          // ... of the connection's end
  Address local;
  Address remote;
  uint64_t token = 0;
  ConnectionId id;
  Options options;
  std::deque<Slice> text;      // received and not read; kept, so the window is charged
  size_t text_bytes = 0;
  size_t text_read = 0;        // of the first slice
  uint32_t send_buffer = 0;
  uint16_t max_segment = 0;    // TCP_MAXSEG, as set
  struct {                     // text that MSG_MORE or TCP_CORK keeps: less than a segment
    std::vector<uint8_t> text;
    Instant until = Instant::never();
    wire::Seq una;             // SND.UNA as it was; an ACK ends what MSG_MORE began
    bool more = false;         // the last call's MSG_MORE: no PSH
  } kept;
  uint32_t user_timeout_ms = 0;
  uint16_t connect_timeout_s = 0;
  uint32_t backlog = 0;
  std::deque<Socket*> waiting;      // a listener's, to be accepted
  std::map<std::pair<int, int>, std::vector<uint8_t>> values;  // options that are only stored
  uint64_t ins = 0;            // what has happened: edges for epoll
  uint64_t outs = 0;
  bool was_full = false;
  Instant text_at;             // the latest text, or the handshake's end
};

struct Watch {
  epoll_event event;
  uint64_t ins = UINT64_MAX;   // as last told
  uint64_t outs = UINT64_MAX;
};

class Sockets {
 public:
  explicit Sockets(Profile profile);
  ~Sockets();

  // --- calls, with the meaning of their libc namesakes ---
  int socket(int domain, int type, int protocol);
  int bind(int fd, const sockaddr* address, socklen_t length);
  int listen(int fd, int backlog);
  int accept(int fd, sockaddr* address, socklen_t* length);
  int connect(int fd, const sockaddr* address, socklen_t length);
  ssize_t receive(int fd, std::span<const iovec> into, int flags);
  ssize_t receive_message(int fd, msghdr& message, int flags);
  ssize_t send(int fd, std::span<const iovec> from, int flags);
  int close(int fd);
  int shutdown(int fd, int how);
  int get_option(int fd, int level, int name, void* value, socklen_t* length);
  int set_option(int fd, int level, int name, const void* value, socklen_t length);
  int fcntl(int fd, int command, long argument);
  int ioctl(int fd, unsigned long request, void* argument);
  int poll(pollfd* fds, nfds_t count, int timeout_ms);
  int epoll_create();
  int epoll_ctl(int epoll_fd, int op, int fd, const epoll_event* event);
  int epoll_wait(int epoll_fd, epoll_event* events, int max_events, int timeout_ms);
  // What scripts look at: TCP_INFO, and two more that are empty here.
  int diagnostics(int fd, int level, int name, void* value, socklen_t* length);

  // --- the wire and the clock ---
  int packet_in(const void* packet, size_t length);
  int packet_out(void* packet, size_t* length, long long* time_us);
  int sleep(uint64_t us);
  int time_of_day(timeval* tv);

 private:
  using Lock = std::unique_lock<std::mutex>;
  using Attempt = std::function<bool()>;  // true: the call is done
  struct Waiter {
    Attempt attempt;
    Instant deadline;
    bool done = false;
    Instant at;
  };

  Socket* find(int fd);
  Socket& add(bool ipv6);
  Socket* of(const Event& e);
  // Makes the attempt until it is done or `deadline` has come; false: that came first.
  bool block(Lock& lock, const Attempt& attempt, Instant deadline = Instant::never());
  void settle();       // runs the stack, then what waited for it
  bool wait_alone(const Attempt& attempt, Instant deadline);
  void move_to(Instant to);
  Instant next_event() const;

  void on_event(Event& e);
  void learn_addresses(Socket& s);
  void end_connect_timeout(Socket& s);
  void on_closed(Socket& s, const Event& e);
  void on_accepted(const Event& e);
  void on_failed(Event& e);
  void recycle(const Slice& slice);
  void drop_text(Socket& s);
  size_t copy_text(Socket& s, std::span<const iovec> into, bool peek);
  size_t queued(Socket& s);          // bytes that wait for room or an acknowledgment
  size_t send_room(Socket& s);
  void queue(Socket& s, std::span<const uint8_t> text, bool more, bool urgent);
  void keep_or_queue(Socket& s, std::span<const uint8_t> text, bool more, bool urgent);
  void let_go(Socket& s, bool more);  // of what MSG_MORE or TCP_CORK keeps
  void let_go_due();
  Request request(Socket& s, Request::Kind kind);
  int take_error(Socket& s);
  ConnectionId id_of(Socket& s);
  void ask_close(Socket& s);
  void ask_listen(Socket& s, Request::Kind kind);
  short ready(Socket& s);
  uint32_t receive_buffer(Socket& s);
  bool set_tcp(Socket& s, int name, int value);
  bool set_ip(Socket& s, int name, int value);
  void set_live(Socket& s, Setting setting, uint64_t value);
  void set_keepalive(Socket& s);
  int tcp_info(Socket& s, void* out, socklen_t* length);
  bool report(Socket& s, Watch& w, epoll_event& out);
  tcp::State state_of(Socket& s);
  void write_states();  // to the file that MILLRACE_SOCKETS names

  const std::thread::id script_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable woken_;
  Machine machine_;
  std::list<Waiter*> waiters_;
  std::map<int, std::unique_ptr<Socket>> sockets_;
  std::vector<std::unique_ptr<Socket>> closed_;  // fd given back, connection perhaps still there
  std::map<uint64_t, Socket*> by_token_;
  std::map<int, std::map<int, Watch>> epolls_;
  uint64_t next_token_ = 1;
  bool heard_ipv4_ = false;
  const char* states_file_;
  std::string states_;
};

int fail(int error);  // -1, with errno
int fail_ipv6();      // ... and a line that says why

}  // namespace millrace::packetdrill
