// SPDX-License-Identifier: BSD-3-Clause
// Copies on the lcore, the file on a control thread. (nic/capture.h)
#include "nic/capture.h"

#include <fcntl.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <rte_ring.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "millrace/config.h"

namespace millrace::nic {

static constexpr uint32_t copies = 16384;  // at a time: 40 MB
static constexpr uint32_t burst = 64;

static uint64_t wall_clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

static ConfigError cannot_write(const std::string& file, int error) {
  return ConfigError("cannot write " + file + ": " + std::strerror(error), "port.pcap");
}

void check_capture_file(const std::string& file) {
  bool was_there = access(file.c_str(), F_OK) == 0;
  int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) throw cannot_write(file, errno);
  close(fd);
  if (!was_there) unlink(file.c_str());
}

Capture::Lane::~Lane() { rte_ring_free(ring); }

// The control thread may lose its CPU in the middle of giving buffers back, and no lcore waits for it.
Capture::Capture(const std::string& file, uint16_t port, uint32_t cores)
    : file_(file),
      port_(port),
      pool_("capture", {copies, room_for(0), cache_size(copies) / cores, SOCKET_ID_ANY, true, false, true}),
      lanes_(cores) {
  static std::atomic<unsigned> number{0};
  for (Lane& lane : lanes_) {
    std::string name = "millrace_pcap" + std::to_string(number++);
    lane.ring = rte_ring_create(name.c_str(), copies, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
    if (lane.ring == nullptr) throw ConfigError("no memory for a capture: give EAL more with -m", "port.pcap");
  }
  int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd >= 0) out_ = rte_pcapng_fdopen(fd, nullptr, nullptr, "Millrace", nullptr);
  int error = errno;
  if (out_ == nullptr && fd >= 0) close(fd);
  if (out_ != nullptr) start_clock();
  auto run = [](void* capture) -> void* {
    static_cast<Capture*>(capture)->write_until_end();
    return nullptr;
  };
  if (out_ != nullptr) error = -rte_ctrl_thread_create(&thread_, "millrace-pcap", nullptr, run, this);
  if (out_ != nullptr && error == 0) return;
  if (out_ != nullptr) rte_pcapng_close(out_);
  throw cannot_write(file, error);
}

Capture::~Capture() {
  end();
}

// --- the lcore ---

// The library takes its own two times when it opens a file or, in older versions, when it is first used: that is done
// here, and right after it ours are taken. No time may lie before its own.
void Capture::start_clock() {
  if (rte_mbuf* sample = pool_.take(60); sample != nullptr) {
    rte_mbuf* copied = rte_pcapng_copy(port_, 0, sample, pool_.get(), UINT32_MAX,
                                       rte_get_tsc_cycles() + rte_get_tsc_hz() / 1000, RTE_PCAPNG_DIRECTION_IN);
    rte_pktmbuf_free(copied);
    rte_pktmbuf_free(sample);
  }
  first_ns_ = wall_clock_ns();
  first_cycles_ = rte_get_tsc_cycles();
  cycles_per_ns_ = static_cast<uint64_t>((static_cast<unsigned __int128>(rte_get_tsc_hz()) << 32) / 1'000'000'000);
}

// One reading of the clock (no system call) and one multiplication for a burst.
uint64_t Capture::now_as_cycles() const {
  uint64_t ns = std::max(wall_clock_ns(), first_ns_) - first_ns_;
  return first_cycles_ + static_cast<uint64_t>(static_cast<unsigned __int128>(ns) * cycles_per_ns_ >> 32);
}

void Capture::copy(uint32_t core, rte_mbuf* const* frames, uint32_t count, Direction direction) {
  if (count == 0) return;
  uint64_t time = now_as_cycles();
  auto way = direction == Direction::in ? RTE_PCAPNG_DIRECTION_IN : RTE_PCAPNG_DIRECTION_OUT;
  Lane& lane = lanes_[core];
  uint64_t lost = 0;
  for (uint32_t i = 0; i < count; ++i) {
    rte_mbuf* copied = rte_pcapng_copy(port_, core, frames[i], pool_.get(), UINT32_MAX, time, way);
    if (copied != nullptr && rte_ring_enqueue(lane.ring, copied) == 0) continue;
    rte_pktmbuf_free(copied);
    ++lost;
  }
  if (lost != 0) lane.lost.store(lane.lost.load(std::memory_order_relaxed) + lost, std::memory_order_relaxed);
}

// --- the control thread ---

void Capture::write(rte_mbuf** frames, uint32_t count) {
  if (error_ == 0 && rte_pcapng_write_packets(out_, frames, static_cast<uint16_t>(count)) < 0)
    error_ = rte_errno != 0 ? rte_errno : EIO;
  if (error_ == 0) written_ += count;
  rte_pktmbuf_free_bulk(frames, count);
}

void Capture::write_until_end() {
  rte_mbuf* frames[burst];
  while (true) {
    // Read before the ring: what was put in before the end is taken out.
    bool is_over = stop_.load(std::memory_order_acquire);
    bool wrote = false;
    for (Lane& lane : lanes_) {
      unsigned count = rte_ring_dequeue_burst(lane.ring, reinterpret_cast<void**>(frames), burst, nullptr);
      if (count != 0) write(frames, count);
      wrote |= count != 0;
    }
    if (wrote) continue;
    if (is_over) return;
    timespec rest{0, 500'000};
    nanosleep(&rest, nullptr);
  }
}

void Capture::end() {
  if (ended_) return;
  ended_ = true;
  stop_.store(true, std::memory_order_release);
  pthread_join(thread_, nullptr);
  if (error_ == 0)
    rte_pcapng_write_stats(out_, port_, nullptr, first_ns_, wall_clock_ns(), written_ + lost(), lost());
  rte_pcapng_close(out_);
}

uint64_t Capture::lost() const {
  uint64_t sum = 0;
  for (const Lane& lane : lanes_) sum += lane.lost.load(std::memory_order_relaxed);
  return sum;
}

std::string Capture::report() const {
  std::string out = file_ + ": " + std::to_string(written_) + " frames captured, " + std::to_string(lost()) +
                    " lost for want of room";
  return error_ == 0 ? out : out + "; then writing failed: " + std::strerror(error_);
}

}  // namespace millrace::nic
