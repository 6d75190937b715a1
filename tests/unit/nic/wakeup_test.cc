// SPDX-License-Identifier: BSD-3-Clause
// Nobody who sleeps is forgotten. Producers and a sleeper meet again and again within the few instructions in which a wakeup
// could be lost; the sleeper's sleep has no end of its own, so that a lost one is seen (and told after ten seconds). Also
// built with ThreadSanitizer (tests/run.sh).
#include "nic/wakeup.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "millrace/ring.h"

namespace millrace::nic {
namespace {

constexpr uint32_t ring_slots = 64;

// A core's side: what run/idle.cc and nic/sleeper.cc do, with rings alone.
class Sleeper {
 public:
  explicit Sleeper(size_t producers) : slots_(producers * ring_slots), rings_(producers) {
    wakeup_.open();
    for (size_t i = 0; i < producers; ++i) rings_[i].init(&slots_[i * ring_slots], ring_slots);
  }
  Ring<uint32_t>& ring(size_t i) { return rings_[i]; }
  Wakeup& wakeup() { return wakeup_; }
  uint32_t sleeps() const { return sleeps_; }

  // What there is in all rings, which it takes.
  uint32_t look() {
    uint32_t taken = 0;
    for (Ring<uint32_t>& ring : rings_) {
      uint32_t count = ring.available();
      for (uint32_t i = 0; i < count; ++i) in_order_ &= ring.front(i) == next_[&ring - rings_.data()]++;
      ring.consume(count);
      if (count != 0) ring.give_back();
      taken += count;
    }
    return taken;
  }
  // False: nobody has woken it, and it would sleep for ever.
  bool sleep() {
    constexpr int patience_ms = 10'000;
    pollfd source{wakeup_.descriptor(), POLLIN, 0};
    ++sleeps_;
    bool was_woken = poll(&source, 1, patience_ms) == 1;
    if (was_woken) wakeup_.drain();
    wakeup_.withdraw();
    return was_woken;
  }
  // Until it has taken so many.
  bool run(uint32_t wanted) {
    for (uint32_t taken = 0; taken < wanted;) {
      for (uint32_t pauses = sleeps_ % 64; pauses > 0; --pauses) __builtin_ia32_pause();  // it does other things, too
      uint32_t found = look();
      if (found == 0) {
        wakeup_.announce();
        found = look();
        if (found == 0 && !sleep()) return false;
        if (found != 0) wakeup_.withdraw();
      }
      taken += found;
      taken_.store(taken_.load(std::memory_order_relaxed) + found, std::memory_order_release);
    }
    return true;
  }
  uint32_t taken() const { return taken_.load(std::memory_order_acquire); }
  bool in_order() const { return in_order_; }

 private:
  std::vector<uint32_t> slots_;
  std::vector<Ring<uint32_t>> rings_;
  std::array<uint32_t, 8> next_{};
  Wakeup wakeup_;
  uint32_t sleeps_ = 0;
  bool in_order_ = true;
  alignas(64) std::atomic<uint32_t> taken_{0};
};

void publish(Ring<uint32_t>& ring, uint32_t element) {
  ring.next() = element;
  ring.advance(1);
  ring.publish();
}

// Until it holds; on one CPU the other thread gets it.
template <typename Condition>
void spin_until(Condition&& holds) {
  constexpr uint32_t pauses_before_yield = 200;
  for (uint32_t pauses = 0; !holds(); ++pauses) {
    if (pauses < pauses_before_yield)
      __builtin_ia32_pause();
    else
      std::this_thread::yield();
  }
}

// One element at a time, given just when the sleeper has taken the last and is on its way to sleep: after a number of pauses
// that goes through all that this takes.
TEST(Wakeup, AnElementThatComesWhileItGoesToSleep) {
  constexpr uint32_t rounds = 60'000, most_pauses = 61;
  Sleeper sleeper(1);
  std::atomic<bool> lost{false};
  std::thread producer([&] {
    for (uint32_t i = 0; i < rounds && !lost; ++i) {
      spin_until([&] { return sleeper.taken() == i || lost; });
      for (uint32_t pauses = i % most_pauses; pauses > 0; --pauses) __builtin_ia32_pause();
      publish(sleeper.ring(0), i);
      sleeper.wakeup().wake();
    }
  });
  bool was_woken = sleeper.run(rounds);
  lost = !was_woken;
  producer.join();
  EXPECT_TRUE(was_woken) << "after " << sleeper.taken() << " of " << rounds;
  EXPECT_TRUE(sleeper.in_order());
}

// Several at once, each with a ring of its own: all that one has signalled stands for what the others bring, too.
TEST(Wakeup, SeveralProducers) {
  constexpr uint32_t producers = 3, each = 20'000;
  Sleeper sleeper(producers);
  std::atomic<bool> lost{false};
  std::vector<std::thread> threads;
  for (uint32_t p = 0; p < producers; ++p)
    threads.emplace_back([&, p] {
      Ring<uint32_t>& ring = sleeper.ring(p);
      for (uint32_t i = 0; i < each && !lost; ++i) {
        for (; ring.room() == 0 && !lost; ring.refresh_head()) std::this_thread::yield();
        if (i % 16 == p) std::this_thread::yield();
        publish(ring, i);
        Wakeup::fence();
        sleeper.wakeup().wake_after_fence();
      }
    });
  bool was_woken = sleeper.run(producers * each);
  lost = !was_woken;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(was_woken);
  EXPECT_TRUE(sleeper.in_order());
}

// The litmus test "store buffering": two threads, each on a CPU of its own, go through an array of rings that sleepers would
// have, one announcing and looking, the other publishing and waking. All lines lie in both caches, so that a write stays in
// its store buffer for longer than the read behind it takes; and the two drift past one another.
class Litmus {
 public:
  static constexpr uint32_t rounds = 3000, places = 64;

  Litmus() {
    for (Place& place : places_) {
      place.wakeup.open();
      place.ring.init(&place.slot, 1);
    }
  }
  // How many of all were seen by neither side.
  uint32_t run() {
    uint32_t unseen = 0;
    std::thread producer([&] {
      pin(1);
      for (uint32_t round = 1; round <= rounds; ++round) {
        for (Place& place : places_) place.ring.refresh_head(), static_cast<void>(place.wakeup.is_announced());
        meet();
        for (Place& place : places_) {
          publish(place.ring, round);
          place.wakeup.wake();
        }
        meet();
        meet();
      }
    });
    pin(0);
    for (uint32_t round = 1; round <= rounds; ++round) {
      for (Place& place : places_) static_cast<void>(place.ring.available());
      meet();
      for (uint32_t pauses = round % 8; pauses > 0; --pauses) __builtin_ia32_pause();
      for (Place& place : places_) {
        place.wakeup.announce();
        place.found = place.ring.available() != 0;
      }
      meet();
      for (Place& place : places_) unseen += forget(place);
      meet();
    }
    producer.join();
    return unseen;
  }

 private:
  struct Place {
    Wakeup wakeup;
    Ring<uint32_t> ring;
    uint32_t slot = 0;
    bool found = false;
  };

  // 1: the sleeper would lie there for ever.
  static uint32_t forget(Place& place) {
    uint32_t unseen = !place.found && place.wakeup.is_announced() ? 1 : 0;
    place.wakeup.withdraw();
    place.wakeup.drain();
    place.ring.consume(place.ring.available());
    place.ring.give_back();
    return unseen;
  }
  // Where there are several.
  static void pin(int which) {
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed) && which-- == 0) CPU_SET(cpu, &one);
    if (CPU_COUNT(&one) == 1) sched_setaffinity(0, sizeof one, &one);
  }
  void meet() {
    uint32_t ticket = met_.fetch_add(1, std::memory_order_acq_rel);
    spin_until([&] { return met_.load(std::memory_order_acquire) >= (ticket / 2 + 1) * 2; });
  }

  std::array<Place, places> places_;
  alignas(64) std::atomic<uint32_t> met_{0};
};

TEST(Wakeup, OneOfTwoSeesTheOther) {
  auto litmus = std::make_unique<Litmus>();
  uint32_t unseen = 0;
  std::thread([&] { unseen = litmus->run(); }).join();  // whose CPU is its own
  EXPECT_EQ(unseen, 0u) << "of " << Litmus::rounds * Litmus::places;
}

// Nobody sleeps where nobody may.
TEST(Wakeup, ClosedItIsABranch) {
  Wakeup wakeup;
  EXPECT_FALSE(wakeup.is_open());
  wakeup.wake();
  wakeup.signal();
  wakeup.open();
  int descriptor = wakeup.descriptor();
  wakeup.open();
  EXPECT_EQ(wakeup.descriptor(), descriptor);
}

// Who is awake is not told, who asks for it is, and the flag is taken once.
TEST(Wakeup, SignalsOnlyWhoHasAnnounced) {
  Wakeup wakeup;
  wakeup.open();
  pollfd source{wakeup.descriptor(), POLLIN, 0};
  wakeup.wake();
  EXPECT_EQ(poll(&source, 1, 0), 0);
  wakeup.announce();
  wakeup.wake();
  EXPECT_FALSE(wakeup.is_announced());
  EXPECT_EQ(poll(&source, 1, 0), 1);
  wakeup.drain();
  EXPECT_EQ(poll(&source, 1, 0), 0);
  wakeup.wake();
  EXPECT_EQ(poll(&source, 1, 0), 0);
  wakeup.signal();
  EXPECT_EQ(poll(&source, 1, 0), 1);
}

}  // namespace
}  // namespace millrace::nic
