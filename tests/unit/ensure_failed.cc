// SPDX-License-Identifier: BSD-3-Clause
// What a failed ensure() does in a test: say where, and end.
#include <cstdio>
#include <cstdlib>

#include "base/ensure.h"

namespace millrace {
void ensure_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: ensure(%s) failed\n", file, line, what);
  std::abort();
}
}  // namespace millrace
