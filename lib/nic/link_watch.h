// SPDX-License-Identifier: BSD-3-Clause
// Tells of a link that goes down or comes up, once for each change, and of a device that has gone. EAL's thread of interrupts
// looks a few times a second: no driver needs to have an interrupt for it, and a worker's turn has no part in it.
#pragma once

#include <atomic>

namespace millrace::nic {

struct Port;

// What the driver says, or of an interface of the kernel's the kernel. What nobody can say is up.
bool link_is_up(const Port& port);
// Has the kernel's interface below the port been deleted? It does not come back under this driver, whatever its name.
bool interface_is_gone(const Port& port);

class LinkWatch {
 public:
  explicit LinkWatch(Port& port);  // from Port::link_up on
  ~LinkWatch();                    // waits for a look that is under way
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;
  bool up() const { return up_.load(std::memory_order_relaxed); }  // as last seen

 private:
  static void look(void* watch);
  void tell_gone();

  Port& port_;
  std::atomic<bool> up_;
};

}  // namespace millrace::nic
