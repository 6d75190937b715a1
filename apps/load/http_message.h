// SPDX-License-Identifier: BSD-3-Clause
// What http_parser leaves to both ends of HTTP: does the connection outlive this message (RFC 9112 9.3)?
// (http_client.h, http_requests.h)
#pragma once

#include <http_parser.h>

namespace millrace::load {

inline bool is_before_1_1(const http_parser& message) {
  return message.http_major < 1 || (message.http_major == 1 && message.http_minor == 0);
}

// http_should_keep_alive() lets "keep-alive" win over "close" in HTTP/1.0, and keeps the connection after
// chunks in HTTP/1.0, whose framing nobody can rely on (RFC 9112 6.1).
inline bool ends_connection(const http_parser& message) {
  if ((message.flags & F_CONNECTION_CLOSE) != 0) return true;
  if (!is_before_1_1(message)) return false;
  return (message.flags & F_CONNECTION_KEEP_ALIVE) == 0 || message.uses_transfer_encoding != 0;
}

}  // namespace millrace::load
