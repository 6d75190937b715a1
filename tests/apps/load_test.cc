// SPDX-License-Identifier: BSD-3-Clause
// millrace-load as its users see it: what it exits with, what it prints, what its JSON says.
//
//   load_test PROGRAM
#include "program.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>

namespace {

struct Case {
  int size;
  unsigned cores;      // of each end
  bool apart = false;  // each end on lcores of its own
  std::string arguments() const {
    return " --size " + std::to_string(size) + " --cores " + std::to_string(cores) + (apart ? " --apart" : "");
  }
  unsigned threads() const { return apart ? 2 * cores : cores; }
};
std::string name_of(const testing::TestParamInfo<Case>& info) {
  return "size_" + std::to_string(info.param.size) + "_cores_" + std::to_string(info.param.cores) +
         (info.param.apart ? "_apart" : "");
}

// More lcores than CPUs work as well; ends that are apart wait for each other all the time, and want theirs.
class Load : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().apart && GetParam().threads() > std::thread::hardware_concurrency())
      GTEST_SKIP() << "needs a CPU for each core of each end";
  }
};

TEST_P(Load, rps) {
  constexpr uint64_t requests = 20'000;
  Json json = measure("--requests 20000" + GetParam().arguments());
  expect_sound(json, "rps", requests, GetParam().threads());
  EXPECT_EQ(json["connections"], 64);
  EXPECT_EQ(json["connections_per_second"], 0);
  // An answer carries the ACK of what it answers, as long as both ends have their turns in time.
  if (GetParam().threads() == 1 && GetParam().size < 1000) {
    EXPECT_LT(json["tcp"]["pure_acks_sent"].get<uint64_t>(), requests / 100);
    EXPECT_LT(json["tcp"]["segments_sent"].get<uint64_t>(), 2 * requests + requests / 50);
  }
}

TEST_P(Load, cps_closed_by_the_client) {
  Json json = measure("--workload cps --close-first client --requests 20000" + GetParam().arguments());
  expect_sound(json, "cps", 20'000, GetParam().threads());
  EXPECT_EQ(json["connections"], 20'000);
  EXPECT_GT(json["connections_per_second"].get<double>(), 0);
  expect_latencies(json["connect_latency_us"]);
  EXPECT_EQ(json["tcp"]["client"]["time_wait_entered"], 20'000);
  EXPECT_EQ(json["tcp"]["server"]["time_wait_entered"], 0);
}

TEST_P(Load, cps_closed_by_the_server) {
  Json json = measure("--workload cps --close-first server --requests 20000" + GetParam().arguments());
  expect_sound(json, "cps", 20'000, GetParam().threads());
  EXPECT_EQ(json["connections"], 20'000);
  EXPECT_EQ(json["tcp"]["client"]["time_wait_entered"], 0);
  EXPECT_EQ(json["tcp"]["server"]["time_wait_entered"], 20'000);
}

INSTANTIATE_TEST_SUITE_P(sizes, Load,
                         testing::Values(Case{1, 1}, Case{64, 1}, Case{5000, 1}, Case{1, 1, true}, Case{64, 1, true},
                                         Case{5000, 1, true}, Case{64, 2}, Case{5000, 8}),
                         name_of);

// Each end finds out for itself whose a frame is: of eight cores seven are the wrong one.
TEST(LoadOf, frames_that_come_to_another_core) {
  Json json = measure("--workload cps --cores 8 --connections 256 --requests 5000 --software-steering");
  expect_sound(json, "cps", 5000, 8);
  for (const char* end : {"client", "server"}) {
    const Json& tcp = json["tcp"][end];
    EXPECT_NEAR(tcp["frames_handed_over"].get<double>() / tcp["frames_received"].get<double>(), 0.875, 0.06) << end;
    EXPECT_EQ(tcp["drop_closed_state"], 0);
  }
}

// The wire knows where each flow belongs: nothing crosses.
TEST(LoadOf, frames_that_come_to_their_own_core) {
  Json json = measure("--workload rps --cores 4 --requests 20000 --warmup 0s --rate 200k");
  expect_sound(json, "rps", 20'000, 4);
  EXPECT_EQ(json["tcp"]["frames_handed_over"], 0);
}

TEST(LoadOf, cores_that_share_queues) {
  Json json = measure("--workload cps --cores 4 --queues 1 --requests 2000");
  expect_sound(json, "cps", 2000, 4);
  EXPECT_GT(json["tcp"]["frames_handed_over"].get<uint64_t>(), 4000u);
}

// Cores are counted from 0 on, each end's for itself where they are apart, and stand beside their CPUs.
TEST(LoadOf, cores_have_a_number_and_a_cpu) {
  auto expect = [](const Json& core, const char* end, int number) {
    EXPECT_EQ(core["end"], end);
    EXPECT_EQ(core["core"], number);
    EXPECT_TRUE(core["cpu"].is_number_unsigned());
  };
  Json json = measure("--cores 3 --requests 3000");
  ASSERT_EQ(json["cores"].size(), 3u);
  for (int i = 0; i < 3; ++i) expect(json["cores"][i], "pair", i);
  json = measure("--cores 2 --apart --requests 200");
  ASSERT_EQ(json["cores"].size(), 4u);
  for (int i = 0; i < 2; ++i) {
    expect(json["cores"][i], "client", i);
    expect(json["cores"][2 + i], "server", i);
  }
}

// All segments, also those that a TIME-WAIT record sends: what the other end has received, and the device has sent.
TEST(LoadOf, segments_sent_are_all_segments) {
  Json json = measure("--workload cps --close-first client --requests 20000");
  constexpr uint64_t underway = 256;  // at the end of the measuring
  for (auto [from, to] : {std::pair("client", "server"), std::pair("server", "client")}) {
    const Json& tcp = json["tcp"][from];
    uint64_t sent = tcp["segments_sent"], received = json["tcp"][to]["segments_received"];
    EXPECT_GE(sent, received);
    EXPECT_LE(sent, received + underway);
    uint64_t frames = sent + tcp["arp_requests_sent"].get<uint64_t>() + tcp["arp_replies_sent"].get<uint64_t>();
    uint64_t packets = json["nic"][from]["tx_packets"];
    EXPECT_LE(packets, frames);
    EXPECT_GE(packets + underway, frames);
  }
  EXPECT_EQ(json["tcp"]["client"]["answers_sent"], 20'000);
}

// What the device says of itself: net_ring counts packets, no bytes, and loses none.
TEST(LoadOf, the_device_s_own_counters_are_told) {
  Json json = measure("--requests 20000");
  for (const char* end : {"client", "server"}) {
    const Json& nic = json["nic"][end];
    EXPECT_GE(nic["tx_packets"], 20'000) << end;
    EXPECT_GT(nic["rx_packets_per_second"], 0) << end;
    EXPECT_TRUE(nic["rx_wire_bits_per_second"].is_null()) << end;
    for (const char* name : {"rx_missed", "rx_no_buffer", "rx_errors", "tx_errors", "tx_refused", "lost"})
      EXPECT_EQ(nic[name], 0) << end << " " << name;
  }
}

// The same word for the same thing: those that were established.
TEST(LoadOf, connections_are_those_that_were_established) {
  std::string file = file_name(".json");
  Outcome outcome = run("pair --workload cps --requests 1000 --connections 16 --json " + file);
  Json json = Json::parse(content_of(file));
  unlink(file.c_str());
  EXPECT_EQ(json["connections"], 1000);
  EXPECT_NE(outcome.output.find("cps, 16 at a time, "), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find(" 1000 connections, "), std::string::npos) << outcome.output;
}

TEST(LoadOf, time_wait_records_that_end_early_are_told) {
  Outcome outcome = run("pair --workload cps --requests 5000 --time-wait-records 1024");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("\nTIME-WAIT 3976 records ended early"), std::string::npos) << outcome.output;
  outcome = run("pair --workload cps --requests 1000");
  EXPECT_EQ(outcome.output.find("ended early"), std::string::npos) << outcome.output;
}

// Without a terminal each second has a line of its own.
TEST(LoadOf, a_second_s_line_fits_80_columns) {
  for (const char* what : {"pair --workload cps --cores 4 --duration 2", "pair --duration 2 --cores 8 --connections 1000",
                           "pair --workload stream --direction both --duration 2",
                           "pair --workload http --url /bytes/1 --close --duration 2"}) {
    std::istringstream lines(run(what, "2>/dev/null").output);
    int seconds = 0;
    for (std::string line; std::getline(lines, line) && !line.empty();) {
      if (line.find(" s  ") != 4) continue;
      ++seconds;
      EXPECT_LE(line.size(), 79u) << line;
    }
    EXPECT_GE(seconds, 1) << what;
  }
}

TEST(LoadOf, text_longer_than_a_slice) {
  Json json = measure("--requests 500 --size 200000 --connections 3");
  expect_sound(json, "rps", 500, 1);
}

TEST(LoadOf, ports_that_are_used_again_within_time_wait) {
  // Ports enough for a moment only: each is used several times, first by the client's own records...
  Json client = measure(
      "--workload cps --requests 200000 --client-addresses 1 --server-ports 1 --time-wait-records 65536");
  expect_sound(client, "cps", 200'000, 1);
  EXPECT_EQ(client["tcp"]["client"]["time_wait_recycled_early"], 0);
  EXPECT_GE(client["tcp"]["client"]["time_wait_taken_over"].get<uint64_t>(), 200'000 - 64'512);
  // ...then by SYNs that meet the server's.
  Json server = measure(
      "--workload cps --close-first server --requests 200000 --client-addresses 1 --server-ports 1"
      " --time-wait-records 65536");
  expect_sound(server, "cps", 200'000, 1);
  EXPECT_EQ(server["tcp"]["server"]["time_wait_recycled_early"], 0);
  EXPECT_GE(server["tcp"]["server"]["time_wait_reopened"].get<uint64_t>(), 200'000 - 64'512);
}

TEST(LoadOf, more_connects_than_ports_wait_and_go_on) {
  Outcome outcome =
      run("pair --workload cps --requests 100000 --connections 70000 --client-addresses 1 --server-ports 1");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("100000 connections"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find(" 0 waits for a port"), std::string::npos) << outcome.output;
}

TEST(LoadOf, the_ports_are_told_at_the_start) {
  Outcome outcome = run("pair --requests 1", "2>/dev/null");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output.rfind("64 pools of 64512 ports: 4128768 local ports\n", 0), 0u) << outcome.output;
}

TEST(LoadOf, an_interrupt_ends_it_early_with_the_summary) {
  std::string shell = "pair --duration 1m & pid=$!; sleep 1.5; kill -INT $pid; wait $pid";
  Outcome outcome = run(shell, "");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("p99.9"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("packet buffers are back"), std::string::npos) << outcome.output;
}

// --- doctor ---

TEST(LoadDoctor, finds_nothing_in_the_way_of_a_pair) {
  Outcome outcome = run("doctor pair --connections 100", "2>/dev/null");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const char* line : {"good    device ", "good    start                   both ends start\n",
                           "packet buffers are back\n", "\nnothing is in the way of this run"})
    EXPECT_NE(outcome.output.find(line), std::string::npos) << line << "\n" << outcome.output;
  EXPECT_EQ(outcome.output.find("bad "), std::string::npos) << outcome.output;
}

TEST(LoadDoctor, names_what_would_stop_a_run_and_what_mends_it) {
  Outcome outcome =
      run("doctor client --device 0000:ff:1f.7 --address 192.0.2.2/24 --to 192.0.2.1:80", "2>/dev/null");
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  for (const char* line : {"bad     device                  no PCI device 0000:ff:1f.7 here\n",
                           "-> dpdk-devbind.py --status-dev net\n",
                           "\nunseen  start                   not tried", " in the way of this run\n"})
    EXPECT_NE(outcome.output.find(line), std::string::npos) << line << "\n" << outcome.output;
}

TEST(LoadDoctor, compares_pools_and_ports_with_the_load) {
  Outcome outcome = run("doctor pair --connections 5000 --max-connections 4000", "2>/dev/null");
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_NE(outcome.output.find("bad     connections             4000, where this load wants 5001"),
            std::string::npos)
      << outcome.output;
  outcome = run(
      "doctor pair --workload cps --rate 100k --client-addresses 1 --server-ports 1 --time-wait-records 1024",
      "2>/dev/null");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const char* line : {"poor    TIME-WAIT               1024, where",
                           "poor    local ports             64512, each used again after 0.645 s"})
    EXPECT_NE(outcome.output.find(line), std::string::npos) << line << "\n" << outcome.output;
}

TEST(LoadDoctor, writes_what_it_found_as_json) {
  for (const char* mode : {"pair", "client --device 0000:ff:1f.7 --address 192.0.2.2/24 --to 192.0.2.1:80"}) {
    Outcome outcome = run(std::string("doctor ") + mode + " --json -", "2>/dev/null");
    Json json = Json::parse(outcome.output, nullptr, false);
    ASSERT_TRUE(json.is_object()) << outcome.output;
    uint64_t bad = 0;
    for (const Json& finding : json["findings"]) {
      bad += finding["verdict"] == "bad";
      EXPECT_TRUE(finding["subject"].is_string() && finding["what"].is_string() && finding["mend"].is_string());
    }
    EXPECT_EQ(json["bad"], bad);
    EXPECT_EQ(bad != 0, outcome.exit_code == 1);
    EXPECT_GT(json["findings"].size(), 3u);
  }
}

TEST(LoadDoctor, has_help_of_its_own) {
  Outcome own = run("doctor --help", "2>&1"), client = run("doctor client --help", "2>&1");
  EXPECT_EQ(own.exit_code, 0);
  EXPECT_NE(own.output.find("Usage: millrace-load [EAL options --] doctor client|server|pair"), std::string::npos) << own.output;
  EXPECT_EQ(client.exit_code, 0);
  EXPECT_NE(client.output.find("doctor client"), std::string::npos) << client.output;
  EXPECT_NE(client.output.find("in the way of such a run"), std::string::npos) << client.output;
  EXPECT_NE(client.output.find("--to "), std::string::npos) << client.output;
}

// --- standard output ---

TEST(LoadOf, a_report_on_standard_output_is_all_that_goes_there) {
  Outcome json = run("pair --duration 0.2 --connections 4 --json -", "2>/dev/null");
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_TRUE(Json::parse(json.output, nullptr, false).is_object()) << json.output;
  Outcome people = run("pair --duration 0.2 --connections 4 --json - 2>&1 >/dev/null", "");
  EXPECT_NE(people.output.find("packet buffers are back"), std::string::npos) << people.output;
  Outcome both = run("pair --duration 0.2 --connections 4 --json - --quiet", "2>&1");
  EXPECT_TRUE(Json::parse(both.output, nullptr, false).is_object()) << both.output;
  Outcome hgrm = run("pair --duration 0.2 --connections 4 --hgrm - --quiet", "2>&1");
  EXPECT_EQ(hgrm.output.rfind("       Value     Percentile", 0), 0u) << hgrm.output;
  EXPECT_EQ(run("pair --duration 0.2 --connections 4 --quiet", "2>&1").output, "");
  Outcome full = run("pair --duration 0.2 --connections 4 --json - 2>&1 >/dev/full", "");
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_NE(full.output.find("standard output could not be written"), std::string::npos) << full.output;
}

TEST(LoadOf, every_program_has_a_version) {
  for (const char* words : {"--version", "pair --version", "client --version", "server --version", "doctor --version"}) {
    Outcome outcome = run(words, "2>&1");
    EXPECT_EQ(outcome.exit_code, 0) << words;
    EXPECT_EQ(outcome.output.rfind("millrace ", 0), 0u) << words << ": " << outcome.output;
  }
}

// --- wrong use ---

TEST(LoadWrongUse, flags_that_would_do_nothing) {
  struct {
    const char *words, *said;
  } const all[] = {
      {"pair --device net_null0", "--device: a pair is joined by rings"},
      {"pair --address 10.0.0.1/8", "--address: a pair is joined by rings"},
      {"pair --gateway 10.9.0.1", "--gateway: a pair"},
      {"pair --set port.mac=02:00:00:00:00:01", "--set port.mac: a pair"},
      {"pair --workload rps --url /", "--url: goes with workload http"},
      {"pair --method POST", "--method: goes with workload http"},
      {"pair --body-size 5", "--body-size: goes with workload http"},
      {"pair --header a:b", "--header: goes with workload http"},
      {"pair --workload stream --hgrm x.hgrm", "--hgrm: a stream has no latencies"},
      {"pair --workload stream --size 100", "--size: goes with workloads"},
      {"pair --workload http --request-size 100", "--request-size: goes with workloads"},
      {"pair --every 10s", "--every: goes with workload hold"},
      {"pair --direction send", "--direction: goes with workload stream"},
      {"pair --stall-after 2s", "--stall-after: goes with --stall"},
      {"pair --directory /", "--directory: goes with http"},
      {"pair --software-vlan", "--software-vlan: goes with --vlan"},
      {"server --size 5", "--size: goes with"},
      {"server --syn-retries 2", "--syn-retries: a server connects to nobody"},
      {"pair --connections 500 --max-connections 400", "--max-connections: 400 places"},
      {"pair --json - --hgrm -", "standard output can have one report"},
      {"pair --connections 2K", "--connections: '2K' is not a number"},
      {"pair --rate 100K", "--rate: '100K' is not a rate"},
      {"pair --conections 4", "unknown flag --conections, expected perhaps --connections"},
      {"clinet", "clinet is perhaps client"},
  };
  for (const auto& one : all) {
    Outcome outcome = run(one.words, "2>&1");
    EXPECT_EQ(outcome.exit_code, 2) << one.words << ": " << outcome.output;
    EXPECT_NE(outcome.output.find(one.said), std::string::npos) << one.words << ": " << outcome.output;
    EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1) << outcome.output;
  }
}

// A file may hold what is for other runs.
TEST(LoadOf, a_file_may_hold_what_this_run_does_not_use) {
  std::string file = file_name(".other.toml");
  std::ofstream(file) << "[[port]]\ndevice = \"net_null0\"\n[load]\nurl = \"/bytes/5\"\nsize = \"1K\"\n";
  Outcome outcome = run("pair --requests 100 --connections 4 --config " + file, "2>&1");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("1024 + 1024 bytes"), std::string::npos) << outcome.output;
  unlink(file.c_str());
}


class WrongUse : public testing::TestWithParam<const char*> {};

TEST_P(WrongUse, is_one_line_and_exit_code_2) {
  Outcome outcome = run(GetParam(), "2>&1 >/dev/null");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1) << outcome.output;
  EXPECT_EQ(outcome.output.rfind("millrace-load: ", 0), 0u) << outcome.output;
  EXPECT_EQ(run(GetParam(), "2>/dev/null").output, "");
}

INSTANTIATE_TEST_SUITE_P(arguments, WrongUse,
                         testing::Values("", "nonsense", "doctor nonsense", "doctor pair --nonsense",
                                         "doctor client --to nowhere:80", "pair --nonsense", "pair nonsense",
                                         "pair --workload bulk", "pair --close-first nobody",
                                         "pair --close-first server", "pair --connections 0",
                                         "pair --connections many", "pair --connections -1", "pair --size 0",
                                         "pair --size 2000000", "pair --duration", "pair --duration -1",
                                         "pair --duration 5x", "pair --duration 1.2.3", "pair --requests x",
                                         "pair --cores 0", "pair --cores 257", "pair --cores 4 --connections 3",
                                         "pair --cores 2 --queues 3", "pair --time-wait soon", "pair --syn-retries 300",
                                         "pair --client-addresses 0", "pair --server-ports 65",
                                         "pair --client-addresses 1 --server-ports 1 --connections 100000",
                                         "pair --json /no/such/place/report.json", "pair --lcore 9999", "pair --rate fast",
                                         "pair --rate 1..2", "pair --workload stream --requests 5",
                                         "pair --workload cps --pipeline 2", "pair --workload hold --rate 5",
                                         "pair --arrival poisson", "pair --warmup 1s --requests 5",
                                         "pair --workload http --url http://10.9.0.1/", "pair --direction both",
                                         "pair --workload http --method CONNECT", "pair --close",
                                         "pair --workload http --method HEAD --response-size 5",
                                         "pair --workload http --header nothing", "pair --expect-status 200",
                                         "pair --workload http --expect-status ok",
                                         "pair --workload http --header 'Host: a' --header 'host: b'",
                                         "pair --workload http --body-size 5 --header 'Content-Length: 4'",
                                         "pair --workload http --close --header 'Connection: keep-alive'",
                                         "client --workload http --url http://user:secret@10.9.0.1/",
                                         "client --workload http --url http://10.9.0.1:0/",
                                         "pair --directory /no/such/place --workload http", "client",
                                         "client --to nowhere:80", "client --to 10.9.0.1", "client --to 10.77.0.1:80",
                                         "client --to 10.9.0.2:80", "client --to 10.9.0.255:80", "client --workload http --url http://10.9.0.255/",
                                         "client --address 10.9.0.2/30 --to 10.9.0.3:80", "client --workload http --url https://10.9.0.1/",
                                         "client --workload http --url http://example.org/", "server --port 0",
                                         "server --port 80 --port 79-81", "server --workload rps",
                                         "server --protocol gopher", "server --config /no/such/file",
                                         "client --mtu 9001 --to 10.9.0.1:80"));

TEST(LoadOf, help_is_no_error) {
  Outcome outcome = run("pair --help", "2>/dev/null");
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* word : {"--workload", "--connections", "--json", "Latency runs from", "rps|cps|stream|hold|http", "fixed|poisson",
                           "[load] what the client does:", "[port] the device and its addresses:", "millrace-load pair",
                           "powers of 1,000", "powers of 1,024"})
    EXPECT_NE(outcome.output.find(word), std::string::npos) << word;
}

}  // namespace
