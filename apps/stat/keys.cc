// SPDX-License-Identifier: BSD-3-Clause
// The terminal's modes, and waiting for a key. (keys.h)
#include "keys.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace millrace::stat {

static constexpr int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static volatile sig_atomic_t asked = 0;

static void remember(int number) {
  asked = number;
}

// The signals come while it waits, and at no other time.
Keys::Keys(bool wanted) {
  if (!wanted || isatty(STDIN_FILENO) == 0 || tcgetattr(STDIN_FILENO, &before_) != 0) return;
  changed_ = reads_ = true;
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int number : ends) sigaddset(&blocked, number);
  sigprocmask(SIG_BLOCK, &blocked, &signals_);
  struct sigaction action {};
  action.sa_handler = remember;
  for (int number : ends) sigaction(number, &action, nullptr);
  termios now = before_;
  now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  now.c_cc[VMIN] = 1;
  now.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

Keys::~Keys() {
  if (!changed_) return;
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  for (int number : ends) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &signals_, nullptr);
  std::fflush(stdout);
  if (asked != 0) raise(asked);  // it ends as if there had been no handler
}

bool Keys::wait(std::chrono::nanoseconds time) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + time;
  while (true) {
    auto left = std::max<int64_t>(std::chrono::nanoseconds(until - Clock::now()).count(), 0);
    timespec rest{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
    pollfd keys{reads_ ? STDIN_FILENO : -1, POLLIN, 0};
    int got = ppoll(&keys, 1, &rest, changed_ ? &signals_ : nullptr);
    if (asked != 0) return true;
    if (got == 0) return false;
    if (got < 0) continue;  // another signal: SIGCONT, SIGWINCH
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) != 1) reads_ = false;  // no keys any more
    if (key == 'q' || key == 'Q') return true;
  }
}

}  // namespace millrace::stat
