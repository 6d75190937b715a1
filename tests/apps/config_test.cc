// SPDX-License-Identifier: BSD-3-Clause
// config/README.md against the programs: each key is described, with its default, and no other is. And the
// files that stand beside it are good.
//
//   config_test ECHO LOAD DIRECTORY
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>

namespace {

std::string echo, load, directory;

std::string run(const std::string& command, int expected = 0) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::string out;
  if (pipe == nullptr) return out;
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  int status = pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == expected) << command << ":\n" << out;
  return out;
}

using Keys = std::map<std::string, std::string>;  // "table.key" -> default

Keys keys_of(const std::string& printed) {
  Keys keys;
  std::istringstream in(printed);
  std::string line, table;
  while (std::getline(in, line)) {
    std::smatch match;
    if (std::regex_match(line, match, std::regex(R"(\[+(\w+)\]+.*)")))
      table = match[1];
    else if (std::regex_match(line, match, std::regex(R"((\w+) = (.*))")))
      keys[table + "." + match[1].str()] = match[2];
  }
  return keys;
}

Keys documented() {
  Keys keys;
  std::ifstream in(directory + "/README.md");
  std::string line, table;
  while (std::getline(in, line)) {
    std::smatch match;
    if (std::regex_match(line, match, std::regex(R"(### \[+(\w+)\]+.*)")))
      table = match[1];
    else if (std::regex_match(line, match, std::regex(R"(\| `(\w+)` \| `([^`]*)` \| .* \| .+ \|)")))
      keys[table + "." + match[1].str()] = match[2];
  }
  return keys;
}

TEST(ConfigReadme, describes_each_key_with_its_default_and_no_other) {
  Keys code = keys_of(run(echo + " --print-config"));
  code.merge(keys_of(run(load + " pair --print-config")));
  Keys text = documented();
  EXPECT_GT(code.size(), 60u);
  for (const auto& [key, value] : code)
    EXPECT_EQ(text.contains(key) ? text[key] : "not described", value) << key;
  for (const auto& [key, value] : text)
    EXPECT_TRUE(code.contains(key)) << key << " is described and does not exist";
}

// The flags too: each that --help has stands in the table, and the other way round.
TEST(ConfigReadme, names_each_flag) {
  std::ifstream in(directory + "/README.md");
  std::stringstream text;
  text << in.rdbuf();
  std::string all = run(echo + " --help");
  for (const char* program : {" client", " server", " pair"}) all += run(load + program + " --help");
  std::regex flag(R"(  (--[a-z-]+) )");
  size_t seen = 0;
  for (std::sregex_iterator i(all.begin(), all.end(), flag), end; i != end; ++i, ++seen)
    EXPECT_NE(text.str().find("`" + (*i)[1].str() + "`"), std::string::npos) << (*i)[1];
  EXPECT_GT(seen, 40u);
  std::string readme = text.str();
  std::regex told(R"(\| `(--[a-z-]+)` \|)");
  for (std::sregex_iterator i(readme.begin(), readme.end(), told), end; i != end; ++i)
    EXPECT_NE(all.find((*i)[1].str() + " "), std::string::npos)
        << (*i)[1] << " is described and does not exist";
}

TEST(ConfigExamples, are_read_by_all_programs) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".toml") continue;
    ++files;
    std::string file = " --config '" + entry.path().string() + "' --print-config";
    run(echo + file);
    run(load + " server" + file);
    run(load + " client" + file + " --to 10.9.0.77:7");
    run(load + " pair" + file);
  }
  EXPECT_GE(files, 3u);
}

TEST(PrintConfig, is_a_file_that_says_the_same) {
  std::string file = testing::TempDir() + "millrace_print_config_" + std::to_string(getpid());
  for (const std::string& words : {load + " client --workload http --to 10.9.0.1:80 --to 10.9.0.1:8000-8003 --rate "
                                          "100k..1M/10s --header 'A: \"b\"' --set tcp.sack=false",
                                   load + " pair --workload hold --every 2s",
                                   load + " server --protocol http --port 80 --port 8000-8002",
                                   load + " client --workload http --url http://10.9.0.1:81/x?y=z --close",
                                   echo + " --mode thread --mtu 1000"}) {
    std::string printed = run(words + " --print-config");
    std::ofstream(file) << printed;
    std::string program = words.substr(0, words.find(' ', words.rfind('/')));
    if (program != echo) program = words.substr(0, words.find(" --"));
    EXPECT_EQ(run(program + " --config " + file + " --print-config"), printed);
  }
  std::filesystem::remove(file);
}

// --- files that are wrong: one line, exit code 2, and nothing begun ---

struct Wrong {
  const char* content;
  const char* said;  // after the file's name
};

class WrongConfig : public testing::TestWithParam<Wrong> {};

TEST_P(WrongConfig, is_one_line_and_exit_code_2) {
  std::string file = testing::TempDir() + "millrace_wrong_config_" + std::to_string(getpid()) + ".toml";
  std::ofstream(file) << GetParam().content;
  std::string said = run(load + " pair --config " + file, 2);
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_EQ(said.rfind("millrace-load: " + file + ":" + GetParam().said, 0), 0u) << said;
  std::filesystem::remove(file);
}

INSTANTIATE_TEST_SUITE_P(
    files, WrongConfig,
    testing::Values(
        // what a file cannot say
        Wrong{"[load\n", "1: no TOML"}, Wrong{"[laod]\n", "1: unknown table laod, expected perhaps load"},
        Wrong{"[load]\nrates = 5\n", "2: unknown key load.rates, expected perhaps load.rate"},
        Wrong{"[load]\nrate = true\n", "2: load.rate: true is not a rate"},
        Wrong{"[load]\nrate = \"fast\"\n", "2: load.rate: 'fast' is not a rate"},
        Wrong{"[load]\nduration = 10\n", "2: load.duration: 10 is not a time"},
        Wrong{"[load]\nduration = \"-1s\"\n", "2: load.duration: '-1s' is not a time"},
        Wrong{"[load]\nconnections = 0\n", "2: load.connections: 0 is not a number from 1"},
        Wrong{"[load]\nconnections = \"64\"\n", "2: load.connections: '64' is not a number"},
        Wrong{"[load]\nworkload = \"bulk\"\n", "2: load.workload: 'bulk' is not \"rps\""},
        Wrong{"[load]\nclose = \"yes\"\n", "2: load.close: 'yes' is not true or false"},
        Wrong{"[load]\nheaders = \"A: b\"\n", "2: load.headers: 'A: b' is not an array"},
        Wrong{"[tcp]\n\ntime_wait = \"1ns\"\n", "3: tcp.time_wait: '1ns' is not a time from"},
        Wrong{"[[port]]\nmtu = 9001\n", "2: port.mtu: 9001 is not a number from 576 to 9000"},
        Wrong{"[port]\nmtu = 1500\n", "1: port: expected a table in an array: [[port]]"},
        Wrong{"[core]\nlcore = 1.5\n", "2: core.lcore: 1.5 is not a number"},
        Wrong{"[pools]\nring_size = 1000\n", "2: pools.ring_size"},
        // what cannot be together
        Wrong{"[load]\nworkload = \"cps\"\npipeline = 4\n", "3: load.pipeline: goes with"},
        Wrong{"[load]\nconnections = 9999999\n", "2: load.connections: 9999999 is not"},
        Wrong{"[load]\nconnections = 4000000\nserver_ports = 1\n",
              "2: load.connections: 1032192 local ports are all"},
        Wrong{"[load]\nworkload = \"stream\"\nrequests = 5\n", "3: load.requests: a stream has no requests"},
        Wrong{"[load]\narrival = \"poisson\"\n", "2: load.arrival: goes with --rate"},
        Wrong{"[[port]]\naddress = \"10.9.0.2/24\"\ngateway = \"10.8.0.1\"\n",
              "3: port.gateway: the gateway 10.8.0.1"},
        Wrong{"[load]\njson = \"/no/such/place/a.json\"\n", "2: load.json: cannot write"}));

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s ECHO LOAD DIRECTORY\n", argv[0]);
    return 2;
  }
  echo = argv[1];
  load = argv[2];
  directory = argv[3];
  return RUN_ALL_TESTS();
}
