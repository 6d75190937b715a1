// SPDX-License-Identifier: BSD-3-Clause
// Where the cycles come from. (nic/clock.h)
#include "nic/clock.h"

#include <rte_cycles.h>

namespace millrace::nic {

uint64_t read_cycles() {
  return rte_rdtsc();
}
uint64_t cycles_per_second() {
  return rte_get_tsc_hz();
}

}  // namespace millrace::nic
