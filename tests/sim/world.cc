// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/world.h"

#include <cstdio>

#include "stack/diagnostics.h"
#include "tests/sim/applications.h"

namespace millrace::sim {
namespace {

constexpr uint64_t most_turns = 3'000'000;
constexpr Duration liveness = seconds(1800);  // after the faults end: some backoffs of at most two minutes

void print_state(const Host& host, const Peer& peer, const char* who) {
  std::printf("%s: %s\n", who, peer.unfinished().c_str());
  for (uint32_t i = 0; i < host.stack->cx.tcbs.capacity(); ++i) {
    const tcp::Tcb& t = host.stack->cx.tcbs[i];
    if (t.state == tcp::State::closed && t.pending == 0) continue;
    std::printf("  tcb %u port %u>%u %s una %u nxt +%u max +%u end +%u wnd %u cwnd %u | rcv adv +%u charged %u ooo %u | timer %d at %+.3f backoff %u marks %x pending %x\n",
                i, t.key.local_port, t.key.remote_port, name(t.state), t.snd.una.value, t.snd.nxt.value - t.snd.una.value,
                t.snd.max.value - t.snd.una.value, t.end.value - t.snd.una.value, t.snd.wnd, t.cwnd,
                t.rcv.adv.value - t.rcv.nxt.value, t.charged, t.out_count, static_cast<int>(t.timer),
                t.timer == tcp::Tcb::Timer::none ? 0.0 : static_cast<double>(static_cast<int64_t>(t.timer_at.ns - host.now.ns)) * 1e-9,
                t.backoff, t.marks, t.pending);
  }
  std::printf("  held %u lent %u free packets taken %u\n", stack::gauges(*host.stack).held, host.lent, host.packets.taken());
  for (size_t c = 0; c < count_kinds; ++c)
    if (uint64_t n = host.stack->cx.counters[static_cast<Count>(c)])
      std::printf("  %s=%llu", name(static_cast<Count>(c)), static_cast<unsigned long long>(n));
  std::printf("\n");
}

// What one end has received, the other has sent.
void check_pair(const stack::Stack& receiver, const stack::Stack& sender) {
  for (uint32_t i = 0; i < receiver.cx.tcbs.capacity(); ++i) {
    const tcp::Tcb& r = receiver.cx.tcbs[i];
    if (!tcp::in(r.state, tcp::synchronized)) continue;
    wire::FlowKey key{r.key.remote, r.key.local, r.key.remote_port, r.key.local_port, 4};
    stack::Number n = sender.find(sender.tag_of(key), key);
    if (!n || n.kind() != stack::Kind::tcb) continue;
    const tcp::Tcb& s = sender.cx.tcbs[n.index()];
    if (s.iss != r.irs) continue;  // another incarnation
    if (wire::after(r.rcv.nxt, s.snd.max)) throw Broken{"received beyond the highest sent"};
    if (wire::after(s.snd.una, r.rcv.nxt)) throw Broken{"acknowledged without having been received"};
    Diagnostics from, to;
    if (!stack::diagnostics(sender, sender.cx.id_of(s), sender.cx.now, from) ||
        !stack::diagnostics(receiver, receiver.cx.id_of(r), receiver.cx.now, to))
      throw Broken{"a connection has no diagnostics"};
    if (to.bytes_received > from.bytes_sent || from.bytes_acked > to.bytes_received)
      throw Broken{"told: acknowledged <= received <= sent"};
  }
}

}  // namespace

Result run_world(uint64_t seed, uint64_t until, bool trace) {
  Plan plan = Plan::draw(seed);
  Instant start{plan.first_ns};
  Instant now = start;
  Random random{seed ^ 0x5eed};
  Registry registry;
  Host client{plan, 0, start}, server{plan, 1, start};
  Peer client_app{plan, registry, true}, server_app{plan, registry, false};
  Link to_server{plan, 1}, to_client{plan, 2};
  to_server.back = &to_client;
  to_client.back = &to_server;
  Result result;
  try {
    for (;; ++result.turns) {
      bool faulty = now < start + plan.faults_end;
      client.turn(now, to_client, to_server, faulty, client_app);
      server.turn(now, to_server, to_client, faulty, server_app);
      check_pair(*client.stack, *server.stack);
      check_pair(*server.stack, *client.stack);
      bool done = client_app.done() && server_app.done() && !client.unread() && !server.unread();
      // TIME-WAIT ends in its own time; everything else must have come back.
      if (done && stack::gauges(*client.stack).time_wait == 0 && stack::gauges(*server.stack).time_wait == 0 &&
          to_server.empty() && to_client.empty() && stack::gauges(*client.stack).connections == 0 &&
          stack::gauges(*server.stack).connections == 0 && stack::gauges(*server.stack).half_open == 0)
        break;
      if (until != 0 && result.turns == until) break;
      if (result.turns > most_turns) throw Broken{"liveness: too many turns"};
      if (now > start + plan.faults_end + liveness) throw Broken{"liveness: not finished half an hour after the faults"};
      Instant next = std::min({to_server.next(), to_client.next(), client.next(), server.next(), client_app.next_work(),
                               server_app.next_work(), now + seconds(30)});
      now = std::max(next, now + nanoseconds(100));
      if (plan.clock_steps && random.below(4) == 0) now = now + nanoseconds(random.below(3'000'000));
    }
    for (Host* h : {&client, &server})
      if (h->packets.taken() != 0) throw Broken{std::to_string(h->packets.taken()) + " buffers never came back"};
    result.passed = true;
  } catch (const Broken& broken) {
    result.why = broken.what;
  }
  if (trace || !result.passed) {
    std::printf("seed %llu turn %llu at %.6f s\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(result.turns), (now - start).seconds());
    print_state(client, client_app, "client");
    print_state(server, server_app, "server");
  }
  result.digest = client.digest ^ (server.digest * 3);
  result.finished = client_app.finished();
  result.segments = client.stack->cx.counters[Count::segments_sent] + server.stack->cx.counters[Count::segments_sent];
  return result;
}

}  // namespace millrace::sim
