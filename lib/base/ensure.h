// SPDX-License-Identifier: BSD-3-Clause
// Assertions. ensure() stays in every build and guards what must never happen; debug_ensure() is for checks
// whose price would be seen on the packet path.
#pragma once

namespace millrace {

// The one way out of the core. Defined by who links it: run ends the process with the text, tests fail.
[[noreturn]] void ensure_failed(const char* what, const char* file, int line);

#define ensure(condition) \
  (__builtin_expect(!!(condition), 1) ? (void)0 : ::millrace::ensure_failed(#condition, __FILE__, __LINE__))

#ifdef MILLRACE_DEBUG
#define debug_ensure(condition) ensure(condition)
#else
#define debug_ensure(condition) ((void)0)
#endif

}  // namespace millrace
