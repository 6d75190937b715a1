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
#include "nic/tx.h"

namespace millrace::nic {

static constexpr uint16_t pci_descriptors = 1024;
static constexpr uint16_t virtual_descriptors = 256;

// Buffers that are underway or at rest outside the core: a full ring, the stock and backlog, and two or three
// lcores' caches, which grow to one and a half times their size.
static uint32_t underway(uint32_t buffers) {
  return ring_pair_size + tx_stock + tx_backlog + 3 * cache_size(buffers) * 3 / 2;
}

uint32_t held_limit(const Config& config) {
  uint32_t buffers = config.packet_buffers;
  return buffers - std::max(buffers / 4, underway(buffers));
}

uint32_t least_packet_buffers() {
  return 4096;
}

// The negotiation: what is wanted, masked by what is there.
static void choose_offloads(Port& port, const rte_eth_dev_info& info, bool wanted, rte_eth_conf& conf) {
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;  // one pool, one reference
  // net_tap's are software, too, and write ffff where RFC 9293 has 0: ours are right and no slower.
  if (!wanted || port.kernel_behind) return;
  conf.rxmode.offloads =
      info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
  conf.txmode.offloads |=
      info.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
  port.tx_offload.ip = conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  port.tx_offload.l4 = conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
  if (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM)
    port.believed_rx_flags |= RTE_MBUF_F_RX_IP_CKSUM_MASK;
  if (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
    port.believed_rx_flags |= RTE_MBUF_F_RX_L4_CKSUM_MASK;
}

// The NIC's address, but one of our own where the port has none (net_ring) or where the kernel's side has the
// same (net_tap). It is made from the IP address, so that it is the same at the next start and neighbours
// need not learn anew.
static void choose_mac(Port& port, const Config& config, bool own) {
  if (!config.mac.is_unspecified()) {
    port.mac = config.mac;
    return;
  }
  rte_ether_addr address{};
  rte_eth_macaddr_get(port.id, &address);
  if (!own && !rte_is_zero_ether_addr(&address)) {
    std::copy_n(address.addr_bytes, 6, port.mac.bytes.begin());
    return;
  }
  uint32_t ip = config.address.value;
  port.mac = {{0x02, 0x6d, static_cast<uint8_t>(ip >> 24), static_cast<uint8_t>(ip >> 16),
               static_cast<uint8_t>(ip >> 8), static_cast<uint8_t>(ip)}};
}

static void must(int result, const Port& port, const char* what) {
  if (result < 0)
    throw ConfigError(port.name + ": " + what + " is refused by the driver (" + std::strerror(-result) + ")");
}

static void configure(Port& port, const Config& config, const rte_eth_dev_info& info) {
  rte_eth_conf conf{};
  choose_offloads(port, info, config.hardware_checksums, conf);
  must(rte_eth_dev_configure(port.id, 1, 1, &conf), port, "one queue each way");
  uint16_t rx = port.is_virtual ? virtual_descriptors : pci_descriptors;
  uint16_t tx = rx;
  must(rte_eth_dev_adjust_nb_rx_tx_desc(port.id, &rx, &tx), port, "the queue length");
  rte_eth_rxconf rxconf = info.default_rxconf;
  rxconf.offloads = conf.rxmode.offloads;
  rte_eth_txconf txconf = info.default_txconf;
  txconf.offloads = conf.txmode.offloads;
  auto node = static_cast<unsigned>(rte_eth_dev_socket_id(port.id));
  must(rte_eth_rx_queue_setup(port.id, 0, rx, node, &rxconf, port.rx_pool.get()), port, "the rx queue");
  must(rte_eth_tx_queue_setup(port.id, 0, tx, node, &txconf), port, "the tx queue");
  int error = rte_eth_dev_set_mtu(port.id, config.mtu);
  std::string wanted = "an MTU of " + std::to_string(config.mtu);
  if (error != -ENOTSUP) must(error, port, wanted.c_str());
  must(rte_eth_dev_start(port.id), port, "the start");
}

static bool wait_for_link(const Port& port) {
  rte_eth_link link{};
  for (int i = 0; i < 300; ++i) {
    if (rte_eth_link_get_nowait(port.id, &link) < 0 || link.link_status == RTE_ETH_LINK_UP) return true;
    if (port.is_virtual && i >= 20) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

static std::string describe(const Port& port, const Config& config, const rte_eth_dev_info& info,
                            bool link_up) {
  auto where = [](bool hardware) { return hardware ? "hardware" : "software"; };
  int node = rte_eth_dev_socket_id(port.id), cpu_node = numa_node_of_cpu(config.lcore);
  std::string out = port.name + ": driver " + info.driver_name + ", MAC " + to_string(port.mac) + ", MTU " +
                    std::to_string(config.mtu) + (link_up ? "" : ", LINK DOWN") + "\n";
  out += "  queues: 1 rx, 1 tx: no steering needed\n";
  out += std::string("  checksums: rx IPv4 ") + where(port.believed_rx_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) +
         ", rx TCP " + where(port.believed_rx_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) + ", tx IPv4 " +
         where(port.tx_offload.ip) + ", tx TCP " + where(port.tx_offload.l4) + "\n";
  out += "  NUMA: device " + (node < 0 ? "on any node" : "on node " + std::to_string(node)) + ", lcore " +
         std::to_string(config.lcore) + " on node " + std::to_string(std::max(cpu_node, 0)) + "\n";
  if (node >= 0 && cpu_node >= 0 && node != cpu_node)
    out += "  WARNING: the lcore sits on another NUMA node than the device: choose --lcore from node " +
           std::to_string(node) + "\n";
  out += "  buffers: " + std::to_string(port.rx_pool.buffers()) + " rx, " +
         std::to_string(port.tx_pool.buffers()) + " tx, " + std::to_string(port.app_pool.buffers()) +
         " of applications; " + (small_pages() ? "no huge pages reserved\n" : "in huge pages\n");
  return out;
}

// `rx_buffers`: for a ring pair few, since what it receives lies in the peer's tx pool.
static void make_pools(Port& port, const Config& config, uint32_t rx_buffers, bool own_memory) {
  int node = numa_node_of_cpu(config.lcore);
  node = rte_eal_has_hugepages() ? std::max(node, 0) : SOCKET_ID_ANY;
  port.rx_pool = PacketPool("rx", rx_buffers, node, own_memory);
  port.tx_pool = PacketPool("tx", config.packet_buffers, node, own_memory);
  port.app_pool = PacketPool("application", config.packet_buffers, node, own_memory);
}

static void start(Port& port, const Config& config, bool own_mac) {
  QuietLog quiet;
  rte_eth_dev_info info{};
  must(rte_eth_dev_info_get(port.id, &info), port, "a description");
  port.is_open = true;
  choose_mac(port, config, own_mac);
  configure(port, config, info);
  rte_ether_addr drivers{};
  rte_eth_macaddr_get(port.id, &drivers);
  // A driver that filters by its own address must let ours in. (net_tap hands over whatever the kernel
  // writes, and its promiscuous mode would be the kernel side's.)
  if (!port.kernel_behind && std::memcmp(drivers.addr_bytes, port.mac.bytes.data(), 6) != 0)
    rte_eth_promiscuous_enable(port.id);
  bool link_up = wait_for_link(port);
  port.banner = describe(port, config, info, link_up);
}

// Devices whose buffers are touched by this process's CPU alone.
static bool copies_by_cpu(const std::string& driver) {
  return driver == "net_tap" || driver == "net_tun" || driver == "net_null" || driver == "net_pcap" ||
         driver == "net_af_packet";
}

static size_t pool_bytes(const Config& config) {
  return size_t{3} * config.packet_buffers * buffer_bytes;
}

std::shared_ptr<Link> Link::open(const Config& config) {
  auto link = std::make_shared<Link>();
  std::string driver = driver_prefix(config.device);
  if (driver == "net_af_xdp" && config.packet_buffers <= 4096)
    throw ConfigError("net_af_xdp passes nothing with so few buffers: give more than --packet-buffers 4096");
  check_device(config.device);
  start_eal({config.device, config.lcore, pool_bytes(config), config.eal});
  register_thread();
  Port& port = link->ports_[0];
  std::string pci = pci_address(config.device);
  port.is_virtual = pci.empty();
  port.kernel_behind = driver == "net_tap" || driver == "net_tun";
  port.name = pci.empty() ? config.device.substr(0, config.device.find(',')) : pci;
  make_pools(port, config, config.packet_buffers, small_pages() && copies_by_cpu(driver));
  port.id = create_device(config.device);
  start(port, config, port.kernel_behind);
  link->present_ = 1;
  return link;
}

std::shared_ptr<Link> Link::open_pair(const Config& left, const Config& right) {
  auto link = std::make_shared<Link>();
  start_eal({"", left.lcore, pool_bytes(left) + pool_bytes(right), left.eal});
  register_thread();
  static std::atomic<unsigned> number{0};
  std::string name = "mr" + std::to_string(getpid()) + "_" + std::to_string(number++);
  for (int i = 0; i < 2; ++i) {
    // One lcore at each end; the size is what limits frames on the way (see underway()).
    link->rings_[i] = rte_ring_create((name + "ab"[i]).c_str(), ring_pair_size, SOCKET_ID_ANY,
                                      RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (link->rings_[i] == nullptr)
      throw ConfigError("no memory for the rings of a pair: give EAL more with -m");
  }
  link->sides_ = 2;
  for (int i = 0; i < 2; ++i) {
    const Config& config = i == 0 ? left : right;
    Port& port = link->ports_[i];
    port.name = "net_ring_" + name + "ab"[i];
    make_pools(port, config, cache_size(config.packet_buffers) * 2, small_pages());
    port.id = create_ring_device(name + "ab"[i], link -> rings_[i], link -> rings_[1 - i]);
    start(port, config, true);
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
    remove_device(port.id);
  }
  for (rte_ring*& ring : rings_) {
    void* mbuf = nullptr;
    while (ring != nullptr && rte_ring_dequeue(ring, &mbuf) == 0) {
      PacketRef packet{static_cast<uint8_t*>(mbuf)};
      release({&packet, 1});
    }
    rte_ring_free(ring);
    ring = nullptr;
  }
}

Link::~Link() {
  close();
}

bool Link::all_back(std::string& report) const {
  uint32_t total = 0;
  std::string missing;
  for (const Port& port : ports_)
    for (const PacketPool* pool : {&port.rx_pool, &port.tx_pool, &port.app_pool}) {
      total += pool->buffers();
      if (uint32_t n = pool->missing(); n != 0)
        missing += (missing.empty() ? "" : ", ") + std::to_string(n) + " of the " + pool->purpose() +
                   " pool of " + port.name;
    }
  report = missing.empty() ? "all " + std::to_string(total) + " packet buffers are back"
                           : "packet buffers missing: " + missing;
  return missing.empty();
}

}  // namespace millrace::nic
