// SPDX-License-Identifier: BSD-3-Clause
// Names of what the API speaks of, for logs, tests and failures.
#include "millrace/diagnostics.h"
#include "millrace/event.h"
#include "millrace/request.h"

namespace millrace {

const char* name(Event::Kind kind) {
  switch (kind) {
    case Event::none: return "none";
    case Event::listening: return "listening";
    case Event::opening: return "opening";
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
    case Event::diagnosed: return "diagnosed";
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
    case Event::other_core: return "other core";
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
    case Request::diagnose: return "diagnose";
  }
  return "?";
}

const char* name(State s) {
  switch (s) {
    case State::closed: return "CLOSED";
    case State::listen: return "LISTEN";
    case State::syn_sent: return "SYN-SENT";
    case State::syn_received: return "SYN-RECEIVED";
    case State::established: return "ESTABLISHED";
    case State::fin_wait_1: return "FIN-WAIT-1";
    case State::fin_wait_2: return "FIN-WAIT-2";
    case State::close_wait: return "CLOSE-WAIT";
    case State::closing: return "CLOSING";
    case State::last_ack: return "LAST-ACK";
    case State::time_wait: return "TIME-WAIT";
  }
  return "?";
}

const char* name(Phase value) {
  switch (value) {
    case Phase::open: return "open";
    case Phase::disorder: return "disorder";
    case Phase::cwr: return "cwr";
    case Phase::recovery: return "recovery";
    case Phase::loss: return "loss";
  }
  return "?";
}

const char* name(Timer value) {
  switch (value) {
    case Timer::none: return "none";
    case Timer::retransmit: return "retransmit";
    case Timer::probe: return "probe";
    case Timer::reorder: return "reorder";
    case Timer::persist: return "persist";
  }
  return "?";
}

const char* name(Limit value) {
  switch (value) {
    case Limit::idle: return "idle";
    case Limit::application: return "application";
    case Limit::receiver: return "receiver";
    case Limit::send_buffer: return "send buffer";
    case Limit::congestion: return "congestion";
  }
  return "?";
}

const char* name(NeighborDiagnostics::State value) {
  switch (value) {
    case NeighborDiagnostics::State::incomplete: return "INCOMPLETE";
    case NeighborDiagnostics::State::reachable: return "REACHABLE";
    case NeighborDiagnostics::State::probe: return "PROBE";
    case NeighborDiagnostics::State::failed: return "FAILED";
    case NeighborDiagnostics::State::permanent: return "PERMANENT";
  }
  return "?";
}

const char* name(Congestion value) {
  switch (value) {
    case Congestion::cubic: return "cubic";
    case Congestion::newreno: return "newreno";
    case Congestion::dctcp: return "dctcp";
    case Congestion::none: return "none";
  }
  return "?";
}

}  // namespace millrace
