// SPDX-License-Identifier: BSD-3-Clause
// Rates for each core: a screen that redraws on a terminal, lines when piped.
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <string_view>

#include "commands.h"
#include "keys.h"
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

// --- columns ---

namespace {
struct Column {
  const char* head;
  const char* name;
  size_t width, least;  // where there is room, and where there is not
  unsigned rank;        // those of the highest go first when a line is too long; 0: none of these
  double factor = 1;
};
}  // namespace

// "net_ring_mr8845_0a": what tells ports apart stands at the end, so that is kept.
static constexpr Column columns[] = {
    {"CORE", "core", 4, 4, 0},
    {"PORT", "port", 18, 18, 0},
    {"ADDRESS", "address", 18, 18, 7},
    {"USEFUL%", "useful_percent", 7, 7, 0},
    {"ASLEEP%", "asleep_percent", 7, 7, 3},
    {"TURN us", "turn_us", 8, 7, 6},
    {"RX seg", "segments_received_per_second", 8, 6, 0},
    {"TX seg", "segments_sent_per_second", 8, 6, 0},
    {"RX bit", "bytes_received_per_second", 8, 6, 0, 8},
    {"TX bit", "bytes_sent_per_second", 8, 6, 0, 8},
    {"OPEN", "opens_per_second", 8, 6, 2},
    {"CLOSED", "closed_per_second", 8, 6, 4},
    {"RETR", "retransmitted_per_second", 7, 5, 0},
    {"DROP", "drops_per_second", 7, 5, 0},
    {"CONNS", "connections_now", 8, 6, 0},
    {"T-WAIT", "time_wait_now", 8, 6, 5},
};

// Which of them fit into so many characters, and how wide they are.
static std::vector<std::pair<const Column*, size_t>> fitting(size_t most) {
  for (unsigned worst = 8; worst > 0; --worst)
    for (bool narrow : {false, true}) {
      std::vector<std::pair<const Column*, size_t>> out;
      size_t length = 0;
      for (const Column& c : columns) {
        if (c.rank >= worst) continue;
        out.emplace_back(&c, narrow ? c.least : c.width);
        length += out.back().second + 1;
      }
      if (length <= most + 1 || (worst == 1 && narrow)) return out;
    }
  return {};
}

static bool is_text(const Column& c) {
  return std::string_view(c.name) == "port" || std::string_view(c.name) == "address";
}

static std::string cell(const Column& c, size_t width, const Json* row) {
  std::string text = c.head;
  if (row != nullptr && is_text(c)) text = row->value(c.name, "");
  if (row != nullptr && !is_text(c)) {
    double number = c.factor * row->value(c.name, 0.0);
    bool is_percent = std::string_view(c.head).ends_with('%');
    text = is_percent ? format("%.1f", number) : short_number(number);
  }
  if (text.size() > width) text.erase(0, text.size() - width);
  std::string blanks(width - text.size(), ' ');
  return is_text(c) ? text + blanks : blanks + text;
}

// Of a row, or the heads.
static std::string line(size_t most, const Json* row) {
  std::string out;
  for (auto [column, width] : fitting(most)) out += (out.empty() ? "" : " ") + cell(*column, width, row);
  return out;
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
  put("millrace-stat top - " + clock_time() + ", each second over " + format("%g", interval) + " s, q ends  " + program.title());
  put("");
  out += "\033[7m" + line(width, nullptr) + "\033[0m\033[K\n";
  for (const Json& row : rows) put(line(width, &row));
  for (const Json& row : rows)
    if (row.contains("error")) put("endpoint " + row["endpoint"].dump() + ": " + row["error"].get<std::string>());
  out += "\033[J";
  std::fputs(out.c_str(), stdout);
}

void show_top(const Wishes& wishes) {
  Program program = choose(wishes.prefix);
  std::vector<EndpointName> endpoints = chosen(program, wishes);
  bool is_screen = isatty(STDOUT_FILENO) != 0 && !wishes.json;
  Keys keys(is_screen);
  if (is_screen) std::fputs("\033[2J", stdout);
  if (!is_screen && !wishes.json) std::printf("%-8s %s\n", "TIME", line(SIZE_MAX - 1, nullptr).c_str());
  using Clock = std::chrono::steady_clock;
  auto step = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(wishes.interval));
  auto next = Clock::now();
  std::map<uint32_t, Json> before = read(program, endpoints);
  for (unsigned shown = 0; wishes.count == 0 || shown < wishes.count; ++shown) {
    if (std::fflush(stdout) != 0) return;  // nobody reads it any more
    next = std::max(next + step, Clock::now());
    if (keys.wait(next - Clock::now())) return;
    std::map<uint32_t, Json> now = read(program, endpoints);
    std::vector<Json> rows;
    for (const EndpointName& e : endpoints) rows.push_back(rates(e, before[e.number], now[e.number]));
    before = std::move(now);
    if (is_screen) draw(program, wishes.interval, rows);
    for (const Json& row : rows) {
      if (wishes.json) std::printf("%s\n", row.dump().c_str());
      if (!wishes.json && !is_screen) std::printf("%s %s\n", clock_time().c_str(), line(SIZE_MAX - 1, &row).c_str());
    }
  }
}

}  // namespace millrace::stat
