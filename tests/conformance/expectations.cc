// SPDX-License-Identifier: BSD-3-Clause
// What a test expects: packets, events, silence, and the state that a connection is in.
#include <algorithm>

#include "tests/conformance/harness.h"

#define FAIL_HERE ADD_FAILURE_AT(at.file, at.line)

namespace millrace::conformance {

constexpr Duration tick = nanoseconds(uint64_t{1} << timer::Wheel::tick_shift);

// The first difference between what was sent and what should have been; empty if there is none.
static std::string difference(const Seg& got, const Seg& want, const std::string& text) {
  if (got.flags != want.flags) return "flags";
  if (got.seq != want.seq) return "sequence number";
  if (got.ack != want.ack) return "acknowledgment number";
  if (got.length != want.length) return "length";
  if (*got.bytes != text) return "text";
  if (want.window && got.window != want.window) return "window";
  if (got.pointer != want.pointer) return "urgent pointer";
  if (got.mss_option != want.mss_option) return "MSS option";
  if (got.scale != want.scale) return "window scale";
  if (got.sack_permitted != want.sack_permitted) return "SACK permitted";
  if (got.timestamps != want.timestamps) return "timestamps option";
  if (want.ts_ecr && got.ts_ecr != want.ts_ecr) return "TSecr";
  if (got.sacks != want.sacks) return "SACK blocks";
  if (want.ecn_bits && got.ecn_bits != want.ecn_bits) return "ECN bits";
  return {};
}

void Net::expect(const Peer& to, const Seg& seg, Where at) {
  Seg want = seg;
  if (sent.empty()) {
    FAIL_HERE << "nothing was sent, expected " << to_string(want);
    return;
  }
  Sent packet = sent.front();
  sent.pop_front();
  if (packet.kind != Sent::tcp || packet.destination != to.ip || packet.destination_port != to.port ||
      packet.source_port != to.to || packet.source != own || packet.to != to.mac) {
    FAIL_HERE << "sent elsewhere: " << to_string(packet.seg) << ", expected " << to_string(want);
    return;
  }
  const Learned& l = learned(to);
  Seg got = packet.seg;
  got.seq -= l.iss;
  if (got.flags & ack_bit) got.ack -= to.iss;
  for (auto& [left, right] : got.sacks) left -= to.iss, right -= to.iss;
  if (!(want.flags & (rst | syn)) && to.ts && want.timestamps_as_agreed) want.timestamps = true;
  std::string text = want.bytes ? *want.bytes : stream(want.seq + (want.flags & syn ? 1 : 0), want.length);
  std::string wrong = difference(got, want, text);
  // RFC7323-4.1: on every segment, the clock of the connection (as its SYN has told it; in a cookie it tells more).
  if (wrong.empty() && got.timestamps && !(got.flags & syn) && *got.ts_val != static_cast<uint32_t>(packet.at.ms()) + l.ts_offset)
    wrong = "TSval is not the clock";
  if (!wrong.empty())
    FAIL_HERE << wrong << "\n  sent     " << to_string(got) << "\n  expected " << to_string(want);
}

void Net::expect_none(Where at) {
  for (const Sent& s : sent) FAIL_HERE << "not expected: " << to_string(s.seg) << " (wire numbers)";
  sent.clear();
}

void Net::expect_after(Duration wait, const Seg& seg, Where at) {
  expect_none(at);
  Instant start = now;
  Instant limit = start + wait + tick;
  while (sent.empty() && now < limit) {
    now = std::clamp(next_deadline(*stack), now, limit);
    run({});
  }
  if (!sent.empty() && now < start + wait)
    FAIL_HERE << "too early, after " << (now - start).us() << " us instead of " << wait.us();
  if (sent.empty()) FAIL_HERE << "nothing after " << wait.us() << " us";
  expect(seg, at);
}

void Net::silent_for(Duration wait, Where at) {
  expect_none(at);
  advance(wait);
  expect_none(at);
}

Event Net::expect_event(Event::Kind kind, Event::Reason reason, Where at) {
  if (events.empty()) {
    FAIL_HERE << "no event, expected " << name(kind);
    return {};
  }
  Event e = events.front();
  events.pop_front();
  if (e.kind != kind || e.reason != reason)
    FAIL_HERE << "event " << name(e.kind) << " (" << name(e.reason) << "), expected " << name(kind) << " ("
              << name(reason) << ")";
  if (kind == Event::accepted || kind == Event::connected) id = e.connection;
  return e;
}

void Net::expect_no_event(Where at) {
  for (const Event& e : events) FAIL_HERE << "event " << name(e.kind) << " (" << name(e.reason) << ")";
  events.clear();
}

State Net::state(const Peer& of) const {
  wire::FlowKey key;
  key.local = own;
  key.remote = of.ip;
  key.local_port = of.to;
  key.remote_port = of.port;
  stack::Number n = stack->find(stack->tag_of(key), key);
  if (!n) return State::closed;
  switch (n.kind()) {
    case stack::Kind::tcb: return stack->cx.tcbs[n.index()].state;
    case stack::Kind::half_open: return State::syn_received;
    default: return State::time_wait;
  }
}

}  // namespace millrace::conformance
