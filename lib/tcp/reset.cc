// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/reset.h"

namespace millrace::tcp {

using wire::Seq;
using wire::TxSegment;

TxSegment make_answer(const wire::FlowKey& key, const wire::Segment& seg, uint8_t ttl, uint8_t flags) {
  TxSegment tx;
  tx.flags = flags;
  tx.destination = seg.source;
  tx.local = key.local;
  tx.remote = key.remote;
  tx.local_port = key.local_port;
  tx.remote_port = key.remote_port;
  tx.ttl = ttl;
  return tx;
}

void mark_ip(TxSegment& tx, const Options& options) {
  if (options.ttl != 0) tx.ttl = options.ttl;
  tx.tos = static_cast<uint8_t>(options.dscp << 2);
}

TxSegment make_reset(const wire::FlowKey& key, const wire::Segment& seg, uint8_t ttl) {
  if (seg.has(wire::ack)) {  // <SEQ=SEG.ACK><CTL=RST>
    TxSegment tx = make_answer(key, seg, ttl, wire::rst);
    tx.seq = seg.ack;
    return tx;
  }
  // <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
  TxSegment tx = make_answer(key, seg, ttl, wire::rst | wire::ack);
  tx.ack = seg.seq + seg.len;
  return tx;
}

}  // namespace millrace::tcp
