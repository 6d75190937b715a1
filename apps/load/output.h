// SPDX-License-Identifier: BSD-3-Clause
// Where what a run says goes: files, and standard output for one of them ("-") or for what people read.
#pragma once

#include <string>

#include "plan.h"

namespace millrace::load {

// Before the first line. With a report on standard output the lines for people go to stderr; with --quiet, nowhere.
void direct_output(const Plan& plan);

// "-" is standard output. False: it could not be written, said on stderr.
bool write_output(const std::string& file, const std::string& text);

}  // namespace millrace::load
