// SPDX-License-Identifier: BSD-3-Clause
// What processors can do of the simplest work, alone or at the same time: the yardstick of bench/scaling.py.
//
//   spin MILLISECONDS CPU...    turns of a loop in that time, of all threads together
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MILLISECONDS CPU...\n", argv[0]);
    return 2;
  }
  auto time = std::chrono::milliseconds(std::atoi(argv[1]));
  std::atomic<uint64_t> sum{0};
  std::atomic<int> waiting{argc - 2};
  std::vector<std::thread> threads;
  for (int i = 2; i < argc; ++i)
    threads.emplace_back([&, cpu = std::atoi(argv[i])] {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      pthread_setaffinity_np(pthread_self(), sizeof one, &one);
      for (--waiting; waiting != 0;) std::this_thread::yield();
      auto end = std::chrono::steady_clock::now() + time;
      uint64_t turns = 0, state = 1;
      while (std::chrono::steady_clock::now() < end)
        for (int k = 0; k < 10'000; ++k, ++turns) {
          state = state * 6364136223846793005u + 1442695040888963407u;
          asm volatile("" : "+r"(state));  // each turn is done
        }
      sum += turns;
    });
  for (std::thread& thread : threads) thread.join();
  std::printf("%llu\n", static_cast<unsigned long long>(sum));
  return 0;
}
