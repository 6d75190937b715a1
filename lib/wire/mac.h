// SPDX-License-Identifier: BSD-3-Clause
// An Ethernet address, as this room calls it.
#pragma once

#include "millrace/address.h"

namespace millrace::wire {

using Mac = MacAddress;

}  // namespace millrace::wire
