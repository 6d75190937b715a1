// SPDX-License-Identifier: BSD-3-Clause
// Reading /proc and /sys. (run/tree.h)
#include "run/tree.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace::run {

namespace fs = std::filesystem;

bool Tree::exists(const std::string& path) const {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(root_ + path, ignored));
}

bool Tree::may_open(const std::string& path) const {
  return access((root_ + path).c_str(), R_OK | W_OK) == 0;
}

std::vector<std::string> Tree::lines(const std::string& path) const {
  std::ifstream in(root_ + path);
  std::vector<std::string> out;
  for (std::string text; std::getline(in, text);) out.push_back(text);
  return out;
}

std::optional<std::string> Tree::line(const std::string& path) const {
  std::ifstream in(root_ + path);
  std::string text;
  if (!std::getline(in, text)) return {};
  return text;
}

std::optional<int64_t> Tree::number(const std::string& path) const {
  std::ifstream in(root_ + path);
  int64_t value = 0;
  if (!(in >> value)) return {};
  return value;
}

std::vector<std::string> Tree::names(const std::string& path) const {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator i(root_ + path, error), end; !error && i != end; i.increment(error))
    out.push_back(i->path().filename());
  std::sort(out.begin(), out.end());
  return out;
}

std::string Tree::link(const std::string& path) const {
  std::error_code error;
  fs::path target = fs::read_symlink(root_ + path, error);
  return error ? std::string() : target.filename().string();
}

std::vector<Ipv4Address> kernel_addresses(const Tree& tree) {
  std::vector<Ipv4Address> out;
  std::string last;
  for (const std::string& line : tree.lines("/proc/net/fib_trie")) {
    if (size_t at = line.find("|-- "); at != std::string::npos) last = line.substr(at + 4);
    if (line.find("/32 host LOCAL") == std::string::npos) continue;
    if (auto address = parse_ipv4(last)) out.push_back(*address);
  }
  return out;
}

Cpus parse_cpus(const std::string& text) {
  Cpus out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    char* rest = nullptr;
    unsigned long first = std::strtoul(part.c_str(), &rest, 10), last = first;
    if (rest == part.c_str()) continue;
    if (*rest == '-') last = std::min(std::strtoul(rest + 1, nullptr, 10), first + 65535);
    for (unsigned long cpu = first; cpu <= last; ++cpu) out.insert(static_cast<uint32_t>(cpu));
  }
  return out;
}

std::string to_text(const Cpus& cpus) {
  std::string out;
  for (auto i = cpus.begin(); i != cpus.end();) {
    uint32_t first = *i, last = first;
    while (++i != cpus.end() && *i == last + 1) ++last;
    out +=
        (out.empty() ? "" : ",") + std::to_string(first) + (last == first ? "" : "-" + std::to_string(last));
  }
  return out;
}

}  // namespace millrace::run
