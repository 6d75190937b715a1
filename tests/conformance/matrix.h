// SPDX-License-Identifier: BSD-3-Clause
// The matrix of RFC 9293 3.10.7: each state, each flag, each place of SEG.SEQ and SEG.ACK, with and without
// text, into an open and into a closed window. A cell is one segment into a connection of its own; what the
// Stack does of it is looked at from outside and compared with the oracle.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/harness.h"
#include "tests/conformance/rfc9293_oracle.h"

namespace millrace::conformance::matrix {

// A state as it can be reached; FIN-WAIT has two: half closed, where the user still reads, and closed.
enum class Scene {
  closed,
  listen,
  syn_sent,
  syn_received_passive,
  syn_received_active,
  established,
  fin_wait_1,
  fin_wait_1_closed,
  fin_wait_2,
  fin_wait_2_closed,
  close_wait,
  closing,
  last_ack,
  time_wait,
};
inline constexpr int scenes = 14;
const char* name(Scene s);

// Where SEG.SEQ lies, of RCV.NXT and RCV.WND.
enum class Place { old, before_left, left, inside, right, beyond, far };
// Where SEG.ACK lies, of SND.UNA and SND.NXT; `but_last`: all but the last number.
enum class Acked { none, too_old, old, una, between, but_last, nxt, beyond };
enum class Window { open, shut };

using oracle::Stamp;

struct Cell {
  Scene scene = Scene::closed;
  uint8_t flags = 0;
  Window window = Window::open;
  Place place = Place::left;
  Acked acked = Acked::none;
  bool text = false;
  Stamp stamp = Stamp::unused;
};
std::string to_string(const Cell& cell);

struct Observation {
  Cell cell;
  oracle::Block before;
  oracle::Segment seg;      // as it was sent
  oracle::Outcome seen;     // of the Stack
  oracle::Decision wanted;  // of the oracle
};
std::string to_string(const oracle::Outcome& o);

// All cells of one state and one set of flags; computed once.
const std::vector<Observation>& observe(Scene scene, uint8_t flags);

// Outcomes, equal ones merged: one line each.
std::string table();

}  // namespace millrace::conformance::matrix
