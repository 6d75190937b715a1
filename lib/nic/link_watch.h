// SPDX-License-Identifier: BSD-3-Clause
// Tells of a link that goes down or comes up, once for each change. EAL's thread of interrupts looks a few times a second:
// no driver needs to have an interrupt for it, and a worker's turn has no part in it.
#pragma once

#include <atomic>

namespace millrace::nic {

struct Port;

// What the driver says, or of an interface of the kernel's the kernel. What nobody can say is up.
bool link_is_up(const Port& port);

class LinkWatch {
 public:
  explicit LinkWatch(const Port& port);  // from Port::link_up on
  ~LinkWatch();                          // waits for a look that is under way
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;
  bool up() const { return up_.load(std::memory_order_relaxed); }  // as last seen

 private:
  static void look(void* watch);

  const Port& port_;
  std::atomic<bool> up_;
};

}  // namespace millrace::nic
