// SPDX-License-Identifier: BSD-3-Clause
// Values of keys as text, there and back. (millrace/settings.h)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/config.h"

namespace millrace::run {

// Digits alone, the whole text, and within the bounds.
bool parse_number(std::string_view text, uint64_t least, uint64_t most, uint64_t& out);
// The same, or with a suffix (millrace/settings.h): "64k", "1.5M", "4Ki"; "64K" of bytes.
bool parse_scaled(std::string_view text, bool of_bytes, uint64_t least, uint64_t most, uint64_t& out);
// "10.9.0.2/24"
bool parse_prefix(std::string_view text, Ipv4Address& address, uint8_t& length);
// "10.9.0.1=02:00:00:00:00:01"
bool parse_neighbor(std::string_view text, StaticNeighbor& out);
// As a string of TOML.
std::string quoted(std::string_view text);

}  // namespace millrace::run
