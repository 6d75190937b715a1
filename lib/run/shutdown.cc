// SPDX-License-Identifier: BSD-3-Clause
// Ending one endpoint. All waiting here is bounded by the real clock, not by turns. (run/shutdown.h)
#include "run/shutdown.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "millrace/process.h"

namespace millrace::run {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

static constexpr auto grace_time = milliseconds(1000);
static constexpr auto abort_time = milliseconds(500);
static constexpr auto drain_time = milliseconds(300);
static constexpr auto taken_time = milliseconds(500);
static constexpr uint32_t quiet_turns = 1000;  // of a pair whose other side has gone

using Workers = std::vector<Worker*>;

static uint64_t open_connections(const Workers& workers) {
  uint64_t sum = 0;
  for (const Worker* worker : workers) {
    stack::Gauges gauges = stack::gauges(worker->stack());
    sum += gauges.connections + gauges.half_open;
  }
  return sum;
}

static uint64_t frames_seen(const Workers& workers) {
  uint64_t sum = 0;
  for (const Worker* worker : workers) sum += worker->frames_seen();
  return sum;
}

// FIN to all, and turns until the peers have answered. With both ends of a pair on this thread the other one
// must have its turns too, or nobody would answer.
static void close_in_order(const Workers& workers, const Workers& peers, bool peer_has_gone,
                           const Application& application) {
  auto until = Clock::now() + grace_time;
  for (Worker* worker : workers) worker->refuse_more();
  for (Worker* peer : peers) peer->refuse_more();
  uint32_t quiet = 0;
  while (open_connections(workers) != 0 && Clock::now() < until) {
    uint64_t before = frames_seen(workers);
    for (Worker* worker : workers) {
      worker->turn(application);
      if (!application) worker->inline_channel().read_all();
    }
    for (Worker* peer : peers) peer->turn({});
    quiet = frames_seen(workers) == before ? quiet + 1 : 0;
    if (peer_has_gone && quiet == quiet_turns) break;
    if (quiet != 0) workers[0]->rest();
  }
}

// Each worker has its turns until none has anything left to do: frames cross between them.
template <typename Step>
static void all_until(const Workers& workers, milliseconds time, Step&& step) {
  auto until = Clock::now() + time;
  for (bool more = true; more && Clock::now() < until;) {
    more = false;
    for (Worker* worker : workers) more |= step(*worker);
  }
}

// Until each neighbour has answered what was sent last.
static void wait_until_taken(const Workers& workers) {
  const nic::Port& port = workers[0]->port();
  if (!port.keeps_frames || !nic::link_is_up(port)) return;
  for (Worker* worker : workers) stack::ask_neighbors(worker->stack());
  all_until(workers, taken_time, [&](Worker& worker) {
    bool more = worker.drain_step() || stack::neighbors_asked(worker.stack());
    if (more) worker.rest();
    return more;
  });
}

int finish(Ends& ends, int side, const Application& application) {
  const Workers& workers = ends.workers[side];
  for (Worker* worker : workers) worker->join(worker == workers[0]);
  bool is_pair = ends.link->sides() == 2;
  bool peer_has_gone = is_pair && ends.link->present() < 2;
  Workers peers;
  if (is_pair && !peer_has_gone)
    for (Worker* peer : ends.workers[1 - side])
      if (peer->is_mine()) peers.push_back(peer);

  // Read once: what is gone has nobody to answer a FIN, and takes no frame.
  bool is_gone = workers[0]->port().is_gone.load(std::memory_order_relaxed);
  if (!is_gone) close_in_order(workers, peers, peer_has_gone, application);
  all_until(workers, abort_time, [](Worker& worker) { return worker.abort_step(); });  // RST to the rest
  uint64_t time_wait = 0;
  for (Worker* worker : workers) time_wait += stack::gauges(worker->stack()).time_wait;
  const char* name = workers[0]->port().name.c_str();
  if (time_wait != 0) std::printf("%s: %lu TIME-WAIT records dropped\n", name, static_cast<unsigned long>(time_wait));
  // What is underway inside this process comes to rest: events, requests, queued buffers, the driver's backlog.
  all_until(workers, drain_time, [](Worker& worker) { return worker.drain_step(); });
  if (!is_gone) wait_until_taken(workers);
  // A peer that has gone takes nothing, and lacks nothing.
  bool has_peer = !is_gone && !peer_has_gone && nic::link_is_up(workers[0]->port());
  uint32_t unsent = 0;
  for (Worker* worker : workers) unsent += worker->leave();
  if (unsent != 0 && has_peer) std::printf("%s: %u frames were not sent: the driver took no more\n", name, unsent);

  bool capture_failed = false;
  if (nic::Capture* capture = workers[0]->port().capture.get(); capture != nullptr) {
    capture->end();
    capture_failed = capture->has_failed();
    std::printf("%s\n", capture->report().c_str());
  }

  // Of a pair the last one has all the buffers to count: until then the other may hold some of ours.
  int result = 0;
  if (ends.link->leave()) {
    std::string report;
    result = ends.link->all_back(report) ? 0 : 1;
    std::printf("%s\n", report.c_str());
  }
  return with_output_written(capture_failed || is_gone ? 1 : result, "millrace");
}

}  // namespace millrace::run
