// SPDX-License-Identifier: BSD-3-Clause
// --pcap: the file as libpcap reads it, against what the run says of itself.
//
//   capture_test PROGRAM
#include <gtest/gtest.h>
#include <pcap/pcap.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <regex>
#include <set>
#include <vector>

#include "program.h"

namespace {

struct Frame {
  uint64_t ns;
  std::vector<uint8_t> bytes;
};

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

std::vector<Frame> frames_of(const std::string& file) {
  char error[PCAP_ERRBUF_SIZE] = "";
  pcap_t* in = pcap_open_offline_with_tstamp_precision(file.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  EXPECT_NE(in, nullptr) << error;
  std::vector<Frame> out;
  if (in == nullptr) return out;
  EXPECT_EQ(pcap_datalink(in), DLT_EN10MB);
  pcap_pkthdr* head = nullptr;
  const uint8_t* bytes = nullptr;
  int got = 0;
  while ((got = pcap_next_ex(in, &head, &bytes)) == 1) {
    EXPECT_EQ(head->caplen, head->len);
    out.push_back({static_cast<uint64_t>(head->ts.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(head->ts.tv_usec),
                   {bytes, bytes + head->caplen}});
  }
  EXPECT_EQ(got, PCAP_ERROR_BREAK) << pcap_geterr(in);
  pcap_close(in);
  return out;
}

// A TCP segment of an IPv4 frame; nothing of anything else.
struct Tcp {
  bool is_one = false;
  uint32_t source = 0, target = 0, length = 0;
  uint16_t source_port = 0, target_port = 0;
  uint8_t flags = 0;
  bool checksum_good = false;
};

Tcp tcp_of(const std::vector<uint8_t>& b) {
  Tcp out;
  if (b.size() < 54 || b[12] != 8 || b[13] != 0 || b[23] != 6) return out;
  auto word = [&](size_t at) { return static_cast<uint32_t>(b[at] << 8 | b[at + 1]); };
  out.is_one = true;
  out.source = word(26) << 16 | word(28);
  out.target = word(30) << 16 | word(32);
  out.source_port = static_cast<uint16_t>(word(34));
  out.target_port = static_cast<uint16_t>(word(36));
  out.flags = b[47];
  uint32_t ip_length = word(16), tcp_length = ip_length - 20;
  out.length = tcp_length - 4u * (b[46] >> 4);
  uint64_t sum = 6 + tcp_length;
  for (size_t i = 26; i < 34u + (tcp_length & ~1u); i += 2) sum += word(i);
  if (tcp_length & 1) sum += static_cast<uint32_t>(b[33 + tcp_length] << 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  out.checksum_good = sum == 0xffff;
  return out;
}

struct Capture : testing::Test {
  std::string file = file_name(".pcapng"), json = file_name(".capture.json");
  void TearDown() override {
    unlink(file.c_str());
    unlink(json.c_str());
  }
  // "FILE: 1234 frames captured, 0 lost for want of room"
  void captured(const Outcome& outcome, uint64_t& frames, uint64_t& lost) {
    std::smatch match;
    ASSERT_TRUE(std::regex_search(outcome.output, match,
                                  std::regex(R"(\.pcapng: (\d+) frames captured, (\d+) lost for want of room)")))
        << outcome.output;
    frames = std::stoull(match[1]);
    lost = std::stoull(match[2]);
  }
};

// All that the client sent and received, once each, with the times of this machine's clock.
TEST_F(Capture, has_each_frame_of_a_run_with_its_time) {
  uint64_t begin = now_ns();
  Outcome outcome = run("pair --workload cps --requests 500 --size 100 --pcap " + file + " --json " + json);
  uint64_t end = now_ns(), told = 0, lost = 0;
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  captured(outcome, told, lost);
  ASSERT_EQ(lost, 0u);
  std::vector<Frame> frames = frames_of(file);
  EXPECT_EQ(frames.size(), told);
  EXPECT_TRUE(std::is_sorted(frames.begin(), frames.end(), [](auto& a, auto& b) { return a.ns < b.ns; }));
  EXPECT_GE(frames.front().ns, begin);
  EXPECT_LE(frames.back().ns, end);
  std::map<uint8_t, uint64_t> syns;
  uint64_t segments = 0, text = 0;
  std::set<std::tuple<uint32_t, uint16_t, uint16_t>> ends;
  for (const Frame& frame : frames) {
    Tcp tcp = tcp_of(frame.bytes);
    if (!tcp.is_one) continue;
    ++segments;
    EXPECT_TRUE(tcp.checksum_good);
    if (tcp.flags & 2) ++syns[tcp.flags & 0x12];
    // Two may have one port, towards two of the server's.
    if (tcp.flags & 2 && !(tcp.flags & 16)) ends.insert({tcp.source, tcp.source_port, tcp.target_port});
    text += tcp.length;
  }
  EXPECT_EQ(syns[0x02], 500u);
  EXPECT_EQ(syns[0x12], 500u);
  EXPECT_EQ(ends.size(), 500u);
  EXPECT_EQ(text, 500u * 200);
  // The counters are read at the end of the measuring; a last ACK may follow.
  Json tcp = Json::parse(content_of(json))["tcp"]["client"];
  uint64_t counted = tcp["segments_sent"].get<uint64_t>() + tcp["segments_received"].get<uint64_t>();
  EXPECT_NEAR(static_cast<double>(segments), static_cast<double>(counted), 130);
}

// Longest frames are whole.
TEST_F(Capture, keeps_long_frames) {
  Outcome outcome = run("pair --requests 50 --size 20000 --connections 2 --pcap " + file);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  size_t longest = 0;
  for (const Frame& frame : frames_of(file)) longest = std::max(longest, frame.bytes.size());
  EXPECT_EQ(longest, 1514u);
}

// More than a file can take: what finds no place is counted and the run goes on as without a capture.
TEST_F(Capture, counts_what_it_loses) {
  Outcome outcome = run("pair --requests 200000 --connections 256 --pcap " + file);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  uint64_t told = 0, lost = 0;
  captured(outcome, told, lost);
  EXPECT_EQ(frames_of(file).size(), told);
  EXPECT_GE(told + lost, 400'000u);
}

// A file that grows no further: the run goes on, and its end says so.
TEST_F(Capture, tells_that_writing_failed) {
  pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100'000, 100'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    Outcome outcome = run("pair --requests 2000 --pcap " + file);
    bool told = outcome.output.find("then writing failed: File too large") != std::string::npos &&
                outcome.output.find("packet buffers are back") != std::string::npos;
    _exit(outcome.exit_code == 1 && told ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(Capture, a_file_that_cannot_be_written_is_told_at_the_start) {
  Outcome outcome = run("pair --requests 1 --pcap /no/such/place/file", "2>&1 >/dev/null");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.output, "millrace-load: --pcap: cannot write /no/such/place/file: No such file or directory\n");
}

}  // namespace
