// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/world.h"

#include <cstdio>

#include "tests/sim/applications.h"
#include "tests/sim/attacker.h"

namespace millrace::sim {
namespace {

constexpr uint64_t most_turns = 2'000'000;

// After the faults end: some backoffs of at most two minutes. Where places or buffers are too few for all, one waits for
// another, and is told after 63 s that it was never connected.
Duration liveness(const Plan& plan) { return seconds(3600 + (plan.is_tight() ? 300 * count_of(plan) : 0)); }

void print_state(const Host& host, const Peer& peer, const char* who) {
  std::printf("%s: %s\n", who, peer.unfinished().c_str());
  for (uint32_t i = 0; i < host.stack->cx.tcbs.capacity(); ++i) {
    const tcp::Tcb& t = host.stack->cx.tcbs[i];
    if (t.state == tcp::State::closed && t.pending == 0) continue;
    std::printf("  tcb %u port %u>%u %s una %u nxt +%u max +%u end +%u wnd %u cwnd %u | rcv adv +%u charged %u ooo %u | timer %d at %+.3f backoff %u marks %x pending %x\n",
                i, t.key.local_port, t.key.remote_port, millrace::name(t.state), t.snd.una.value, t.snd.nxt.value - t.snd.una.value,
                t.snd.max.value - t.snd.una.value, t.end.value - t.snd.una.value, t.snd.wnd, t.cwnd,
                t.rcv.adv.value - t.rcv.nxt.value, t.charged, t.out_count, static_cast<int>(t.timer),
                t.timer == tcp::Tcb::Timer::none ? 0.0 : static_cast<double>(static_cast<int64_t>(t.timer_at.ns - host.stack->cx.now.ns)) * 1e-9,
                t.backoff, t.marks, t.pending);
  }
  std::printf("  held %u lent %u free packets taken %u\n", stack::gauges(*host.stack).held, host.lent, host.packets.taken());
  for (size_t c = 0; c < count_kinds; ++c)
    if (uint64_t n = host.stack->cx.counters[static_cast<Count>(c)])
      std::printf("  %s=%llu", name(static_cast<Count>(c)), static_cast<unsigned long long>(n));
  std::printf("\n");
}

}  // namespace

namespace {

// Everything there is in one run.
struct World {
  explicit World(const Plan& p) : plan(p) {
    to_server.back = &to_client;
    to_client.back = &to_server;
  }
  const Plan& plan;
  Random random{plan.seed ^ 0x5eed};
  Registry registry;
  Host client{plan, 0}, server{plan, 1};
  Peer client_app{plan, registry, true}, server_app{plan, registry, false};
  Link to_server{plan, 1}, to_client{plan, 2};
  Attacker attacker{plan};
  Instant now{1};
  Instant faults_end = now + plan.faults_end;
  uint32_t jumps = 0;
  uint32_t standing = 0;  // turns at this instant

  void turn();
  bool over() const;
  void go_on();
};

void World::turn() {
  bool faulty = now < faults_end;
  client.turn(now, to_client, to_server, faulty, client_app);
  server.turn(now, to_server, to_client, faulty, server_app);
  check_pair(*client.stack, *server.stack);
  check_pair(*server.stack, *client.stack);
  if (!faulty || plan.faults.forged == 0) return;
  attacker.turn(client, server, to_client, now);
  attacker.turn(server, client, to_server, now);
}

// TIME-WAIT ends in its own time, too: every record has come back.
bool World::over() const {
  return client_app.done() && server_app.done() && !client.unread() && !server.unread() && client.is_empty() &&
         server.is_empty() && to_server.empty() && to_client.empty();
}

void World::go_on() {
  Instant next = std::min({client.next(to_client, client_app.next_work()), server.next(to_server, server_app.next_work()),
                           now + seconds(30)});
  // A turn may come at the very instant of the one before.
  bool stands = plan.clock_steps && standing < 3 && random.below(8) == 0;
  standing = stands ? standing + 1 : 0;
  if (!stands) now = std::max(next, now + nanoseconds(100));
  if (plan.clock_steps && random.below(4) == 0) now = now + nanoseconds(random.below(3'000'000));
  if (jumps < plan.jumps && random.below(300) == 0) {
    ++jumps;
    Duration by = seconds(random.below(random.below(2) ? 300 : 20'000));
    now = now + by;
    faults_end = faults_end + by;
  }
}

}  // namespace

Result run_world(uint64_t seed, uint64_t until, bool trace, uint32_t segment_burst) {
  Plan plan = Plan::draw(seed);
  for (HostPlan& h : plan.host) h.segment_burst = segment_burst;
  World w{plan};
  Result result;
  try {
    for (;; ++result.turns) {
      w.turn();
      if (w.over() || (until != 0 && result.turns == until)) break;
      if (result.turns > most_turns) throw Broken{"liveness: too many turns"};
      if (w.now > w.faults_end + liveness(plan)) throw Broken{"liveness: not finished long after the faults"};
      w.go_on();
    }
    for (Host* h : {&w.client, &w.server})
      if (until == 0 && h->packets.taken() != 0) throw Broken{std::to_string(h->packets.taken()) + " buffers never came back"};
    result.passed = true;
  } catch (const Broken& broken) {
    result.why = broken.what;
  }
  if (trace || !result.passed) {
    std::printf("seed %llu turn %llu at %.6f s\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(result.turns), static_cast<double>(w.now.ns) * 1e-9);
    print_state(w.client, w.client_app, "client");
    print_state(w.server, w.server_app, "server");
  }
  result.digest = w.client.digest ^ (w.server.digest * 3);
  result.finished = w.client_app.finished();
  result.segments = w.client.stack->cx.counters[Count::segments_sent] + w.server.stack->cx.counters[Count::segments_sent];
  return result;
}

}  // namespace millrace::sim
