// SPDX-License-Identifier: BSD-3-Clause
// The ring under a Channel, which has all that an application needs of it: one producer, one consumer, elements built
// and read in place.
//
//   consumer          producer
//      head <= ... <=  tail            slots [head, tail) hold elements, the rest is free
//
// Each side keeps a private copy of the other's index and reads the shared one only when the copy says "none"; each
// index has a cache line of its own. Indices run freely and are masked on use.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace {

template <typename T>
class Ring {
 public:
  // `slots` is memory of `capacity` elements (a power of two) that outlives the ring.
  void init(T* slots, uint32_t capacity) {
    slots_ = slots;
    mask_ = capacity - 1;
  }
  uint32_t capacity() const { return mask_ + 1; }
  T* slots() const { return slots_; }
  uint32_t mask() const { return mask_; }
  T& slot(uint32_t index) const { return slots_[index & mask_]; }

  // --- producer ---
  uint32_t tail() const { return tail_private_; }
  uint32_t room() {
    if (tail_private_ - head_copy_ == capacity()) refresh_head();
    return capacity() - (tail_private_ - head_copy_);
  }
  // acquire: what the consumer did to the slots before it gave them back is seen before they are reused.
  void refresh_head() { head_copy_ = head_.load(std::memory_order_acquire); }
  uint32_t head_copy() const { return head_copy_; }
  T& next() { return slot(tail_private_); }  // the slot to build in; needs room() > 0
  void advance(uint32_t count) { tail_private_ += count; }
  // release: the elements are seen before the index that announces them.
  void publish() { tail_.store(tail_private_, std::memory_order_release); }

  // --- consumer ---
  uint32_t head() const { return head_private_; }
  uint32_t available() {
    if (head_private_ == tail_copy_) tail_copy_ = tail_.load(std::memory_order_acquire);
    return tail_copy_ - head_private_;
  }
  T& front(uint32_t i = 0) { return slot(head_private_ + i); }
  void consume(uint32_t count) { head_private_ += count; }
  void give_back() { head_.store(head_private_, std::memory_order_release); }

 private:
  T* slots_ = nullptr;
  uint32_t mask_ = 0;
  alignas(64) uint32_t tail_private_ = 0;
  uint32_t head_copy_ = 0;
  alignas(64) std::atomic<uint32_t> tail_{0};
  alignas(64) uint32_t head_private_ = 0;
  uint32_t tail_copy_ = 0;
  alignas(64) std::atomic<uint32_t> head_{0};
};

}  // namespace millrace
