// SPDX-License-Identifier: BSD-3-Clause
// The tables [load] and [server] of a configuration, and the flags that mean the same. (plan.h)
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "plan.h"
#include "plan_check.h"

namespace millrace::load {

const char* name(Program program) {
  constexpr const char* names[] = {"client", "server", "pair"};
  return names[static_cast<size_t>(program)];
}
const char* name(Workload workload) {
  constexpr const char* names[] = {"rps", "cps", "stream", "hold", "http"};
  return names[static_cast<size_t>(workload)];
}
const char* name(Protocol protocol) {
  constexpr const char* names[] = {"request", "echo", "http", "discard", "chargen", "stream"};
  return names[static_cast<size_t>(protocol)];
}

static constexpr unsigned of_client = 1, of_server = 2, of_pair = 4, of_load = of_client | of_pair,
                          of_all = 7;

// A program has the flags that mean something to it; files may hold them all.
static const char* flag_of(const Plan& plan, unsigned programs, const char* flag) {
  return programs >> static_cast<unsigned>(plan.program) & 1 ? flag : "";
}

static void add_work(Settings& s, Plan& p) {
  auto flag = [&](unsigned programs, const char* text) { return flag_of(p, programs, text); };
  s.choice<Workload>(
      "workload", flag(of_load, "--workload"), p.workload,
      {{"rps", Workload::rps},
       {"cps", Workload::cps},
       {"stream", Workload::stream},
       {"hold", Workload::hold},
       {"http", Workload::http}},
      "rps: requests and responses on kept connections; cps: connect, request, response, close; stream: "
      "bulk; hold: many connections, seldom a request; http: HTTP/1.1");
  s.list("to", flag(of_client, "--to"), p.to, "where to connect, several in turn",
         "A.B.C.D:PORT or A.B.C.D:FIRST-LAST");
  s.number("connections", flag(of_load, "--connections"), p.connections, 1, 4'000'000,
           "kept connections, or connections at a time");
  s.bytes("size", flag(of_all, "--size"), p.size, 1, 1 << 20, "bytes of a request, and of a response");
  s.bytes("request_size", flag(of_all, "--request-size"), p.request_size, 0, 1 << 20,
           "bytes of a request; 0: size");
  s.bytes("response_size", flag(of_all, "--response-size"), p.response_size, 0, 1 << 30,
           "bytes of a response (http: of its body, checked if given); 0: size");
  s.number("pipeline", flag(of_load, "--pipeline"), p.pipeline, 1, 1024,
           "requests that a connection has underway at a time");
  s.choice<Side>("close_first", flag(of_load, "--close-first"), p.close_first,
                 {{"client", Side::client}, {"server", Side::server}},
                 "cps: who closes first, and so has the TIME-WAIT");
  s.choice<Direction>("direction", flag(of_load, "--direction"), p.direction,
                      {{"send", Direction::send}, {"receive", Direction::receive}, {"both", Direction::both}},
                      "stream: which way, seen from the client");
  s.time("every", flag(of_load, "--every"), p.every, milliseconds(1), seconds(86400),
         "hold: each connection has a request so often");
}

static void add_http(Settings& s, Plan& p) {
  auto flag = [&](unsigned programs, const char* text) { return flag_of(p, programs, text); };
  s.text("url", flag(of_load, "--url"), p.http.url, "http: the path, or http://A.B.C.D:PORT/PATH", "a URL");
  s.text("method", flag(of_load, "--method"), p.http.method, "http: GET, HEAD, POST, PUT ...", "a method");
  s.bytes("body_size", flag(of_load, "--body-size"), p.http.body_size, 0, 1 << 20,
           "http: bytes of a request's body");
  s.boolean("close", flag(of_load, "--close"), p.http.close, "http: a connection for each request");
  s.list("headers", flag(of_load, "--header"), p.http.headers,
         "http: a header line; takes the place of Host, User-Agent or Connection if it has that name",
         "\"Name: value\"");
  s.list("expect_status", flag(of_load, "--expect-status"), p.http.expect_status,
         "http: statuses that are no error, several with commas; none: any status of a whole response",
         "200, 2xx");
}

static void add_time(Settings& s, Plan& p) {
  auto flag = [&](unsigned programs, const char* text) { return flag_of(p, programs, text); };
  s.time(
      "duration", flag(of_all, "--duration"), p.duration, Duration{}, seconds(10'000'000),
      "how long to measure; 0s: until the requests are done, and 5s without those (a server: until Ctrl-C)");
  s.number("requests", flag(of_load, "--requests"), p.requests, 0, INT64_MAX,
           "stop after so many; 0: no limit");
  s.time("warmup", flag(of_load, "--warmup"), p.warmup, Duration{}, seconds(3600),
         "load before the measuring begins");
  s.time("connect_timeout", flag(of_load, "--connect-timeout"), p.connect_timeout, milliseconds(10),
         seconds(3600), "kept connections must be there in this time");
  auto put_rate = [&p](const std::string& text) {
    if (!text.empty()) return Rate::parse(text, p.rate);
    p.rate = {};
    return true;
  };
  s.key({.name = "rate",
         .flag = flag(of_load, "--rate"),
         .help = "open loop: so many a second whatever the answers, or rising: \"100k..1M/10s\"; empty: "
                 "closed loop",
         .expected = "a rate, such as 5000, \"100k\" or \"100k..1M/10s\"",
         .type = Key::Type::text_or_number,
         .put = put_rate,
         .show = [&p] { return "\"" + p.rate.text() + "\""; }});
  s.choice<Arrival>("arrival", flag(of_load, "--arrival"), p.arrival,
                    {{"fixed", Arrival::fixed}, {"poisson", Arrival::poisson}},
                    "open loop: evenly spaced, or as independent users come");
}

static void add_output(Settings& s, Plan& p) {
  auto flag = [&](unsigned programs, const char* text) { return flag_of(p, programs, text); };
  s.text("json", flag(of_all, "--json"), p.json, "write the summary to a file; -: to standard output, and lines for people to stderr",
         "a file's name");
  s.text("hgrm", flag(of_load, "--hgrm"), p.hgrm, "write the latencies as HdrHistogram's percentile text",
         "a file's name");
  s.text("html", flag(of_all, "--html"), p.html, "write a page with plots, readable without a network",
         "a file's name");
  s.boolean("quiet", flag(of_all, "--quiet"), p.quiet, "no lines for people: no progress, no summary");
  s.boolean("apart", flag(of_pair, "--apart"), p.apart,
            "pair: the server on lcores of its own; else each lcore runs a core of both ends in turn");
  s.number("client_addresses", flag(of_pair, "--client-addresses"), p.client_addresses, 1, 1024,
           "pair: the client's IP addresses");
  s.number("server_ports", flag(of_pair, "--server-ports"), p.server_ports, 1, 64,
           "pair: the server's ports");
}

static void add_server(Settings& s, Plan& p) {
  auto flag = [&](unsigned programs, const char* text) { return flag_of(p, programs, text); };
  s.section("server", "what the server does");
  s.choice<Protocol>(
      "protocol", flag(of_server, "--protocol"), p.server.protocol,
      {{"request", Protocol::request},
       {"echo", Protocol::echo},
       {"http", Protocol::http},
       {"discard", Protocol::discard},
       {"chargen", Protocol::chargen},
       {"stream", Protocol::stream}},
      "request: answers request_size bytes with response_size; stream: discard and chargen at once");
  s.list("ports", flag(of_server, "--port"), p.server.port_ranges, "where to listen", "PORT or FIRST-LAST");
  s.text("directory", flag(of_server | of_pair, "--directory"), p.server.directory,
         "http: files to serve beside /bytes/N, read at the start", "a directory");
  s.time("stall", flag(of_server | of_pair, "--stall"), p.server.stall, Duration{}, seconds(3600),
         "does nothing for so long, once: to see what its clients make of it");
  s.time("stall_after", flag(of_server | of_pair, "--stall-after"), p.server.stall_after, Duration{},
         seconds(3600), "when, from the first connection on");
}

static std::string about(Program program) {
  switch (program) {
    case Program::client: return "Loads a server and measures its answers.";
    case Program::server: return "A server to be loaded: echo, http, discard, chargen, request.";
    default:
      return "Measures a server with a load generator, both in this process and joined by rings (net_ring): "
             "no NIC,\n"
             "no root, no huge pages.";
  }
}

static constexpr const char* about_latency =
    "\n\nLatency runs from handing a request to the stack until the event with the last of its response is "
    "read, by "
    "the\ntime stamp counter. Closed loop (default): the next request leaves when a response has come. Open "
    "loop "
    "(--rate):\nrequests leave at their times, and latency runs from the time that was meant.\n";

static constexpr const char* about_doctor =
    "Says what is in the way of such a run, and which command mends it; then starts it, and tries each target. The flags are "
    "those\nof the run. The exit code is 0, or 1 if something is in the way. --json FILE: the findings, as JSON.\n";

// What the tables of a file say: the endpoint is the Config's; of a pair, both ends'.
static void add_keys(Settings& s, Plan& p) {
  s.add(p.config);
  s.section("load", "what the client does");
  add_work(s, p);
  add_http(s, p);
  add_time(s, p);
  add_output(s, p);
  add_server(s, p);
}

Plan make_plan(Program program, int argc, char** argv, bool doctor) {
  Plan plan;
  plan.program = program;
  plan.doctor = doctor;
  std::string words = std::string(doctor ? "doctor " : "") + name(program);
  std::string what = doctor ? about_doctor : about(program) + (program == Program::server ? "\n" : about_latency);
  Settings settings("millrace-load", what, "millrace-load " + words);
  add_keys(settings, plan);
  settings.check([&] { complete(plan, settings); });
  settings.parse(argc, argv);
  plan.settings = settings.print();
  for (const Key& key : settings.keys())
    if (settings.is_set(key.name)) plan.given.push_back(key.name);
  return plan;
}

}  // namespace millrace::load
