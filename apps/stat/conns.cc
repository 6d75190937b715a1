// SPDX-License-Identifier: BSD-3-Clause
// Connections, as `ss -tin` shows them: asked for page by page, printed as they come.
#include <algorithm>
#include <cctype>
#include <map>

#include "commands.h"
#include "text.h"

namespace millrace::stat {

// --- which ---

static const std::vector<std::string> all_states = {"LISTEN",     "SYN-SENT",   "SYN-RECEIVED", "ESTABLISHED",
                                                    "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",   "CLOSING",
                                                    "LAST-ACK",   "TIME-WAIT"};

static std::vector<std::string> without(std::initializer_list<const char*> words) {
  std::vector<std::string> out = all_states;
  for (const char* word : words) std::erase(out, word);
  return out;
}

static std::vector<std::string> meaning(const std::string& word) {
  static const std::map<std::string, std::vector<std::string>> known = {
      {"all", all_states},
      {"connected", without({"LISTEN"})},
      {"synchronized", without({"LISTEN", "SYN-SENT"})},
      {"bucket", {"SYN-RECEIVED", "TIME-WAIT"}},
      {"big", without({"SYN-RECEIVED", "TIME-WAIT"})},
      {"listening", {"LISTEN"}},
      {"estab", {"ESTABLISHED"}},
      {"syn-recv", {"SYN-RECEIVED"}},
  };
  std::string lower = word, upper = word;
  std::transform(word.begin(), word.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  std::transform(word.begin(), word.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  if (auto found = known.find(lower); found != known.end()) return found->second;
  if (std::find(all_states.begin(), all_states.end(), upper) != all_states.end()) return {upper};
  throw Failure(2, "--state: " + word + " is none; there are all, connected, synchronized, bucket, big, listening, " +
                       "established, syn-sent, syn-received, fin-wait-1, fin-wait-2, close-wait, closing, last-ack, " +
                       "time-wait");
}

std::string states_of(const Wishes& wishes) {
  std::vector<std::string> states;
  for (const std::string& word : wishes.states)
    for (const std::string& state : meaning(word))
      if (std::find(states.begin(), states.end(), state) == states.end()) states.push_back(state);
  if (wishes.listening) states.push_back("LISTEN");
  if (states.empty()) states = wishes.all ? all_states : without({"LISTEN", "SYN-RECEIVED", "TIME-WAIT"});
  std::string out;
  for (const std::string& state : states) out += (out.empty() ? "" : "+") + state;
  return out;
}

// --- how ---

static std::string text(const Json& row, const char* name) { return row.value(name, ""); }
static unsigned long number(const Json& row, const char* name) { return row.value(name, 0ul); }

static std::string timer_text(const Json& row) {
  std::string timer = text(row, "timer");
  if (timer.empty()) return "-";
  return "(" + timer + "," + time_text(number(row, "timer_us")) + "," + std::to_string(number(row, "retries")) + ")";
}

static void print_head() {
  std::printf("%-12s %8s %8s  %21s %21s  %-24s %10s %9s %7s\n", "State", "Recv-Q", "Send-Q", "Local Address:Port",
              "Peer Address:Port", "Timer", "Cwnd", "RTT", "Retrans");
}

static void print_line(const Json& row) {
  unsigned long rtt = number(row, "rtt_us"), cwnd = number(row, "cwnd");
  std::printf("%-12s %8lu %8lu  %21s %21s  %-24s %10s %9s %7lu\n", text(row, "state").c_str(), number(row, "recv_q"),
              number(row, "send_q"), text(row, "local").c_str(), text(row, "remote").c_str(), timer_text(row).c_str(),
              cwnd == 0 ? "-" : std::to_string(cwnd).c_str(), rtt == 0 ? "-" : time_text(rtt).c_str(),
              number(row, "retransmitted"));
}

// The words of ss -i, in its order; what is 0 and says nothing is left out. cwnd and ssthresh are bytes.
static void print_info(const Json& row) {
  std::string out = "\t ";
  auto add = [&](const std::string& word) { out += (out.size() > 2 ? " " : "") + word; };
  auto add_number = [&](const char* word, const char* name) {
    if (unsigned long n = number(row, name); n != 0) add(std::string(word) + ":" + std::to_string(n));
  };
  auto add_time = [&](const char* word, const char* name) {
    if (unsigned long n = number(row, name); n != 0) add(std::string(word) + ":" + time_text(n));
  };
  std::string state = text(row, "state");
  if (state == "LISTEN") {
    std::printf("\t half_open:%lu accepted:%lu%s\n", number(row, "half_open"), number(row, "accepted"),
                number(row, "cookies") != 0 ? " cookies" : "");
    return;
  }
  if (std::string options = text(row, "options"); !options.empty()) add(options);
  if (number(row, "send_wscale") + number(row, "receive_wscale") != 0)
    add(format("wscale:%lu,%lu", number(row, "send_wscale"), number(row, "receive_wscale")));
  if (state != "TIME-WAIT" && state != "SYN-RECEIVED") add(text(row, "congestion"));
  if (std::string phase = text(row, "phase"); phase != "open") add(phase);
  if (number(row, "slow_start") != 0) add("slow_start");
  add_time("rto", "rto_us");
  add_number("backoff", "backoff");
  if (unsigned long rtt = number(row, "rtt_us"); rtt != 0)
    add("rtt:" + time_text(rtt) + "/" + time_text(number(row, "rttvar_us")));
  add_number("mss", "send_mss");
  add_number("pmtu", "path_mtu");
  add_number("rcvmss", "receive_mss");
  add_number("cwnd", "cwnd");
  add_number("ssthresh", "ssthresh");
  add_number("bytes_sent", "bytes_sent");
  add_number("bytes_retrans", "bytes_retransmitted");
  add_number("bytes_acked", "bytes_acked");
  add_number("bytes_received", "bytes_received");
  add_number("segs_out", "segments_sent");
  add_number("segs_in", "segments_received");
  add_number("data_segs_out", "text_segments_sent");
  add_number("data_segs_in", "text_segments_received");
  add_time("lastsnd", "last_sent_us");
  add_time("lastrcv", "last_received_us");
  add_time("lastack", "last_ack_us");
  if (unsigned long rate = number(row, "delivery_rate"); rate != 0)
    add("delivery_rate:" + short_number(8.0 * static_cast<double>(rate)) + "bit/s");
  if (number(row, "app_limited") != 0) add("app_limited");
  add_time("busy", "busy_us");
  add_time("rwnd_limited", "receiver_limited_us");
  add_time("sndbuf_limited", "send_buffer_limited_us");
  add_time("cwnd_limited", "congestion_limited_us");
  add_number("unacked", "in_flight");
  add_number("notsent", "unsent");
  if (number(row, "retransmitted") != 0) add(format("retrans:%lu/%lu", number(row, "resent"), number(row, "retransmitted")));
  add_number("lost", "lost");
  add_number("sacked", "sacked");
  add_number("recoveries", "recoveries");
  add_number("timeouts", "timeouts");
  add_number("tlp", "tail_loss_probes");
  add_number("dsacks", "dsacks");
  add_number("rcv_ooopack", "out_of_order_total");
  add_time("rcv_rtt", "receiver_rtt_us");
  add_number("snd_wnd", "send_window");
  add_number("rcv_wnd", "receive_window");
  add_number("rcv_space", "receive_buffer");
  add_time("minrtt", "min_rtt_us");
  if (number(row, "orphan") != 0) add("orphan");
  std::printf("%s\n", out.c_str());
}

// --- all pages ---

static std::string command_of(const Wishes& wishes, uint32_t endpoint, const std::string& after) {
  std::string out = "/millrace/conns," + std::to_string(endpoint) + ",states=" + states_of(wishes);
  if (!after.empty()) out += ",after=" + after;
  if (wishes.port != 0) out += ",port=" + std::to_string(wishes.port);
  if (wishes.local_port != 0) out += ",local_port=" + std::to_string(wishes.local_port);
  if (wishes.remote_port != 0) out += ",remote_port=" + std::to_string(wishes.remote_port);
  if (!wishes.address.empty()) out += ",address=" + wishes.address;
  return out + (wishes.json || wishes.info ? "" : ",brief=1");
}

template <typename Function>
static void each_row(Program& program, const Wishes& wishes, Function function) {
  for (const EndpointName& endpoint : chosen(program, wishes)) {
    std::string after;
    do {
      Json page = program.ask(command_of(wishes, endpoint.number, after));
      for (Json& row : rows_of(page)) function(endpoint, row);
      after = page.value("next", "");
    } while (!after.empty());
  }
}

static void print_json(Program& program, const Wishes& wishes) {
  Json head = {{"program", program.name}, {"pid", program.pid}, {"file_prefix", program.prefix}};
  std::string begin = head.dump();
  begin.pop_back();
  std::printf("%s,\"connections\":[", begin.c_str());
  const char* between = "\n";
  // What has come is whole JSON, also if the program ends on the way.
  try {
    each_row(program, wishes, [&](const EndpointName& endpoint, const Json& row) {
      Json out = {{"endpoint", endpoint.number}};
      out.update(row);
      std::printf("%s%s", between, out.dump().c_str());
      between = ",\n";
    });
  } catch (const Failure& failure) {
    std::printf("],\n\"error\":%s}\n", Json(failure.what()).dump().c_str());
    throw;
  }
  std::printf("]}\n");
}

void show_connections(const Wishes& wishes) {
  states_of(wishes);  // what is wrong with them is told before anybody is asked
  Program program = choose(wishes.prefix);
  chosen(program, wishes);
  if (wishes.json) return print_json(program, wishes);
  print_head();
  each_row(program, wishes, [&](const EndpointName&, const Json& row) {
    print_line(row);
    if (wishes.info) print_info(row);
  });
}

}  // namespace millrace::stat
