// SPDX-License-Identifier: BSD-3-Clause
// Configuration files: what is read, and each way in which one can be wrong: file, line, key, what was
// expected.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "millrace/settings.h"

namespace millrace {
namespace {

struct Program {
  Config config;
  std::string name;
  uint32_t count = 3;
  Settings settings{"program", "for tests"};

  Program() {
    settings.add(config);
    settings.add_application(config);
    settings.section("load", "of the program alone");
    settings.text("name", "--name", name, "a text");
    settings.number("count", "--count", count, 1, 10, "a number");
  }
};

class File {
 public:
  explicit File(const std::string& content)
      : path_(testing::TempDir() + "millrace_config_" + std::to_string(getpid())) {
    std::ofstream(path_) << content;
  }
  ~File() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string refusal(const std::string& content) {
  File file(content);
  Program program;
  try {
    program.settings.read_file(file.path());
  } catch (const ConfigError& error) {
    std::string what = error.what();
    EXPECT_EQ(what.rfind(file.path() + ":", 0), 0u) << what;
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    return what.substr(file.path().size() + 1);
  }
  return "";
}

TEST(ConfigFile, every_kind_of_value) {
  File file(R"(
[[port]]
device = "net_ring0"
address = "192.0.2.7/28"
addresses = 2
gateway = "192.0.2.1"
mac = "02:00:00:00:00:07"
neighbors = ["192.0.2.1=02:00:00:00:00:01", "192.0.2.2=02:00:00:00:00:02"]
mtu = 1280
checksums = "software"

[core]
lcore = 1
[tcp]
time_wait = "1.5s"
[eal]
options = ["--no-huge"]
[application]
mode = "thread"
[load]
name = "a \"name\""
)");
  Program program;
  program.settings.read_file(file.path());
  const Config& config = program.config;
  EXPECT_EQ(config.device, "net_ring0");
  EXPECT_EQ(config.address, ipv4(192, 0, 2, 7));
  EXPECT_EQ(config.prefix_length, 28);
  EXPECT_EQ(config.address_count, 2u);
  EXPECT_EQ(config.gateway, ipv4(192, 0, 2, 1));
  EXPECT_EQ(to_string(config.mac), "02:00:00:00:00:07");
  ASSERT_EQ(config.neighbors.size(), 2u);
  EXPECT_EQ(config.neighbors[1].address, ipv4(192, 0, 2, 2));
  EXPECT_EQ(to_string(config.neighbors[1].mac), "02:00:00:00:00:02");
  EXPECT_EQ(config.mtu, 1280);
  EXPECT_FALSE(config.hardware_checksums);
  EXPECT_EQ(config.lcore, 1u);
  EXPECT_EQ(config.eal, std::vector<std::string>{"--no-huge"});
  EXPECT_EQ(config.mode, Mode::thread);
  EXPECT_EQ(program.name, "a \"name\"");
  EXPECT_TRUE(program.settings.is_set("port.mtu"));
  EXPECT_FALSE(program.settings.is_set("core.seed"));

  // What is printed is a file that says the same.
  File printed(program.settings.print());
  Program second;
  second.settings.read_file(printed.path());
  EXPECT_EQ(second.settings.print(), program.settings.print());
}

TEST(ConfigFile, tables_of_other_programs_are_passed_over) {
  File file("[server]\nprotocol = 7\n[load]\ncount = 4\n");
  Program program;
  program.settings.read_file(file.path());
  EXPECT_EQ(program.count, 4u);
}

struct Wrong {
  const char* content;
  const char* line_and_key;
  const char* expected;
};

class WrongFile : public testing::TestWithParam<Wrong> {};

TEST_P(WrongFile, is_told_with_line_key_and_what_was_expected) {
  std::string said = refusal(GetParam().content);
  EXPECT_EQ(said.rfind(GetParam().line_and_key, 0), 0u) << said;
  EXPECT_NE(said.find(GetParam().expected), std::string::npos) << said;
}

INSTANTIATE_TEST_SUITE_P(
    files, WrongFile,
    testing::Values(
        Wrong{"[prot]\n", "1: unknown table prot", "perhaps port"},
        Wrong{"\n[nonsense]\n", "2: unknown table nonsense", "expected one of: port, core"},
        Wrong{"time_wait = \"60s\"\n", "1: unknown table time_wait", "expected one of"},
        Wrong{"[tcp]\n\ntime_wiat = \"60s\"\n", "3: unknown key tcp.time_wiat", "tcp.time_wait"},
        Wrong{"[core]\nfibers = 4\n", "2: unknown key core.fibers", "one of: cores, lcore, queues, steering, idle, seed"},
        Wrong{"[tcp]\ntime_wait = 60\n", "2: tcp.time_wait: 60 is not", "a time from"},
        Wrong{"[tcp]\ntime_wait = \"soon\"\n", "2: tcp.time_wait: 'soon' is not", "a time from"},
        Wrong{"[tcp]\ntime_wait = \"1ns\"\n", "2: tcp.time_wait:", "\"1ms\""},
        Wrong{"[tcp]\ndelayed_ack = \"500ms\"\n", "2: tcp.delayed_ack:", "\"499ms\""},
        Wrong{"[[port]]\nmtu = 9001\n", "2: port.mtu: 9001 is not", "from 576 to 9000"},
        Wrong{"[[port]]\nmtu = \"1500\"\n", "2: port.mtu: '1500' is not", "a number"},
        Wrong{"[[port]]\naddress = \"10.9.0.2\"\n", "2: port.address: '10.9.0.2' is not", "A.B.C.D/LEN"},
        Wrong{"[[port]]\ngateway = \"10.9.0.256\"\n", "2: port.gateway:", "an IPv4 address"},
        Wrong{"[[port]]\nmac = \"01:00:5e:00:00:01\"\n", "2: port.mac:", "of one host"},
        Wrong{"[[port]]\nneighbors = \"10.9.0.1\"\n", "2: port.neighbors:", "array"},
        Wrong{"[[port]]\nneighbors = [\"10.9.0.1\"]\n", "2: port.neighbors:", "A.B.C.D=MAC"},
        Wrong{"[[port]]\nchecksums = true\n", "2: port.checksums: true is not",
              "\"hardware\" or \"software\""},
        Wrong{"[port]\nmtu = 1500\n", "1: port:", "[[port]]"},
        Wrong{"[[port]]\n[[port]]\n", "2: port:", "one port"},
        Wrong{"[core]\nlcore = -1\n", "2: core.lcore: -1 is not", "a number from 0"},
        Wrong{"[core]\nlcore = 1.5\n", "2: core.lcore: 1.5 is not", "a number from 0"},
        Wrong{"[core]\nlcore = true\n", "2: core.lcore:", "a number from 0"},
        Wrong{"[eal]\noptions = [7]\n", "2: eal.options: 7 is not", "EAL option"},
        Wrong{"[application]\nmode = \"async\"\n", "2: application.mode:", "\"inline\" or \"thread\""},
        Wrong{"core = 7\n", "1: core:", "[core]"},
        Wrong{"[core]\nlcore = 1\nlcore = 2\n", "3: no TOML:", "lcore"}, Wrong{"[core\n", "1: no TOML:", ""},
        Wrong{"[core]\nlcore =\n", "2: no TOML:", ""}));

TEST(ConfigFile, one_that_is_not_there) {
  Program program;
  EXPECT_THROW(program.settings.read_file("/no/such/file.toml"), ConfigError);
}

// --- together with flags ---

void parse(Program& program, std::vector<std::string> words) {
  words.insert(words.begin(), "program");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  program.settings.parse(static_cast<int>(words.size()), argv.data());
}

TEST(ConfigFile, flags_override_it_wherever_they_stand) {
  File file(
      "[[port]]\nmtu = 1280\nneighbors = [\"10.9.0.1=02:00:00:00:00:01\"]\n[core]\nlcore = 0\nseed = 4\n");
  Program program;
  parse(program, {"--seed", "7", "--config", file.path(), "--neighbor", "10.9.0.9=02:00:00:00:00:09", "--set",
                  "port.mtu=1400", "--neighbor", "10.9.0.8=02:00:00:00:00:08"});
  EXPECT_EQ(program.config.seed, 7u);
  EXPECT_EQ(program.config.mtu, 1400);
  ASSERT_EQ(program.config.neighbors.size(), 2u);
  EXPECT_EQ(program.config.neighbors[0].address, ipv4(10, 9, 0, 9));
}

TEST(ConfigFileDeath, what_cannot_be_together_is_told_with_the_place_where_it_was_set) {
  auto exit_2 = testing::ExitedWithCode(2);
  File file("[[port]]\naddress = \"10.9.0.2/24\"\n\ngateway = \"10.8.0.1\"\n");
  Program first, second, third;
  EXPECT_EXIT(parse(first, {"--config", file.path()}), exit_2,
              "^program: " + file.path() + ":4: port.gateway: the gateway 10.8.0.1 is not in 10.9.0.2/24\n$");
  EXPECT_EXIT(parse(second, {"--gateway", "10.8.0.1"}), exit_2,
              "^program: --gateway: the gateway 10.8.0.1 is not in 10.9.0.2/24\n$");
  EXPECT_EXIT(parse(third, {"--set", "pools.ring_size=1000"}), exit_2,
              "^program: --set pools.ring_size: ring_size is a power of two[^\n]*\n$");
}

TEST(ConfigFileDeath, wrong_use_of_set_and_config) {
  auto exit_2 = testing::ExitedWithCode(2);
  Program one, two, three, four;
  EXPECT_EXIT(parse(one, {"--set", "core.lcore"}), exit_2, "SECTION.KEY=VALUE");
  EXPECT_EXIT(parse(two, {"--set", "core.lcroe=1"}), exit_2, "perhaps core.lcore");
  EXPECT_EXIT(parse(three, {"--config", "/no/such/file.toml"}), exit_2,
              "^program: /no/such/file.toml: [^\n]*\n$");
  EXPECT_EXIT(parse(four, {"--config"}), exit_2, "--config");
}

TEST(ConfigFile, times_and_quantities) {
  Duration d;
  for (auto [text, ns] : {std::pair{"60s", 60e9},
                          {"200ms", 2e8},
                          {"1.5m", 90e9},
                          {"7us", 7e3},
                          {"3ns", 3.0},
                          {"5", 5e9},
                          {"2h", 7200e9},
                          {"5 s", 5e9},
                          {"2 min", 120e9},
                          {"0s", 0.0}}) {
    EXPECT_TRUE(parse_time(text, d)) << text;
    EXPECT_EQ(static_cast<double>(d.ns), ns) << text;
    Duration again;
    EXPECT_TRUE(parse_time(to_text(d), again));
    EXPECT_EQ(again, d);
  }
  for (const char* text : {"", "s", "5x", "-1s", "1.2.3s", ".5s", "1e9s", "5  s", "99999999999999999h"})
    EXPECT_FALSE(parse_time(text, d)) << text;
  EXPECT_EQ(to_text(seconds(60)), "60s");
  EXPECT_EQ(to_text(seconds(7200)), "2h");
  double q = 0;
  for (auto [text, value] : {std::pair{"250", 250.0}, {"10k", 1e4}, {"1.5M", 1.5e6}, {"2G", 2e9}, {"2Ki", 2048.0}, {"1.5Mi", 1572864.0},
                             {"1Gi", 1073741824.0}}) {
    EXPECT_TRUE(parse_quantity(text, q)) << text;
    EXPECT_EQ(q, value) << text;
  }
  for (const char* text : {"", "k", "1kk", "-5", "1T", "10K", "1ki", "1Kib"}) EXPECT_FALSE(parse_quantity(text, q)) << text;
}

}  // namespace
}  // namespace millrace
