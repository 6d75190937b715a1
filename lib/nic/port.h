// SPDX-License-Identifier: BSD-3-Clause
// A device made ready: one rx and one tx queue, offloads negotiated, pools filled. And the Link that owns it:
// one port, or two that are joined by rings in one process.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "millrace/config.h"
#include "nic/mempool.h"
#include "wire/build.h"
#include "wire/mac.h"

struct rte_ring;

namespace millrace::nic {

inline constexpr uint16_t largest_mtu = 1500;
inline constexpr uint32_t ring_pair_size = 1024;  // frames on the way in each direction

struct Port {
  uint16_t id = 0;
  bool is_open = false;
  bool is_virtual = true;
  bool kernel_behind = false;  // each poll is a system call and a kernel needs the CPU: idling may sleep
  wire::Mac mac;               // Millrace's own
  wire::ChecksumOffload tx_offload;
  uint64_t believed_rx_flags = 0;  // checksum flags of an mbuf that count: those asked of the hardware
  PacketPool rx_pool;              // what the driver fills
  PacketPool tx_pool;              // headers and copied payload; emptied by the wire alone
  PacketPool app_pool;  // payload that applications allocate; a pool of its own, for held payload must
                        // never keep an ACK from leaving
  std::string name;
  std::string banner;
};

// How many packet buffers the core may hold, so that the driver (or the peer on the other end of a ring pair,
// whose tx pool our received buffers come from) always has enough to go on with. Law 8.
uint32_t held_limit(const Config& config);
// The least Config::packet_buffers that works.
uint32_t least_packet_buffers();

class Link {
 public:
  // Throws ConfigError. The two share EAL, which the first starts.
  static std::shared_ptr<Link> open(const Config& config);
  static std::shared_ptr<Link> open_pair(const Config& left, const Config& right);
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link();

  Port& port(int side) { return ports_[side]; }
  int sides() const { return sides_; }
  int present() const { return present_.load(std::memory_order_acquire); }

  // One side will not use its port any more. The last one closes all, and has the report.
  // True: this was the last one.
  bool leave();
  // After the last has left: false and which pool misses how many, or true and how many buffers are back.
  bool all_back(std::string& report) const;

 private:
  void close();

  int sides_ = 1;
  std::atomic<int> present_{0};
  Port ports_[2];
  rte_ring* rings_[2] = {};
};

}  // namespace millrace::nic
