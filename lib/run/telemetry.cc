// SPDX-License-Identifier: BSD-3-Clause
// The commands of rte_telemetry, and the endpoints that they are about. (run/telemetry.h)
#include "run/telemetry.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <mutex>

#include "nic/eal.h"
#include "nic/port_reading.h"
#include "nic/telemetry.h"
#include "run/settings.h"
#include "run/telemetry_table.h"

namespace millrace::run {
namespace {

struct Shown {
  Worker* worker;
  const Config* config;
};

// EAL's threads may ask until the very end of the process, so this outlives all statics.
struct Registry {
  std::mutex mutex;                 // held while a question is under way
  std::atomic<uint32_t> ending{0};  // who waits for the mutex to take an endpoint out
  std::map<uint32_t, Shown> endpoints;
  uint32_t next = 0;
};
Registry& registry() {
  static auto* all = new Registry;
  return *all;
}

constexpr const char* not_answering = "the core takes no turns: it gave no answer within two seconds";
constexpr const char* has_ended = "the endpoint has ended";

const char* why(Inquiry::Outcome outcome) {
  return outcome == Inquiry::Outcome::ended || registry().ending.load(std::memory_order_relaxed) != 0 ? has_ended
                                                                                                      : not_answering;
}

// --- parameters: "0,after=1.512,port=80" ---

struct Parameters {
  uint32_t endpoint = 0;
  uint32_t after_kind = 0;
  uint32_t after = 0;
  bool brief = false;
  stack::DiagnosticsFilter filter;
  std::string error;
};

bool to_number(std::string_view text, uint64_t most, uint64_t& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() && out <= most;
}

// "SYN-SENT+ESTABLISHED"
bool to_states(std::string_view text, uint32_t& out) {
  out = 0;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find('+'));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    auto is = [&](State state) { return word == name(state); };
    uint32_t bit = 0;
    for (int i = 0; i <= static_cast<int>(State::time_wait); ++i)
      if (is(static_cast<State>(i))) bit = stack::DiagnosticsFilter::bit(static_cast<State>(i));
    if (bit == 0) return false;
    out |= bit;
  }
  return out != 0;
}

// "1.512": the kind of row, and its place; "512": of those that have one kind.
bool to_place(std::string_view text, Parameters& out) {
  size_t dot = text.find('.');
  uint64_t kind = 0, index = 0;
  if (dot != std::string_view::npos && !to_number(text.substr(0, dot), 3, kind)) return false;
  if (!to_number(text.substr(dot == std::string_view::npos ? 0 : dot + 1), UINT32_MAX - 1, index)) return false;
  out.after_kind = static_cast<uint32_t>(kind);
  out.after = static_cast<uint32_t>(index);
  return true;
}

bool take(std::string_view name, std::string_view value, Parameters& out) {
  uint64_t number = 0;
  auto port = [&](uint16_t& of) {
    bool good = to_number(value, 65535, number);
    of = static_cast<uint16_t>(number);
    return good;
  };
  if (name == "after") return to_place(value, out);
  if (name == "states") return to_states(value, out.filter.states);
  if (name == "port") return port(out.filter.port);
  if (name == "local_port") return port(out.filter.local_port);
  if (name == "remote_port") return port(out.filter.remote_port);
  if (name == "brief") return out.brief = value == "1", value == "0" || value == "1";
  if (name != "address") return false;
  auto address = parse_ipv4(value);
  out.filter.address = address.value_or(Ipv4Address{});
  return address.has_value();
}

Parameters parse(const std::string& text) {
  Parameters out;
  std::string_view rest = text;
  for (bool first = true; !rest.empty(); first = false) {
    std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    size_t equals = word.find('=');
    uint64_t number = 0;
    bool good = equals != std::string_view::npos ? take(word.substr(0, equals), word.substr(equals + 1), out)
                                                 : first && to_number(word, UINT32_MAX, number);
    if (equals == std::string_view::npos) out.endpoint = static_cast<uint32_t>(number);
    if (!good) out.error = "not understood: " + std::string(word);
  }
  return out;
}

// --- what all commands begin with ---

// Calls `function(worker, config, parameters)` with the endpoint that is meant, while it cannot go away.
template <typename Function>
void with_endpoint(const std::string& text, nic::TelemetryAnswer& answer, Function function) {
  Parameters parameters = parse(text);
  if (!parameters.error.empty()) return answer.text("error", parameters.error);
  std::lock_guard lock(registry().mutex);
  auto found = registry().endpoints.find(parameters.endpoint);
  if (found == registry().endpoints.end())
    return answer.text("error", "no endpoint " + std::to_string(parameters.endpoint));
  if (!found->second.worker->has_begun()) return answer.text("error", "the endpoint has not begun");
  answer.number("endpoint", found->first);
  function(*found->second.worker, *found->second.config, parameters);
}

// --- the commands ---

void tell_info(const std::string&, nic::TelemetryAnswer& answer) {
  answer.text("program", program_invocation_short_name);
  answer.number("pid", static_cast<uint64_t>(getpid()));
  answer.text("version", version());
  Table table;
  std::lock_guard lock(registry().mutex);
  for (const auto& [number, shown] : registry().endpoints) {
    if (!shown.worker->has_begun()) continue;
    table.add({{"endpoint", uint64_t{number}},
               {"port", shown.worker->port().name},
               {"address", with_prefix(*shown.config)},
               {"core", uint64_t{shown.worker->core()}}});
  }
  table.put(answer);
}

void tell_counters(const Worker& worker, nic::TelemetryAnswer& answer) {
  const Counters& counters = stack::counters(worker.stack());
  for (size_t i = 0; i < count_kinds; ++i)
    answer.number(name(static_cast<Count>(i)), counters[static_cast<Count>(i)]);
}

void tell_stats(const std::string& text, nic::TelemetryAnswer& answer) {
  with_endpoint(text, answer, [&](Worker& worker, const Config& config, const Parameters&) {
    answer.number("core", worker.core());
    answer.number("cpu", worker.cpu());
    answer.text("port", worker.port().name);
    answer.text("address", with_prefix(config));
    // It is asked first: who sleeps has then counted that.
    Inquiry::Outcome outcome = worker.inquiry().ask({}, registry().ending);
    Endpoint::Load load = worker.load();
    answer.number("time_us", worker.clock().at(nic::read_cycles()).us());
    answer.number("useful_cycles", load.useful_cycles);
    answer.number("total_cycles", load.total_cycles);
    answer.number("cycles_per_second", static_cast<uint64_t>(load.cycles_per_second));
    answer.number("asleep_cycles", load.asleep_cycles);
    answer.number("turns", load.turns);
    answer.number("useful_turns", load.useful_turns);
    answer.number("sleeps", load.sleeps);
    answer.number("wakeups", load.wakeups);
    answer.number("longest_turn_us", load.longest_turn.us());
    answer.number("longest_turn_off_cpu_us", load.longest_turn_off_cpu.us());
    tell_counters(worker, answer);
    if (outcome != Inquiry::Outcome::answered) return answer.text("error", why(outcome));
    const Answer& now = worker.inquiry().answer();
    answer.number("connections_now", now.gauges.connections);
    answer.number("half_open_now", now.gauges.half_open);
    answer.number("time_wait_now", now.gauges.time_wait);
    answer.number("buffers_held_now", now.gauges.held);
    answer.number("buffers_unread_now", now.gauges.unread);
    answer.number("frames_linearised", now.frames_linearised);
    answer.number("drop_frame_too_long", now.frames_not_linearised);
    answer.number("drop_other_vlan", now.frames_of_other_vlans);
    answer.number("drop_refused_by_driver", now.frames_refused);
  });
}

void tell_ports(const std::string&, nic::TelemetryAnswer& answer) {
  Table table;
  std::lock_guard lock(registry().mutex);
  for (const auto& [number, shown] : registry().endpoints) {
    // A port has one row, whatever cores it has.
    if (!shown.worker->has_begun() || shown.worker->core() != 0) continue;
    const nic::Port& port = shown.worker->port();
    nic::PortReading now = nic::read(port);
    table.add({{"endpoint", uint64_t{number}},
               {"port", port.name},
               {"driver", now.driver},
               {"cpu", uint64_t{shown.worker->cpu()}},
               {"cores", uint64_t{shown.config->cores}},
               {"queues", uint64_t{port.queues}},
               {"link", std::string(now.link_up ? "up" : "down")},
               {"link_mbps", uint64_t{now.link_mbps}},
               {"mac", to_string(port.mac)},
               {"mtu", uint64_t{shown.config->mtu}},
               {"address", with_prefix(*shown.config)},
               {"addresses", uint64_t{shown.config->address_count}},
               {"gateway", shown.config->gateway.is_unspecified() ? "" : to_string(shown.config->gateway)},
               {"tx_checksums", std::string(port.offloads.checksums.l4 ? "hardware" : "software")},
               {"segmentation", std::string(port.offloads.cuts() ? "hardware" : "software")},
               {"vlan", uint64_t{port.vlan}},
               {"rx_packets", now.rx_packets},
               {"rx_bytes", now.rx_bytes},
               {"rx_missed", now.rx_missed},
               {"rx_no_buffer", now.rx_no_buffer},
               {"rx_errors", now.rx_errors},
               {"tx_packets", now.tx_packets},
               {"tx_bytes", now.tx_bytes},
               {"tx_errors", now.tx_errors},
               {"rx_buffers", now.rx_buffers},
               {"rx_buffers_used", now.rx_used},
               {"tx_buffers", now.tx_buffers},
               {"tx_buffers_used", now.tx_used},
               {"application_buffers", now.app_buffers},
               {"application_buffers_used", now.app_used}});
  }
  table.put(answer);
}

void tell_neighbors(const std::string& text, nic::TelemetryAnswer& answer) {
  with_endpoint(text, answer, [&](Worker& worker, const Config&, const Parameters& parameters) {
    Question question;
    question.kind = Question::neighbors;
    question.from_index = parameters.after;
    Inquiry::Outcome outcome = worker.inquiry().ask(question, registry().ending);
    if (outcome != Inquiry::Outcome::answered) return answer.text("error", why(outcome));
    const Answer& told = worker.inquiry().answer();
    Table table;
    uint32_t i = 0;
    while (i < told.rows && table.add(row_of(told.neighbors[i], told.now))) ++i;
    bool is_over = told.done && i == told.rows;
    answer.text("next", is_over ? "" : std::to_string(i < told.rows ? told.index_at[i] : told.next_index));
    table.put(answer);
  });
}

// --- connections: listeners are kind 0, then flow::Kind's ---

class ConnectionPage {
 public:
  ConnectionPage(Worker& worker, const Parameters& parameters)
      : worker_(worker), parameters_(parameters), kind_(parameters.after_kind), index_(parameters.after) {}

  // Questions until the page is full, all is told, or the core has been asked often enough for one answer.
  Inquiry::Outcome fill() {
    constexpr int questions = 16;
    for (int i = 0; i < questions && !is_over_ && !is_full_; ++i) {
      Inquiry::Outcome outcome = kind_ == 0 ? ask_listeners() : ask_connections();
      if (outcome != Inquiry::Outcome::answered) return outcome;
    }
    return Inquiry::Outcome::answered;
  }
  void put(nic::TelemetryAnswer& answer) const {
    answer.text("next", is_over_ ? "" : std::to_string(kind_) + "." + std::to_string(index_));
    table_.put(answer);
  }

 private:
  Inquiry::Outcome ask_listeners();
  Inquiry::Outcome ask_connections();

  Worker& worker_;
  const Parameters& parameters_;
  Table table_;
  uint32_t kind_, index_;
  bool is_over_ = false, is_full_ = false;
};

Inquiry::Outcome ConnectionPage::ask_listeners() {
  const stack::DiagnosticsFilter& filter = parameters_.filter;
  Question question;
  question.kind = Question::listeners;
  question.from_index = index_;
  if (filter.has(State::listen)) {
    Inquiry::Outcome outcome = worker_.inquiry().ask(question, registry().ending);
    if (outcome != Inquiry::Outcome::answered) return outcome;
    const Answer& told = worker_.inquiry().answer();
    for (uint32_t i = 0; i < told.rows; ++i) {
      const ListenerDiagnostics& d = told.listeners[i];
      // A listener on any address is on this one, too. It has no other end.
      wire::FlowKey key{};
      key.local = d.address.is_unspecified() ? filter.address : d.address.v4();
      key.local_port = d.port;
      index_ = told.index_at[i];
      if (filter.matches(State::listen, key) && !table_.add(row_of(d, parameters_.brief))) {
        is_full_ = true;
        return outcome;
      }
    }
    index_ = told.next_index;
    if (!told.done) return outcome;
  }
  kind_ = 1;
  index_ = 0;
  return Inquiry::Outcome::answered;
}

Inquiry::Outcome ConnectionPage::ask_connections() {
  Question question;
  question.kind = Question::connections;
  question.filter = parameters_.filter;
  question.from.kind = static_cast<flow::Kind>(kind_);
  question.from.index = index_;
  question.rows = table_.room();
  Inquiry::Outcome outcome = worker_.inquiry().ask(question, registry().ending);
  if (outcome != Inquiry::Outcome::answered) return outcome;
  const Answer& told = worker_.inquiry().answer();
  for (uint32_t i = 0; i < told.rows && !is_full_; ++i) {
    is_full_ = !table_.add(row_of(told.connections[i], told.now, parameters_.brief));
    kind_ = static_cast<uint32_t>(told.at[i].kind);
    index_ = told.at[i].index;
  }
  if (is_full_) return outcome;
  kind_ = static_cast<uint32_t>(told.next.kind);
  index_ = told.next.index;
  is_over_ = told.done;
  return outcome;
}

void tell_connections(const std::string& text, nic::TelemetryAnswer& answer) {
  with_endpoint(text, answer, [&](Worker& worker, const Config&, const Parameters& parameters) {
    ConnectionPage page(worker, parameters);
    Inquiry::Outcome outcome = page.fill();
    if (outcome != Inquiry::Outcome::answered) return answer.text("error", why(outcome));
    page.put(answer);
  });
}

}  // namespace

Told::Told(Worker& worker, const Config& config) : worker_(worker) {
  nic::register_telemetry("/millrace/info", "This program and its endpoints", tell_info);
  nic::register_telemetry("/millrace/stats", "Counters and load: ENDPOINT", tell_stats);
  nic::register_telemetry("/millrace/ports", "Devices, addresses, frames, buffers", tell_ports);
  nic::register_telemetry("/millrace/neigh", "Neighbours: ENDPOINT[,after=NEXT]", tell_neighbors);
  nic::register_telemetry("/millrace/conns", "Connections: ENDPOINT[,after=NEXT][,states=A+B][,port=N]...",
                          tell_connections);
  std::lock_guard lock(registry().mutex);
  registry().endpoints[registry().next++] = {&worker, &config};
}

Told::~Told() {
  // Whoever waits for an answer is sent away first: it has the mutex.
  registry().ending.fetch_add(1, std::memory_order_relaxed);
  worker_.inquiry().close();
  std::lock_guard lock(registry().mutex);
  registry().ending.fetch_sub(1, std::memory_order_relaxed);
  std::erase_if(registry().endpoints, [&](const auto& entry) { return entry.second.worker == &worker_; });
}

}  // namespace millrace::run
