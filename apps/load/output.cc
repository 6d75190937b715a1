// SPDX-License-Identifier: BSD-3-Clause
// Standard output, shared out. (output.h)
#include "output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace millrace::load {

static constexpr const char* standard_output = "-";
static int reports_to = STDOUT_FILENO;

void direct_output(const Plan& plan) {
  bool has_report = plan.json == standard_output || plan.hgrm == standard_output || plan.html == standard_output;
  if (!has_report && !plan.quiet) return;
  std::fflush(stdout);
  if (has_report) reports_to = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  int people = plan.quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : STDERR_FILENO;
  if (people >= 0) dup2(people, STDOUT_FILENO);
  if (plan.quiet && people >= 0) close(people);
}

static bool write_all(int fd, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    ssize_t wrote = write(fd, text.data() + at, text.size() - at);
    if (wrote < 0 && errno != EINTR) return false;
    if (wrote > 0) at += static_cast<size_t>(wrote);
  }
  return true;
}

bool write_output(const std::string& file, const std::string& text) {
  if (file.empty()) return true;
  if (file == standard_output) {
    std::fflush(stdout);
    if (write_all(reports_to, text)) return true;
    std::fprintf(stderr, "millrace-load: standard output could not be written: %s\n", std::strerror(errno));
    return false;
  }
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out) std::fprintf(stderr, "millrace-load: %s could not be written\n", file.c_str());
  return static_cast<bool>(out);
}

}  // namespace millrace::load
