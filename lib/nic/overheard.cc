// SPDX-License-Identifier: BSD-3-Clause
// Taking stderr for a while. (nic/overheard.h)
#include "nic/overheard.h"

#include <fcntl.h>
#include <rte_log.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cctype>
#include <mutex>
#include <sstream>

namespace millrace::nic {

static bool shows_all = false;
// Held while one lives: endpoints may start and end on several threads.
static std::recursive_mutex taken;
static Overheard* innermost = nullptr;

// --- a driver that ends the program: its last words are shown ---

static volatile sig_atomic_t last_words = -1, shown_at = -1;  // files

// SA_RESETHAND: what ends the program comes again when this returns, and does.
static void show_last_words(int) {
  char buffer[1024];
  ssize_t got = 0;
  for (off_t at = 0; (got = pread(last_words, buffer, sizeof buffer, at)) > 0; at += got)
    if (write(shown_at, buffer, static_cast<size_t>(got)) != got) break;
}

// Whoever else has a handler keeps it.
static void watch_ends(bool begin) {
  for (int number : {SIGABRT, SIGSEGV}) {
    struct sigaction now {};
    sigaction(number, nullptr, &now);
    if (now.sa_handler != (begin ? SIG_DFL : show_last_words)) continue;
    now.sa_handler = begin ? show_last_words : SIG_DFL;
    now.sa_flags = begin ? static_cast<int>(SA_RESETHAND) : 0;
    sigaction(number, &now, nullptr);
  }
}

void Overheard::show_all() {
  shows_all = true;
}

// DPDK's own stream writes to the system's log as well; while this lives it is stderr alone.
Overheard::Overheard()
    : alone_(taken), outer_(innermost), heard_(memfd_create("millrace-heard", MFD_CLOEXEC)),
      shown_(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)), log_(rte_log_get_stream()) {
  innermost = this;
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &signals_);
  std::fflush(stderr);
  if (heard_ < 0 || shown_ < 0) return;
  dup2(heard_, STDERR_FILENO);
  rte_openlog_stream(stderr);
  last_words = heard_;
  if (outer_ != nullptr) return;
  shown_at = shown_;
  watch_ends(true);
}

Overheard::~Overheard() {
  innermost = outer_;
  last_words = outer_ == nullptr ? -1 : outer_->heard_;
  if (outer_ == nullptr) watch_ends(false);
  std::fflush(stderr);
  rte_openlog_stream(log_ == stderr ? nullptr : log_);
  std::string all = shows_all ? text() : "";
  if (shown_ >= 0) {
    if (heard_ >= 0) dup2(shown_, STDERR_FILENO);
    close(shown_);
  }
  if (heard_ >= 0) close(heard_);
  std::fputs(all.c_str(), stderr);
  // One that has come is taken away before it may come again.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  const timespec at_once{0, 0};
  if (sigismember(&signals_, SIGPIPE) == 0) sigtimedwait(&pipe, nullptr, &at_once);
  pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
}

std::string Overheard::text() const {
  std::fflush(stderr);
  std::string out;
  char buffer[4096];
  for (off_t at = 0; heard_ >= 0;) {
    ssize_t got = pread(heard_, buffer, sizeof buffer, at);
    if (got <= 0) break;
    out.append(buffer, static_cast<size_t>(got));
    at += got;
  }
  return out;
}

// "memif_socket_create(): Failed to ..." -> "Failed to ..."; "EAL: FATAL: Cannot ..." -> "Cannot ..."
static std::string without_names(std::string line) {
  for (size_t at = line.find(": "); at != std::string::npos && at < 48; at = line.find(": ")) {
    std::string name = line.substr(0, at);
    bool is_name = name.find(' ') == std::string::npos && (name.ends_with("()") || name == "EAL" || name == "FATAL");
    if (!is_name) break;
    line.erase(0, at + 2);
  }
  while (!line.empty() && (std::isspace(static_cast<unsigned char>(line.back())) || line.back() == '.')) line.pop_back();
  return line;
}

// What the libraries below net_af_xdp tell of a program that they load nevertheless, and EAL of any machine.
static bool is_chat(const std::string& line) {
  for (const char* begin : {"libbpf: elf: skipping", "libxdp: No bpffs", "libxdp: Can't use dispatcher",
                            "libxdp: Falling back", "EAL: Detected", "EAL: Selected IOVA", "EAL: Multi-process socket",
                            "EAL: Physical addresses are", "EAL: VFIO support", "EAL: Probing", "TELEMETRY: "})
    if (line.starts_with(begin)) return true;
  return false;
}

// The first complaint, but for two kinds of lines that say more: what the kernel has said, and that another program has the
// lock of EAL's directory.
std::string Overheard::reason() const {
  const std::string all = text(), kernels = "Kernel error message: ";
  constexpr const char* of_lock = "Cannot create lock on";
  std::string first;
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    if (size_t at = line.find(kernels); at != std::string::npos) first = "the kernel: " + line.substr(at + kernels.size());
    bool is_lock = line.find(of_lock) != std::string::npos;
    if ((first.empty() && !is_chat(line)) || is_lock) first = without_names(line);
    if (first.starts_with("the kernel: ") || is_lock) break;
  }
  return first.empty() ? "" : " (it says: " + first + ")";
}

std::string Overheard::latest() {
  std::lock_guard lock(taken);
  return innermost == nullptr ? "" : innermost->reason();
}

}  // namespace millrace::nic
