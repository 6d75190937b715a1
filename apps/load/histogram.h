// SPDX-License-Identifier: BSD-3-Clause
// How often each latency was seen, with three significant digits: log-linear buckets as in HdrHistogram.
//
//   value           bucket width   buckets
//   0 .. 2047       1              2048
//   2048 .. 4095    2              1024
//   4096 .. 8191    4              1024     and so on: a bucket is never wider than 1/1024 of its values
//
// To record is one increment; all else is computed when somebody asks. One thread records, and others may merge() what it
// has so far.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace millrace::load {

class Histogram {
 public:
  static constexpr uint32_t top_bit = 38;  // 2^38 ns are 274 s; what is longer counts as that
  static constexpr uint64_t largest = (uint64_t{1} << top_bit) - 1;
  static constexpr uint32_t fine_bits = 10;
  static constexpr uint32_t buckets = (top_bit - fine_bits + 1) << fine_bits;

  static constexpr uint32_t index_of(uint64_t value) {
    value = std::min(value, largest);
    auto shift = static_cast<uint32_t>(std::bit_width(value | (1u << fine_bits))) - (fine_bits + 1);
    return (shift << fine_bits) + static_cast<uint32_t>(value >> shift);
  }
  static constexpr uint64_t lowest_of(uint32_t index) {
    if (index < 2u << fine_bits) return index;
    uint32_t shift = (index >> fine_bits) - 1;
    return (uint64_t{index} - (uint64_t{shift} << fine_bits)) << shift;
  }
  static constexpr uint64_t highest_of(uint32_t index) { return lowest_of(index + 1) - 1; }

  Histogram() : counts_(buckets) {}

  void record(uint64_t value) {
    std::atomic_ref<uint64_t> count(counts_[index_of(value)]);
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void merge(const Histogram& other) {
    for (uint32_t i = 0; i < buckets; ++i)
      counts_[i] += std::atomic_ref(const_cast<uint64_t&>(other.counts_[i])).load(std::memory_order_relaxed);
  }
  // What was recorded in `later` and not yet in `earlier`, a copy of it.
  void set_difference(const Histogram& later, const Histogram& earlier) {
    for (uint32_t i = 0; i < buckets; ++i) counts_[i] = later.counts_[i] - earlier.counts_[i];
  }

  uint64_t count() const {
    uint64_t sum = 0;
    for (uint64_t n : counts_) sum += n;
    return sum;
  }
  // The least value that `percent` of all are not above, as precise as its bucket. 0 when nothing was
  // recorded.
  uint64_t percentile(double percent) const { return percentile(percent, count()); }
  uint64_t min() const {
    for (uint32_t i = 0; i < buckets; ++i)
      if (counts_[i] != 0) return lowest_of(i);
    return 0;
  }
  uint64_t max() const { return percentile(100); }
  // How many were not above it, as precise as its bucket.
  uint64_t count_up_to(uint64_t value) const {
    uint64_t sum = 0;
    for (uint32_t i = 0, last = index_of(value); i <= last; ++i) sum += counts_[i];
    return sum;
  }
  // The standard deviation.
  double deviation() const {
    double sum = 0, average = mean();
    for (uint32_t i = 0; i < buckets; ++i) {
      double middle = 0.5 * static_cast<double>(lowest_of(i) + highest_of(i));
      sum += static_cast<double>(counts_[i]) * (middle - average) * (middle - average);
    }
    uint64_t total = count();
    return total == 0 ? 0 : std::sqrt(sum / static_cast<double>(total));
  }
  double mean() const {
    double sum = 0;
    for (uint32_t i = 0; i < buckets; ++i)
      if (counts_[i] != 0)
        sum += static_cast<double>(counts_[i]) * 0.5 * static_cast<double>(lowest_of(i) + highest_of(i));
    uint64_t total = count();
    return total == 0 ? 0 : sum / static_cast<double>(total);
  }

 private:
  uint64_t percentile(double percent, uint64_t total) const {
    constexpr double tiny = 1e-6;  // 99.9 % of 1000 are 999, though not in binary fractions
    double share = percent / 100 * static_cast<double>(total);
    auto rank = static_cast<uint64_t>(std::ceil(std::max(share - tiny, 0.0)));
    rank = std::clamp<uint64_t>(rank, 1, std::max<uint64_t>(total, 1));
    uint64_t seen = 0;
    for (uint32_t i = 0; i < buckets; ++i)
      if ((seen += counts_[i]) >= rank) return highest_of(i);
    return 0;
  }

  std::vector<uint64_t> counts_;
};

}  // namespace millrace::load
