// SPDX-License-Identifier: BSD-3-Clause
// The eventfd. (nic/wakeup.h)
#include "nic/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "millrace/config.h"

namespace millrace::nic {

Wakeup::~Wakeup() {
  if (is_open()) close(fd_);
}

void Wakeup::open() {
  if (is_open()) return;
  fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (!is_open())
    throw ConfigError("no eventfd to wake a core by (" + std::string(std::strerror(errno)) + "): ulimit -n 4096");
}

// The counter is full after 2^64 of them, and empty before the first: neither is an error.
void Wakeup::signal() const {
  uint64_t one = 1;
  if (is_open()) static_cast<void>(!write(fd_, &one, sizeof one));
}

void Wakeup::drain() const {
  uint64_t count = 0;
  static_cast<void>(!read(fd_, &count, sizeof count));
}

// Of several producers one: the flag is set again only when the sleeper has been awake.
void Wakeup::take_and_signal() {
  if (asleep_.exchange(false, std::memory_order_relaxed)) signal();
}

}  // namespace millrace::nic
