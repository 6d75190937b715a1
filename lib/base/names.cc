// SPDX-License-Identifier: BSD-3-Clause
// Names of events, reasons and requests, for logs, tests and failures.
#include "millrace/event.h"
#include "millrace/request.h"

namespace millrace {

const char* name(Event::Kind kind) {
  switch (kind) {
    case Event::none: return "none";
    case Event::listening: return "listening";
    case Event::accepted: return "accepted";
    case Event::connected: return "connected";
    case Event::received: return "received";
    case Event::sent: return "sent";
    case Event::peer_closed: return "peer_closed";
    case Event::urgent: return "urgent";
    case Event::writable: return "writable";
    case Event::slow: return "slow";
    case Event::closed: return "closed";
    case Event::failed: return "failed";
  }
  return "?";
}

const char* name(Event::Reason reason) {
  switch (reason) {
    case Event::no_reason: return "";
    case Event::finished: return "finished";
    case Event::reset: return "reset";
    case Event::refused: return "refused";
    case Event::timed_out: return "timed out";
    case Event::unreachable: return "unreachable";
    case Event::aborted: return "aborted";
    case Event::in_use: return "in use";
    case Event::full: return "full";
    case Event::stale: return "stale";
    case Event::invalid: return "invalid";
    case Event::no_port: return "no port";
    case Event::no_memory: return "no memory";
    case Event::closing: return "closing";
  }
  return "?";
}

const char* name(Request::Kind kind) {
  switch (kind) {
    case Request::none: return "none";
    case Request::listen: return "listen";
    case Request::unlisten: return "unlisten";
    case Request::connect: return "connect";
    case Request::send: return "send";
    case Request::recycle: return "recycle";
    case Request::shutdown: return "shutdown";
    case Request::close: return "close";
    case Request::abort: return "abort";
    case Request::set: return "set";
  }
  return "?";
}

}  // namespace millrace
