// SPDX-License-Identifier: BSD-3-Clause
#include "tests/conformance/script.h"

#include <sstream>

namespace millrace::conformance {
namespace {

class Player {
 public:
  Player(Net& n, Where at) : net(n), where(at), begin(n.now), size(n.tcb().mss) {}

  void play(const std::string& script) {
    std::istringstream lines(script);
    while (std::getline(lines, line) && !failed) {
      std::istringstream words(line.substr(0, line.find('#')));
      uint64_t ms;
      std::string verb;
      if (!(words >> ms >> verb)) continue;
      reach(begin + milliseconds(ms), verb);
      if (verb == ">")
        sent(words, begin + milliseconds(ms));
      else
        act(verb, words);
    }
    line = "the end";
    if (!failed) nothing_left();
  }

 private:
  void fail(const std::string& why) {
    failed = true;
    std::ostringstream left;
    for (const Sent& packet : net.sent)
      left << "\n  at " << (packet.at - begin).us() / 1000 << " ms: " << name_of(packet.seg) << "  "
           << to_string(packet.seg);
    ADD_FAILURE_AT(where.file, where.line)
        << "at this line: " << line << "\n  " << why
        << (net.sent.empty() ? "" : "\n  what left and is not in the script:") << left.str();
    net.sent.clear();
  }

  void nothing_left() {
    if (!net.sent.empty()) fail("this left before");
  }

  void reach(Instant at, const std::string& verb) {
    bool sending = verb == ">";
    if ((sending && !net.sent.empty()) || (verb == "=" && at <= net.now)) return;
    if (at > net.now) net.advance(at - net.now);
    // The wheel turns in ticks: what is due now may leave a little later.
    Instant limit = at + milliseconds(1) - nanoseconds(1);
    while (sending && net.sent.empty() && net.now < limit)
      net.advance(std::clamp(next_deadline(*net.stack), net.now, limit) - net.now);
    if (!sending) nothing_left();
  }

  // "3", "3+10", "-2"
  uint32_t number(const std::string& word) const {
    size_t plus = word.find('+');
    auto segments = static_cast<uint32_t>(std::stol(word));
    uint32_t octets = plus == std::string::npos ? 0 : static_cast<uint32_t>(std::stol(word.substr(plus + 1)));
    return 1 + segments * size + octets;
  }

  std::pair<uint32_t, uint32_t> range(const std::string& word) const {
    if (size_t colon = word.find(':'); colon != std::string::npos)
      return {number(word.substr(0, colon)), number(word.substr(colon + 1))};
    size_t dash = word.find('-', 1);
    std::string last = dash == std::string::npos ? word : word.substr(dash + 1);
    return {number(word), number(last) + size};
  }

  std::string name_of(const Seg& seg) {
    uint32_t at = seg.seq - net.own_iss() - 1;
    std::ostringstream name;
    if (seg.length == 0) {
      name << (seg.flags & fin ? "fin" : "ack");
    } else {
      name << at / size;
      if (at % size != 0) name << '+' << at % size;
      if (seg.length != size) name << '/' << seg.length;
      if (seg.flags & fin) name << 'F';
    }
    if (seg.flags & cwr_bit) name << 'c';
    return name.str();
  }

  // 3-5 is 3, 4, 5.
  static std::vector<std::string> spelt_out(std::istringstream& words) {
    std::vector<std::string> all;
    for (std::string word; words >> word;) {
      size_t dash = word.find('-');
      if (dash == std::string::npos) {
        all.push_back(word);
        continue;
      }
      for (int n = std::stoi(word); n <= std::stoi(word.substr(dash + 1)); ++n)
        all.push_back(std::to_string(n));
    }
    return all;
  }

  void sent(std::istringstream& words, Instant at) {
    for (const std::string& want : spelt_out(words)) {
      if (net.sent.empty()) return fail("nothing left instead of " + want);
      const Sent& packet = net.sent.front();
      std::string got = name_of(packet.seg);
      if (packet.at < at || packet.at >= at + milliseconds(1)) return fail("another time for " + want);
      if (got != want) return fail("not " + want);
      net.sent.pop_front();
    }
  }

  void act(const std::string& verb, std::istringstream& words) {
    if (verb == "<") return peer(words);
    if (verb == "=") return check(words);
    if (verb == "shutdown") return net.shutdown();
    if (verb != "send") return fail("what is this?");
    uint32_t segments = 0, octets = 0;
    words >> segments >> octets;
    net.send(segments * size + octets);
  }

  void peer(std::istringstream& words) {
    Seg seg = A(1, 1).win(60000);
    bool blocks = false;
    for (std::string word; words >> word;) {
      if (word == "sack") {
        blocks = true;
      } else if (word == "ece") {
        seg.ece();
      } else if (word == "ack" || word == "win" || word == "echo") {
        std::string value;
        words >> value;
        blocks = false;
        if (word == "ack") seg.ack = value == "fin" ? net.tcb().snd.max.value - net.own_iss() : number(value);
        if (word == "win") seg.win((number(value) - 1) >> std::max(net.peer.wscale, 0));
        if (word == "echo") seg.ecr(*ts_at(std::stoul(value)));
      } else if (blocks) {
        auto [left, right] = range(word);
        seg.sack(left, right);
      } else {
        return fail("what is " + word + "?");
      }
    }
    net.in(seg);
  }

  std::optional<uint32_t> ts_at(uint64_t ms) const {
    return static_cast<uint32_t>((begin + milliseconds(ms)).ms()) + net.tcb().ts_offset;
  }

  void check(std::istringstream& words) {
    std::string what;
    uint64_t want = 0, got = 0;
    words >> what >> want;
    const tcp::Tcb& t = net.tcb();
    if (what == "cwnd")
      got = t.cwnd / size;
    else if (what == "ssthresh")
      got = t.ssthresh / size;
    else if (what == "flight")
      got = t.flight() / size;
    else if (what == "pipe")
      got = t.pipe() / size;
    else if (what == "timeouts")
      got = net.counter(Count::retransmission_timeouts);
    else if (what == "probes")
      got = net.counter(Count::tail_loss_probes);
    else if (what == "undone")
      got = net.counter(Count::recoveries_undone);
    else if (what == "fast")
      got = net.counter(Count::fast_retransmits);
    else if (what == "resent")
      got = net.counter(Count::retransmitted);
    else
      return fail("what is " + what + "?");
    if (got != want) fail(what + " is " + std::to_string(got));
  }

  Net& net;
  Where where;
  Instant begin;
  uint32_t size;
  std::string line;
  bool failed = false;
};

}  // namespace

void play(Net& net, const std::string& script, Where where) {
  Player(net, where).play(script);
}

}  // namespace millrace::conformance
