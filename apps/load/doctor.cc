// SPDX-License-Identifier: BSD-3-Clause
// The machine by millrace/doctor.h, the pools against the load, and a trial: does the device start, does the
// target answer? (doctor.h)
#include "doctor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "output.h"

namespace millrace::load {

using Findings = std::vector<Finding>;

// What was given for a pool, against what the load asks for.
static void compare_pool(Findings& out, const char* subject, uint32_t given, uint32_t wanted,
                         const char* flag, bool is_needed, const char* otherwise) {
  if (given >= wanted) return;
  out.push_back(
      {is_needed ? Finding::bad : Finding::poor, subject,
       std::to_string(given) + ", where this load wants " + std::to_string(wanted) + ": " + otherwise,
       std::string(flag) + " " + std::to_string(wanted) + ", or none: then it is sized by the load"});
}

static void examine_pools(const Plan& plan, Findings& out) {
  Plan sized = plan;
  sized.given.clear();
  Config given = client_config(plan), wanted = client_config(sized);
  size_t before = out.size();
  compare_pool(out, "connections", given.max_connections,
               static_cast<uint32_t>(plan.share(plan.connections)) + 1, "--max-connections", true,
               "no place for all of them");
  compare_pool(out, "packet buffers", given.packet_buffers, wanted.packet_buffers, "--packet-buffers", false,
               "sends are refused now and then");
  if (plan.closes_each() && plan.close_first == Side::client)
    compare_pool(out, "TIME-WAIT", given.max_time_wait, wanted.max_time_wait, "--time-wait-records", false,
                 "the oldest may end early");
  if (out.size() == before)
    out.push_back({Finding::good, "pools",
                   std::to_string(given.max_connections) + " connections, " +
                       std::to_string(given.packet_buffers) + " packet buffers each way, " +
                       std::to_string(given.max_time_wait) + " TIME-WAIT records",
                   ""});
}

// How soon a connection for each request comes back to the same port.
static void examine_ports(const Plan& plan, Findings& out) {
  if (!plan.closes_each() || plan.pace.is_none() || plan.targets.empty()) return;
  double rate = std::max(plan.pace.from, plan.pace.to),
         after = static_cast<double>(plan.local_ports()) / rate;
  double time_wait = plan.config.tcp.time_wait.seconds();
  char text[128];
  std::snprintf(text, sizeof text, "%lu, each used again after %.3g s at %.3g/s",
                static_cast<unsigned long>(plan.local_ports()), after, rate);
  if (after >= time_wait) return out.push_back({Finding::good, "local ports", text, ""});
  auto factor = static_cast<uint64_t>(std::ceil(time_wait / after));
  out.push_back(
      {Finding::poor, "local ports",
       text + std::string(", within TIME-WAIT: works where both ends reuse by RFC 6191, as Linux does"),
       "--addresses " + std::to_string(factor * plan.local_addresses()) + ", or more ports in --to"});
}

static std::string place(const Target& target) {
  return to_string(target.address) + ":" + std::to_string(target.port);
}

static Finding judge(const Plan& plan, const Target& target, const Event& event, bool only_gateway,
                     double ms) {
  std::string where = only_gateway ? "the gateway " + to_string(target.address) : place(target);
  const char* subject = only_gateway ? "gateway" : "target";
  char after[32];
  std::snprintf(after, sizeof after, " after %.3g ms", ms);
  // Whatever it says of the port, it was found.
  if (event.kind == Event::connected || (only_gateway && event.reason == Event::refused))
    return {Finding::good, subject, where + " answers" + after, ""};
  if (event.reason == Event::refused)
    return {Finding::bad, subject, where + " refuses: it is there, and nobody listens",
            "start the server, or another --to"};
  if (event.reason == Event::unreachable && event.length == 0) {
    uint32_t mask = plan.config.prefix_length == 0 ? 0 : ~uint32_t{0} << (32 - plan.config.prefix_length);
    bool on_link = ((target.address.value ^ plan.config.address.value) & mask) == 0;
    return {Finding::bad, "ARP",
            "nobody answers for " + to_string(on_link ? target.address : plan.config.gateway),
            "the address, the VLAN and the cable; --neighbor A.B.C.D=MAC where nobody answers ARP"};
  }
  if (event.reason == Event::unreachable)
    return {Finding::bad, subject, where + " is unreachable, a router says (ICMP)", "the routes there"};
  return {Finding::bad, subject, where + ": no answer" + after,
          "a firewall there, or no route back to " + to_string(plan.config.address)};
}

// A connect to each target, at most so many; without one, to the gateway, whose refusal is an answer, too.
static void try_targets(const Plan& plan, Endpoint& endpoint, Findings& out) {
  constexpr size_t most = 8;
  constexpr uint16_t discard = 9;
  std::vector<Target> targets = plan.targets;
  bool only_gateway = targets.empty() && !plan.config.gateway.is_unspecified();
  if (only_gateway) targets.push_back({plan.config.gateway, discard});
  targets.resize(std::min(targets.size(), most));
  size_t open = targets.size();
  std::vector<bool> told(targets.size());
  auto begin = std::chrono::steady_clock::now();
  auto elapsed = [&] {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  };
  double limit = plan.connect_timeout.seconds() * 1000;
  Application turn = [&](Channel& channel) {
    if (channel.first_turn() && channel.core() == 0)
      for (size_t i = 0; i < targets.size(); ++i)
        channel.connect({.address = targets[i].address, .port = targets[i].port, .token = i});
    for (Event& event : channel.events()) {
      bool is_end =
          event.kind == Event::connected || event.kind == Event::closed || event.kind == Event::failed;
      if (event.kind == Event::connected) channel.abort(event.connection);
      if (!is_end || event.token >= told.size() || told[event.token]) continue;
      told[event.token] = true;
      --open;
      out.push_back(judge(plan, targets[event.token], event, only_gateway, elapsed()));
    }
  };
  while (open > 0 && elapsed() < limit && !endpoint.stopping()) endpoint.turn(turn);
  for (size_t i = 0; i < targets.size() && !endpoint.stopping(); ++i)
    if (!told[i]) out.push_back(judge(plan, targets[i], Event{}, only_gateway, elapsed()));
  endpoint.finish(turn);
}

static void try_it(const Plan& plan, Findings& out) try {
  if (plan.program == Program::pair) {
    auto ends = Endpoint::pair(client_config(plan), server_config(plan));
    out.push_back({Finding::good, "start", "both ends start", ""});
    ends.first.finish();
    ends.second.finish();
    return;
  }
  Endpoint endpoint{plan.program == Program::client ? client_config(plan) : server_config(plan)};
  std::string banner = endpoint.banner();
  bool down = banner.find("LINK DOWN") != std::string::npos;
  out.push_back({down ? Finding::bad : Finding::good, "start", banner.substr(0, banner.find('\n')),
                 down ? "the cable, and the port at its other end" : ""});
  const char* queues = "  queues: ";
  if (size_t at = banner.find(queues); plan.config.cores > 1 && at != std::string::npos) {
    at += std::strlen(queues);
    out.push_back({Finding::good, "RSS", banner.substr(at, banner.find('\n', at) - at), ""});
  }
  try_targets(plan, endpoint, out);
} catch (const ConfigError& error) {
  out.push_back({Finding::bad, "start", error.what(), ""});
}

static void print(const Finding& f) {
  std::printf("%-7s %-23s %s\n", name(f.verdict), f.subject.c_str(), f.what.c_str());
  if (!f.mend.empty()) std::printf("%-7s %-23s -> %s\n", "", "", f.mend.c_str());
}

static std::string as_json(const Plan& plan, const Findings& findings, long bad, long poor) {
  nlohmann::ordered_json out = {{"run", name(plan.program)}, {"bad", bad}, {"poor", poor}};
  out["findings"] = nlohmann::ordered_json::array();
  for (const Finding& f : findings)
    out["findings"].push_back({{"verdict", name(f.verdict)}, {"subject", f.subject}, {"what", f.what}, {"mend", f.mend}});
  return out.dump(2) + "\n";
}

int run_doctor(const Plan& plan) {
  Findings findings;
  if (plan.program == Program::pair) {
    Config both[] = {client_config(plan), server_config(plan)};
    findings = examine(both);
  } else {
    Config one = plan.program == Program::client ? client_config(plan) : server_config(plan);
    findings = examine({&one, 1});
  }
  if (plan.has_client()) {
    examine_pools(plan, findings);
    examine_ports(plan, findings);
  }
  auto count = [&](Finding::Verdict verdict) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const Finding& f) { return f.verdict == verdict; });
  };
  for (const Finding& f : findings) print(f);
  std::fflush(stdout);
  size_t printed = findings.size();
  // What is known to be in the way need not be met.
  if (count(Finding::bad) == 0)
    try_it(plan, findings);
  else
    findings.push_back({Finding::unseen, "start", "not tried: see what is bad", ""});
  for (; printed < findings.size(); ++printed) print(findings[printed]);
  auto bad = count(Finding::bad), poor = count(Finding::poor);
  if (bad != 0)
    std::printf("%ld in the way of this run\n", static_cast<long>(bad));
  else
    std::printf("nothing is in the way of this run%s\n",
                poor != 0 ? (": " + std::to_string(poor) + " could be better").c_str() : "");
  bool wrote = write_output(plan.json, plan.json.empty() ? "" : as_json(plan, findings, bad, poor));
  return bad != 0 || !wrote ? 1 : 0;
}

}  // namespace millrace::load
