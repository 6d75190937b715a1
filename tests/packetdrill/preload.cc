// SPDX-License-Identifier: BSD-3-Clause
// To be named in LD_PRELOAD: packetdrill's %{ }% blocks ask libc for TCP_INFO and the like, of descriptors that are no
// sockets. The adapter answers for its own.
#include "tests/packetdrill/preload.h"

#include <dlfcn.h>

extern "C" {

__attribute__((visibility("default"))) millrace_option_hook millrace_get_option = nullptr;

__attribute__((visibility("default"))) int getsockopt(int fd, int level, int name, void* value,
                                                      socklen_t* length) noexcept {
  if (millrace_get_option != nullptr && millrace_get_option(fd, level, name, value, length) == 0) return 0;
  using Real = int (*)(int, int, int, void*, socklen_t*);
  static const auto real = reinterpret_cast<Real>(dlsym(RTLD_NEXT, "getsockopt"));
  return real(fd, level, name, value, length);
}
}
