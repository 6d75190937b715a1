// SPDX-License-Identifier: BSD-3-Clause
// What one turn of a Stack writes, for tests that drive a Stack by themselves: the arrays of its Output, the ring of
// events, and the frames that segments become.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/limits.h"
#include "stack/stack.h"
#include "tests/sim/hardware.h"
#include "wire/build.h"

namespace millrace::sim {

struct Turn {
  // `ring_size` is a power of two.
  void init(const stack::Config& config, uint32_t ring_size) {
    ring.resize(ring_size);
    segments_.resize(limits::segments_per_turn);
    slices_.resize(limits::slices_per_turn);
    sacks_.resize(limits::segments_per_turn * limits::sack_blocks);
    release_.resize(stack::release_capacity(config));
    out.segments = Batch<wire::TxSegment>{segments_};
    out.slices = Batch<Slice>{slices_};
    out.sacks = Batch<wire::SackBlock>{sacks_};
    out.release = Batch<PacketRef>{release_};
    out.events[0] = {ring.data(), ring_size - 1, 0, ring_size};
  }
  // The frames on the wire that one of out.segments becomes.
  template <typename Each>
  void frames(const wire::TxSegment& tx, const wire::Mac& own_mac, Each&& each) const {
    std::span<const Slice> slices{slices_.data() + tx.first_slice, tx.slice_count};
    std::span<const wire::SackBlock> sacks{sacks_.data() + tx.first_sack, tx.sack_count};
    bytes_.resize(wire::max_header + tx.text_len);
    uint32_t n = wire::build_header(tx, slices, sacks, own_mac, {}, bytes_.data());
    for (const Slice& s : slices) {
      std::memcpy(bytes_.data() + n, s.data(), s.length);
      n += s.length;
    }
    std::span<const uint8_t> whole{bytes_.data(), n};
    if (tx.segment_size == 0)
      each(whole);
    else
      cut(whole, tx.segment_size, each);
  }

  std::vector<Event> ring;
  stack::Output out;

 private:
  mutable std::vector<uint8_t> bytes_;
  std::vector<wire::TxSegment> segments_;
  std::vector<Slice> slices_;
  std::vector<wire::SackBlock> sacks_;
  std::vector<PacketRef> release_;
};

}  // namespace millrace::sim
