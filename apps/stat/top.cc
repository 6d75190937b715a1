// SPDX-License-Identifier: BSD-3-Clause
// Rates for each core: a screen that redraws on a terminal, lines when piped.
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>

#include "commands.h"
#include "text.h"

namespace millrace::stat {

// What happened between two readings of one endpoint, a second.
static Json rates(const EndpointName& endpoint, const Json& before, const Json& now) {
  auto since = [&](const char* name) { return now.value(name, 0.0) - before.value(name, 0.0); };
  double seconds = since("time_us") / 1e6;
  auto rate = [&](const char* name) { return seconds > 0 ? since(name) / seconds : 0; };
  double drops = 0;
  for (const auto& [name, value] : now.items())
    if (name.rfind("drop_", 0) == 0) drops += rate(name.c_str());
  double turns = since("turns"), total = since("total_cycles");
  Json out = {{"endpoint", endpoint.number}, {"core", endpoint.core}, {"port", endpoint.port},
              {"address", endpoint.address}, {"seconds", seconds}};
  out["useful_percent"] = total > 0 ? std::min(100.0, 100 * since("useful_cycles") / total) : 0;
  out["asleep_percent"] = total > 0 ? std::min(100.0, 100 * since("asleep_cycles") / total) : 0;
  out["turns_per_second"] = rate("turns");
  out["useful_turns_per_second"] = rate("useful_turns");
  out["sleeps_per_second"] = rate("sleeps");
  out["turn_us"] = turns > 0 ? std::max(total - since("asleep_cycles"), 0.0) / turns / std::max(now.value("cycles_per_second", 0.0), 1.0) * 1e6 : 0;
  out["segments_received_per_second"] = rate("segments_received");
  out["segments_sent_per_second"] = rate("segments_sent");
  out["bytes_received_per_second"] = rate("bytes_received");
  out["bytes_sent_per_second"] = rate("bytes_sent");
  out["opens_per_second"] = rate("active_opens") + rate("passive_opens");
  out["closed_per_second"] = rate("closed");
  out["retransmitted_per_second"] = rate("retransmitted");
  out["drops_per_second"] = drops;
  for (const char* gauge : {"connections_now", "half_open_now", "time_wait_now"}) out[gauge] = now.value(gauge, 0ul);
  if (now.contains("error")) out["error"] = now["error"];
  return out;
}

static std::string head() {
  return format("%4s %-18s %-18s %7s %7s %8s %8s %8s %8s %8s %8s %8s %7s %7s %8s %8s", "CORE", "PORT", "ADDRESS", "USEFUL%",
                "ASLEEP%", "TURN us", "RX seg", "TX seg", "RX bit", "TX bit", "OPEN", "CLOSED", "RETR", "DROP", "CONNS", "T-WAIT");
}

static std::string line(const Json& row) {
  auto n = [&](const char* name) { return row.value(name, 0.0); };
  auto brief = [&](const char* name, double factor = 1) { return short_number(factor * n(name)); };
  std::string port = row.value("port", ""), address = row.value("address", "");
  return format("%4lu %-18.18s %-18s %7.1f %7.1f %8s %8s %8s %8s %8s %8s %8s %7s %7s %8s %8s", row.value("core", 0ul),
                port.c_str(), address.c_str(), n("useful_percent"), n("asleep_percent"), short_number(n("turn_us")).c_str(),
                brief("segments_received_per_second").c_str(), brief("segments_sent_per_second").c_str(),
                brief("bytes_received_per_second", 8).c_str(), brief("bytes_sent_per_second", 8).c_str(),
                brief("opens_per_second").c_str(), brief("closed_per_second").c_str(),
                brief("retransmitted_per_second").c_str(), brief("drops_per_second").c_str(),
                brief("connections_now").c_str(), brief("time_wait_now").c_str());
}

static std::map<uint32_t, Json> read(Program& program, const std::vector<EndpointName>& endpoints) {
  std::map<uint32_t, Json> out;
  for (const EndpointName& e : endpoints) out[e.number] = program.ask("/millrace/stats," + std::to_string(e.number));
  return out;
}

static std::string clock_time() {
  time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  char text[16];
  std::strftime(text, sizeof text, "%H:%M:%S", &local);
  return text;
}

// The screen is written at once, each line to its end, so that nothing flickers.
static void draw(const Program& program, double interval, const std::vector<Json>& rows) {
  winsize size{};
  size_t width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 200;
  std::string out = "\033[H";
  auto put = [&](const std::string& text) { out += text.substr(0, width) + "\033[K\n"; };
  put("millrace-stat top - " + clock_time() + ", each second over " + format("%g", interval) + " s  " + program.title());
  put("");
  put("\033[7m" + head() + "\033[0m");
  for (const Json& row : rows) put(line(row));
  for (const Json& row : rows)
    if (row.contains("error")) put("endpoint " + row["endpoint"].dump() + ": " + row["error"].get<std::string>());
  out += "\033[J";
  std::fputs(out.c_str(), stdout);
}

void show_top(const Wishes& wishes) {
  Program program = choose(wishes.prefix);
  std::vector<EndpointName> endpoints = chosen(program, wishes);
  bool is_screen = isatty(STDOUT_FILENO) != 0 && !wishes.json;
  if (is_screen) std::fputs("\033[2J", stdout);
  if (!is_screen && !wishes.json) std::printf("%-8s %s\n", "TIME", head().c_str());
  using Clock = std::chrono::steady_clock;
  auto step = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(wishes.interval));
  auto next = Clock::now();
  std::map<uint32_t, Json> before = read(program, endpoints);
  for (unsigned shown = 0; wishes.count == 0 || shown < wishes.count; ++shown) {
    if (std::fflush(stdout) != 0) return;  // nobody reads it any more
    next = std::max(next + step, Clock::now());
    timespec rest{};
    auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(next - Clock::now()).count();
    rest.tv_sec = std::max<time_t>(left / 1'000'000'000, 0);
    rest.tv_nsec = std::max<long>(left % 1'000'000'000, 0);
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
    }
    std::map<uint32_t, Json> now = read(program, endpoints);
    std::vector<Json> rows;
    for (const EndpointName& e : endpoints) rows.push_back(rates(e, before[e.number], now[e.number]));
    before = std::move(now);
    if (is_screen) draw(program, wishes.interval, rows);
    for (const Json& row : rows) {
      if (wishes.json) std::printf("%s\n", row.dump().c_str());
      if (!wishes.json && !is_screen) std::printf("%s %s\n", clock_time().c_str(), line(row).c_str());
    }
  }
}

}  // namespace millrace::stat
