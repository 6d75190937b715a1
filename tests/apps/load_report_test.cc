// SPDX-License-Identifier: BSD-3-Clause
// What millrace-load writes: JSON with its fixed names, HdrHistogram's text, and a page that needs nothing
// else.
#include <gtest/gtest.h>
#include <unistd.h>

#include <regex>
#include <sstream>

#include "program.h"

namespace {

struct Files {
  std::string json = file_name(".a.json"), hgrm = file_name(".hgrm"), html = file_name(".html");
  std::string flags() const { return " --json " + json + " --hgrm " + hgrm + " --html " + html; }
  ~Files() {
    for (const std::string& file : {json, hgrm, html}) unlink(file.c_str());
  }
};

TEST(Report, json_has_the_names_that_others_rely_on) {
  Json json = measure("--duration 2 --workload cps");
  for (const char* name :
       {"workload", "mode", "duration_s", "connections", "requests", "requests_per_second",
        "connections_per_second", "bytes_sent_per_second", "bytes_received_per_second", "latency_us",
        "connect_latency_us", "errors", "tcp", "cores", "series", "versions", "configuration"})
    EXPECT_TRUE(json.contains(name)) << name;
  for (const char* of : {"latency_us", "connect_latency_us"})
    for (const char* name : {"min", "mean", "p50", "p90", "p99", "p99_9", "p99_99", "max"})
      EXPECT_TRUE(json[of][name].is_number()) << of << " " << name;
  for (const char* name : {"segments_sent", "segments_received", "retransmitted", "out_of_order"})
    EXPECT_TRUE(json["tcp"].contains(name)) << name;
  EXPECT_EQ(json["series"].size(), 2u);
}

// The rows are the run: their sum is the whole.
TEST(Report, the_series_adds_up) {
  Json json = measure("--duration 3");
  double sum = 0, last = 0;
  for (const Json& row : json["series"]) {
    sum += row["requests_per_second"].get<double>() * (row["t"].get<double>() - last);
    last = row["t"];
    EXPECT_EQ(row["open"], 64);
    EXPECT_EQ(row["errors"], 0);
    EXPECT_LE(row["p50_us"], row["p99_us"]);
    EXPECT_LE(row["p99_us"], row["max_us"]);
  }
  auto requests = json["requests"].get<double>();
  EXPECT_NEAR(sum, requests, requests / 50);
  EXPECT_NEAR(json["requests_per_second"].get<double>() * json["duration_s"].get<double>(), requests,
              requests / 1000);
}

TEST(Report, hgrm_is_the_text_that_plotters_of_hdrhistogram_read) {
  Files files;
  ASSERT_EQ(run("pair --requests 50000" + files.flags()).exit_code, 0);
  Json json = Json::parse(content_of(files.json));
  std::istringstream in(content_of(files.hgrm));
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, "       Value     Percentile TotalCount 1/(1-Percentile)");
  std::getline(in, line);
  double value = 0, share = 0, last_value = 0, last_share = -1, at_half = -1, longest = 0;
  uint64_t count = 0, last_count = 0;
  std::string inverse;
  size_t rows = 0;
  while (std::getline(in, line) && line[0] != '#') {
    std::istringstream row(line);
    ASSERT_TRUE(row >> value >> share >> count >> inverse) << line;
    EXPECT_GE(value, last_value);
    EXPECT_GT(share, last_share);
    EXPECT_GE(count, last_count);
    if (share == 0.5) at_half = value;
    last_value = value, last_share = share, last_count = count, longest = value;
    ++rows;
  }
  EXPECT_GT(rows, 30u);
  EXPECT_EQ(share, 1.0);
  EXPECT_EQ(inverse, "inf");
  EXPECT_EQ(count, 50'000u);
  EXPECT_NEAR(at_half * 1000, json["latency_us"]["p50"], 0.002);
  EXPECT_NEAR(longest * 1000, json["latency_us"]["max"], 0.002);
  std::smatch match;
  EXPECT_TRUE(
      std::regex_search(line, match, std::regex(R"(#\[Mean    =\s+([\d.]+), StdDeviation   =\s+[\d.]+\])")))
      << line;
  EXPECT_NEAR(std::stod(match[1]) * 1000, json["latency_us"]["mean"].get<double>(), 0.002);
}

TEST(Report, the_page_refers_to_nothing_outside) {
  Files files;
  ASSERT_EQ(
      run("pair --duration 1 --workload http --url /bytes/10 --header 'X: <script src=http://a.example/>'" +
          files.flags())
          .exit_code,
      0);
  std::string page = content_of(files.html);
  EXPECT_EQ(page.rfind("<!DOCTYPE html>", 0), 0u);
  // Nothing that a browser would fetch: no address, no import, no source. (The header line above is data.)
  std::string without_data = page;
  size_t begin = page.find("<script type=\"application/json\""), end = page.find("</script>", begin);
  ASSERT_NE(begin, std::string::npos);
  std::string data = page.substr(begin, end - begin);
  without_data.erase(begin, end - begin);
  for (const char* what : {"http:", "https:", "//cdn", "src=", "href=", "@import", "url(", "fetch(",
                           "XMLHttpRequest", "import(", "<link", "<img", "<iframe"})
    EXPECT_EQ(without_data.find(what), std::string::npos) << what;
  EXPECT_EQ(data.find('<', 1), std::string::npos);
  // Its data is the JSON.
  Json shown = Json::parse(data.substr(data.find('>') + 1)), written = Json::parse(content_of(files.json));
  EXPECT_EQ(shown, written);
}

TEST(Report, a_place_that_cannot_be_written_is_told_before_the_run) {
  for (const char* flag : {"--json", "--hgrm", "--html"}) {
    Outcome outcome = run(std::string("pair --requests 1 ") + flag + " /no/such/place/file");
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.output.rfind(std::string("millrace-load: ") + flag + ": cannot write", 0), 0u)
        << outcome.output;
  }
}

}  // namespace
