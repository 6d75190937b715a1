// SPDX-License-Identifier: BSD-3-Clause
// A receiver written from RFC 2018 4, RFC 2883 4 and RFC 5681 4.2 alone, octet by octet: what each ACK must
// say of text that comes in any order. Numbers are relative: the first octet of text is 1.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace millrace::conformance::oracle {

struct Range {
  uint32_t left, right;  // the first, and one past the last
  friend bool operator==(const Range&, const Range&) = default;
};

struct Reply {
  bool at_once = false;  // else the ACK may be delayed
  uint32_t ack = 1;
  std::vector<Range> blocks;
  size_t must = 0;  // so many of them, at the front, are a MUST; the others SHOULD follow
};

class Receiver {
 public:
  Receiver(bool sack, size_t blocks) : sack_(sack), limit_(blocks), have_(8192) { have_[0] = true; }

  Reply arrives(Range seg) {
    Range twice = known(seg);
    bool gap = holds();
    for (uint32_t n = seg.left; n < seg.right; ++n) have_[n] = true;
    bool advanced = have_[nxt_];
    while (have_[nxt_]) ++nxt_;
    // RFC 5681 4.2: out of order at once, and at once what fills a gap in part or whole; RFC 2883: so is a
    // report.
    bool dsack = sack_ && twice.left != twice.right;
    Reply reply{!advanced || gap || dsack, nxt_, {}, 0};
    if (sack_) say_blocks(reply, seg, advanced, dsack ? twice : Range{0, 0});
    return reply;
  }

 private:
  // RFC 2883 4 (1), (3): the first contiguous part of the segment that is here already; later ones are not
  // told.
  Range known(Range seg) const {
    uint32_t left = seg.left;
    while (left < seg.right && !have_[left]) ++left;
    uint32_t right = left;
    while (right < seg.right && have_[right]) ++right;
    return {left, right};
  }
  bool holds() const {
    for (uint32_t n = nxt_; n < have_.size(); ++n)
      if (have_[n]) return true;
    return false;
  }
  // The contiguous block of queued text around an octet above the ACK.
  Range block(uint32_t n) const {
    Range b{n, n};
    while (have_[b.left - 1]) --b.left;
    while (have_[b.right]) ++b.right;
    return b;
  }

  void say_blocks(Reply& reply, Range seg, bool advanced, Range twice) {
    std::vector<Range>& all = reply.blocks;
    bool dsack = twice.left != twice.right;
    if (dsack) all.push_back(twice);
    size_t first = all.size();  // of what is no D-SACK
    auto add = [&](Range b) {
      for (size_t i = first; i < all.size(); ++i)
        if (all[i].left <= b.left && b.right <= all[i].right)
          return;  // "not subsets of a block already included"
      if (all.size() < limit_) all.push_back(b);
    };
    // RFC 2883 4 (4): a duplicate from above the ACK is followed by the block that it lies in.
    if (dsack && twice.right > nxt_) add(block(twice.left));
    // RFC 2018 4: "The first SACK block MUST specify the contiguous block of data containing the segment
    // which triggered this ACK, unless that segment advanced the Acknowledgment Number field".
    bool above = !advanced && seg.right > nxt_;
    if (above) add(block(seg.left));
    reply.must = all.size();
    // "filled out by repeating the most recently reported SACK blocks (based on first SACK blocks in previous
    // SACK options)"; a block that has grown since is named as it is now.
    if (above) reported_.insert(reported_.begin(), seg.left);
    for (uint32_t n : reported_)
      if (n >= nxt_) add(block(n));
  }

  bool sack_;
  size_t limit_;
  uint32_t nxt_ = 1;
  std::vector<bool> have_;
  std::vector<uint32_t> reported_;  // an octet of each, the latest first
};

}  // namespace millrace::conformance::oracle
