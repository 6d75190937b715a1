// SPDX-License-Identifier: BSD-3-Clause
// Between the adapter and the object that is preloaded beside it.
#pragma once

#include <sys/socket.h>

// 0: answered. The preloaded object has a variable of this type, which the adapter finds by name and sets.
using millrace_option_hook = int (*)(int fd, int level, int name, void* value, socklen_t* length);
inline constexpr const char* millrace_option_hook_name = "millrace_get_option";
