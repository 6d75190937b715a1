// SPDX-License-Identifier: BSD-3-Clause
// A doubly linked list of pool objects by index, threaded through a Link that the objects hold. O(1) everywhere, and
// membership is one bit, so that nothing is ever linked twice.
#pragma once

#include <cstdint>

#include "base/ensure.h"
#include "base/pool.h"

namespace millrace {

struct Link {
  uint32_t next = no_index;
  uint32_t prev = no_index;
};

template <typename T, Link T::* link>
class IndexList {
 public:
  bool empty() const { return first_ == no_index; }
  uint32_t first() const { return first_; }
  uint32_t size() const { return size_; }

  void push_back(Pool<T>& pool, uint32_t index) {
    Link& l = pool[index].*link;
    l.next = no_index;
    l.prev = last_;
    if (last_ == no_index)
      first_ = index;
    else
      (pool[last_].*link).next = index;
    last_ = index;
    ++size_;
  }
  void remove(Pool<T>& pool, uint32_t index) {
    Link& l = pool[index].*link;
    if (l.prev == no_index)
      first_ = l.next;
    else
      (pool[l.prev].*link).next = l.next;
    if (l.next == no_index)
      last_ = l.prev;
    else
      (pool[l.next].*link).prev = l.prev;
    --size_;
  }
  // Takes the first out; there is one.
  uint32_t pop_front(Pool<T>& pool) {
    uint32_t index = first_;
    first_ = (pool[index].*link).next;
    if (first_ == no_index)
      last_ = no_index;
    else
      (pool[first_].*link).prev = no_index;
    --size_;
    return index;
  }
  // Appends the whole of `other`, which is empty afterwards.
  void splice_back(Pool<T>& pool, IndexList& other) {
    if (other.empty()) return;
    if (last_ == no_index) {
      first_ = other.first_;
    } else {
      (pool[last_].*link).next = other.first_;
      (pool[other.first_].*link).prev = last_;
    }
    last_ = other.last_;
    size_ += other.size_;
    other = IndexList{};
  }

 private:
  uint32_t first_ = no_index;
  uint32_t last_ = no_index;
  uint32_t size_ = 0;
};

}  // namespace millrace
