// SPDX-License-Identifier: BSD-3-Clause
// What a run says: a line a second, a summary, and files.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "meter.h"

namespace millrace::load {

// The line of a second: on a terminal it takes the place of the last one.
void print_progress(const Plan& plan, const Row& row);
void end_progress();  // before anything else is printed
void print_connecting(const Plan& plan, const Ends& ends);
void print_summary(const Meter& meter, const std::string& why);

// All of it as JSON: what --json writes and --html shows.
nlohmann::ordered_json make_json(const Meter& meter, const std::string& why);
// HdrHistogram's percentile text, in milliseconds as wrk2 writes it.
std::string make_hgrm(const Histogram& latencies);
std::string make_page(const nlohmann::ordered_json& data);

// Writes what the plan asks for. False: a file could not be written, said on stderr.
bool write_files(const Meter& meter, const std::string& why);

}  // namespace millrace::load
