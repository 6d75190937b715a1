// SPDX-License-Identifier: BSD-3-Clause
// Opening one port, or two that rings join, and closing them when the last has left. (nic/port.h)
#include <net/if.h>
#include <rte_ethdev.h>
#include <rte_ring.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "nic/device.h"
#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/port_setup.h"
#include "nic/rss.h"
#include "nic/sleeper.h"
#include "nic/tap.h"
#include "nic/topology.h"

namespace millrace::nic {

size_t packet_bytes(const Config& config, uint32_t extra) {
  size_t kept = buffers_kept(driver_prefix(config.device));
  return size_t{config.cores} * (size_t{3} * config.packet_buffers + 2 * extra + kept) *
         buffer_bytes(room_for(config.mtu));
}

std::shared_ptr<Link> Link::open(const Config& config) {
  auto link = std::make_shared<Link>();
  std::string driver = driver_prefix(config.device);
  check_device(config);
  uint32_t extra = extra_buffers(config.cores);
  start_eal({config.device, cpus_for(config)[0], packet_bytes(config, extra), config.eal, config.share,
             config.cores});
  register_thread();
  Port& port = link->ports_[0];
  std::string pci = pci_address(config.device);
  port.is_virtual = pci.empty();
  port.kernel_behind = is_tap(driver);
  port.idle = choose_idle(config.idle, driver);
  port.name = pci.empty() ? config.device.substr(0, config.device.find(',')) : pci;
  bool own_memory = small_pages() && copies_by_cpu(config.device);
  make_pools(port, config, {config.packet_buffers + buffers_kept(driver), extra, config.cores, own_memory,
                          !port.is_virtual || drives_others(driver)});
  if (driver == "net_virtio_user" && device_argument(config.device, "server").value_or("0") != "0")
    std::fprintf(stderr, "millrace: %s waits for its other end to connect (Ctrl-C twice ends that)\n", port.name.c_str());
  port.id = create_device(config.device);
  if (is_on_interface(driver)) port.interface = interface_of(config.device);
  port.down_for_good = driver == "net_virtio_user" && device_argument(config.device, "server").value_or("0") == "0";
  port.keeps_frames = !port.is_virtual || driver == "net_memif" || driver == "net_virtio_user";
  port.interface_index = if_nametoindex(port.interface.c_str());
  start_port(port, config, port.kernel_behind);
  if (port.kernel_behind) port.tap_descriptor = attached_descriptor(interface_of(config.device));
  port.watch = std::make_unique<LinkWatch>(port);
  link->present_ = 1;
  return link;
}

// One lcore at each end of each; the size is what limits frames on the way (see underway()).
static std::vector<rte_ring*> make_rings(const std::string& name, uint32_t count) {
  std::vector<rte_ring*> rings;
  for (uint32_t i = 0; i < count; ++i) {
    rings.push_back(rte_ring_create((name + "_" + std::to_string(i)).c_str(), ring_pair_size, SOCKET_ID_ANY,
                                    RING_F_SP_ENQ | RING_F_SC_DEQ));
    if (rings.back() == nullptr) throw ConfigError("no memory for the rings of a pair: give EAL more with -m");
  }
  return rings;
}

// Both ends have as many queues, since one's are the other's. Unless the ends are to steer each for itself, they agree on
// the core of each flow: what core i sends is for core i, as if the wire knew.
std::shared_ptr<Link> Link::open_pair(const Config& left, const Config& right) {
  auto link = std::make_shared<Link>();
  uint32_t extra = left.cores + right.cores == 2 ? 0 : extra_buffers(std::max(left.cores, right.cores));
  start_eal({"", cpus_for(left)[0], packet_bytes(left, extra) + packet_bytes(right, extra), left.eal,
             left.share, left.cores + right.cores});
  register_thread();
  static std::atomic<unsigned> number{0};
  std::string name = "mr" + std::to_string(getpid()) + "_" + std::to_string(number++);
  // From the same CPU on, a thread has a core of each end; else each core has its own.
  uint32_t lcores = left.lcore == right.lcore ? std::max(left.cores, right.cores) : left.cores + right.cores;
  uint32_t queues = std::min({queues_wanted(left), queues_wanted(right), most_ring_queues});
  for (int i = 0; i < 2; ++i) link->rings_[i] = make_rings(name + "ab"[i], queues);
  link->sides_ = 2;
  std::vector<uint8_t> shared_key;
  if (left.hardware_steering && right.hardware_steering && left.cores + right.cores > 2)
    shared_key = make_symmetric_key(left.seed, usual_key);
  for (int i = 0; i < 2; ++i) {
    const Config& config = i == 0 ? left : right;
    Port& port = link->ports_[i];
    port.name = "net_ring_" + name + "ab"[i];
    port.rss_key = shared_key;
    port.idle = choose_idle(config.idle, "net_ring");
    make_pools(port, config, {cache_size(config.packet_buffers) * 2, extra, lcores, small_pages(), false});
    port.id = create_ring_device(name + "ab"[i], link->rings_[i], link->rings_[1 - i]);
    start_port(port, config, true);
  }
  link->present_ = 2;
  return link;
}

bool Link::leave() {
  if (present_.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
  close();
  return true;
}

// What the drivers hold goes back to the pools here, so that they can be counted.
void Link::close() {
  for (Port& port : ports_) {
    if (!port.is_open) continue;
    port.is_open = false;
    if (port.handover != nullptr) port.handover->drain();
    port.capture.reset();
    port.watch.reset();
    if (port.promiscuous) rte_eth_promiscuous_disable(port.id);
    remove_device(port.id);
  }
  for (std::vector<rte_ring*>& rings : rings_) {
    for (rte_ring* ring : rings) {
      void* mbuf = nullptr;
      while (ring != nullptr && rte_ring_dequeue(ring, &mbuf) == 0) {
        release(PacketRef{static_cast<uint8_t*>(mbuf)});
      }
      rte_ring_free(ring);
    }
    rings.clear();
  }
}

Link::~Link() {
  close();
}

bool Link::all_back(std::string& report) const {
  uint32_t total = 0, kept = 0;
  std::string missing;
  auto count = [&](const Port& port, uint32_t core, const PacketPool& pool) {
    uint32_t n = pool.missing();
    if (&pool == &port.cores[core].rx_pool && port.has_queue(core) && n <= port.buffers_kept) {
      kept += n;
      n = 0;
    }
    total += pool.buffers();
    if (n == 0) return;
    missing += (missing.empty() ? "" : ", ") + std::to_string(n) + " of the " + pool.purpose() + " pool of " + port.name;
    if (port.cores.size() > 1) missing += ", core " + std::to_string(core);
  };
  for (const Port& port : ports_)
    for (uint32_t i = 0; i < port.cores.size(); ++i)
      for (const PacketPool* pool : {&port.cores[i].rx_pool, &port.cores[i].tx_pool, &port.cores[i].app_pool})
        count(port, i, *pool);
  report = missing.empty() ? "all " + std::to_string(total) + " packet buffers are back"
                           : "packet buffers missing: " + missing;
  if (kept != 0) report += " (" + std::to_string(kept) + " of them stay with the driver, which gives none back)";
  return missing.empty();
}

}  // namespace millrace::nic
