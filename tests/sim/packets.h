// SPDX-License-Identifier: BSD-3-Clause
// Packet buffers of the simulator: blocks of one heap pool for each host, counted, and poisoned while free, so that a
// reader of a buffer that was given back sees rubbish (and AddressSanitizer says where).
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/ensure.h"
#include "millrace/packet.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define POISON_UNUSED  // elsewhere it would only touch memory that most runs never use
#else
#define POISON(p, n) std::memset(p, 0xdd, n)
#define UNPOISON(p, n) ((void)0)
#endif

namespace millrace::sim {

class Packets {
 public:
  static constexpr uint32_t block_size = 2048;

  explicit Packets(uint32_t count) : memory_(std::make_unique_for_overwrite<uint8_t[]>(size_t{count} * block_size)), total_(count) {
    for (uint32_t i = count; i-- > 0;) free_.push_back(memory_.get() + size_t{i} * block_size);
    taken_.resize(count);
#ifdef POISON_UNUSED
    POISON(memory_.get(), size_t{count} * block_size);
#endif
  }
  ~Packets() { UNPOISON(memory_.get(), size_t{total_} * block_size); }
  Packets(const Packets&) = delete;

  uint8_t* take() {
    if (free_.empty()) return nullptr;
    uint8_t* block = free_.back();
    free_.pop_back();
    UNPOISON(block, block_size);
    taken_[index(block)] = true;
    return block;
  }
  // A buffer that is given back twice, or is none of ours, ends the run.
  void give(uint8_t* block) {
    ensure(index(block) < total_ && taken_[index(block)]);
    taken_[index(block)] = false;
    POISON(block, block_size);
    free_.push_back(block);
  }
  uint32_t taken() const { return total_ - static_cast<uint32_t>(free_.size()); }

 private:
  size_t index(const uint8_t* block) const {
    size_t at = static_cast<size_t>(block - memory_.get());
    ensure(at % block_size == 0);
    return at / block_size;
  }
  std::unique_ptr<uint8_t[]> memory_;
  uint32_t total_;
  std::vector<uint8_t*> free_;
  std::vector<bool> taken_;
};

}  // namespace millrace::sim
