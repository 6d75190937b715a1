// SPDX-License-Identifier: BSD-3-Clause
// What a user has chosen about TCP, as this room calls it.
#pragma once

#include "millrace/tcp_options.h"

namespace millrace::tcp {

using Params = TcpOptions;
using millrace::EcnMode;
using millrace::RtoMin;
using millrace::SynCookies;

}  // namespace millrace::tcp
