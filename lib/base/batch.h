// SPDX-License-Identifier: BSD-3-Clause
// An array that the caller owns and the core fills: the border of the core is made of these.
#pragma once

#include <cstdint>
#include <new>
#include <span>

#include "base/ensure.h"

namespace millrace {

template <typename T>
class Batch {
 public:
  Batch() = default;
  explicit Batch(std::span<T> memory) : data_(memory.data()), capacity_(static_cast<uint32_t>(memory.size())) {}

  uint32_t size() const { return size_; }
  uint32_t room() const { return capacity_ - size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](uint32_t i) { return data_[i]; }
  const T& operator[](uint32_t i) const { return data_[i]; }
  std::span<const T> span() const { return {data_, size_}; }

  // The next element, to be filled in place. Who pushes has asked for room() before.
  T& push() {
    ensure(size_ < capacity_);
    return data_[size_++];
  }
  // In place: an assignment builds it beside, copies, and waits for its own stores.
  T& push_new() { return *new (&push()) T; }
  void push(const T& value) { push() = value; }
  void pop() { --size_; }
  void clear() { size_ = 0; }

 private:
  T* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace millrace
