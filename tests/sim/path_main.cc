// SPDX-License-Identifier: BSD-3-Clause
// millrace-path [CASE...] [--longer N] [--queue PERCENT] [--seeds N]: what congestion control and recovery make of
// simulated paths, against what they should. Without names all cases run. `--longer` measures N times as long;
// `--queue` is for `fill`: its queue in percent of the bandwidth-delay product. The last line is "N passed, N failed, 0
// skipped".
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim/path.h"

namespace millrace {
void ensure_failed(const char* what, const char* file, int line) {
  std::printf("%s:%d: ensure(%s) failed\n", file, line, what);
  std::fflush(stdout);
  std::abort();
}
}  // namespace millrace

namespace {

using namespace millrace;
using sim::PathPlan;
using sim::PathWorld;

using Number = unsigned long long;  // what printf knows

constexpr double mss = 1448;
uint64_t longer = 1;
uint64_t queue_percent = 125;
uint64_t seeds = 0;

bool check(bool good, const char* what) {
  if (!good) std::printf("  NOT SO: %s\n", what);
  return good;
}

Number timeouts(const PathWorld& world) { return world.counters(0)[Count::retransmission_timeouts]; }

// RFC 9438 5.1: the average window in segments at loss rate p, with C = 0.4 and beta = 0.7,
// (C (3 + beta) / (4 (1 - beta)))^(1/4) RTT^(3/4) / p^(3/4).
double response(double p, double rtt) {
  return std::pow(0.4 * 3.7 / (4 * 0.3), 0.25) * std::pow(rtt, 0.75) / std::pow(p, 0.75);
}

struct Averages {
  double window;  // what was in flight: segments delivered in a round trip
  double cwnd;    // the mean of the variable, over time
  uint64_t losses;
};

Averages measure(PathWorld& world, double rtt, Duration warm, Duration time) {
  // Slow start is no part of the response function: it ends about where the average will be.
  while (!world.established(0)) world.run_for(milliseconds(10));
  world.sending(0).ssthresh = 600 * 1448;
  world.run_for(warm);
  uint64_t received = world.received(0), losses = world.trace(0).lost;
  double cwnd = world.trace(0).window_time;
  world.run_for(time);
  return {static_cast<double>(world.received(0) - received) / mss / time.seconds() * rtt,
          (world.trace(0).window_time - cwnd) / time.seconds(), world.trace(0).lost - losses};
}

// Each 100,000th segment is lost at 10 Gbit/s and a round trip of 50 ms.
bool periodic() {
  PathWorld world{{.every = 100'000}};
  Averages a = measure(world, 0.05, seconds(40), seconds(240) * longer);
  double expected = response(1e-5, 0.05);
  std::printf("periodic loss: window %.1f segments, cwnd %.1f, %.3f of the %.1f that RFC 9438 says; ", a.window, a.cwnd,
              a.window / expected, expected);
  std::printf("%llu losses, %llu timeouts\n", Number{a.losses}, timeouts(world));
  bool good = check(std::abs(a.window / expected - 1) <= 0.1, "the average window is that of the response function");
  good &= check(std::abs(a.cwnd / expected - 1) <= 0.1, "and so is the mean of cwnd, within 10 %");
  good &= check(a.losses >= 20, "there were 20 epochs or more");
  return good & check(world.missing() == 0, "no buffer is missing");
}

// The same rate at random, 20 seeds.
bool random_loss() {
  double sum = 0, least = 1e9, most = 0;
  uint64_t losses = 0, n = seeds != 0 ? seeds : 20;
  for (uint64_t seed = 1; seed <= n; ++seed) {
    PathWorld world{{.loss = 1e-5, .seed = seed}};
    Averages a = measure(world, 0.05, seconds(30), seconds(90) * longer);
    sum += a.window;
    least = std::min(least, a.window);
    most = std::max(most, a.window);
    losses += a.losses;
  }
  double expected = response(1e-5, 0.05), mean = sum / static_cast<double>(n);
  std::printf("random loss: window %.1f segments over %llu seeds (%.0f to %.0f), %.3f of %.1f; %llu losses\n", mean,
              Number{n}, least, most, mean / expected, expected, Number{losses});
  return check(mean / expected >= 0.85, "the mean is at least 0.85 of the response function");
}

// No loss, and all as it is by default. The queue is one and a quarter bandwidth-delay products: all that the peer's
// window can let out (134 MB) finds a place on the path. `lengthen`: the handshake's path was five times shorter, and
// the receiver must find that out; the sender always uses all of the window, for slow start would take the longer round
// trip for a queue.
struct Fill {
  bool timestamps;
  bool lengthen;
};

PathPlan plan_of(const Fill& fill) {
  PathPlan plan{.held = 1 << 20};
  plan.queue = plan.bdp() * queue_percent / 100;
  auto window = static_cast<uint32_t>(plan.bdp() * 5 / 4);
  plan.tune = [=](stack::Config& c) {
    c.tcp.timestamps = fill.timestamps;
    c.tcp.fixed_window = window;
  };
  if (fill.lengthen) {
    plan.congestion = Congestion::none;
    plan.rtt = nanoseconds(plan.rtt.ns / 5);
  }
  return plan;
}

bool fills(const Fill& fill) {
  PathWorld world{plan_of(fill)};
  if (fill.lengthen) {
    while (!world.established(0)) world.run_for(milliseconds(1));
    world.lengthen(milliseconds(50));
  }
  double full_rate = 10e9 * (fill.timestamps ? mss : mss + 12) / 1514;  // of text
  double full_from = -1;
  uint64_t since = 0;
  Duration step = milliseconds(100), end = seconds(10) * longer;
  for (Duration t{}; t < end; t = t + step) {
    if (t == seconds(5)) since = world.received(0);
    uint64_t before = world.trace(0).arrived;
    world.run_for(step);
    double share = static_cast<double>(world.trace(0).arrived - before) * 8 / step.seconds() / full_rate;
    if (share < 0.95)
      full_from = -1;
    else if (full_from < 0)
      full_from = t.seconds();
  }
  double told = static_cast<double>(world.received(0) - since) * 8 / (end - seconds(5)).seconds() / full_rate;
  std::printf("fill%s%s: full from %.1f s to the end at %.0f s; the application has %.3f of it from 5 s on; ",
              fill.timestamps ? "" : " without timestamps", fill.lengthen ? ", path lengthened" : "", full_from,
              end.seconds(), told);
  std::printf("%llu lost at the queue, %llu timeouts\n", Number{world.trace(0).overflowed}, timeouts(world));
  bool good = check(full_from >= 0 && full_from <= 5, "the link is full within 5 s, and stays so");
  good &= check(told > 0.95, "that is what the application gets");
  good &= check(timeouts(world) == 0, "nothing timed out");
  return good & check(world.missing() == 0, "no buffer is missing");
}

// Two flows that begin at different times share a path of 20 ms with a queue of one bandwidth-delay product for 60 s.
double jain_of(uint64_t rate, uint64_t seed) {
  Random random{seed * 1234567};
  PathPlan plan{.rate = rate, .rtt = milliseconds(20), .jitter = microseconds(100), .seed = seed};
  plan.starts = {Duration{}, milliseconds(random.below(2000))};
  PathWorld world{plan};
  world.run_for(plan.starts[1]);
  double x = -static_cast<double>(world.received(0)), y = -static_cast<double>(world.received(1));
  world.run_for(seconds(60) * longer);
  x += static_cast<double>(world.received(0));
  y += static_cast<double>(world.received(1));
  return (x + y) * (x + y) / (2 * (x * x + y * y));
}

bool fair() {
  bool good = true;
  // The longer it takes cwnd to come back to where it was, the fewer losses are there in 60 s to make shares equal.
  for (uint64_t mbit : {50u, 100u}) {
    double worst = 1, sum = 0;
    uint64_t n = seeds != 0 ? seeds : 10;
    for (uint64_t seed = 1; seed <= n; ++seed) {
      double jain = jain_of(mbit * 1'000'000, seed);
      worst = std::min(worst, jain);
      sum += jain;
    }
    double mean = sum / static_cast<double>(n);
    std::printf("fair: %llu Mbit/s, %llu seeds: Jain index %.4f on average, %.4f at worst\n", Number{mbit}, Number{n},
                mean, worst);
    good &= check(mean > 0.95, "the mean is above 0.95");
    if (mbit == 50) good &= check(worst > 0.95, "and so is each");
  }
  return good;
}

// 2 % at random, 20 ms: what timeouts there are nothing could have prevented.
bool lossy(double ack_loss) {
  PathPlan plan{.rtt = milliseconds(20), .loss = 0.02, .ack_loss = ack_loss};
  PathWorld world{plan};
  world.keep_traces();
  world.run_for(seconds(400) * longer);
  const sim::Trace& t = world.trace(0);
  std::printf("lossy%s: %llu segments, %llu lost, %llu timeouts: %.2f for 100 losses; %llu of them unexplained\n",
              ack_loss > 0 ? ", ACKs as well" : "", Number{t.segments}, Number{t.lost}, Number{t.timeouts},
              100.0 * static_cast<double>(t.timeouts) / static_cast<double>(t.lost), Number{t.unexplained.size()});
  for (const std::string& why : t.unexplained) std::printf("  %s\n", why.c_str());
  bool good = check(t.lost > 1000, "more than 1000 were lost");
  good &= check(t.timeouts * 100 <= t.lost, "one timeout for 100 losses at most");
  return good & check(t.unexplained.empty(), "no later delivery could have shown what timed out");
}

struct Case {
  const char* name;
  bool (*run)();
};
constexpr Case cases[] = {
    {"periodic", periodic},
    {"random", random_loss},
    {"fill", [] { return fills({true, false}); }},
    {"fill-lengthened", [] { return fills({true, true}); }},
    {"fill-without-timestamps", [] { return fills({false, false}); }},
    {"fair", fair},
    {"lossy", [] { return lossy(0); }},
    {"lossy-both-ways", [] { return lossy(0.02); }},
};

int usage() {
  std::fprintf(stderr, "usage: millrace-path [CASE...] [--longer N] [--queue PERCENT] [--seeds N]; the cases are\n");
  for (const Case& c : cases) std::fprintf(stderr, "  %s\n", c.name);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    auto number = [&](const char* flag, uint64_t& to) {
      if (std::strcmp(argv[i], flag) != 0 || i + 1 >= argc) return false;
      to = std::strtoull(argv[++i], nullptr, 0);
      return true;
    };
    if (number("--longer", longer) || number("--queue", queue_percent) || number("--seeds", seeds)) continue;
    auto named = [&](const Case& c) { return std::strcmp(c.name, argv[i]) == 0; };
    if (!std::any_of(std::begin(cases), std::end(cases), named)) return usage();
    names.push_back(argv[i]);
  }
  unsigned passed = 0, failed = 0;
  for (const Case& c : cases) {
    if (!names.empty() && std::find(names.begin(), names.end(), c.name) == names.end()) continue;
    bool good = c.run();
    if (!good) std::printf("%s FAILED\n", c.name);
    std::fflush(stdout);
    ++(good ? passed : failed);
  }
  std::printf("%u passed, %u failed, 0 skipped\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
