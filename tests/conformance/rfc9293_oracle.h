// SPDX-License-Identifier: BSD-3-Clause
// What RFC 9293 3.10.7 says of one segment, written from its text and from nothing else: no code of the
// library is used here. The matrix compares it with what the Stack does. Numbers are relative: 0 is the SYN
// of either side.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::conformance::oracle {

enum class State {
  closed,
  listen,
  syn_sent,
  syn_received_passive,  // came from LISTEN (RFC9293-MUST-11)
  syn_received_active,   // came from SYN-SENT
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
  time_wait,
};
const char* name(State s);

// How SEG.TSval stands to TS.Recent. `unused`: timestamps were not agreed on.
enum class Stamp { unused, missing, older, equal, newer };

// The transmission control block, in the RFC's names.
struct Block {
  State state = State::closed;
  uint32_t iss = 0, snd_una = 0, snd_nxt = 0;
  uint32_t snd_wnd = 0, snd_wl1 = 0, snd_wl2 = 0, max_snd_wnd = 0;
  uint32_t irs = 0, rcv_nxt = 0, rcv_wnd = 0;
  bool fin_sent = false;     // our FIN is SND.NXT - 1
  bool user_closed = false;  // CLOSE, not half close: nobody reads
};

struct Segment {
  bool syn = false, ack = false, fin = false, rst = false, urg = false, psh = false;
  uint32_t seq = 0, ack_no = 0, text = 0, wnd = 0, up = 0;
  Stamp stamp = Stamp::unused;
  uint32_t len() const { return text + syn + fin; }
};

struct Answer {
  enum Kind { ack, rst, rst_ack, syn_ack } kind = ack;
  uint32_t seq = 0;
  uint32_t ack_no = 0;
  bool delayed = false;  // not in the segment's own turn
  friend bool operator==(const Answer&, const Answer&) = default;
};

// What became of it: what can be seen from outside, and the variables that the RFC names.
struct Outcome {
  State state = State::closed;
  std::vector<Answer> answers;
  std::vector<std::string> signals;  // to the user, in order
  uint32_t snd_una = 0, snd_wnd = 0, rcv_nxt = 0;
  uint32_t text = 0;           // told to the user
  uint32_t held = 0;           // by how much RCV.NXT jumps further once the gap before the segment is filled
  bool ts_recent = false;      // TS.Recent has become SEG.TSval
  bool msl_restarted = false;  // TIME-WAIT begins anew
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

struct Decision {
  Outcome outcome;
  const char* rule = "";  // the sentence that decided
  bool acked = false;     // the fifth step took the ACK
};

Decision segment_arrives(const Block& block, const Segment& seg);

}  // namespace millrace::conformance::oracle
