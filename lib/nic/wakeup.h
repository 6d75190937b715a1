// SPDX-License-Identifier: BSD-3-Clause
// Waking who sleeps, beside a packet's way: a core whose rings are empty, or an application's thread that waits.
//
//   sleeper                       producer
//     flag = asleep                 write into a ring that it reads, and publish
//     fence                         fence
//     look at all rings again       the flag says asleep: take it, and write the eventfd
//     sleep on the eventfd
//
// Whichever fence comes second, what stands behind it sees what stands before the first: either the sleeper finds the
// element or the producer finds the flag. Without fences both reads may come before the other side's write is seen, and
// the element would lie there until something else happens.
#pragma once

#include <atomic>

namespace millrace::nic {

class Wakeup {
 public:
  Wakeup() = default;
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  // Before there are producers. Until then nobody sleeps here, and wake() is a branch. Throws ConfigError.
  void open();
  bool is_open() const { return fd_ >= 0; }

  // --- the sleeper ---
  void announce() {
    asleep_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void withdraw() { asleep_.store(false, std::memory_order_relaxed); }
  // False: withdrawn, or a producer has taken the flag and wakes.
  bool is_announced() const { return asleep_.load(std::memory_order_relaxed); }
  int descriptor() const { return fd_; }  // readable when there was a wakeup since the last drain()
  void drain() const;

  // --- any thread, after it has published: once for a batch ---
  void wake() {
    if (!is_open()) return;
    fence();
    wake_after_fence();
  }
  // The same in two steps, for who has several to wake.
  static void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
  void wake_after_fence() {
    if (asleep_.load(std::memory_order_relaxed)) [[unlikely]]
      take_and_signal();
  }
  // Whether it sleeps or not: its next sleep, at the latest, ends at once. A handler may call it.
  void signal() const;

 private:
  void take_and_signal();

  int fd_ = -1;
  // On a line of its own, which only going to sleep writes: producers read it from their caches.
  alignas(64) std::atomic<bool> asleep_{false};
};

}  // namespace millrace::nic
