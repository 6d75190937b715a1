// SPDX-License-Identifier: BSD-3-Clause
// Memory for one object of this room, of exactly the size that it asks for.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/region.h"

namespace millrace::flow {

class TestMemory {
 public:
  // Calls init(Region&) twice: to measure, and on the memory.
  template <typename Init>
  explicit TestMemory(Init init) {
    Region measure;
    init(measure);
    size_t bytes = (measure.used() + 63) & ~size_t{63};
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(64, bytes)));
    Region region(memory_.get(), bytes);
    init(region);
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace millrace::flow
