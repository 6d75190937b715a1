// SPDX-License-Identifier: BSD-3-Clause
// The last thing at an end: are the last frames out? A device may lose what is in its ring when it is closed. A neighbour
// that answers a question has taken all that was sent before it. (stack/stack.h)
#include "stack/internals.h"

namespace millrace::stack {

void ask_neighbors(Stack& s) {
  for (uint16_t i = 0; i < s.neighbors.size(); ++i) s.neighbors.doubt(i, s.cx.now);
}

bool neighbors_asked(const Stack& s) {
  for (uint16_t i = 0; i < s.neighbors.size(); ++i)
    if (s.neighbors[i].state == Neighbor::State::probing) return true;
  return false;
}

}  // namespace millrace::stack
