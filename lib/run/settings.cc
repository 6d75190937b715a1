// SPDX-License-Identifier: BSD-3-Clause
// Checking and mapping a configuration. (run/settings.h)
#include "run/settings.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/siphash.h"
#include "millrace/tcp_option_table.h"
#include "nic/device.h"
#include "nic/machine.h"
#include "run/tree.h"

namespace millrace::run {

static void demand(bool holds, const std::string& otherwise, const char* key = "") {
  if (!holds) throw ConfigError(otherwise, key);
}

std::string with_prefix(const Config& config) {
  return to_string(config.address) + "/" + std::to_string(config.prefix_length);
}

wire::LocalAddresses local_addresses(const Config& config) {
  return {config.address, config.address_count, config.prefix_length};
}

static void check_addresses(const Config& config) {
  demand(config.prefix_length <= 32,
         "a prefix length is 0 to 32, not " + std::to_string(config.prefix_length), "port.address");
  wire::LocalAddresses local = local_addresses(config);
  demand(config.address_count >= 1 && config.address_count <= 65536, "the number of addresses is 1 to 65536",
         "port.addresses");
  uint64_t last = uint64_t{config.address.value} + config.address_count - 1;
  demand(last <= UINT32_MAX && local.on_link({static_cast<uint32_t>(last)}),
         std::to_string(config.address_count) + " addresses do not fit in " + with_prefix(config),
         "port.addresses");
  for (Ipv4Address a : {config.address, Ipv4Address{static_cast<uint32_t>(last)}}) {
    bool is_host = !a.is_unspecified() && !a.is_multicast() && !a.is_loopback() &&
                   !a.is_limited_broadcast() && !local.is_subnet_broadcast(a);
    demand(is_host, to_string(a) + " is no address that a host may have: give --address A.B.C.D/LEN",
           a == config.address ? "port.address" : "port.addresses");
  }
}

static void check_gateway(const Config& config) {
  Ipv4Address gateway = config.gateway;
  if (gateway.is_unspecified()) return;
  wire::LocalAddresses local = local_addresses(config);
  std::string what = "the gateway " + to_string(gateway);
  demand(!local.contains(gateway), what + " is the endpoint's own address", "port.gateway");
  demand(!local.is_subnet_broadcast(gateway), what + " is the broadcast address of its network", "port.gateway");
  bool is_host = !gateway.is_multicast() && !gateway.is_loopback() && !gateway.is_limited_broadcast();
  demand(is_host, to_string(gateway) + " is no address that a gateway may have", "port.gateway");
  // A network of one address has its router on the link all the same, as clouds set hosts up.
  demand(local.on_link(gateway) || config.prefix_length == 32,
         what + " is not in " + with_prefix(config), "port.gateway");
}

bool is_neighbor(const Config& config, Ipv4Address address) {
  return local_addresses(config).on_link(address) || (address == config.gateway && !address.is_unspecified());
}

static void check_neighbors(const Config& config) {
  wire::LocalAddresses local = local_addresses(config);
  constexpr size_t most = 128;  // half of the places: the rest is for who is asked for
  demand(config.neighbors.size() <= most, "more than 128 neighbors", "port.neighbors");
  for (const StaticNeighbor& n : config.neighbors) {
    bool is_host =
        is_neighbor(config, n.address) && !local.contains(n.address) && !local.is_subnet_broadcast(n.address);
    demand(is_host, to_string(n.address) + " is no other host of " + with_prefix(config), "port.neighbors");
    demand(!n.mac.is_group() && !n.mac.is_unspecified(), to_string(n.mac) + " is no host's address",
           "port.neighbors");
  }
}

static uint32_t half_open_of(const Config& config) {
  return config.max_half_open != 0 ? config.max_half_open : std::clamp(config.max_connections, 256u, 65536u);
}

void check(const Config& config) {
  check_addresses(config);
  check_gateway(config);
  check_neighbors(config);
  demand(config.mtu >= 576 && config.mtu <= nic::largest_mtu, "mtu is 576 to 9000", "port.mtu");
  demand(!config.mac.is_group(), to_string(config.mac) + " is an address of a group", "port.mac");
  demand(!config.device.empty(), "no device: give --device net_tap0,iface=millrace0 or a PCI address",
         "port.device");
  demand(config.max_connections >= 1 && config.max_connections < (1 << 24) - 1, "max_connections is 1 to 16777214",
         "pools.connections");
  demand(config.max_time_wait >= 1 && config.max_time_wait <= 1u << 28, "max_time_wait is 1 to 268435456",
         "pools.time_wait");
  demand(config.packet_buffers >= nic::least_packet_buffers() && config.packet_buffers <= 1u << 26,
         "packet_buffers is " + std::to_string(nic::least_packet_buffers()) + " to 67108864",
         "pools.packet_buffers");
  demand(config.cores >= 1 && config.cores <= wire::Steering::max_cores, "cores is 1 to 256", "core.cores");
  demand(config.queues <= config.cores, "more queues than cores: nobody would poll them", "core.queues");
  demand(config.ring_size >= 2 && config.ring_size <= 1u << 20 && std::has_single_bit(config.ring_size),
         "ring_size is a power of two, 2 to 1048576", "pools.ring_size");
  demand(config.port_pools <= 65535, "port_pools is 0 to 65535", "pools.destinations");
  demand(config.max_half_open <= 1u << 24,
         "max_half_open is 1 to 16777216, or 0: as many as connections, from 256 to 65536",
         "pools.half_open");
  demand(config.listener_half_open <= half_open_of(config),
         "listener_half_open is max_half_open at most (" + std::to_string(half_open_of(config)) +
             "), or 0: three quarters",
         "pools.listener_half_open");
  demand(config.first_port >= 1 && config.first_port <= config.last_port, "first_port is 1 to last_port",
         "pools.first_port");
  check(config.tcp);
  if (!config.pcap.empty()) nic::check_capture_file(config.pcap);
  demand(config.share.find_first_of("/ ") == std::string::npos && config.share.size() < 64,
         "'" + config.share + "' is no name to share: letters and digits", "eal.share");
  demand(config.share.empty() || config.eal.empty(),
         "with EAL options of your own give --file-prefix among them, not --share", "eal.share");
}

static uint64_t random_number() {
  uint64_t value = 0;
  demand(getrandom(&value, sizeof value, 0) == sizeof value,
         "the system gives no random numbers: give --seed");
  return value;
}

stack::Config stack_config(const Config& config, const nic::Port& port, uint32_t number, flow::ListenBoard* board) {
  stack::Config core;
  core.core = number;
  core.steering = port.steering.get();
  core.board = board;
  core.max_connections = config.max_connections;
  core.max_half_open = half_open_of(config);
  core.listener_half_open = config.listener_half_open;
  core.max_time_wait = std::bit_ceil(config.max_time_wait);
  core.max_port_pools =
      config.port_pools != 0 ? config.port_pools : std::max(core.max_port_pools, 4 * config.address_count);
  core.held_limit = nic::held_limit(config);
  core.local = local_addresses(config);
  core.gateway = config.gateway;
  core.mac = port.mac;
  core.mtu = config.mtu;
  core.segment_burst = port.offloads.segment_burst;
  core.neighbors = config.neighbors;
  core.first_port = config.first_port;
  core.last_port = config.last_port;
  core.tcp = config.tcp;
  if (config.tcp.delayed_ack.ns == 0) core.tcp.immediate_ack = true;
  Random derived{config.seed};
  auto draw = [&] { return config.seed == 0 ? random_number() : derived.next(); };
  constexpr uint32_t draws = 3;
  for (uint32_t i = 0; i < draws * number; ++i) derived.next();  // each core has its own
  core.secret = {draw(), draw()};
  core.seed = draw();
  return core;
}

std::string kernel_end_of_tap(const Config& config) {
  // A neighbour's address that is free: the gateway's, or the subnet's first, or its second; of /31 the other one.
  wire::LocalAddresses local = local_addresses(config);
  Ipv4Address neighbor = config.gateway;
  if (neighbor.is_unspecified() && config.prefix_length == 31)
    neighbor = {config.address.value ^ 1};
  else if (neighbor.is_unspecified())
    neighbor = {(config.address.value & local.mask()) + 1};
  if (local.contains(neighbor)) neighbor = {config.address.value + config.address_count};
  std::string interface = nic::interface_of(config.device), tagged;
  if (config.vlan != 0) {
    std::string tap = std::exchange(interface, interface + "." + std::to_string(config.vlan));
    tagged = "sudo ip link add link " + tap + " name " + interface + " type vlan id " + std::to_string(config.vlan) +
             "; sudo ip link set " + interface + " up; ";
  }
  std::string command = tagged + "sudo ip address add " + to_string(neighbor) + "/" + std::to_string(config.prefix_length) +
                        " dev " + interface;
  if (!local.on_link(neighbor)) command += "; sudo ip route add " + to_string(config.address) + " dev " + interface;
  return command;
}

std::string banner(const Config& config, const nic::Port& port) {
  std::string out = port.banner + "  address: " + with_prefix(config);
  if (config.address_count > 1) out += " and " + std::to_string(config.address_count - 1) + " more";
  out += config.gateway.is_unspecified() ? ", no gateway\n" : ", gateway " + to_string(config.gateway) + "\n";
  if (nic::interface_driver(port.interface) == "veth")
    out += "  " + port.interface + " is one end of a veth pair: its other end's kernel leaves checksums undone, and its segments "
           "are dropped, without: ethtool -K OTHER-END tx off\n";
  bool is_alone = config.prefix_length == 32 && config.gateway.is_unspecified();
  if (!port.kernel_behind || is_alone) return out;
  for (Ipv4Address a : kernel_addresses(Tree("")))
    if (is_neighbor(config, a)) return out;  // it has one
  return out + "  to reach it from this kernel: " + kernel_end_of_tap(config) + "\n";
}

}  // namespace millrace::run
