// SPDX-License-Identifier: BSD-3-Clause
// Beside a packet's way, at the start and the end: what EAL, drivers and the libraries below them write to stderr is taken
// instead of shown, since one sentence with the remedy follows. With EAL options of the user's own it is shown afterwards.
// Meanwhile no SIGPIPE comes to this thread, nor to those that EAL makes: drivers write to sockets whose other end has gone.
#pragma once

#include <csignal>
#include <cstdio>
#include <mutex>
#include <string>

namespace millrace::nic {

class Overheard {
 public:
  Overheard();
  ~Overheard();
  Overheard(const Overheard&) = delete;
  Overheard& operator=(const Overheard&) = delete;

  // From now on what was heard is shown, too: the user has options of his own, perhaps a log level.
  static void show_all();
  // What was complained of first, without the name of the function that did: " (it says: ...)". Empty if nothing was.
  std::string reason() const;
  // Of the innermost one that lives.
  static std::string latest();

 private:
  std::string text() const;

  std::unique_lock<std::recursive_mutex> alone_;  // first: endpoints may start and end on several threads
  Overheard* outer_;
  int heard_, shown_;  // files
  FILE* log_;
  sigset_t signals_;
};

}  // namespace millrace::nic
