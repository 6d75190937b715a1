// SPDX-License-Identifier: BSD-3-Clause
// What a plan says of HTTP, checked: method, header lines, statuses, and the URL with the target in it.
// (plan_check.h)
#pragma once

#include "plan.h"

namespace millrace::load {

// Throws ConfigError, naming the key to blame.
void complete_http(Plan& plan);
// "http://10.9.0.1:8080/bytes/64" -> a target and "/bytes/64". A fragment is for the client alone, and is
// left out.
void split_url(Plan& plan);

}  // namespace millrace::load
