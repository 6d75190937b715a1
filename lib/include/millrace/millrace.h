// SPDX-License-Identifier: BSD-3-Clause
// Everything an application needs.
#pragma once

#include "millrace/address.h"     // IWYU pragma: export
#include "millrace/channel.h"     // IWYU pragma: export
#include "millrace/config.h"      // IWYU pragma: export
#include "millrace/connection.h"  // IWYU pragma: export
#include "millrace/diagnostics.h"  // IWYU pragma: export
#include "millrace/doctor.h"  // IWYU pragma: export
#include "millrace/endpoint.h"    // IWYU pragma: export
#include "millrace/event.h"       // IWYU pragma: export
#include "millrace/nearest.h"     // IWYU pragma: export
#include "millrace/packet.h"      // IWYU pragma: export
#include "millrace/process.h"     // IWYU pragma: export
#include "millrace/request.h"     // IWYU pragma: export
#include "millrace/settings.h"    // IWYU pragma: export
#include "millrace/statistics.h"  // IWYU pragma: export
#include "millrace/tcp_option_table.h"  // IWYU pragma: export
#include "millrace/tcp_options.h"  // IWYU pragma: export
#include "millrace/time.h"        // IWYU pragma: export
