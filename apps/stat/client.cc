// SPDX-License-Identifier: BSD-3-Clause
// Finding sockets and talking over one. (client.h)
#include "client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

namespace millrace::stat {

namespace fs = std::filesystem;

static constexpr timeval patience{5, 0};  // a core that takes no turns is told of after two

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

static Socket connected(const std::string& path) {
  Socket s(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (s.get() < 0 || path.size() >= sizeof address.sun_path) throw Failure(2, path + ": no socket can be made");
  path.copy(address.sun_path, path.size());
  setsockopt(s.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(s.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(s.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw Failure(2, path + ": " + std::strerror(errno));
  return s;
}

// DPDK's socket is "dpdk_telemetry.v2", with ":1" and so on for more programs of one prefix that run in memory alone.
static constexpr const char* socket_name = "dpdk_telemetry.v2";

Program::Program(std::string path) : path_(std::move(path)), socket_(connected(path_)), buffer_(64 * 1024, '\0') {
  fs::path file(path_);
  std::string suffix = file.filename().string().substr(std::strlen(socket_name));
  prefix = file.parent_path().filename().string() + suffix;
  name = prefix;
  if (!Json::accept(receive())) throw Failure(2, path_ + ": not DPDK's telemetry");
  Json info = ask("/millrace/info");
  name = info.value("program", "");
  pid = info.value("pid", uint64_t{0});
  version = info.value("version", "");
  for (const Json& row : rows_of(info))
    endpoints.push_back({row.at("endpoint"), row.at("core"), row.at("port"), row.at("address")});
}

std::string Program::title() const { return name + " (pid " + std::to_string(pid) + ", --file-prefix " + prefix + ")"; }

std::string Program::receive() {
  ssize_t got = recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) throw Failure(1, name + " does not answer");
  if (got <= 0) throw Failure(1, name + " has ended");
  return buffer_.substr(0, static_cast<size_t>(got));
}

Json Program::ask(const std::string& command) {
  if (send(socket_.get(), command.data(), command.size(), MSG_NOSIGNAL) < 0) throw Failure(1, name + " has ended");
  Json all = Json::parse(receive(), nullptr, false);
  if (!all.is_object() || all.size() != 1) throw Failure(1, name + ": an answer that is not understood to " + command);
  Json answer = *all.begin();
  if (!answer.is_object()) throw Failure(1, name + " does not know " + command.substr(0, command.find(',')));
  // Counters are good without the core; what needs it fails.
  if (answer.contains("error") && answer.size() <= 2)
    throw Failure(1, name + ": " + answer["error"].get<std::string>());
  return answer;
}

// --- which there are ---

// Where EAL has its directories: a systemd unit's, and that alone; else root's, and a user's.
static std::set<fs::path> runtime_directories() {
  std::set<fs::path> out;
  auto add = [&](const fs::path& base) {
    std::error_code error;
    fs::path real = fs::canonical(base / "dpdk", error);
    if (!error) out.insert(real);
  };
  auto of = [](const char* variable) {
    const char* value = std::getenv(variable);
    return value == nullptr ? std::string() : std::string(value);
  };
  if (std::string unit = of("RUNTIME_DIRECTORY"); !unit.empty()) {
    add(unit);
    return out;
  }
  add("/var/run");
  add("/tmp");
  if (std::string users = of("XDG_RUNTIME_DIR"); !users.empty()) add(users);
  return out;
}

static std::vector<std::string> find_sockets(bool& forbidden) {
  std::vector<std::string> out;
  std::error_code error;
  for (const fs::path& base : runtime_directories())
    for (const auto& directory : fs::directory_iterator(base, error)) {
      for (const auto& file : fs::directory_iterator(directory.path(), error))
        if (file.path().filename().string().rfind(socket_name, 0) == 0) out.push_back(file.path());
      forbidden |= error == std::errc::permission_denied;
    }
  std::sort(out.begin(), out.end());
  return out;
}

static std::vector<Program> find(bool& forbidden) {
  std::vector<Program> out;
  for (const std::string& path : find_sockets(forbidden)) {
    try {
      out.emplace_back(path);
    } catch (const Failure&) {
      // Left behind by a program that was killed, or another's: not ours to ask.
    }
  }
  return out;
}

std::vector<Program> find_programs() {
  bool forbidden = false;
  return find(forbidden);
}

Program choose(const std::string& prefix) {
  bool forbidden = false;
  std::vector<Program> all = find(forbidden);
  std::string list;
  for (const Program& program : all) list += "\n  --file-prefix " + program.prefix + "  " + program.name;
  const char* hint = forbidden ? " (there may be some of other users: run with sudo)" : "";
  for (Program& program : all)
    if (prefix.empty() ? all.size() == 1 : program.prefix == prefix) return std::move(program);
  if (all.empty() && prefix.empty()) throw Failure(2, std::string("no Millrace program runs here") + hint);
  if (prefix.empty()) throw Failure(2, std::to_string(all.size()) + " programs run here, choose one:" + list);
  throw Failure(2, "no Millrace program has the file prefix " + prefix + hint + (list.empty() ? "" : "; there are:" + list));
}

std::vector<Json> rows_of(const Json& columns) {
  std::vector<Json> out;
  for (const auto& [name, column] : columns.items()) {
    if (!column.is_array()) continue;
    if (out.size() < column.size()) out.resize(column.size(), Json::object());
    for (size_t i = 0; i < column.size(); ++i) out[i][name] = column[i];
  }
  return out;
}

}  // namespace millrace::stat
