// SPDX-License-Identifier: BSD-3-Clause
// A device made ready: queues, offloads negotiated, pools filled, flows shared out among cores. And the Link that owns
// it: one port, or two that are joined by rings in one process.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "millrace/config.h"
#include "nic/capture.h"
#include "nic/handover.h"
#include "nic/link_watch.h"
#include "nic/mempool.h"
#include "nic/offloads.h"
#include "nic/wakeup.h"
#include "wire/mac.h"
#include "wire/steering.h"

struct rte_ring;

namespace millrace::nic {

inline constexpr uint16_t largest_mtu = 9000;
inline constexpr uint32_t ring_pair_size = 1024;  // frames on the way in each direction, by each queue
inline constexpr uint32_t most_ring_queues = 16;  // of net_ring

// One core's share of a port.
struct CorePort {
  uint32_t cpu = 0;
  int node = -1;        // NUMA; -1: not said
  PacketPool rx_pool;   // what the driver fills
  PacketPool tx_pool;   // headers and copied payload; emptied by the wire alone
  PacketPool app_pool;  // payload that applications allocate; a pool of its own, for held payload must
                        // never keep an ACK from leaving
  std::unique_ptr<Wakeup> wakeup = std::make_unique<Wakeup>();  // of who runs it
};

// Who brings a frame to its owner.
enum class SteeringMode : uint8_t { none, hardware, software };

struct Port {
  uint16_t id = 0;
  bool is_open = false;
  bool is_virtual = true;
  bool kernel_behind = false;  // it is a tap
  bool promiscuous = false;    // was asked of the device, and is taken back at the end
  Idle idle = Idle::spin;      // never automatic
  wire::Mac mac;               // Millrace's own
  uint16_t vlan = 0;           // 0: frames have no tag
  uint32_t copy_limit = 0;     // bytes of text that are copied, where longer ones need not be
  Offloads offloads;
  int node = -1;                   // NUMA, of the device; -1: none, or not said
  std::vector<CorePort> cores;     // one at least
  bool shares_cpu = false;         // more lcores than CPUs: they take turns
  uint16_t queues = 1;             // for rx, and as many for tx; not more than cores
  std::vector<uint8_t> rss_key;
  SteeringMode steering_mode = SteeringMode::none;  // hardware: the first to know, and checked all the same
  std::string steering_reason;                      // of software
  std::unique_ptr<wire::Steering> steering;         // of several cores
  std::unique_ptr<Handover> handover;               // likewise
  std::unique_ptr<Capture> capture;                 // null: none was asked for
  std::unique_ptr<LinkWatch> watch;                 // null: of a ring, which is always up
  std::atomic<bool> rss_doubted{false};             // a hash has come that is not what was read back
  std::string name;
  std::string interface;        // the kernel's, if a driver that does not look at its link lies on it
  uint32_t interface_index = 0;       // its number, which a new name does not change; 0: there is none
  int tap_descriptor = -1;            // of a tap: the driver's
  std::atomic<bool> is_gone{false};   // the interface has been deleted: no frame comes or goes any more
  bool link_up = true;          // at the start
  bool down_for_good = false;   // once it is: net_virtio_user goes to its socket but once
  bool keeps_frames = false;    // what is in its ring when it is closed is lost
  uint32_t buffers_kept = 0;    // of each queue's rx pool: the driver's own, which it may have at the end
  std::string banner;

  bool has_queue(uint32_t core) const { return core < queues; }
  uint16_t queue_of(uint32_t core) const { return static_cast<uint16_t>(core % queues); }
};

// How many packet buffers a core may hold, so that the driver (or the peer on the other end of a ring pair,
// whose tx pool our received buffers come from) always has enough to go on with. Law 8.
uint32_t held_limit(const Config& config);
// Memory of all packet buffers of a port; `extra`: extra_buffers (nic/port_setup.h).
size_t packet_bytes(const Config& config, uint32_t extra);
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
  std::vector<rte_ring*> rings_[2];  // what each side receives from
};

}  // namespace millrace::nic
