// SPDX-License-Identifier: BSD-3-Clause
// What a process has to have before its first file and after its last line. Endpoints and Settings::parse() do it by
// themselves; this is for programs that use neither.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace millrace {

// Of descriptors 0, 1 and 2 those that are closed are opened to /dev/null: else the next file or socket takes the number, and
// what is printed goes there. A file that may not grow any more (ulimit -f) is an error, not a signal.
inline void prepare_process() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd) break;
  struct sigaction now {};
  if (sigaction(SIGXFSZ, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) std::signal(SIGXFSZ, SIG_IGN);
}

// What a program exits with that would exit with `code`: 1 instead of 0, with a line on stderr, told once, where something
// that it has printed is lost.
inline int with_output_written(int code, const char* program) {
  bool fails_now = std::fflush(stdout) != 0;
  int error = errno;
  if (!fails_now && std::ferror(stdout) == 0) return code;
  static bool told = false;
  if (!told)
    std::fprintf(stderr, "%s: standard output is lost%s%s\n", program, fails_now ? ": " : "",
                 fails_now ? std::strerror(error) : "");
  told = true;
  return code == 0 ? 1 : code;
}

}  // namespace millrace
