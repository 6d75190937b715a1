// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/attacker.h"

#include <cstring>

#include "wire/build.h"

namespace millrace::sim {

using tcp::Tcb;
using wire::TxSegment;

// A SYN to the listener, from the peer's address or from one where nobody is.
void Attacker::forge_syn(const Host& victim, TxSegment& tx) {
  tx.flags = wire::syn;
  tx.local = random_.below(2) ? tx.local : ipv4(10, 0, 0, 100 + random_.below(50));
  tx.remote = victim.stack->config.local.first;
  tx.local_port = static_cast<uint16_t>(1024 + random_.below(60'000));
  tx.remote_port = 7;
  tx.seq.value = any();
  tx.options = static_cast<uint8_t>(random_.below(16));
  tx.mss = static_cast<uint16_t>(random_.below(2000));
  tx.wscale = static_cast<uint8_t>(random_.below(16));
}

// False: nothing fits now.
bool Attacker::forge(const Host& victim, const Host& peer, const Tcb& tcb, TxSegment& tx) {
  tx.local = tcb.key.remote;
  tx.remote = tcb.key.local;
  tx.local_port = tcb.key.remote_port;
  tx.remote_port = tcb.key.local_port;
  tx.wnd = static_cast<uint16_t>(any());
  tx.ts_val = tcb.rcv.ts_recent + random_.below(1000);
  tx.ts_ecr = victim.stack->cx.ts_now(tcb);
  if (tcb.is(tcp::ts_ok) && random_.below(4) != 0) tx.options = wire::opt_timestamps;
  tx.seq = tcb.rcv.nxt;
  tx.ack = tcb.snd.una;
  switch (random_.below(4)) {
    case 0:  // by chance
      tx.seq.value = any();
      tx.ack.value = any();
      tx.flags = static_cast<uint8_t>(random_.below(256));
      return true;
    case 1: {  // RST inside the window, where RCV.NXT is not, nor will be when it arrives
      wire::FlowKey back{tcb.key.remote, tcb.key.local, tcb.key.remote_port, tcb.key.local_port, 4};
      stack::Number n = peer.stack->find(peer.stack->tag_of(back), back);
      if (!n || n.kind() != stack::Kind::tcb) return false;
      wire::Seq from = peer.stack->cx.tcbs[n.index()].snd.max + 1;
      if (!wire::before(from, tcb.rcv.adv)) return false;
      tx.seq = from + random_.below(wire::distance(from, tcb.rcv.adv));
      tx.flags = wire::rst;
      return true;
    }
    case 2:  // SYN
      if (random_.below(2)) tx.seq = tcb.rcv.nxt + random_.below(100'000);
      if (random_.below(2)) tx.seq.value = any();
      tx.flags = static_cast<uint8_t>(wire::syn | (random_.below(2) ? wire::ack : 0));
      return true;
    default:  // an ACK of what was never sent, or of what was long ago; often with text
      tx.flags = static_cast<uint8_t>(wire::ack | (random_.below(4) == 0 ? wire::fin : 0));
      tx.ack = random_.below(2) ? tcb.snd.max + (1 + random_.below(1u << 30))
                                : tcb.snd.una - tcb.max_wnd - (1 + random_.below(1u << 30));
      tx.text_len = static_cast<uint16_t>(random_.below(200));
      return true;
  }
}

void Attacker::turn(Host& victim, const Host& peer, Link& to_victim, Instant now) {
  if (now < quiet_until_ || random_.below(1000) >= plan_.faults.forged) return;
  quiet_until_ = now + microseconds(random_.below(5'000));  // not as often as there are turns: each makes some
  TxSegment tx;
  tx.destination = victim.stack->config.mac;
  tx.local = peer.stack->config.local.first;
  const auto& tcbs = victim.stack->cx.tcbs;
  if (random_.below(4) == 0) {
    forge_syn(victim, tx);
  } else {
    const Tcb& tcb = tcbs[random_.below(tcbs.capacity())];
    // A handshake under way has nothing yet that would tell its peer from a stranger.
    if (!tcp::in(tcb.state, tcp::synchronized) || !forge(victim, peer, tcb, tx)) return;
  }
  uint8_t bytes[Link::largest], text[256];
  std::memset(text, 0x5a, sizeof text);
  Slice slice{PacketRef{text}, Slice::own_buffer, 0, tx.text_len};
  tx.slice_count = 1;
  uint32_t n = wire::build_header(tx, {&slice, 1}, {}, peer.stack->config.mac, {}, bytes);
  std::memcpy(bytes + n, text, tx.text_len);
  to_victim.inject({bytes, n + tx.text_len}, now);
}

}  // namespace millrace::sim
