// SPDX-License-Identifier: BSD-3-Clause
// The negotiation. (nic/offloads.h)
#include "nic/offloads.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "base/limits.h"
#include "nic/mempool.h"

namespace millrace::nic {

static void choose_checksums(Offloads& out, const rte_eth_dev_info& info) {
  out.rx |= info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
  out.tx |= info.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
  out.checksums.ip = out.tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  out.checksums.l4 = out.tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
  if (out.rx & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) out.believed_rx_flags |= RTE_MBUF_F_RX_IP_CKSUM_MASK;
  if (out.rx & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) out.believed_rx_flags |= RTE_MBUF_F_RX_L4_CKSUM_MASK;
}

// What is to be cut lies in several buffers, and each piece needs a checksum of its own.
static void choose_segmentation(Offloads& out, const rte_eth_dev_info& info) {
  constexpr uint64_t needed = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  if (!out.checksums.l4 || (info.tx_offload_capa & needed) != needed) return;
  if (info.tx_desc_lim.nb_seg_max != 0) out.most_buffers = info.tx_desc_lim.nb_seg_max;
  out.segment_burst = std::min(out.most_buffers, limits::joined_segments);
  if (out.cuts()) out.tx |= needed;
}

static void choose_vlan(Offloads& out, const rte_eth_dev_info& info) {
  out.rx |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
  out.tx |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
  out.strip_vlan = out.rx & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
  out.insert_vlan = out.tx & RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
}

// Some let a tagged frame in only if they were told of its VLAN: virtio, and what a physical function has made.
static void ask_for_vlan_filter(Offloads& out, const rte_eth_dev_info& info) {
  out.rx |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
  out.filter_vlan = out.rx & RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
}

uint32_t copy_limit_of(const Config& config) { return std::max<uint32_t>(config.copy_limit, config.mtu / 2); }

Offloads choose_offloads(const Config& config, const rte_eth_dev_info& info, const DeviceTraits& traits) {
  Offloads out;
  if (config.hardware_checksums && !traits.kernel_behind) {
    choose_checksums(out, info);
    if (config.hardware_segmentation) choose_segmentation(out, info);
  }
  if (config.vlan != 0 && !traits.kernel_behind) ask_for_vlan_filter(out, info);
  if (config.vlan != 0 && config.hardware_vlan && !traits.kernel_behind) choose_vlan(out, info);
  // A buffer that is never longer than the limit is never sent in place.
  if (!traits.keeps_buffers && copy_limit_of(config) < room_for(config.mtu))
    out.attach = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  if (out.attach) out.tx |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  if (traits.queue_for_each_core && (out.tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) == 0) {
    out.tx |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    out.fast_free = out.tx & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  }
  return out;
}

static const char* where(bool hardware) { return hardware ? "hardware" : "software"; }

std::string describe(const Offloads& o, const Config& config) {
  std::string out = std::string("  checksums: rx IPv4 ") + where(o.believed_rx_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) +
                    ", rx TCP " + where(o.believed_rx_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) + ", tx IPv4 " +
                    where(o.checksums.ip) + ", tx TCP " + where(o.checksums.l4) + ", ICMP software\n";
  out += "  sending: ";
  out += o.cuts() ? "TSO, up to " + std::to_string(o.segment_burst) + " segments at a time" : "no TSO";
  out += o.attach ? ", text over " + std::to_string(copy_limit_of(config)) + " bytes in place" : ", text copied";
  out += o.fast_free ? ", fast free\n" : "\n";
  if (config.vlan != 0)
    out += "  VLAN " + std::to_string(config.vlan) + ": tags inserted in " + where(o.insert_vlan) + ", stripped in " +
           where(o.strip_vlan) + "\n";
  return out;
}

}  // namespace millrace::nic
