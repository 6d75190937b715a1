// SPDX-License-Identifier: BSD-3-Clause
// The server that is measured: counts the bytes of a request, and answers when it is whole.
#pragma once

#include <millrace/millrace.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "options.h"
#include "payload.h"

namespace millrace::load {

class Server {
 public:
  explicit Server(const Arguments& arguments);

  // One turn.
  void operator()(Channel& channel);
  // What comes from now on is of the end and no error. Any thread.
  void stop() { stopped_.store(true, std::memory_order_relaxed); }

  // Any thread.
  bool is_listening() const { return listening_.load(std::memory_order_acquire) == ports_; }
  uint64_t protocol_errors() const { return protocol_errors_.load(std::memory_order_relaxed); }
  // Connections that did not end as they should.
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  struct Slot {
    uint32_t received = 0;  // of the request that is coming
    uint32_t refused = 0;   // of the response: to be sent again when there is room
  };

  void listen(Channel& channel);
  void received(Channel& channel, const Event& event);
  void other(Channel& channel, const Event& event);
  bool is_stopped() const { return stopped_.load(std::memory_order_relaxed); }

  const uint32_t ports_;
  const uint32_t backlog_;
  const Options options_;
  const bool closes_;
  const Payload request_;
  const Payload response_;
  std::vector<Slot> slots_;  // by slot of the connection
  std::atomic<uint32_t> listening_{0};
  std::atomic<uint64_t> protocol_errors_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<bool> stopped_{false};
};

}  // namespace millrace::load
