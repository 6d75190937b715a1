// SPDX-License-Identifier: BSD-3-Clause
// Setting a port up: pools, queues, offloads, addresses; and what the start-up banner says of it.
// (nic/port.h)
#include "nic/port.h"

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_ring.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/ensure.h"
#include "nic/device.h"
#include "nic/eal.h"
#include "nic/machine.h"
#include "nic/overheard.h"
#include "nic/port_setup.h"
#include "nic/rss.h"
#include "nic/sleeper.h"
#include "nic/topology.h"
#include "nic/tx.h"

namespace millrace::nic {

static constexpr uint16_t pci_descriptors = 1024;
static constexpr uint16_t virtual_descriptors = 256;

// Buffers that are underway or at rest outside the core: a full ring, the stock and backlog, and two or three
// lcores' caches, which grow to one and a half times their size. What several cores have underway between them, pools
// have in addition.
static uint32_t underway(uint32_t buffers) {
  return ring_pair_size + tx_stock + tx_backlog + 3 * cache_size(buffers) * 3 / 2;
}

uint32_t held_limit(const Config& config) {
  uint32_t buffers = config.packet_buffers;
  return buffers - std::max(buffers / 4, underway(buffers));
}

uint32_t queues_wanted(const Config& config) {
  return config.queues == 0 ? config.cores : std::min(config.queues, config.cores);
}

uint32_t least_packet_buffers() {
  return 4096;
}

static void must(int result, const Port& port, const char* what) {
  if (result >= 0) return;
  std::string reason = Overheard::latest();
  if (reason.empty()) reason = std::string(" (") + std::strerror(-result) + ")";
  std::string look = port.interface.empty() ? "" : ": what else has it: ip -details link show " + port.interface;
  throw ConfigError(port.name + ": " + what + " is refused by the driver" + reason + look);
}

// As many as cores, or as the device has; what was asked for by number it must have.
static uint16_t queues_of(const Port& port, const Config& config, const rte_eth_dev_info& info) {
  uint32_t most = std::min({uint32_t{info.max_rx_queues}, uint32_t{info.max_tx_queues}, most_queues(info.driver_name)});
  uint32_t wanted = queues_wanted(config);
  if (config.queues > most) {
    std::string more = queues_argument(info.driver_name);
    throw ConfigError(port.name + " has " + std::to_string(most) + (most == 1 ? " queue" : " queues") +
                          " each way, and " + std::to_string(config.queues) + " were asked for: " +
                          (more.empty() ? "" : config.device + "," + more + "=" + std::to_string(config.queues) + ", or ") +
                          "--queues " + std::to_string(most),
                      "core.queues");
  }
  return static_cast<uint16_t>(std::min(wanted, most));
}

static void configure(Port& port, const Config& config, const rte_eth_dev_info& info, bool rx_interrupts) {
  rte_eth_conf conf{};
  port.offloads = choose_offloads(config, info, {.kernel_behind = port.kernel_behind,
                                                 .keeps_buffers = std::strcmp(info.driver_name, "net_ring") == 0,
                                                 .queue_for_each_core = port.queues == port.cores.size()});
  conf.rxmode.offloads = port.offloads.rx;
  conf.txmode.offloads = port.offloads.tx;
  conf.rxmode.mtu = config.mtu;
  conf.intr_conf.rxq = rx_interrupts ? 1 : 0;
  ask_for_rss(port, config, info, conf);
  std::string queues = std::to_string(port.queues) + (port.queues == 1 ? " queue" : " queues") + " each way";
  must(rte_eth_dev_configure(port.id, port.queues, port.queues, &conf), port, queues.c_str());
  uint16_t rx = port.is_virtual ? virtual_descriptors : pci_descriptors;
  uint16_t tx = rx;
  must(rte_eth_dev_adjust_nb_rx_tx_desc(port.id, &rx, &tx), port, "the queue length");
  rte_eth_rxconf rxconf = info.default_rxconf;
  rxconf.offloads = conf.rxmode.offloads;
  rte_eth_txconf txconf = info.default_txconf;
  txconf.offloads = conf.txmode.offloads;
  auto node = static_cast<unsigned>(rte_eth_dev_socket_id(port.id));
  for (uint16_t q = 0; q < port.queues; ++q) {
    must(rte_eth_rx_queue_setup(port.id, q, rx, node, &rxconf, port.cores[q].rx_pool.get()), port, "the rx queue");
    must(rte_eth_tx_queue_setup(port.id, q, tx, node, &txconf), port, "the tx queue");
  }
  // An interface of the kernel's has a longer one, perhaps (nic/device_check.cc), and keeps it: others use it.
  int error = port.interface.empty() ? rte_eth_dev_set_mtu(port.id, config.mtu) : -ENOTSUP;
  std::string wanted = "an MTU of " + std::to_string(config.mtu);
  if (error != -ENOTSUP) must(error, port, wanted.c_str());
  must(rte_eth_dev_start(port.id), port, "the start");
  if (port.offloads.filter_vlan) must(rte_eth_dev_vlan_filter(port.id, port.vlan, 1), port, "the VLAN");
}

static bool wait_for_link(const Port& port) {
  // The kernel tells of a tap's link once a second, so one that has just gone down and up again seems down until then.
  const int tries = !port.is_virtual ? 300 : port.kernel_behind ? 150 : 20;
  for (int i = 0; i < tries; ++i) {
    if (link_is_up(port)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// Which CPUs run it, and on which nodes; warnings for what will be slow.
static std::string describe_cpus(const Port& port) {
  std::vector<Placement> placements;
  for (const CorePort& core : port.cores) placements.push_back({core.cpu, core.node, core.rx_pool.node()});
  std::string out = describe_nodes(port.node, placements);
  size_t cpus = allowed_cpus().size();
  if (port.cores.size() > cpus)
    out += "  WARNING: " + std::to_string(port.cores.size()) + " cores take turns on " + std::to_string(cpus) +
           (cpus == 1 ? " CPU\n" : " CPUs\n");
  return out + quota_warning(static_cast<uint32_t>(port.cores.size()));
}

static std::string describe(const Port& port, const Config& config, const rte_eth_dev_info& info) {
  std::string out = port.name + ": driver " + info.driver_name + ", MAC " + to_string(port.mac) + ", MTU " +
                    std::to_string(config.mtu) + (port.link_up ? "" : ", LINK DOWN") + "\n";
  out += "  queues: " + describe_steering(port) + "\n";
  out += describe(port.offloads, config);
  out += describe_cpus(port);
  out += "  idle: " + describe_idle(port) + "\n";
  const CorePort& core = port.cores[0];
  out += "  buffers: " + std::to_string(core.rx_pool.buffers()) + " rx, " +
         std::to_string(core.tx_pool.buffers()) + " tx, " + std::to_string(core.app_pool.buffers()) +
         " of applications" + (port.cores.size() > 1 ? ", for each core; " : "; ") +
         (small_pages() ? "no huge pages reserved\n" : "in huge pages\n");
  return out;
}

uint32_t extra_buffers(uint32_t cores) {
  return cores == 1 ? 0 : Handover::underway(cores) + 2 * cores * shared_cache_size(cores) * 3 / 2;
}

void make_pools(Port& port, const Config& config, const PoolNeeds& needs) {
  std::vector<uint32_t> cpus = lcore_cpus(config.eal, cpus_for(config));
  Topology topology = read_topology(cpus);
  port.node = device_node(config.device);
  port.shares_cpu = needs.lcores > allowed_cpus().size();
  port.cores.resize(config.cores);
  Affinity before;
  for (uint32_t i = 0; i < config.cores; ++i) {
    CorePort& core = port.cores[i];
    core.cpu = cpus[i];
    core.node = topology.cpus[i].node;
    before.pin(core.cpu);  // who touches a page first has it on his node
    int node = rte_eal_has_hugepages() ? std::max(core.node, 0) : SOCKET_ID_ANY;
    auto shape = [&](uint32_t buffers) {
      uint32_t cache = cache_size(buffers);
      if (needs.extra != 0) cache = std::min(cache, shared_cache_size(needs.lcores));
      return PoolShape{buffers, room_for(config.mtu), cache, node, needs.own_memory, needs.does_dma, port.shares_cpu};
    };
    core.rx_pool = PacketPool("rx", shape(needs.rx_buffers + needs.extra));
    core.tx_pool = PacketPool("tx", shape(config.packet_buffers + needs.extra));
    core.app_pool = PacketPool("application", shape(config.packet_buffers));
  }
  before.restore();
}

// As ethdev itself will judge: by the IP packet, and by the frame.
static uint32_t largest_mtu_of(const rte_eth_dev_info& info) {
  bool known = info.max_mtu != UINT16_MAX && info.max_rx_pktlen > info.max_mtu;
  uint32_t around = known ? info.max_rx_pktlen - info.max_mtu : RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
  uint32_t by_frame = info.max_rx_pktlen > around ? info.max_rx_pktlen - around : UINT16_MAX;
  return std::min<uint32_t>(info.max_mtu, by_frame);
}

void start_port(Port& port, const Config& config, bool own_mac) {
  Overheard heard;
  rte_eth_dev_info info{};
  must(rte_eth_dev_info_get(port.id, &info), port, "a description");
  port.is_open = true;
  if (uint32_t most_mtu = largest_mtu_of(info); config.mtu > most_mtu)
    throw ConfigError("an MTU of " + std::to_string(config.mtu) + " is asked for, and " + port.name + " (" +
                          info.driver_name + ") takes " + std::to_string(most_mtu) + " at most: give --mtu " +
                          std::to_string(most_mtu),
                      "port.mtu");
  port.queues = queues_of(port, config, info);
  port.buffers_kept = buffers_kept(info.driver_name);
  port.vlan = config.vlan;
  port.copy_limit = copy_limit_of(config);
  choose_mac(port, config, own_mac);
  bool interrupts = port.idle == Idle::sleep && rx_interrupts_in_time(info.driver_name);
  try {
    configure(port, config, info, interrupts);
  } catch (const ConfigError&) {  // no interrupts, perhaps: who sleeps does without them
    if (!interrupts) throw;
    configure(port, config, info, false);
  }
  agree_on_owners(port, info);
  if (config.cores > 1) {
    std::vector<uint32_t> cpus;
    for (const CorePort& core : port.cores) cpus.push_back(core.cpu);
    port.handover = std::make_unique<Handover>(cpus, port.queues);
  }
  if (!config.pcap.empty()) port.capture = std::make_unique<Capture>(config.pcap, port.id, config.cores);
  let_own_address_in(port);
  port.link_up = wait_for_link(port);
  port.banner = describe(port, config, info);
}

}  // namespace millrace::nic
