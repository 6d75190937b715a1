// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/accounts.h"

#include "tcp/rtt.h"

namespace millrace::tcp {

using wire::after;
using wire::before;
using wire::distance;

void change_limit(Context& cx, Tcb& tcb, Limit to) {
  auto sum_of = [&](Limit limit) -> uint64_t& { return tcb.tally.limited[static_cast<int>(limit) - 2]; };
  if (tcb.limit == Limit::idle) tcb.busy -= cx.now.ns;
  if (to == Limit::idle) tcb.busy += cx.now.ns;
  if (tcb.limit >= Limit::receiver) sum_of(tcb.limit) += cx.now.ns;
  if (to >= Limit::receiver) sum_of(to) -= cx.now.ns;
  tcb.limit = to;
}

// The text in flight when a round began has arrived when it ends: what was delivered in between took the longer of the
// time between the ACKs and the time between the sendings, so that ACKs that come squeezed together deceive nobody.
void rate_ack(Context& cx, Tcb& tcb, const Delivered& told, uint32_t bytes) {
  auto& rate = tcb.rate;
  uint32_t now = static_cast<uint32_t>(cx.now.us());
  uint32_t sent_at = static_cast<uint32_t>(told.sent_at.us());
  uint32_t delivered = tcb.snd.una.value + tcb.sacked;
  bool short_of_text = tcb.unsent() == 0;
  // A round whose end came with a little ACK unseen says nothing: there may have been a pause since.
  if (!before(tcb.snd.una - bytes, rate.end)) rate.at = 0;
  if (rate.at != 0 && before(tcb.snd.una, rate.end)) {
    tcb.tally.short_of_text |= short_of_text;
    return;
  }
  uint32_t between_sendings = static_cast<int32_t>(sent_at - rate.sent_at) > 0 ? sent_at - rate.sent_at : 0;
  uint32_t us = std::max(now - rate.at, between_sendings);
  if (rate.at != 0 && us > 0) {
    rate.bytes = delivered - rate.delivered;
    rate.us = us;
    tcb.tally.app_limited = tcb.tally.short_of_text;
  }
  // Without anything in flight there is no round, but waiting for the application.
  rate.at = tcb.snd.una == tcb.snd.nxt ? 0 : std::max(now, 1u);
  rate.sent_at = sent_at;
  rate.delivered = delivered;
  rate.end = tcb.snd.nxt;
  tcb.tally.short_of_text = short_of_text;
}

namespace {

Phase phase_of(const Tcb& tcb) {
  if (tcb.is(in_loss)) return Phase::loss;
  if (tcb.is(in_recovery)) return Phase::recovery;
  if (after(tcb.ecn_recover, tcb.snd.una)) return Phase::cwr;
  return tcb.sacked > 0 || tcb.dup_acks > 0 ? Phase::disorder : Phase::open;
}

// Bytes since `first`, of a sequence number that has come round so many times.
uint64_t bytes_since(Seq first, Seq now, uint16_t wraps) {
  uint64_t all = (uint64_t{wraps} << 32 | now.value) - first.value;
  return static_cast<int64_t>(all) > 0 ? all : 0;
}

void diagnose_path(const Tcb& tcb, Diagnostics& d) {
  d.timestamps = tcb.is(ts_ok);
  d.sack = tcb.is(sack_ok);
  d.window_scaling = tcb.is(ws_ok);
  d.ecn = tcb.ecn & ecn_ok;
  d.send_wscale = tcb.snd_wscale;
  d.receive_wscale = tcb.rcv_wscale;
  d.congestion = tcb.congestion;
  d.phase = phase_of(tcb);
  d.slow_start = tcb.cwnd < tcb.ssthresh && !tcb.is(in_recovery);
  d.cwnd = tcb.cwnd;
  d.ssthresh = tcb.ssthresh;
  d.srtt = microseconds(tcb.rtt.srtt >> 3);
  d.rttvar = microseconds(tcb.rtt.rttvar >> 2);
  d.rto = microseconds(tcb.rtt.rto);
  d.min_rtt = microseconds(tcb.min_rtt);
  d.receiver_rtt = microseconds(tcb.grow.rtt);
  d.backoff = tcb.backoff;
  d.timeouts_in_a_row = tcb.timeouts;
}

void diagnose_flight(const Context& cx, const Tcb& tcb, Diagnostics& d) {
  d.in_flight = tcb.flight();
  d.sacked = tcb.sacked;
  d.lost = tcb.absent - tcb.sacked;
  d.text_sent = tcb.text_segments_out != 0 ? tcb.first.sent_at : Instant{};
  if (!in(tcb.state, synchronized)) return;
  for (const Flight* f = &tcb.first; f != nullptr; f = f->next == no_index ? nullptr : &cx.flights[f->next]) {
    if (f->seq == f->end) continue;  // the first, with nothing in flight
    if (f->state == Flight::flying && f->sends > 1) d.resent += f->length();
    d.text_sent = std::max(d.text_sent, f->sent_at);
  }
}

void diagnose_sending(const Tcb& tcb, Diagnostics& d) {
  bool open = in(tcb.state, synchronized);
  d.send_mss = tcb.mss;
  d.peer_mss = tcb.peer_mss;
  d.send_window = tcb.snd.wnd;
  d.unsent = before(tcb.snd.nxt, tcb.end) ? distance(tcb.snd.nxt, tcb.end) : 0;
  d.send_limit = tcb.send_limit;
  d.bytes_acked = open ? bytes_since(tcb.iss + 1, tcb.snd.una, tcb.tally.una_wraps) : 0;
  d.bytes_sent = d.bytes_acked + (open ? distance(tcb.snd.una, tcb.snd.max) : 0);
  d.delivered = d.bytes_acked + tcb.sacked;
  d.delivered_ce = tcb.tally.marked;
  d.resent_bytes = tcb.tally.resent_bytes;
  d.resent_segments = tcb.tally.resent;
  d.segments_out = tcb.segments_out;
  d.text_segments_out = tcb.text_segments_out;
  d.recoveries = tcb.tally.recoveries;
  d.timeouts = tcb.tally.timeouts;
  d.tail_loss_probes = tcb.tally.tail_probes;
  d.undone = tcb.tally.undone;
  d.dsacks = tcb.tally.dsacks;
  d.reordering = tcb.rack.reordering;
  d.reordering_steps = tcb.rack.steps;
  d.rate_bytes = tcb.rate.bytes;
  d.rate_interval = microseconds(tcb.rate.us);
  d.rate_app_limited = tcb.tally.app_limited;
}

void diagnose_receiving(const Tcb& tcb, Diagnostics& d) {
  bool open = in(tcb.state, synchronized) || tcb.state == State::syn_received;
  d.receive_mss = tcb.own_mss;
  d.receive_window = open ? distance(tcb.rcv.nxt, tcb.rcv.adv) : 0;
  d.receive_buffer = tcb.receive_buffer;
  d.unread = tcb.charged;
  d.out_of_order = tcb.out_count;
  d.bytes_received = open ? bytes_since(tcb.irs + 1, tcb.rcv.nxt, tcb.tally.nxt_wraps) : 0;
  d.out_of_order_total = tcb.tally.out_of_order;
  d.segments_in = tcb.segments_in;
  d.text_segments_in = tcb.text_segments_in;
  d.text_received = tcb.text_at;
  d.ack_received = tcb.acked_at;
}

}  // namespace

void diagnose(const Context& cx, const Tcb& tcb, Instant now, Diagnostics& d) {
  d.token = tcb.token;
  d.state = tcb.state;
  d.active = tcb.is(active);
  d.orphan = tcb.is(app_closed);
  d.established = tcb.tally.established;
  diagnose_path(tcb, d);
  diagnose_flight(cx, tcb, d);
  diagnose_sending(tcb, d);
  diagnose_receiving(tcb, d);
  d.timer = tcb.timer;
  d.timer_at = tcb.timer_at;
  d.delayed_ack_at = tcb.ack_at;
  d.delayed_ack = tcb.is(immediate_ack) ? Duration{} : cx.params.delayed_ack;
  d.life_at = tcb.life_at;
  d.keepalive = tcb.is(keepalive_on);
  if (d.keepalive) d.keepalive_at = tcb.keepalive_at;
  d.keepalive_probes = tcb.keepalive_sent;
  d.limit = tcb.limit;
  auto so_far = [now](uint64_t sum, bool running) { return Duration{running ? sum + now.ns : sum}; };
  d.busy = so_far(tcb.busy, tcb.limit != Limit::idle);
  d.limited_by_receiver = so_far(tcb.tally.limited[0], tcb.limit == Limit::receiver);
  d.limited_by_send_buffer = so_far(tcb.tally.limited[1], tcb.limit == Limit::send_buffer);
  d.limited_by_congestion = so_far(tcb.tally.limited[2], tcb.limit == Limit::congestion);
}

}  // namespace millrace::tcp
