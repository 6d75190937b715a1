// SPDX-License-Identifier: BSD-3-Clause
// Running programs and how one is asked: rte_telemetry's Unix sockets. This side needs no DPDK.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace millrace::stat {

using Json = nlohmann::ordered_json;

// One line of what is wrong, and the exit code.
struct Failure : std::runtime_error {
  Failure(int exit_code, const std::string& what) : std::runtime_error(what), code(exit_code) {}
  int code;  // 2: wrong use, or nothing to ask; 1: it went wrong on the way
};

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Socket& operator=(Socket&&) = delete;
  ~Socket();
  int get() const { return fd_; }

 private:
  int fd_;
};

struct EndpointName {
  uint32_t number = 0, core = 0;
  std::string port, address;
};

// A program that answers. The connection lasts as long as this.
class Program {
 public:
  // Throws Failure if nobody is there, or it is no program of Millrace's.
  explicit Program(std::string path);

  // A command's answer. Throws Failure (1) when the program has ended, does not answer in time, or says why not.
  Json ask(const std::string& command);

  std::string prefix;  // EAL's: "millrace1234"
  std::string name;    // "millrace-echo"
  uint64_t pid = 0;
  std::string version;
  std::vector<EndpointName> endpoints;
  // "millrace-echo (pid 1234, --file-prefix millrace1234)"
  std::string title() const;

 private:
  std::string receive();
  std::string path_;
  Socket socket_;
  std::string buffer_;
};

// All that can be asked, by file prefix.
std::vector<Program> find_programs();
// The one that is meant; an empty prefix: the only one. Throws Failure (2).
Program choose(const std::string& prefix);

// Columns, as rte_telemetry has to tell rows, into rows.
std::vector<Json> rows_of(const Json& columns);

}  // namespace millrace::stat
