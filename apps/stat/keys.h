// SPDX-License-Identifier: BSD-3-Clause
// Keys of a terminal while a screen is shown: q ends it. The terminal is left as it was, also by Ctrl-C.
#pragma once

#include <signal.h>
#include <termios.h>

#include <chrono>

namespace millrace::stat {

class Keys {
 public:
  // Without a terminal on standard input, or if it is not wanted, there are none, and wait() waits.
  explicit Keys(bool wanted);
  ~Keys();
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  // So long, unless a key or a signal asks for the end: true.
  bool wait(std::chrono::nanoseconds time);

 private:
  bool changed_ = false;  // the terminal, and what signals do
  bool reads_ = false;
  termios before_{};
  sigset_t signals_{};
};

}  // namespace millrace::stat
