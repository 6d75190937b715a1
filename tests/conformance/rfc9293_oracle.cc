// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES, in the RFC's order and words. `deviation` marks where Millrace does otherwise on purpose,
// with the reason; all else is RFC 9293 3.10.7 with the mitigations of RFC 5961 that it allows, RFC 1337, RFC
// 6191 and RFC 7323.
#include "tests/conformance/rfc9293_oracle.h"

#include <algorithm>

namespace millrace::conformance::oracle {

const char* name(State s) {
  static const char* const names[] = {"CLOSED",       "LISTEN",      "SYN-SENT",   "SYN-RECEIVED",
                                      "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
                                      "CLOSE-WAIT",   "CLOSING",     "LAST-ACK",   "TIME-WAIT"};
  return names[static_cast<int>(s)];
}

namespace {

// RFC 9293 3.4: numbers on a circle.
bool less(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b) < 0;
}
bool less_eq(uint32_t a, uint32_t b) {
  return !less(b, a);
}

bool receives(State s) {
  return s == State::established || s == State::fin_wait_1 || s == State::fin_wait_2;
}

// One segment on its way through the steps.
struct Arrival {
  Block b;
  const Segment& seg;
  Outcome out;
  bool acked = false;

  Arrival(const Block& block, const Segment& s) : b(block), seg(s) {}

  Decision end(const char* rule) {
    out.state = b.state;
    out.snd_una = b.snd_una;
    out.snd_wnd = b.snd_wnd;
    out.rcv_nxt = b.rcv_nxt;
    return {out, rule, acked};
  }
  void send_ack(bool delayed = false) {  // <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
    for (const Answer& a : out.answers)
      if (!a.delayed) return;  // RFC9293-MUST-58: one says it
    out.answers.assign(1, {Answer::ack, b.snd_nxt, b.rcv_nxt, delayed});
  }
  Decision ack(const char* rule) { return send_ack(), end(rule); }
  Decision reset_by_ack(const char* rule) {  // <SEQ=SEG.ACK><CTL=RST>
    out.answers.assign(1, {Answer::rst, seg.ack_no, 0});
    return end(rule);
  }
  Decision gone(const char* reason, const char* rule) {  // enter CLOSED, delete the TCB
    b.state = State::closed;
    out.signals.push_back(std::string("closed ") + reason);
    return end(rule);
  }

  Decision closed();
  Decision listen();
  Decision syn_sent();
  Decision other();

  bool in_window(uint32_t n) const { return less_eq(b.rcv_nxt, n) && less(n, b.rcv_nxt + b.rcv_wnd); }
  bool acceptable() const;
  Decision time_wait();
  Decision rst();
  bool check_ack(Decision& d);
  void window();
  void urg();
  bool text_and_fin(Decision& d);
};

// 3.10.7.1
Decision Arrival::closed() {
  if (seg.rst) return end("3.10.7.1 RST is discarded");
  if (seg.ack) return reset_by_ack("3.10.7.1 ACK: RST at SEG.ACK");
  out.answers.push_back({Answer::rst_ack, 0, seg.seq + seg.len()});
  return end("3.10.7.1 no ACK: RST,ACK of it");
}

// 3.10.7.2
Decision Arrival::listen() {
  if (seg.rst) return end("3.10.7.2 first: RST is ignored");
  if (seg.ack) return reset_by_ack("3.10.7.2 second: ACK is bad");
  if (!seg.syn) return end("3.10.7.2 fourth: drop");
  b.irs = seg.seq, b.rcv_nxt = seg.seq + 1;
  b.iss = b.snd_una = 0, b.snd_nxt = 1, b.snd_wnd = seg.wnd;
  b.state = State::syn_received_passive;
  out.answers.push_back({Answer::syn_ack, b.iss, b.rcv_nxt});
  // deviation: "any other control or text should be queued for processing later". It is not taken and not
  // acknowledged, so the peer sends it again: a SYN costs no buffer.
  return end("3.10.7.2 third: SYN");
}

// 3.10.7.3
Decision Arrival::syn_sent() {
  bool acceptable_ack = false;
  if (seg.ack) {
    if (less_eq(seg.ack_no, b.iss) || less(b.snd_nxt, seg.ack_no))
      return seg.rst ? end("3.10.7.3 first: bad ACK, RST: drop") : reset_by_ack("3.10.7.3 first: bad ACK");
    acceptable_ack = true;
  }
  // RFC5961-3.2.4: in this state it is the ACK that proves the RST; there is no RCV.NXT to compare with.
  // deviation: "connection reset" is told as refused, as the sockets world calls it.
  if (seg.rst)
    return acceptable_ack ? gone("refused", "3.10.7.3 second: RST") : end("3.10.7.3 second: RST without ACK");
  if (!seg.syn) return end("3.10.7.3 fifth: neither SYN nor RST");
  b.irs = seg.seq, b.rcv_nxt = seg.seq + 1;
  b.snd_wnd = seg.wnd, b.snd_wl1 = seg.seq, b.snd_wl2 = seg.ack_no;
  if (!acceptable_ack) {
    b.state = State::syn_received_active;  // RFC9293-MUST-10
    out.answers.push_back({Answer::syn_ack, b.iss, b.rcv_nxt});
    // deviation: "other controls or text: queue them". Not taken, not acknowledged: as in LISTEN.
    return end("3.10.7.3 fourth: SYN: simultaneous open");
  }
  b.snd_una = seg.ack_no;
  b.state = State::established;
  out.signals.push_back("connected");
  send_ack();
  urg();  // "continue processing at the sixth step"
  Decision d;
  return text_and_fin(d) ? d : end("3.10.7.3 fourth: SYN,ACK");
}

// 3.10.7.4 first, table 6.
bool Arrival::acceptable() const {
  uint32_t len = seg.len();
  if (len == 0) return b.rcv_wnd == 0 ? seg.seq == b.rcv_nxt : in_window(seg.seq);
  // "If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to accept
  // valid ACKs, URGs, and RSTs" (RFC9293-MUST-66): at RCV.NXT they are valid; the text is refused below, and
  // answered.
  if (b.rcv_wnd == 0) return seg.seq == b.rcv_nxt && seg.ack;
  return in_window(seg.seq) || in_window(seg.seq + len - 1);
}

// 3.10.7.4 as it reads for TIME-WAIT. The window is what was told with the ACK of the FIN, but no octet in it can be the
// peer's: it has said so. What has an ACK is answered as if nothing were acceptable.
Decision Arrival::time_wait() {
  // deviation: second: an exact RST would end it. RFC1337-2: an old duplicate can be exact; ignored.
  if (seg.rst) return end("RFC 1337: RST is ignored");
  if (seg.syn && !seg.ack) {
    // fourth, RFC9293-MAY-2, RFC9293-SHLD-4, RFC 6191 2: newer by its timestamp, or by its number where
    // timestamps say nothing. deviation: above RCV.NXT, where the RFC would take RCV.NXT itself: one number
    // of caution.
    bool above = less(b.rcv_nxt, seg.seq);
    bool is_new = seg.stamp == Stamp::newer || (seg.stamp != Stamp::older && above);
    if (!is_new) return ack("3.10.7.4 fourth: SYN: challenge ACK");
    listen();  // somebody does
    return end("MAY-2, RFC 6191: SYN reopens");
  }
  // RFC7323-3.2b; a SYN,ACK is not excepted
  if (seg.stamp == Stamp::missing) return end("RFC 7323 3.2: no timestamp: drop");
  if (seg.stamp == Stamp::older) return ack("RFC 7323 5.3 R1: PAWS");
  if (!seg.ack && in_window(seg.seq)) return end("3.10.7.4 fifth: no ACK: drop");
  if (seg.fin && seg.seq + seg.len() == b.rcv_nxt) {
    // eighth: "Remain in the TIME-WAIT state. Restart the 2 MSL time-wait timeout." By the first step alone,
    // where it is no longer acceptable, that sentence could never be reached: what is meant is this FIN.
    out.msl_restarted = true;
    return ack("3.10.7.4 eighth: the FIN again");
  }
  // deviation: fifth: "acknowledge it, and restart the 2 MSL timeout" is said of the FIN. An ACK that says
  // nothing new gets no answer: two ends in this state would answer each other.
  if (seg.len() == 0 && seg.seq == b.rcv_nxt) return end("3.10.7.4 fifth: nothing new");
  return ack("3.10.7.4 first: not acceptable");
}

// 3.10.7.4 second, by RFC 5961 3.2: it is SEG.SEQ that counts, whatever text comes along.
Decision Arrival::rst() {
  if (seg.seq != b.rcv_nxt) {
    if (in_window(seg.seq)) return ack("3.10.7.4 second 3: RST in window: challenge ACK");  // RFC5961-3.2.2
    return end("3.10.7.4 second 1: RST outside: drop");                                     // RFC5961-3.2.3
  }
  const char* rule = "3.10.7.4 second 2: RST at RCV.NXT";  // RFC5961-3.2.1
  if (b.state == State::syn_received_passive) {
    b.state = State::listen;  // "The user need not be informed"
    return end(rule);
  }
  return gone(b.state == State::syn_received_active ? "refused" : "reset", rule);
}

// "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated."
void Arrival::window() {
  bool newer = less(b.snd_wl1, seg.seq) || (b.snd_wl1 == seg.seq && less_eq(b.snd_wl2, seg.ack_no));
  // deviation: what acknowledges more left later than all before it, though it is text sent again with an old
  // number. Were its window not taken, SND.UNA would carry the old one beyond what was ever promised.
  if (!newer && !less(b.snd_una, seg.ack_no)) return;
  b.snd_wnd = seg.wnd, b.snd_wl1 = seg.seq, b.snd_wl2 = seg.ack_no;
}

// Fifth. True: `d` is the end.
bool Arrival::check_ack(Decision& d) {
  if (b.state == State::syn_received_passive || b.state == State::syn_received_active) {
    // 3.5.2 group 2 goes before RFC 5961 5.2 here: in a state that is not synchronized a bad ACK is reset.
    if (!(less(b.snd_una, seg.ack_no) && less_eq(seg.ack_no, b.snd_nxt)))
      return d = reset_by_ack("3.10.7.4 fifth: SYN-RECEIVED: bad ACK"), true;
    out.signals.push_back(b.state == State::syn_received_passive ? "accepted" : "connected");
    b.state = State::established;
    b.snd_wnd = seg.wnd, b.snd_wl1 = seg.seq, b.snd_wl2 = seg.ack_no;
  }
  // RFC9293-MAY-12, RFC5961-5.2. deviation: only octets that were sent can have been acknowledged, however large the
  // window is
  if (less(seg.ack_no, b.snd_una - std::min(b.max_snd_wnd, b.snd_una - (b.iss + 1))))
    return d = ack("MAY-12: ACK older than a window"), true;
  if (less(b.snd_nxt, seg.ack_no)) return d = ack("3.10.7.4 fifth: ACK of what was not sent"), true;
  acked = true;
  // RFC7323-4.3: SEG.TSval >= TS.Recent (R1 has seen to it) and SEG.SEQ <= Last.ACK.sent, which is RCV.NXT
  // here. deviation: only after the ACK was found good: who guesses a TSval shall not shut the peer's own
  // out.
  out.ts_recent = seg.stamp == Stamp::newer && less_eq(seg.seq, b.rcv_nxt);
  if (less_eq(b.snd_una, seg.ack_no)) window();
  if (less(b.snd_una, seg.ack_no)) b.snd_una = seg.ack_no;
  bool fin_acked = b.fin_sent && b.snd_una == b.snd_nxt;
  if (fin_acked && b.state == State::fin_wait_1) b.state = State::fin_wait_2;
  if (fin_acked && b.state == State::last_ack)
    return d = gone("finished", "3.10.7.4 fifth: LAST-ACK: our FIN is acknowledged"), true;
  if (fin_acked && b.state == State::closing) {
    b.state = State::time_wait;
    out.signals.push_back("closed finished");  // nothing can come any more; the record lives on by itself
    if (seg.len() > 0) send_ack();             // seventh, eighth
    return d = end("3.10.7.4 fifth: CLOSING: our FIN is acknowledged"), true;
  }
  return false;
}

// Sixth (RFC9293-MUST-62, RFC9293-MUST-32). Nobody is told who has closed.
void Arrival::urg() {
  if (seg.urg && receives(b.state) && !b.user_closed && less(b.rcv_nxt, seg.seq + seg.up))
    out.signals.push_back("urgent");
}

// Seventh and eighth. True: `d` is the end.
bool Arrival::text_and_fin(Decision& d) {
  if (!receives(b.state)) {
    if (seg.len() == 0) return false;
    // By the first step it was not acceptable: only its ACK and URG were let in.
    if (b.rcv_wnd == 0) return d = ack("3.10.7.4 first: not acceptable, but for its ACK"), true;
    // deviation: eighth: "advance RCV.NXT over the FIN". This would be a second one: it is acknowledged as
    // far as we are. (The peer's own FIN again is not acceptable any more: the first step answers it.)
    bool fin = seg.fin && in_window(seg.seq + seg.text);
    return d = fin ? ack("3.10.7.4 eighth: FIN after FIN") : end("3.10.7.4 seventh: text after FIN: ignored"),
           true;
  }
  // "trimming off any portions that lie outside the window (including SYN and FIN)"
  uint32_t first = seg.seq + seg.syn, last = first + seg.text, edge = b.rcv_nxt + b.rcv_wnd;
  if (seg.text == 0 && !seg.fin) return false;
  uint32_t from = less(first, b.rcv_nxt) ? b.rcv_nxt : first;
  uint32_t to = less(edge, last) ? edge : last;
  uint32_t text = less(from, to) ? to - from : 0;
  bool fin = seg.fin && less(last, edge);
  bool cut = less(edge, last + seg.fin);
  if (text > 0 && b.user_closed) {
    // RFC9293-SHLD-3: nobody will read it, and the peer shall know
    out.signals.push_back("closed reset");
    b.state = State::closed;
    return d = reset_by_ack("SHLD-3: text after CLOSE"), true;
  }
  if (cut) send_ack();  // "Data can be moved until the buffer is full": what did not fit is not acknowledged
  if (text == 0 && !fin) return d = end("3.10.7.4 first: not acceptable, but for its ACK"), true;
  if (from != b.rcv_nxt) {  // RFC9293-SHLD-31, RFC9293-MAY-13
    out.held = text + fin;
    return d = ack("SHLD-31, MAY-13: out of order: held"), true;
  }
  b.rcv_nxt += text + fin;
  out.text = text;
  if (text > 0) out.signals.push_back("text");
  if (!out.answers.empty() && !out.answers[0].delayed) out.answers[0].ack_no = b.rcv_nxt;
  if (!fin) {
    send_ack(true);  // RFC9293-SHLD-18
    return d = end("3.10.7.4 seventh: text in order"), true;
  }
  out.answers.clear();
  send_ack();
  if (!b.user_closed) out.signals.push_back("peer_closed");  // "connection closing"
  if (b.state == State::established)
    b.state = State::close_wait;
  else if (b.state == State::fin_wait_1)
    b.state = State::closing;
  else {
    b.state = State::time_wait;
    out.signals.push_back("closed finished");
  }
  return d = end("3.10.7.4 eighth: FIN"), true;
}

Decision Arrival::other() {
  if (b.state == State::time_wait) return time_wait();
  // deviation: the SYN once more says that our SYN,ACK was lost: it goes again, which says more than the ACK
  // of the first step. Linux answers so, too.
  if (b.state == State::syn_received_passive && seg.syn && !seg.ack && !seg.rst && seg.seq == b.irs) {
    out.answers.push_back({Answer::syn_ack, b.iss, b.rcv_nxt});
    return end("3.10.7.2 third: the SYN again: SYN,ACK again");
  }
  // RFC 7323 5.3 R1, before all else, but not for RST (RFC7323-5.2)
  if (seg.stamp == Stamp::missing && !seg.rst)
    return end("RFC 7323 3.2: no timestamp: drop");  // RFC7323-3.2b
  if (seg.stamp == Stamp::older && !seg.rst) return ack("RFC 7323 5.3 R1: PAWS");
  if (seg.rst) return rst();
  // deviation: figure 8 of RFC 9293 3.5: SYN,ACKs cross. The SYN is known, its ACK is what is waited for; by
  // the first step it would be answered only, and both ends would wait for a retransmission
  // (RFC9293-MUST-10).
  if (b.state == State::syn_received_active && seg.syn && seg.ack && seg.seq == b.irs &&
      seg.ack_no == b.snd_nxt) {
    Segment bare = seg;
    bare.syn = false;
    bare.seq += 1;
    bare.up -= bare.up > 0;
    Arrival again(b, bare);
    return again.other();
  }
  // First: "special allowance should be made to accept valid ACKs": of a peer who does not know whether the octet of its
  // window probe was taken.
  bool one_off = seg.seq + 1 == b.rcv_nxt || seg.seq == b.rcv_nxt + 1;
  if (one_off && b.rcv_wnd == 0 && seg.len() == 0 && seg.ack && receives(b.state)) {
    Decision d;
    if (check_ack(d)) return d;
    return ack("3.10.7.4 first: not acceptable, but for its ACK");
  }
  if (!acceptable()) return ack("3.10.7.4 first: not acceptable");
  if (seg.syn) {
    // Fourth. The SYN counts wherever it lies: RFC 5961 4.2 says "irrespective of the sequence number".
    if (b.state != State::syn_received_passive)
      return ack("3.10.7.4 fourth: SYN: challenge ACK");  // RFC5961-4.2
    b.state = State::listen;
    return end("3.10.7.4 fourth: SYN: back to LISTEN");
  }
  if (!seg.ack) return end("3.10.7.4 fifth: no ACK: drop");
  Decision d;
  if (check_ack(d)) return d;
  urg();
  if (text_and_fin(d)) return d;
  return end("3.10.7.4 fifth: ACK");
}

}  // namespace

Decision segment_arrives(const Block& block, const Segment& seg) {
  Arrival a(block, seg);
  switch (block.state) {
    case State::closed: return a.closed();
    case State::listen: return a.listen();
    case State::syn_sent: return a.syn_sent();
    default: return a.other();
  }
}

}  // namespace millrace::conformance::oracle
