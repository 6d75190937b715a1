// SPDX-License-Identifier: BSD-3-Clause
// ICMP (RFC 792): echo is answered, errors go to the connection whose segment they quote (RFC9293-MUST-54). All others
// are dropped and counted, redirects too: there is one gateway.
#include "stack/internals.h"
#include "tcp/icmp_error.h"
#include "tcp/path_mtu.h"

namespace millrace::stack {
namespace {

// RFC1122-3.2.2.6a: all of the data, from the address that was asked. The packet goes out as the answer's slice, and is
// released with this turn.
void answer_echo(Stack& s, const wire::Frame& frame, const wire::OtherFrame& other, Output& out) {
  if (out.slices.room() == 0 || !answer_room(s, out)) return;
  wire::TxSegment tx;
  tx.kind = wire::TxSegment::icmp_echo_reply;
  tx.destination = other.mac;
  tx.local = other.destination;
  tx.remote = other.source;
  tx.ttl = s.cx.params.ttl;
  tx.first_slice = static_cast<uint16_t>(out.slices.size());
  tx.slice_count = 1;
  tx.text_len = static_cast<uint16_t>(other.length - 4);
  auto offset = static_cast<uint16_t>(frame.data + other.offset + 4 - frame.packet.handle);
  out.slices.push({frame.packet, Slice::own_buffer, offset, tx.text_len});
  s.cx.count(Count::icmp_echo_answered);
  answer(s, tx, out);
}

void about_connection(Stack& s, Tcb& tcb, const wire::IcmpError& error) {
  tcp::IcmpOutcome outcome = tcp::icmp_arrives(s.cx, tcb, error);
  if (outcome.path_mtu != 0) note_path_mtu(s, tcb.key.remote, outcome.path_mtu);
  if (outcome.fate == tcp::Fate::gone) remove(s, tcb, tcb.reason);
}

// A passive open that nobody will complete makes room. Hints are none of its business: the peer has just spoken.
void about_half_open(Stack& s, uint32_t index, const wire::IcmpError& error) {
  HalfOpen& record = s.half_opens[index];
  if (error.seq != record.iss || record.sent == 0) {
    s.cx.count(Count::drop_icmp_sequence);
    return;
  }
  s.cx.count(Count::icmp_errors_received);
  if (tcp::is_hard(error)) forget_half_open(s, index);
}

// RFC1122-3.2.2.1b, -3.2.2.4, -3.2.2.5: to the transport, by what is quoted.
void receive_error(Stack& s, std::span<const uint8_t> bytes, const wire::OtherFrame& other) {
  wire::IcmpError error;
  Count verdict = wire::parse_icmp_error(bytes, other.destination, error);
  if (verdict != Count::count_) {
    s.cx.count(verdict);
    return;
  }
  Number n = s.find(s.tag_of(error.key), error.key);
  if (n && n.kind() == Kind::tcb) return about_connection(s, s.cx.tcbs[n.index()], error);
  if (n && n.kind() == Kind::half_open) return about_half_open(s, n.index(), error);
  s.cx.count(Count::drop_icmp_unmatched);  // TIME-WAIT too: there is nothing left that it could end or hasten
}

}  // namespace

void receive_icmp(Stack& s, const wire::Frame& frame, const wire::OtherFrame& other, Output& out) {
  std::span<const uint8_t> bytes{frame.data + other.offset, other.length};
  if (wire::is_icmp_error(bytes)) return receive_error(s, bytes, other);
  wire::IcmpMessage message;
  if (wire::parse_icmp(bytes, message) && message.type == wire::icmp::echo_request && message.code == 0)
    return answer_echo(s, frame, other, out);
  s.cx.count(Count::drop_icmp);  // RFC1122-3.2.2a, RFC9293-MUST-55
}

void note_path_mtu(Stack& s, Ipv4Address remote, uint16_t mtu) {
  s.paths.learn(remote, mtu, s.cx.now, s.cx.now + s.cx.params.path_mtu_timeout);
}

void apply_path_mtu(Stack& s, Tcb& tcb) {
  if (const Paths::Path* path = s.paths.find(tcb.key.remote, s.cx.now))
    tcp::learn_path_mtu(s.cx, tcb, path->mtu, path->until);
}

}  // namespace millrace::stack
