// SPDX-License-Identifier: BSD-3-Clause
// What a failed ensure() does in a program: say where, and end. The core is in a state that nobody has
// thought of; going on would send it to peers.
#include <cstdio>
#include <cstdlib>

#include "base/ensure.h"

namespace millrace {

void ensure_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "millrace: %s:%d: ensure(%s) failed; please report this\n", file, line, what);
  std::abort();
}

}  // namespace millrace
