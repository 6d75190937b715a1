// SPDX-License-Identifier: BSD-3-Clause
// The handlers. (run/signals.h)
#include "run/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace millrace::run {

// Written by a handler, read by all workers.
static std::atomic<bool> asked{false};
static_assert(std::atomic<bool>::is_always_lock_free);

static void handle(int) {
  if (asked.exchange(true)) _exit(130);
}

void install_signals() {
  static std::atomic<bool> installed{false};
  if (installed.exchange(true)) return;
  struct sigaction action {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return asked.load(std::memory_order_relaxed);
}

}  // namespace millrace::run
