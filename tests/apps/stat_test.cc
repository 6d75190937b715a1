// SPDX-License-Identifier: BSD-3-Clause
// millrace-stat against running programs: what it shows of connections that are known, how it ends, what is wrong use.
//
//   stat_test LOAD STAT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "program.h"

namespace {

std::string load, stat_program;

// EAL's sockets lie in a directory of the test's own, so that it sees its own programs only.
std::string runtime_directory() { return testing::TempDir() + "millrace_stat_" + std::to_string(getpid()); }

Outcome stat(const std::string& arguments, const std::string& redirection = "2>&1") {
  program = stat_program;
  return run(arguments, redirection);
}

Json json_of(const std::string& arguments) {
  Outcome outcome = stat(arguments + " --json", "2>&1");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  Json json = Json::parse(outcome.output, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << outcome.output.substr(0, 1000);
  return json;
}

// A program of Millrace's, that can be asked.
class Running {
 public:
  explicit Running(const std::string& arguments) {
    std::vector<std::string> words = {load};
    std::istringstream in(arguments);
    for (std::string word; in >> word;) words.push_back(word);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      int nowhere = open("/dev/null", O_RDWR);
      for (int fd : {0, 1, 2}) dup2(nowhere, fd);
      execv(argv[0], argv.data());
      _exit(127);
    }
    // Both its ends have begun.
    wait_until([this] { return count_of("ports", "ports") == 2; });
  }
  ~Running() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  void signal(int number) const { kill(pid_, number); }
  void wait_for_end() {
    int status = 0;
    waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  std::string prefix() const { return "millrace" + std::to_string(pid_); }
  int pid() const { return pid_; }

  // Each look is a whole run of millrace-stat.
  template <typename Condition>
  static void wait_until(Condition condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) ASSERT_LT(std::chrono::steady_clock::now(), end);
  }
  void wait_for_connections(size_t count) const {
    wait_until([&] { return count_of("conns -s established", "connections") == count; });
  }

 private:
  // While it begins it may not answer yet.
  size_t count_of(const std::string& command, const char* what) const {
    Outcome outcome = stat(command + " --json -f " + prefix(), "2>/dev/null");
    Json json = Json::parse(outcome.output, nullptr, false);
    return outcome.exit_code == 0 && json.is_object() ? json[what].size() : 0;
  }

  pid_t pid_ = -1;
};

std::string hold(int connections) {
  return "pair --workload hold --every 1h --duration 10m --connections " + std::to_string(connections);
}

size_t count_lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(Stat, connections_are_those_that_there_are) {
  Running program(hold(300));
  program.wait_for_connections(600);
  Json json = json_of("conns -a");
  EXPECT_EQ(json["pid"], program.pid());
  EXPECT_EQ(json["program"], "millrace-load");
  std::map<std::string, Json> ends;
  size_t listeners = 0, accepted = 0;
  for (const Json& row : json["connections"]) {
    if (row["state"] == "LISTEN") {
      EXPECT_EQ(row["endpoint"], 1);
      accepted += row["accepted"].get<size_t>();
      ++listeners;
      continue;
    }
    EXPECT_EQ(row["state"], "ESTABLISHED");
    std::string ways = row["local"].get<std::string>() + " " + row["remote"].get<std::string>();
    EXPECT_TRUE(ends.emplace(ways, row).second) << ways;
  }
  EXPECT_EQ(listeners, 4u);
  EXPECT_EQ(accepted, 300u);
  EXPECT_EQ(ends.size(), 600u);
  // Two ends of one connection agree.
  for (const auto& [ways, row] : ends) {
    const Json& other = ends[ways.substr(ways.find(' ') + 1) + " " + ways.substr(0, ways.find(' '))];
    ASSERT_TRUE(other.is_object()) << ways;
    EXPECT_NE(row["endpoint"], other["endpoint"]);
    EXPECT_EQ(row["active"] == 1, row["endpoint"] == 0);
    EXPECT_EQ(row["bytes_sent"], other["bytes_received"]);
    EXPECT_EQ(row["text_segments_sent"], other["text_segments_received"]);
    EXPECT_EQ(row["send_mss"], 1448);
    EXPECT_EQ(row["options"], "ts sack wscale");
    EXPECT_EQ(row["congestion"], "cubic");
    EXPECT_GT(row["cwnd"], 10 * 1000);
    EXPECT_EQ(row["recv_q"], 0);
    EXPECT_EQ(row["retransmitted"], 0);
  }
}

TEST(Stat, filters_choose) {
  Running program(hold(16));
  program.wait_for_connections(32);
  auto count = [](const std::string& arguments) { return json_of("conns " + arguments)["connections"].size(); };
  EXPECT_EQ(count(""), 32u);
  EXPECT_EQ(count("-a"), 36u);
  EXPECT_EQ(count("-l"), 4u);
  EXPECT_EQ(count("-s LISTENING"), 4u);
  EXPECT_EQ(count("--state Established -e 0"), 16u);
  EXPECT_EQ(count("-s time-wait"), 0u);
  EXPECT_EQ(count("-s listen -s established"), 36u);
  size_t of_one = count("-p 8000 -e 1");
  EXPECT_GE(of_one, 1u);
  EXPECT_EQ(count("-p 8000"), 2 * of_one);
  EXPECT_EQ(count("--local-port 8000"), of_one);
  EXPECT_EQ(count("--remote-port 8000"), of_one);
  EXPECT_EQ(count("--remote-port 8000 -e 1"), 0u);
  EXPECT_EQ(count("-l -p 8001"), 1u);
  EXPECT_EQ(count("--address 10.9.0.1"), 32u);
  EXPECT_EQ(count("--address 10.9.1.3"), 2u);
  EXPECT_EQ(count("--address 10.9.9.9"), 0u);
  // The lines are the rows, below one head.
  Outcome lines = stat("conns -p 8000 -e 1");
  EXPECT_EQ(count_lines(lines.output), 1 + of_one) << lines.output;
  EXPECT_EQ(lines.output.rfind("State ", 0), 0u);
  Outcome two = stat("conns -i -p 8000 -e 1");
  EXPECT_EQ(count_lines(two.output), 1 + 2 * of_one) << two.output;
  for (const char* word : {" cubic ", " rto:", " cwnd:", " mss:1448", " wscale:"})
    EXPECT_NE(two.output.find(word), std::string::npos) << word << two.output;
}

// Three thousand records are dozens of pages.
TEST(Stat, pages_have_each_connection_once) {
  Running program(hold(3000));
  program.wait_for_connections(6000);
  std::set<std::string> met;
  Json json = json_of("conns");
  for (const Json& row : json["connections"])
    EXPECT_TRUE(met.insert(row["local"].get<std::string>() + row["remote"].get<std::string>()).second);
  EXPECT_EQ(met.size(), 6000u);
  EXPECT_EQ(count_lines(stat("conns").output), 6001u);
}

// While records are added, what was there before is met, and nothing twice.
TEST(Stat, time_wait_while_it_grows) {
  Running program("pair --workload cps --rate 500 --duration 10m --close-first client");
  auto records = [&] {
    return json_of("stats -e 0")["endpoints"][0]["time_wait_now"].get<size_t>();
  };
  Running::wait_until([&] { return records() > 1500; });
  size_t before = records();
  Json json = json_of("conns -s time-wait");
  size_t after = records();
  std::set<std::string> met;
  for (const Json& row : json["connections"]) {
    EXPECT_EQ(row["state"], "TIME-WAIT");
    EXPECT_EQ(row["endpoint"], 0);
    EXPECT_EQ(row["timer"], "time_wait");
    EXPECT_GT(row["timer_us"], 0);
    EXPECT_LE(row["timer_us"], 60'000'000);
    EXPECT_TRUE(met.insert(row["local"].get<std::string>() + row["remote"].get<std::string>()).second);
  }
  EXPECT_GE(met.size(), before);
  EXPECT_LE(met.size(), after);
}

TEST(Stat, counters_of_both_ends_agree) {
  Running program(hold(64));
  program.wait_for_connections(128);
  Json ends = json_of("stats")["endpoints"];
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0]["active_opens"], 64);
  EXPECT_EQ(ends[1]["passive_opens"], 64);
  EXPECT_EQ(ends[1]["connections_now"], 64);
  for (const char* name : {"drop_tcp_checksum", "drop_out_of_window", "retransmitted", "syn_cookies_sent", "turns",
                           "useful_cycles", "total_cycles", "half_open_now", "asleep_cycles", "useful_turns", "sleeps", "wakeups"})
    EXPECT_TRUE(ends[0].contains(name)) << name;
  EXPECT_GT(ends[0]["segments_sent"], 0);
  EXPECT_EQ(ends[0]["segments_sent"], ends[1]["segments_received"]);
  EXPECT_EQ(ends[1]["segments_sent"], ends[0]["segments_received"]);
  Json ports = json_of("ports")["ports"];
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0]["driver"], "net_ring");
  EXPECT_EQ(ports[0]["tx_packets"], ports[1]["rx_packets"]);
  EXPECT_GE(ports[0]["tx_packets"].get<uint64_t>(), ends[0]["segments_sent"].get<uint64_t>());
  Json neighbors = json_of("neigh -e 0")["neighbors"];
  ASSERT_EQ(neighbors.size(), 1u);
  EXPECT_EQ(neighbors[0]["address"], "10.9.0.1");
  EXPECT_EQ(neighbors[0]["state"], "REACHABLE");
  EXPECT_EQ(neighbors[0]["users"], 64);
  EXPECT_EQ(neighbors[0]["mac"], ports[1]["mac"]);
  // For people: what is 0 is left out, unless asked for.
  std::string brief = stat("stats").output, whole = stat("stats -z").output;
  EXPECT_NE(brief.find("64  active_opens                 TcpActiveOpens"), std::string::npos) << brief;
  EXPECT_EQ(brief.find("drop_runt"), std::string::npos);
  EXPECT_NE(whole.find("0  drop_runt"), std::string::npos) << whole;
}

TEST(Stat, top_shows_rates) {
  Running program("pair --workload rps --connections 4 --rate 2000 --duration 10m");
  std::istringstream lines(stat("top -n 2 -d 0.3 --json").output);
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    Json row = Json::parse(line, nullptr, false);
    ASSERT_TRUE(row.is_object()) << line;
    EXPECT_GE(row["seconds"], 0.2);
    // As far as its one core had time for it.
    EXPECT_GT(row["segments_received_per_second"], 100);
    EXPECT_LT(row["segments_received_per_second"], 20'000);
    EXPECT_EQ(row["connections_now"], 4);
    EXPECT_GT(row["useful_percent"], 0);
    EXPECT_LE(row["useful_percent"], 100);
  }
  EXPECT_EQ(count, 4u);
  std::string piped = stat("top -n 2 -d 0.1 -e 1").output;
  EXPECT_EQ(count_lines(piped), 3u) << piped;
  EXPECT_EQ(piped.find('\033'), std::string::npos);
}

// On a terminal of so many columns; the key is pressed once there is a screen. Gives what was on it, and the exit code.
Outcome on_terminal(unsigned short columns, char key) {
  int terminal = -1;
  winsize size{24, columns, 0, 0};
  pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  if (pid == 0) {
    execl(stat_program.c_str(), stat_program.c_str(), "top", "-d", "0.1", nullptr);
    _exit(127);
  }
  Outcome outcome{-1, {}};
  char buffer[4096];
  bool pressed = false;
  for (int looks = 0; looks < 600; ++looks) {
    pollfd readable{terminal, POLLIN, 0};
    if (poll(&readable, 1, 100) == 0) continue;
    ssize_t got = read(terminal, buffer, sizeof buffer);
    if (got <= 0) break;  // it has ended
    outcome.output.append(buffer, static_cast<size_t>(got));
    if (pressed || outcome.output.find("_ring_") == std::string::npos) continue;
    pressed = true;
    EXPECT_EQ(write(terminal, &key, 1), 1);
  }
  termios modes{};
  EXPECT_EQ(tcgetattr(terminal, &modes), 0);
  EXPECT_TRUE((modes.c_lflag & ICANON) != 0 && (modes.c_lflag & ECHO) != 0);  // as it was
  int status = 0;
  for (int looks = 0; looks < 200 && waitpid(pid, &status, WNOHANG) == 0; ++looks) usleep(50'000);
  if (kill(pid, 0) == 0) kill(pid, SIGKILL), waitpid(pid, &status, 0);
  close(terminal);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string without_escapes(const std::string& text) {
  return std::regex_replace(text, std::regex("\033\\[[0-9;]*[A-Za-z]|\r"), "");
}

TEST(Stat, top_fits_into_a_terminal_and_q_ends_it) {
  Running program(hold(4));
  std::string ports = json_of("ports")["ports"][0]["port"];
  for (unsigned short columns : {80, 100, 200}) {
    Outcome outcome = on_terminal(columns, 'q');
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    std::istringstream lines(without_escapes(outcome.output));
    size_t heads = 0;
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), columns) << line;
      if (line.find("CORE") == std::string::npos) continue;
      ++heads;
      for (const char* head : {"CORE", "PORT", "USEFUL%", "RX seg", "TX seg", "RX bit", "TX bit", "RETR", "DROP", "CONNS"})
        EXPECT_NE(line.find(head), std::string::npos) << columns << ": " << line;
      EXPECT_EQ(line.find("T-WAIT") != std::string::npos, columns == 200) << line;
    }
    EXPECT_GE(heads, 1u);
    // What tells two ports apart is at the end of the name.
    EXPECT_NE(outcome.output.find(ports.substr(ports.size() - 4)), std::string::npos) << outcome.output;
  }
  EXPECT_EQ(on_terminal(80, '\003').exit_code, 128 + SIGINT);  // Ctrl-C leaves the terminal as it was, too
}

TEST(Stat, has_a_version_and_names_the_nearest_word) {
  EXPECT_EQ(stat("--version").output.rfind("millrace-stat ", 0), 0u);
  EXPECT_NE(stat("con").output.find("unknown command con, expected perhaps conns"), std::string::npos) << stat("con").output;
  EXPECT_NE(stat("conns --remote-prot 5").output.find("unknown flag --remote-prot, expected perhaps --remote-port"),
            std::string::npos);
}

// --- which program ---

TEST(Stat, none_or_several_are_told) {
  for (const char* command : {"conns", "stats", "ports", "neigh", "top", "list"}) {
    Outcome none = stat(command);
    EXPECT_EQ(none.exit_code, 2);
    EXPECT_EQ(none.output, "millrace-stat: no Millrace program runs here\n");
  }
  Running one(hold(1)), two(hold(1));
  Outcome several = stat("conns");
  EXPECT_EQ(several.exit_code, 2);
  EXPECT_EQ(several.output.rfind("millrace-stat: 2 programs run here, choose one:\n", 0), 0u) << several.output;
  for (const Running* each : {&one, &two}) {
    EXPECT_NE(several.output.find("--file-prefix " + each->prefix() + "  millrace-load"), std::string::npos);
    EXPECT_EQ(json_of("stats -f " + each->prefix())["pid"], each->pid());
  }
  EXPECT_EQ(json_of("list")["programs"].size(), 2u);
  Outcome other = stat("conns -f millrace");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_EQ(other.output.rfind("millrace-stat: no Millrace program has the file prefix millrace; there are:\n", 0), 0u);
}

// What a killed program leaves behind is nobody to ask.
TEST(Stat, a_socket_without_a_program_is_passed_over) {
  std::string path;
  {
    Running killed(hold(1));
    path = runtime_directory() + "/dpdk/" + killed.prefix();
  }
  EXPECT_TRUE(std::filesystem::exists(path + "/dpdk_telemetry.v2"));
  EXPECT_EQ(stat("list").exit_code, 2);
  Running program(hold(1));
  EXPECT_EQ(json_of("list")["programs"].size(), 1u);
  std::filesystem::remove_all(path);
}

TEST(Stat, a_program_that_ends_leaves_nothing_behind) {
  std::string path;
  {
    Running program(hold(1));
    path = runtime_directory() + "/dpdk/" + program.prefix();
    program.signal(SIGINT);
    program.wait_for_end();
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Stat, a_program_that_ends_meanwhile) {
  Running program(hold(50));
  program.wait_for_connections(100);
  std::string command = "'" + stat_program + "' top -d 0.05 2>&1; echo $?";
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char buffer[4096];
  std::string output;
  for (int lines = 0; lines < 3 && fgets(buffer, sizeof buffer, pipe) != nullptr; ++lines) output += buffer;
  program.signal(SIGINT);
  while (fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  pclose(pipe);
  EXPECT_TRUE(output.ends_with("\n1\n")) << output;
  size_t last = output.rfind("millrace-stat: millrace-load");
  ASSERT_NE(last, std::string::npos) << output;
  EXPECT_EQ(count_lines(output.substr(last)), 2u) << output;
  program.wait_for_end();
}

// All its threads stand still: it is nobody to ask, which shows after five seconds.
TEST(Stat, a_program_that_is_stopped) {
  Running program(hold(1));
  program.signal(SIGSTOP);
  Outcome outcome = stat("list");
  EXPECT_EQ(outcome.exit_code, 2);
  program.signal(SIGCONT);
  EXPECT_EQ(json_of("list")["programs"].size(), 1u);
}

// --- wrong use ---

class WrongUse : public testing::TestWithParam<const char*> {};

TEST_P(WrongUse, is_one_line_and_exit_code_2) {
  Outcome outcome = stat(GetParam(), "2>&1 >/dev/null");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(count_lines(outcome.output), 1u) << outcome.output;
  EXPECT_EQ(outcome.output.rfind("millrace-stat: ", 0), 0u) << outcome.output;
  EXPECT_EQ(outcome.output.find("no Millrace program"), std::string::npos) << outcome.output;
}

INSTANTIATE_TEST_SUITE_P(arguments, WrongUse,
                         testing::Values("", "nonsense", "conns --nonsense", "conns nonsense", "conns -s", "conns -s waiting",
                                         "conns -p 0", "conns -p 65536", "conns -p http", "conns --address 10.9.0",
                                         "conns --address 10.9.0.256", "conns --address 10.9.0.1x", "conns -e -1",
                                         "top -n 0", "top -d 0", "top -d fast", "stats stats", "conns stats",
                                         "conns -f"));

TEST(Stat, help_is_no_error) {
  for (const char* arguments : {"--help", "conns --help", "top --help"}) {
    Outcome outcome = stat(arguments, "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_NE(outcome.output.find("--json"), arguments == std::string("--help") ? 0 : std::string::npos);
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s LOAD STAT\n", argv[0]);
    return 2;
  }
  load = argv[1];
  stat_program = argv[2];
  std::filesystem::create_directory(runtime_directory());
  setenv("RUNTIME_DIRECTORY", runtime_directory().c_str(), 1);
  int result = RUN_ALL_TESTS();
  std::filesystem::remove_all(runtime_directory());
  return result;
}
