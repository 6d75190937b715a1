// SPDX-License-Identifier: BSD-3-Clause
// The handlers. (run/signals.h)
#include "run/signals.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace millrace::run {

// Written by a handler, read by all workers.
static std::atomic<bool> asked{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// Who sleeps anywhere has it among what it waits for. Never read, so that it stays readable for all of them.
static int descriptor = -1;

static void handle(int) {
  if (asked.exchange(true)) _exit(130);
  int before = errno;
  uint64_t one = 1;
  static_cast<void>(!write(descriptor, &one, sizeof one));
  errno = before;
}

void install_signals() {
  static std::atomic<bool> installed{false};
  if (installed.exchange(true)) return;
  descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  struct sigaction action {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupt_descriptor() {
  return descriptor;
}

bool interrupted() {
  return asked.load(std::memory_order_relaxed);
}

}  // namespace millrace::run
