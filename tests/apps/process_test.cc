// SPDX-License-Identifier: BSD-3-Clause
// What surrounds a process and is not its doing: closed descriptors, a full disk, limits, a stop, a name that is taken.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <sstream>
#include <vector>

#include "program.h"

namespace {

namespace fs = std::filesystem;

// A run that the test looks at while it lives.
class Process {
 public:
  // `change` is done in the child, before the program.
  Process(const std::vector<std::string>& arguments, const std::function<void()>& change) {
    std::vector<std::string> words = arguments;
    words.insert(words.begin(), program);
    pid_ = fork();
    if (pid_ != 0) return;
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    change();
    execv(argv[0], argv.data());
    _exit(126);
  }
  ~Process() {
    if (!has_ended_) kill(pid_, SIGKILL), wait();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // Its exit code, or 128 and the signal.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    has_ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  bool lives() const {
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    return info.si_pid == 0;
  }

 private:
  pid_t pid_ = -1;
  bool has_ended_ = false;
};

void rest(long ms) {
  timespec time{ms / 1000, ms % 1000 * 1'000'000};
  nanosleep(&time, nullptr);
}

void to_file(int fd, const std::string& file) {
  int opened = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(opened, fd);
}

std::string opened_as(pid_t pid, int fd) {
  std::error_code error;
  fs::path target = fs::read_symlink("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd), error);
  return error ? "" : target.string();
}

size_t lines_in(const std::string& text) {
  size_t lines = 0;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines += line.find("huge pages are not free") == std::string::npos;  // said where there are none
  return lines;
}

// Else the first eventfd of DPDK's would be standard output, and each progress line would wake somebody.
TEST(Process, ClosedDescriptorsAreNobodysElse) {
  std::string json = file_name(".closed.json");
  Process process({"pair", "--duration", "2", "--connections", "4", "--json", json}, [] {
    for (int fd : {0, 1, 2}) close(fd);
  });
  // The program prepares itself before it opens anything; before that, the child has this test's descriptors or none.
  bool has_opened = false;
  for (int looks = 0; looks < 20'000 && process.lives(); ++looks, rest(5)) {
    if (opened_as(process.pid(), 3).empty() || opened_as(process.pid(), 8).empty()) continue;
    std::string all[] = {opened_as(process.pid(), 0), opened_as(process.pid(), 1), opened_as(process.pid(), 2)};
    if (all[0].empty() && all[1].empty() && all[2].empty()) continue;  // it is ending
    has_opened = true;
    // What drivers say at the start and the end is taken from descriptor 2 (nic/overheard.h).
    for (const std::string& one : all)
      EXPECT_TRUE(one == "/dev/null" || one.empty() || (&one == &all[2] && one.find("millrace-heard") != std::string::npos)) << one;
  }
  EXPECT_TRUE(has_opened);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_FALSE(Json::parse(content_of(json), nullptr, false).is_discarded());
  unlink(json.c_str());
}

TEST(Process, LostStandardOutputIsAnError) {
  for (const char* arguments : {"pair --duration 0.2 --connections 4", "doctor pair", "pair --help", "--help",
                                "pair --print-config"}) {
    Outcome outcome = run(std::string(arguments) + " 2>&1 >/dev/full", "");
    EXPECT_EQ(outcome.exit_code, 1) << arguments << ": " << outcome.output;
    EXPECT_NE(outcome.output.find(": standard output is lost"), std::string::npos) << arguments << ": " << outcome.output;
    EXPECT_EQ(lines_in(outcome.output), 1u) << arguments << ": " << outcome.output;
  }
}

TEST(Process, AFileThatMayNotGrowIsAnErrorAndNoSignal) {
  std::string json = file_name(".limited.json"), said = file_name(".limited");
  Process process({"pair", "--duration", "0.2", "--connections", "4", "--json", json}, [&] {
    to_file(2, said);
    close(1);  // to_file's own limit is what follows
    open("/dev/null", O_WRONLY);
    rlimit limit{1024, 1024};
    setrlimit(RLIMIT_FSIZE, &limit);
  });
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(content_of(said).find(json + " could not be written"), std::string::npos) << content_of(said);
  unlink(json.c_str());
  unlink(said.c_str());
}

TEST(Process, TooFewDescriptorsAreOneSentence) {
  std::string said = file_name(".descriptors");
  for (rlim_t most : {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 24, 32, 48, 56, 57, 58, 59, 60, 61, 62, 64, 80}) {
    Process process({"pair", "--duration", "0.1", "--connections", "4"}, [&] {
      to_file(2, said);
      to_file(1, "/dev/null");
      for (int fd = 3; fd < 1024; ++fd) close(fd);
      rlimit limit{most, most};
      setrlimit(RLIMIT_NOFILE, &limit);
    });
    int code = process.wait();
    std::string output = content_of(said);
    if (code == 0) continue;
    EXPECT_EQ(code, 2) << most << ": " << output;
    EXPECT_EQ(lines_in(output), 1u) << most << ": " << output;
    EXPECT_NE(output.find("only " + std::to_string(most) + " files may be open"), std::string::npos) << most << ": " << output;
    EXPECT_NE(output.find("ulimit -n "), std::string::npos) << output;
  }
  unlink(said.c_str());
}

// A low limit that may be raised is raised.
TEST(Process, ALowLimitIsRaised) {
  Process process({"pair", "--duration", "0.1", "--connections", "4"}, [] {
    to_file(1, "/dev/null");
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 10;
    setrlimit(RLIMIT_NOFILE, &limit);
  });
  EXPECT_EQ(process.wait(), 0);
}

TEST(Process, AFilePrefixThatIsTakenQuotesTheLock) {
  std::string prefix = "millrace-taken-" + std::to_string(getpid()), said = file_name(".first");
  std::vector<std::string> words = {"--file-prefix=" + prefix, "--no-huge", "-m", "256", "--no-pci", "--", "pair", "--duration",
                                    "60", "--connections", "4"};
  Process first(words, [&] { to_file(1, said), to_file(2, said); });
  for (int looks = 0; looks < 4000 && first.lives() && content_of(said).find("ports") == std::string::npos; ++looks) rest(5);
  ASSERT_TRUE(first.lives()) << content_of(said);
  Outcome second = run("--file-prefix=" + prefix + " --no-huge -m 256 --no-pci -- pair --duration 0.1 --connections 4 2>&1", "");
  EXPECT_EQ(second.exit_code, 2) << second.output;
  EXPECT_NE(second.output.find("(it says: Cannot create lock on "), std::string::npos) << second.output;
  EXPECT_EQ(lines_in(second.output), 1u) << second.output;
  kill(first.pid(), SIGINT);
  EXPECT_EQ(first.wait(), 0) << content_of(said);
  unlink(said.c_str());
}

// What happened while it was stopped is one row over all that time; rows of a moment would have rates that never were.
TEST(Process, AfterAStopThereIsNoBurstOfRows) {
  std::string json = file_name(".stopped.json"), said = file_name(".stopped");
  Process process({"pair", "--duration", "6", "--connections", "4", "--json", json}, [&] { to_file(1, said), to_file(2, said); });
  for (int looks = 0; looks < 4000 && process.lives() && content_of(said).find("requests/s") == std::string::npos; ++looks)
    rest(5);
  kill(process.pid(), SIGSTOP);
  rest(3300);
  kill(process.pid(), SIGCONT);
  EXPECT_EQ(process.wait(), 0) << content_of(said);
  Json result = Json::parse(content_of(json), nullptr, false);
  ASSERT_FALSE(result.is_discarded());
  const Json& series = result["series"];
  ASSERT_GE(series.size(), 2u) << content_of(said);
  double last = 0, longest = 0;
  for (const Json& row : series) {
    double t = row["t"];
    EXPECT_GT(t - last, 0.45) << content_of(said);
    longest = std::max(longest, t - last);
    last = t;
  }
  EXPECT_GT(longest, 3.0) << "it was not stopped: " << content_of(said);
  unlink(json.c_str());
  unlink(said.c_str());
}

}  // namespace
