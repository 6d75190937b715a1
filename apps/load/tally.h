// SPDX-License-Identifier: BSD-3-Clause
// What a client counts beside latencies. One thread counts, any may look.
#pragma once

#include <millrace/millrace.h>

#include <atomic>
#include <cstdint>

namespace millrace::load {

// A number that one thread changes, without a locked instruction, and others read.
class Shown {
 public:
  Shown(uint64_t value = 0) : value_(value) {}  // NOLINT: it is a number
  Shown(const Shown& other) : value_(other) {}
  Shown& operator=(uint64_t value) {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }
  Shown& operator=(const Shown& other) { return *this = uint64_t{other}; }
  operator uint64_t() const { return value_.load(std::memory_order_relaxed); }  // NOLINT
  Shown& operator+=(uint64_t n) { return *this = *this + n; }
  Shown& operator-=(uint64_t n) { return *this = *this - n; }
  Shown& operator++() { return *this += 1; }
  Shown& operator--() { return *this -= 1; }

 private:
  std::atomic<uint64_t> value_;
};

template <typename Number>
struct ErrorsOf {
  Number refused = 0, reset = 0, timed_out = 0, unreachable = 0;
  Number protocol = 0;  // a response of wrong length or content, text or an end that nobody expected
  // Connects that could not be: no place for a connection; an address that none can go to; a flow of another core; an
  // endpoint that is ending.
  Number no_memory = 0, invalid = 0, other_core = 0, closing = 0;
  Number other = 0;
  Number status = 0;  // http: a whole response whose status the user does not expect
  uint64_t sum() const {
    return refused + reset + timed_out + unreachable + protocol + no_memory + invalid + other_core + closing + other + status;
  }
  // Where the reason of a failed connect is counted.
  Number& of_connect(Event::Reason reason) {
    switch (reason) {
      case Event::refused: return refused;
      case Event::timed_out: return timed_out;
      case Event::unreachable: return unreachable;
      case Event::no_memory: return no_memory;
      case Event::invalid: return invalid;
      case Event::other_core: return other_core;
      case Event::closing: return closing;
      default: return other;
    }
  }
};

template <typename Number>
struct TallyOf {
  Number requests = 0;    // answered in full
  Number opened = 0;      // connections established
  Number finished = 0;    // with a connection for each request: closed in order, after the response
  Number bytes_sent = 0;  // text of requests; of a stream, what was acknowledged
  Number bytes_received = 0;
  Number port_wait = 0;  // connects that found no local port, and were made again later
  ErrorsOf<Number> errors;
};

using Errors = ErrorsOf<uint64_t>;
struct Tally : TallyOf<uint64_t> {
  void add(const TallyOf<Shown>& one) {
    requests += one.requests;
    opened += one.opened;
    finished += one.finished;
    bytes_sent += one.bytes_sent;
    bytes_received += one.bytes_received;
    port_wait += one.port_wait;
    errors.refused += one.errors.refused;
    errors.reset += one.errors.reset;
    errors.timed_out += one.errors.timed_out;
    errors.unreachable += one.errors.unreachable;
    errors.protocol += one.errors.protocol;
    errors.no_memory += one.errors.no_memory;
    errors.invalid += one.errors.invalid;
    errors.other_core += one.errors.other_core;
    errors.closing += one.errors.closing;
    errors.other += one.errors.other;
    errors.status += one.errors.status;
  }
};

}  // namespace millrace::load
