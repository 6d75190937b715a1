// SPDX-License-Identifier: BSD-3-Clause
// A capture of one port into a file, beside a packet's way: frames are copied where the rx burst comes in and where
// built ones go to the driver, cross to a control thread by a ring for each core, and are written there (rte_pcapng: nanoseconds,
// directions, drops). The lcore does no I/O: what finds no room is not captured, and counted.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "nic/mempool.h"

struct rte_mbuf;
struct rte_ring;
struct rte_pcapng;

namespace millrace::nic {

class Capture {
 public:
  enum class Direction : uint8_t { in, out };

  // The port has been started. Throws ConfigError when the file cannot be written, or memory is short.
  Capture(const std::string& file, uint16_t port, uint32_t cores);
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();

  // Each core's own lcore.
  void copy(uint32_t core, rte_mbuf* const* frames, uint32_t count, Direction direction);

  // No more copies come. What is on its way is written, and the file is whole. Again: nothing.
  void end();
  // After end(): "FILE: 1234 frames captured, 5 lost for want of room", and whether writing went wrong.
  std::string report() const;
  bool has_failed() const { return error_ != 0; }
  uint64_t lost() const;

 private:
  // One core's way to the control thread.
  struct alignas(64) Lane {
    rte_ring* ring = nullptr;
    std::atomic<uint64_t> lost{0};  // written by the lcore alone
    ~Lane();
  };

  uint64_t now_as_cycles() const;
  void start_clock();
  void write_until_end();
  void write(rte_mbuf** frames, uint32_t count);

  const std::string file_;
  const uint16_t port_;
  PacketPool pool_;
  std::vector<Lane> lanes_;
  rte_pcapng* out_ = nullptr;
  pthread_t thread_{};
  std::atomic<bool> stop_{false};
  bool ended_ = false;
  // The library turns cycles into wall-clock time with the rate that EAL found, which may be wrong by a thousandth: so
  // it is given cycles that come to the time of the system's clock.
  uint64_t first_ns_ = 0, first_cycles_ = 0, cycles_per_ns_ = 0;  // the last one times 2^32
  uint64_t written_ = 0;
  int error_ = 0;
};

// Throws ConfigError if `file` cannot be written. It is left as it is.
void check_capture_file(const std::string& file);

}  // namespace millrace::nic
