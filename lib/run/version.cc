// SPDX-License-Identifier: BSD-3-Clause
// What --version and reports say. (millrace/endpoint.h)
#include "millrace/endpoint.h"
#include "nic/eal.h"

namespace millrace {

std::string version() {
  return std::string("millrace ") + MILLRACE_VERSION + ", " + nic::eal_version();
}

}  // namespace millrace
