// SPDX-License-Identifier: BSD-3-Clause
// Ending one endpoint. All waiting here is bounded by the real clock, not by turns. (run/shutdown.h)
#include "run/shutdown.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace millrace::run {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

static constexpr auto grace_time = milliseconds(1000);
static constexpr auto abort_time = milliseconds(500);
static constexpr auto drain_time = milliseconds(300);
static constexpr uint32_t quiet_turns = 1000;  // of a pair whose other side has gone

static uint32_t open_connections(const Worker& worker) {
  stack::Gauges gauges = stack::gauges(worker.stack());
  return gauges.connections + gauges.half_open;
}

// FIN to all, and turns until the peers have answered. With both ends of a pair on this thread the other one
// must have its turns too, or nobody would answer.
static void close_in_order(Worker& worker, Worker* peer, bool peer_has_gone, const Application& application) {
  auto until = Clock::now() + grace_time;
  worker.refuse_more();
  if (peer != nullptr) peer->refuse_more();
  uint32_t quiet = 0;
  while (open_connections(worker) != 0 && Clock::now() < until) {
    uint64_t before = worker.frames_seen();
    worker.turn(application);
    if (!application) worker.inline_channel().read_all();
    if (peer != nullptr) peer->turn({});
    quiet = worker.frames_seen() == before ? quiet + 1 : 0;
    if (peer_has_gone && quiet == quiet_turns) break;
    __builtin_ia32_pause();
  }
}

static void reset_the_rest(Worker& worker) {
  auto until = Clock::now() + abort_time;
  while (worker.abort_step() && Clock::now() < until) {
  }
}

// What is underway inside this process comes to rest: events, requests, queued buffers, the driver's backlog.
static void drain(Worker& worker) {
  auto until = Clock::now() + drain_time;
  while (worker.drain_step() && Clock::now() < until) {
  }
}

int finish(Ends& ends, int side, const Application& application) {
  Worker& worker = *ends.workers[side];
  worker.join();
  bool is_pair = ends.link->sides() == 2;
  Worker* peer = is_pair ? ends.workers[1 - side] : nullptr;
  bool peer_has_gone = is_pair && ends.link->present() < 2;
  if (peer_has_gone || (peer != nullptr && !peer->is_mine())) peer = nullptr;

  close_in_order(worker, peer, peer_has_gone, application);
  reset_the_rest(worker);
  uint32_t time_wait = stack::gauges(worker.stack()).time_wait;
  if (time_wait != 0)
    std::printf("%s: %u TIME-WAIT records dropped\n", worker.port().name.c_str(), time_wait);
  drain(worker);
  if (uint32_t unsent = worker.leave(); unsent != 0)
    std::printf("%s: %u frames that the driver did not take\n", worker.port().name.c_str(), unsent);

  // Of a pair the last one has all the buffers to count: until then the other may hold some of ours.
  int result = 0;
  if (ends.link->leave()) {
    std::string report;
    result = ends.link->all_back(report) ? 0 : 1;
    std::printf("%s\n", report.c_str());
  }
  std::fflush(stdout);
  return result;
}

}  // namespace millrace::run
