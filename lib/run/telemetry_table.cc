// SPDX-License-Identifier: BSD-3-Clause
// The names under which connections, listeners and neighbours are told. (run/telemetry_table.h, apps/stat/README.md)
#include "run/telemetry_table.h"

#include <algorithm>

namespace millrace::run {

// --- the table ---

static size_t digits(uint64_t number) {
  size_t count = 1;
  for (; number >= 10; number /= 10) ++count;
  return count;
}

bool Table::add(Row row) {
  size_t size = 0;
  for (const Cell& cell : row) size += cell.is_text ? cell.text.size() + 3 : digits(cell.number) + 1;
  size_t of_names = 0;
  if (rows_.empty())
    for (const Cell& cell : row) of_names += std::char_traits<char>::length(cell.name) + 6;
  if (size_ + of_names + size > nic::TelemetryAnswer::room || rows_.size() == nic::TelemetryAnswer::most_rows) return false;
  size_ += of_names + size;
  of_rows_ += size;
  rows_.push_back(std::move(row));
  return true;
}

uint32_t Table::room() const {
  constexpr uint32_t guess = 32;
  if (rows_.empty()) return guess;
  return static_cast<uint32_t>((nic::TelemetryAnswer::room - size_) * rows_.size() / of_rows_) + 1;
}

void Table::put(nic::TelemetryAnswer& answer) const {
  if (rows_.empty()) return;
  std::vector<uint64_t> numbers(rows_.size());
  std::vector<std::string> texts(rows_.size());
  for (size_t column = 0; column < rows_[0].size(); ++column) {
    const Cell& head = rows_[0][column];
    for (size_t i = 0; i < rows_.size(); ++i) {
      numbers[i] = rows_[i][column].number;
      texts[i] = rows_[i][column].text;
    }
    if (head.is_text)
      answer.texts(head.name, texts);
    else
      answer.numbers(head.name, numbers);
  }
}

// --- rows ---

static std::string with_port(const IpAddress& address, uint16_t port) {
  return (address.is_unspecified() ? "*" : to_string(address.v4())) + ":" + (port == 0 ? "*" : std::to_string(port));
}

static uint64_t until(Instant at, Instant now) { return at > now ? (at - now).us() : 0; }
static uint64_t since(Instant at, Instant now) { return at.ns != 0 && now > at ? (now - at).us() : 0; }

struct Running {
  const char* name;
  uint64_t us;
};

// The one that ss would show: what runs for text in flight, else what ends the record, else what waits for idleness.
static Running timer_of(const Diagnostics& d, Instant now) {
  if (d.timer != Timer::none) return {name(d.timer), d.timer_at == Instant::never() ? 0 : until(d.timer_at, now)};
  if (d.life_at != Instant::never())
    return {d.state == State::time_wait ? "time_wait" : "fin_wait", until(d.life_at, now)};
  if (d.keepalive_at != Instant::never()) return {"keepalive", until(d.keepalive_at, now)};
  if (d.delayed_ack_at != Instant::never()) return {"delayed_ack", until(d.delayed_ack_at, now)};
  return {"", 0};
}

static Row basic(const char* state, uint64_t recv_q, uint64_t send_q, std::string local, std::string remote, Running timer,
                 uint64_t retries) {
  return {{"state", std::string(state)}, {"recv_q", recv_q},   {"send_q", send_q},  {"local", std::move(local)},
          {"remote", std::move(remote)}, {"timer", std::string(timer.name)}, {"timer_us", timer.us}, {"retries", retries}};
}

static std::string options_of(const Diagnostics& d) {
  std::string out;
  auto add = [&](bool has, const char* word) { out += has ? (out.empty() ? "" : " ") + std::string(word) : ""; };
  add(d.timestamps, "ts");
  add(d.sack, "sack");
  add(d.ecn, "ecn");
  add(d.window_scaling, "wscale");
  return out;
}

static void add_path(Row& row, const Diagnostics& d) {
  auto add = [&](const char* name, auto value) { row.emplace_back(name, value); };
  add("congestion", std::string(name(d.congestion)));
  add("phase", std::string(name(d.phase)));
  add("slow_start", uint64_t{d.slow_start});
  add("cwnd", uint64_t{d.cwnd});
  add("ssthresh", uint64_t{d.ssthresh >= UINT32_MAX / 2 ? 0 : d.ssthresh});
  add("rtt_us", d.srtt.us());
  add("rttvar_us", d.rttvar.us());
  add("min_rtt_us", d.min_rtt.us());
  add("receiver_rtt_us", d.receiver_rtt.us());
  add("rto_us", d.rto.us());
  add("backoff", uint64_t{d.backoff});
  add("path_mtu", uint64_t{d.path_mtu});
  add("send_mss", uint64_t{d.send_mss});
  add("peer_mss", uint64_t{d.peer_mss});
  add("receive_mss", uint64_t{d.receive_mss});
  add("options", options_of(d));
  add("send_wscale", uint64_t{d.send_wscale});
  add("receive_wscale", uint64_t{d.receive_wscale});
  add("send_window", uint64_t{d.send_window});
  add("receive_window", uint64_t{d.receive_window});
  add("receive_buffer", uint64_t{d.receive_buffer});
  add("send_limit", uint64_t{d.send_limit});
}

static void add_counts(Row& row, const Diagnostics& d) {
  auto add = [&](const char* name, uint64_t value) { row.emplace_back(name, value); };
  add("in_flight", d.in_flight);
  add("sacked", d.sacked);
  add("lost", d.lost);
  add("resent", d.resent);
  add("unsent", d.unsent);
  add("bytes_sent", d.bytes_sent);
  add("bytes_acked", d.bytes_acked);
  add("bytes_received", d.bytes_received);
  add("bytes_retransmitted", d.resent_bytes);
  add("retransmitted", d.resent_segments);
  add("delivered", d.delivered);
  add("delivered_ce", d.delivered_ce);
  add("segments_sent", d.segments_out);
  add("segments_received", d.segments_in);
  add("text_segments_sent", d.text_segments_out);
  add("text_segments_received", d.text_segments_in);
  add("out_of_order", d.out_of_order);
  add("out_of_order_total", d.out_of_order_total);
  add("recoveries", d.recoveries);
  add("timeouts", d.timeouts);
  add("tail_loss_probes", d.tail_loss_probes);
  add("undone", d.undone);
  add("dsacks", d.dsacks);
  add("reordering", d.reordering);
}

static void add_times(Row& row, const Diagnostics& d, Instant now) {
  auto add = [&](const char* name, uint64_t value) { row.emplace_back(name, value); };
  add("age_us", since(d.established, now));
  add("last_sent_us", since(d.text_sent, now));
  add("last_received_us", since(d.text_received, now));
  add("last_ack_us", since(d.ack_received, now));
  add("keepalive_probes", d.keepalive_probes);
  row.emplace_back("limit", std::string(name(d.limit)));
  add("busy_us", d.busy.us());
  add("receiver_limited_us", d.limited_by_receiver.us());
  add("send_buffer_limited_us", d.limited_by_send_buffer.us());
  add("congestion_limited_us", d.limited_by_congestion.us());
  uint64_t interval = d.rate_interval.ns;
  add("delivery_rate", interval == 0 ? 0 : static_cast<uint64_t>(1e9 * d.rate_bytes / static_cast<double>(interval)));
  add("app_limited", d.rate_app_limited);
  add("connection", d.connection.value);
  add("token", d.token);
  add("active", d.active);
  add("orphan", d.orphan);
}

// Columns of listeners and of nobody else, and the other way round, are 0.
static void add_listener(Row& row, const ListenerDiagnostics& d) {
  row.emplace_back("half_open", uint64_t{d.half_open});
  row.emplace_back("accepted", d.accepted);
  row.emplace_back("cookies", uint64_t{d.cookies});
}

static Row complete(Row row, const Diagnostics& d, Instant now, const ListenerDiagnostics& listener) {
  add_path(row, d);
  add_counts(row, d);
  add_times(row, d, now);
  add_listener(row, listener);
  return row;
}

Row row_of(const Diagnostics& d, Instant now, bool brief) {
  Row row = basic(name(d.state), d.unread, uint64_t{d.in_flight} + d.unsent, with_port(d.local, d.local_port),
                  with_port(d.remote, d.remote_port), timer_of(d, now),
                  std::max({uint64_t{d.backoff}, uint64_t{d.timeouts_in_a_row}, uint64_t{d.keepalive_probes}}));
  if (!brief) return complete(std::move(row), d, now, {});
  row.emplace_back("cwnd", uint64_t{d.cwnd});
  row.emplace_back("rtt_us", d.srtt.us());
  row.emplace_back("retransmitted", uint64_t{d.resent_segments});
  return row;
}

// As ss has it: what is not taken yet, and how much may be.
Row row_of(const ListenerDiagnostics& d, bool brief) {
  Row row = basic(name(State::listen), d.untold, d.backlog, with_port(d.address, d.port), "*:*", {"", 0}, 0);
  Diagnostics nothing;
  nothing.token = d.token;
  if (!brief) return complete(std::move(row), nothing, {}, d);
  for (const char* column : {"cwnd", "rtt_us", "retransmitted"}) row.emplace_back(column, uint64_t{0});
  return row;
}

Row row_of(const NeighborDiagnostics& d, Instant now) {
  return {{"address", to_string(d.address)},
          {"mac", d.mac.is_unspecified() ? std::string() : to_string(d.mac)},
          {"state", std::string(name(d.state))},
          {"users", uint64_t{d.users}},
          {"asked", uint64_t{d.asked}},
          {"timer_us", d.until == Instant::never() ? 0 : until(d.until, now)}};
}

}  // namespace millrace::run
