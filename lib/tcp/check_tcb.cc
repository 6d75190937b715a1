// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/check_tcb.h"

#include "tcp/runs.h"

namespace millrace::tcp {

using wire::before;
using wire::before_eq;
using wire::distance;

namespace {

const char* check_chains(const Context& cx, const Tcb& tcb) {
  uint32_t charged = 0;
  for (uint32_t i = tcb.text_head; i != no_index; i = cx.nodes[i].next) charged += cx.nodes[i].slice.length;
  if (charged > tcb.charged) return "undelivered text is charged";
  if (tcb.duplicate_count > 0 && !tcb.is(sack_ok)) return "duplicates are reported to a peer with SACK";
  Seq at{0};
  bool first = true;
  bool handshake = tcb.state == State::syn_sent || tcb.state == State::syn_received;
  Seq una = handshake ? tcb.iss + 1 : tcb.snd.una;  // text waits behind the SYN
  for (uint32_t i = tcb.send_head; i != no_index; i = cx.nodes[i].next) {
    const Node& node = cx.nodes[i];
    if (first && (before(una, node.seq) || before_eq(node.seq + node.slice.length, una)))
      return "the first node of the send queue holds SND.UNA";
    if (!first && node.seq != at) return "the send queue has no gap";
    at = node.seq + node.slice.length;
    first = false;
  }
  if (!first && at != tcb.end) return "the send queue ends at `end`";
  return nullptr;
}

const char* check_run(const Context& cx, const Run& run) {
  Seq at = run.left;
  uint32_t packets = 0;
  uint32_t last = no_index;
  for (uint32_t i = run.head; i != no_index; last = i, i = cx.nodes[i].next, ++packets) {
    const Node& node = cx.nodes[i];
    if (node.seq != at || node.slice.length == 0) return "the nodes of a run adjoin";
    at = node.seq + node.slice.length;
  }
  if (at != run.right || last != run.tail || packets != run.packets) return "a run is what its nodes hold";
  return nullptr;
}

const char* check_runs(const Context& cx, const Tcb& tcb) {
  Seq at = tcb.rcv.nxt;
  uint32_t packets = 0, runs = 0, recent = 0;
  uint32_t last = no_index;
  for (uint32_t i = tcb.out_head; i != no_index; last = i, i = cx.runs[i].next, ++runs) {
    const Run& run = cx.runs[i];
    if (!before(at, run.left)) return "there is a gap before each run";
    if (const char* wrong = check_run(cx, run)) return wrong;
    if (run_at(cx, tcb, run.left) != i || run_at(cx, tcb, run.left - 1) != last) return "each run is found";
    for (uint32_t child : run.child)
      if (child != no_index && run_priority(cx, child) > run_priority(cx, i)) return "the treap is a heap";
    packets += run.packets;
    at = run.right;
  }
  for (uint32_t i = tcb.out_recent; i != no_index && recent <= runs; i = cx.runs[i].recent.next) ++recent;
  if (packets != tcb.out_count || recent != runs) return "what is out of order is counted";
  return nullptr;
}

// The list of what was sent again holds that and nothing else, and nothing lies before where it is searched from.
const char* check_resent(const Context& cx, const Tcb& tcb) {
  uint32_t resent = 0, listed = 0, places = 0;
  bool once = false, lost = false;
  bool searching = tcb.absent != 0 || tcb.is(in_recovery | in_loss);
  for (uint32_t i = Flight::in_tcb; i != no_index; i = (i == Flight::in_tcb ? tcb.first : cx.flights[i]).next) {
    const Flight& f = i == Flight::in_tcb ? tcb.first : cx.flights[i];
    for (uint32_t place : tcb.from.sacked) places += place == i;
    places += (tcb.from.lost == i) + (tcb.from.undecided == i);
    if (searching && i == tcb.from.undecided && once) return "what was sent once is searched from the first";
    if (searching && i == tcb.from.lost && lost) return "what is lost is searched from the first";
    once |= f.state == Flight::flying && f.sends == 1;
    lost |= f.state == Flight::lost;
    resent += f.is_resent();
  }
  for (uint32_t place : tcb.from.sacked) places += place == no_index;
  places += (tcb.from.lost == no_index) + (tcb.from.undecided == no_index);
  if (searching && places != 5) return "places to search from are records of the flight";
  for (uint32_t i = tcb.resent_head; i != no_index && listed <= resent; ++listed) {
    const Flight& f = i == Flight::in_tcb ? tcb.first : cx.flights[i];
    if (!f.is_resent()) return "only what was sent again is listed";
    i = f.resent.next;
  }
  return listed == resent ? nullptr : "what was sent again is listed";
}

const char* check_flight(const Context& cx, const Tcb& tcb) {
  if (tcb.first.seq == tcb.first.end) return tcb.snd.una == tcb.snd.nxt ? nullptr : "what is in flight has a record";
  Seq at = tcb.snd.una;
  uint32_t sacked = 0, lost = 0, last = no_index;
  for (const Flight* f = &tcb.first; f != nullptr; f = f->next == no_index ? nullptr : &cx.flights[f->next]) {
    if (f->seq != at || !before(f->seq, f->end)) return "flight records adjoin";
    if (before(f->seq, tcb.end)) {
      if (f->node() == no_index) return "a flight record has a node";
      const Node& node = cx.nodes[f->node()];
      if (before(f->seq, node.seq) || before_eq(node.seq + node.slice.length, f->seq)) return "... that holds its text";
    }
    if (f->state == Flight::sacked) sacked += f->length();
    if (f->state == Flight::lost) lost += f->length();
    if (f->next != no_index) last = f->next;
    at = f->end;
  }
  if (const char* wrong = check_resent(cx, tcb)) return wrong;
  if (at != tcb.snd.nxt) return "flight records end at SND.NXT";
  if (last != no_index && last != tcb.flight_tail) return "the flight's tail is its last record";
  if (sacked != tcb.sacked || sacked + lost != tcb.absent) return "SACKed and lost are counted";
  return nullptr;
}

// Something will come of it without the peer's help: it stands in a list, or has a timer that the wheel knows.
const char* check_progress(const Context& cx, const Tcb& tcb) {
  bool listed = tcb.is(in_ready | in_wait);
  if (tcb.pending != 0 && !tcb.is(in_pending)) return "what is to be told stands in a list";
  if (tcb.state == State::closed) return tcb.is(rst_on_remove) && !listed ? "a RST that is due stands in a list" : nullptr;
  if (tcb.wheel_at != Instant::never() && !cx.wheel.armed(cx.index_of(tcb))) return "the wheel knows when to look";
  if (tcb.timer != Tcb::Timer::none && tcb.wheel_at > tcb.timer_at) return "the wheel looks before the timer is due";
  if (tcb.ack_at != Instant::never() && !tcb.is(in_ack_queue) && tcb.wheel_at > tcb.ack_at) return "... and before a delayed ACK is";
  if (tcb.wheel_at > tcb.life_at) return "... and before its life ends";
  bool waits = tcb.timer != Tcb::Timer::none || listed;
  if (!waits && (tcb.state == State::syn_sent || tcb.state == State::syn_received)) return "a handshake has a timer";
  if (!waits && in(tcb.state, synchronized) && tcb.snd.una != tcb.snd.max) return "what is in flight has a timer";
  if (!waits && in(tcb.state, synchronized) && tcb.unsent() > 0) return "what is to be sent has a timer";
  if (tcb.state == State::fin_wait_2 && tcb.is(app_closed) && tcb.life_at == Instant::never())
    return "an orphan in FIN-WAIT-2 has an end";
  return nullptr;
}

}  // namespace

const char* check_tcb(const Context& cx, const Tcb& tcb) {
  if (const char* wrong = check_progress(cx, tcb)) return wrong;
  if (tcb.state == State::closed) return nullptr;
  if (!before_eq(tcb.snd.una, tcb.snd.nxt)) return "SND.UNA <= SND.NXT";
  if (!before_eq(tcb.snd.nxt, tcb.snd.max)) return "SND.NXT <= highest sent";
  if (in(tcb.state, synchronized)) {
    if (!before_eq(tcb.rcv.last_ack, tcb.rcv.nxt)) return "Last.ACK.sent <= RCV.NXT";
    if (!before_eq(tcb.rcv.nxt, tcb.rcv.adv)) return "RCV.NXT <= promised edge";
    if (wire::distance(tcb.rcv.nxt, tcb.rcv.adv) > tcb.receive_buffer) return "no window exceeds its buffer";
    if (!cx.params.whole_segments && wire::distance(tcb.rcv.nxt, tcb.rcv.adv) > 65535u << tcb.rcv_wscale)
      return "no window exceeds what its field can say";
    if (before(tcb.end + 1, tcb.snd.max)) return "nothing was sent that was not queued";
    if (tcb.cwnd < 1) return "cwnd is never zero";
    if (tcb.is(send_syn)) return "no SYN is due after the handshake";
  }
  const char* wrong = in(tcb.state, synchronized) ? check_flight(cx, tcb) : nullptr;
  if (wrong == nullptr) wrong = check_runs(cx, tcb);
  return wrong != nullptr ? wrong : check_chains(cx, tcb);
}

}  // namespace millrace::tcp
