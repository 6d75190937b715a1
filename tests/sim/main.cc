// SPDX-License-Identifier: BSD-3-Clause
// millrace-sim --seed N --seeds K [--until TURN] [--trace] [--cut]: runs K seeds from N; a failure prints the seed that
// replays it. With --cut each runs once more with hardware that cuts long segments (TSO): the bytes must be the same. The last line is "N passed, N failed, 0 skipped" and one digest of all bytes that were emitted.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/ensure.h"
#include "base/limits.h"
#include "tests/sim/world.h"

namespace millrace {
void ensure_failed(const char* what, const char* file, int line) {
  std::printf("%s:%d: ensure(%s) failed\n", file, line, what);
  std::fflush(stdout);
  std::abort();
}
}  // namespace millrace

int main(int argc, char** argv) {
  uint64_t seed = 1, seeds = 1, until = 0;
  bool trace = false, cut = false;
  for (int i = 1; i < argc; ++i) {
    auto number = [&](const char* flag, uint64_t& to) {
      if (std::strcmp(argv[i], flag) != 0 || i + 1 >= argc) return false;
      to = std::strtoull(argv[++i], nullptr, 0);
      return true;
    };
    if (number("--seed", seed) || number("--seeds", seeds) || number("--until", until)) continue;
    if (std::strcmp(argv[i], "--trace") == 0) {
      trace = true;
      continue;
    }
    if (std::strcmp(argv[i], "--cut") == 0) {
      cut = true;
      continue;
    }
    std::fprintf(stderr, "usage: millrace-sim [--seed N] [--seeds K] [--until TURN] [--trace] [--cut]\n");
    return 2;
  }
  uint64_t digest = 0, passed = 0, failed = 0, turns = 0, segments = 0, finished = 0;
  for (uint64_t s = seed; s < seed + seeds; ++s) {
    millrace::sim::Result r = millrace::sim::run_world(s, until, trace);
    if (cut && r.passed) {
      millrace::sim::Result other = millrace::sim::run_world(s, until, trace, millrace::limits::joined_segments);
      if (!other.passed || other.digest != r.digest) {
        r.passed = false;
        r.why = other.passed ? "hardware that cuts segments makes other bytes" : "with --cut: " + other.why;
      }
    }
    if (!r.passed && until == 0) std::printf("seed %llu FAILED: %s\n", static_cast<unsigned long long>(s), r.why.c_str());
    ++(r.passed || until != 0 ? passed : failed);
    digest = (digest ^ r.digest) * 0x100000001b3;
    turns += r.turns;
    segments += r.segments;
    finished += r.finished;
  }
  std::printf("%llu connections, %llu segments, %llu turns, digest %016llx\n", static_cast<unsigned long long>(finished),
              static_cast<unsigned long long>(segments), static_cast<unsigned long long>(turns),
              static_cast<unsigned long long>(digest));
  std::printf("%llu passed, %llu failed, 0 skipped\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
