// SPDX-License-Identifier: BSD-3-Clause
// SIGINT and SIGTERM: the first asks every endpoint of the process to end in order, the second ends it at
// once.
#pragma once

namespace millrace::run {

void install_signals();  // once in a process; later calls do nothing
bool interrupted();      // any thread
// Readable from then on: an end of all sleep. Below 0 before install_signals().
int interrupt_descriptor();

}  // namespace millrace::run
