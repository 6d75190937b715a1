// SPDX-License-Identifier: BSD-3-Clause
// The server that is loaded: one core of it. What each protocol does with a connection's text is told by who derives; here it
// listens, counts, and stalls if it was asked to.
#pragma once

#include <millrace/millrace.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plan.h"

namespace millrace::load {

class Server {
 public:
  explicit Server(const Plan& plan);
  virtual ~Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // One turn.
  void operator()(Channel& channel);
  // What comes from now on is of the end and no error. Any thread.
  void stop() { stopped_.store(true, relaxed); }

  // Any thread.
  bool is_listening() const { return listening_.load(std::memory_order_acquire) == ports_.size(); }
  bool has_failed() const { return port_in_use_.load(relaxed) != 0; }
  uint16_t port_in_use() const { return port_in_use_.load(relaxed); }
  struct Counts {
    uint64_t requests = 0;    // answered
    uint64_t opened = 0;      // connections accepted
    uint64_t finished = 0;    // connections that ended in order
    uint64_t bytes_sent = 0;  // acknowledged, where the protocol is told; else given to send
    uint64_t bytes_received = 0;
    uint64_t protocol_errors = 0;  // text that should not have come
    uint64_t failures = 0;         // connections that did not end as they should
    void add(const Counts& other) {
      requests += other.requests;
      opened += other.opened;
      finished += other.finished;
      bytes_sent += other.bytes_sent;
      bytes_received += other.bytes_received;
      protocol_errors += other.protocol_errors;
      failures += other.failures;
    }
  };
  Counts counts() const;

 protected:
  virtual void accepted(Channel&, const Event&) {}
  virtual void received(Channel& channel, Event& event) = 0;
  virtual void sent(Channel&, const Event&) {}
  virtual void refused(const Event&) {}  // failed(full)
  virtual void writable(Channel&, const Event&) {}
  virtual void peer_closed(Channel& channel, ConnectionId connection) { channel.close(connection); }
  virtual bool may_be_reset() const { return false; }  // an endless text has no other end

  bool is_stopped() const { return stopped_.load(relaxed); }
  void protocol_error(Channel& channel, ConnectionId connection);
  void count_protocol_error() {
    if (!is_stopped()) add(protocol_errors_, 1);
  }
  static void add(std::atomic<uint64_t>& counter, uint64_t n) {
    counter.store(counter.load(relaxed) + n, relaxed);
  }

  static constexpr auto relaxed = std::memory_order_relaxed;
  uint64_t requests_ = 0, bytes_sent_ = 0, bytes_received_ = 0;  // told to other threads once a turn
  Options options_;

 private:
  void listen(Channel& channel);
  void other(Channel& channel, const Event& event);
  bool is_stalled(Channel& channel);

  const std::vector<uint16_t> ports_;
  const uint32_t backlog_;
  const Duration stall_, stall_after_;
  Instant stall_from_ = Instant::never();
  std::atomic<uint64_t> told_requests_{0}, told_sent_{0}, told_received_{0};
  std::atomic<uint32_t> listening_{0};
  std::atomic<uint16_t> port_in_use_{0};
  std::atomic<uint64_t> opened_{0}, finished_{0}, protocol_errors_{0}, failures_{0};
  std::atomic<bool> stopped_{false};
};

// Throws ConfigError: files that cannot be read.
std::unique_ptr<Server> make_server(const Plan& plan);

}  // namespace millrace::load
