// SPDX-License-Identifier: BSD-3-Clause
// Devices, as `ip -s link` shows them; neighbours, as `ip neighbour` does; and the programs that run.
#include "commands.h"
#include "text.h"

namespace millrace::stat {

std::vector<EndpointName> chosen(const Program& program, const Wishes& wishes) {
  std::vector<EndpointName> out;
  for (const EndpointName& endpoint : program.endpoints)
    if (wishes.endpoint < 0 || endpoint.number == static_cast<uint32_t>(wishes.endpoint)) out.push_back(endpoint);
  if (out.empty() && wishes.endpoint >= 0)
    throw Failure(2, program.name + " has no endpoint " + std::to_string(wishes.endpoint));
  if (out.empty()) throw Failure(1, program.name + " has no endpoint now: it begins or ends");
  return out;
}

void show_programs(const Wishes& wishes) {
  std::vector<Program> programs = find_programs();
  Json all = Json::array();
  for (const Program& program : programs) {
    Json endpoints = Json::array();
    for (const EndpointName& e : program.endpoints)
      endpoints.push_back({{"endpoint", e.number}, {"port", e.port}, {"address", e.address}, {"core", e.core}});
    all.push_back({{"program", program.name},
                   {"pid", program.pid},
                   {"file_prefix", program.prefix},
                   {"version", program.version},
                   {"endpoints", endpoints}});
  }
  if (wishes.json) {
    std::printf("%s\n", Json{{"programs", all}}.dump(2).c_str());
    return;
  }
  if (programs.empty()) throw Failure(2, "no Millrace program runs here");
  for (const Program& program : programs) {
    std::printf("%s: %s\n", program.title().c_str(), program.version.c_str());
    for (const EndpointName& e : program.endpoints)
      std::printf("  endpoint %u: %s %s, core %u\n", e.number, e.port.c_str(), e.address.c_str(), e.core);
  }
}

// --- ports ---

static void print_port(const Json& row) {
  auto text = [&](const char* name) { return row.value(name, ""); };
  auto number = [&](const char* name) { return row.value(name, 0ul); };
  std::printf("%lu: %s: driver %s, link %s%s, mtu %lu, CPU %lu\n", number("endpoint"), text("port").c_str(),
              text("driver").c_str(), text("link").c_str(),
              number("link_mbps") == 0 ? "" : format(", %lu Mbit/s", number("link_mbps")).c_str(), number("mtu"),
              number("cpu"));
  std::printf("    link/ether %s, checksums of what is sent: %s\n", text("mac").c_str(), text("tx_checksums").c_str());
  std::string more = number("addresses") > 1 ? format(" and %lu more", number("addresses") - 1) : "";
  std::string gateway = text("gateway").empty() ? "" : ", gateway " + text("gateway");
  std::printf("    inet %s%s%s\n", text("address").c_str(), more.c_str(), gateway.c_str());
  std::printf("    RX: %14s %16s %10s %10s %10s\n", "packets", "bytes", "errors", "missed", "no buffer");
  std::printf("        %14lu %16lu %10lu %10lu %10lu\n", number("rx_packets"), number("rx_bytes"), number("rx_errors"),
              number("rx_missed"), number("rx_no_buffer"));
  std::printf("    TX: %14s %16s %10s\n", "packets", "bytes", "errors");
  std::printf("        %14lu %16lu %10lu\n", number("tx_packets"), number("tx_bytes"), number("tx_errors"));
  std::printf("    buffers in use: %lu of %lu rx, %lu of %lu tx, %lu of %lu of applications\n", number("rx_buffers_used"),
              number("rx_buffers"), number("tx_buffers_used"), number("tx_buffers"), number("application_buffers_used"),
              number("application_buffers"));
}

void show_ports(const Wishes& wishes) {
  Program program = choose(wishes.prefix);
  chosen(program, wishes);
  Json all = Json::array();
  for (Json& row : rows_of(program.ask("/millrace/ports"))) {
    if (wishes.endpoint >= 0 && row.value("endpoint", -1) != wishes.endpoint) continue;
    if (!wishes.json) print_port(row);
    all.push_back(row);
  }
  if (wishes.json)
    std::printf("%s\n",
                Json{{"program", program.name}, {"pid", program.pid}, {"file_prefix", program.prefix}, {"ports", all}}
                    .dump(2)
                    .c_str());
}

// --- neighbours ---

void show_neighbors(const Wishes& wishes) {
  Program program = choose(wishes.prefix);
  Json all = Json::array();
  for (const EndpointName& endpoint : chosen(program, wishes)) {
    std::string after;
    do {
      Json page = program.ask("/millrace/neigh," + std::to_string(endpoint.number) + (after.empty() ? "" : ",after=" + after));
      for (const Json& row : rows_of(page)) {
        Json out = {{"endpoint", endpoint.number}, {"port", endpoint.port}};
        out.update(row);
        all.push_back(out);
        if (wishes.json) continue;
        std::string mac = row.value("mac", ""), state = row.value("state", "");
        std::printf("%s dev %s%s users %lu %s", row.value("address", "").c_str(), endpoint.port.c_str(),
                    mac.empty() ? "" : (" lladdr " + mac).c_str(), row.value("users", 0ul), state.c_str());
        unsigned long left = row.value("timer_us", 0ul);
        std::printf("%s\n", left == 0 ? "" : (" for " + time_text(left)).c_str());
      }
      after = page.value("next", "");
    } while (!after.empty());
  }
  if (wishes.json)
    std::printf("%s\n",
                Json{{"program", program.name}, {"pid", program.pid}, {"file_prefix", program.prefix}, {"neighbors", all}}
                    .dump(2)
                    .c_str());
}

}  // namespace millrace::stat
