// SPDX-License-Identifier: BSD-3-Clause
// RSS: key, table, and what came of them. (nic/rss.h)
#include "nic/rss.h"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_random.h>
#include <rte_thash.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "base/ensure.h"
#include "base/siphash.h"

namespace millrace::nic {

static constexpr uint32_t local_port_bit = 80;  // of a received IPv4 tuple
static constexpr uint32_t longest_key = 256;  // more than any NIC writes
static constexpr uint32_t most_tables_log = 12;
static_assert(1u << most_tables_log == wire::Steering::max_table);

static Random randomness(uint64_t seed) {
  if (seed == 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed)
    throw ConfigError("the system gives no random numbers: give --seed");
  return Random{seed ^ 0x5273'5353'6b65'7900};
}

// rte_thash puts a sequence behind the local port's bits that makes every run of the hash's lower bits reachable.
static void spread_over_port(std::vector<uint8_t>& key, uint64_t seed) {
  static std::atomic<unsigned> number{0};
  std::string name = "millrace_" + std::to_string(number++);
  rte_srand(seed);
  rte_thash_ctx* context = rte_thash_init_ctx(name.c_str(), static_cast<uint32_t>(key.size()), most_tables_log,
                                              key.data(), RTE_THASH_MINIMAL_SEQ);
  if (context == nullptr) throw ConfigError("no memory for an RSS key: give EAL more with -m");
  int error = rte_thash_add_helper(context, name.c_str(), 16, local_port_bit);
  if (error == 0) std::copy_n(rte_thash_get_key(context), key.size(), key.begin());
  rte_thash_free_ctx(context);
  ensure(error == 0);
}

// Do `count` bits of a port, from bit `first` on, reach all values of the hash's lower `bits`? Then they reach each equally
// often. `of`: what one of the two ports contributes.
using PartOfPort = uint32_t (wire::Toeplitz::*)(uint16_t) const;
static bool reaches_all(const wire::Toeplitz& toeplitz, PartOfPort of, uint32_t first, uint32_t count, uint32_t bits) {
  uint32_t basis[32] = {}, rank = 0;
  for (uint32_t i = first; i < first + count; ++i) {
    uint32_t value = (toeplitz.*of)(static_cast<uint16_t>(1u << i)) & ((1u << bits) - 1);
    while (value != 0) {
      uint32_t top = static_cast<uint32_t>(std::bit_width(value)) - 1;
      if (basis[top] == 0) {
        basis[top] = value;
        ++rank;
        break;
      }
      value ^= basis[top];
    }
  }
  return rank == bits;
}

// A client's ports follow each other, Linux's by two: eight for each core are to reach every one.
static bool spreads_clients(const std::vector<uint8_t>& key) {
  wire::Toeplitz toeplitz(key);
  for (uint32_t bits = 1; bits <= 6; ++bits)
    for (uint32_t first : {0u, 1u})
      if (!reaches_all(toeplitz, &wire::Toeplitz::of_remote_port, first, bits + 3, bits)) return false;
  return true;
}

std::vector<uint8_t> make_rss_key(uint64_t seed, uint32_t length) {
  Random random = randomness(seed);
  std::vector<uint8_t> key(length);
  do {
    for (uint8_t& byte : key) byte = static_cast<uint8_t>(random.next());
    spread_over_port(key, random.next());
  } while (!spreads_clients(key));
  return key;
}

// Sixteen bits over and over: then it matters not which of two addresses, or of two ports, is the source.
std::vector<uint8_t> make_symmetric_key(uint64_t seed, uint32_t length) {
  Random random = randomness(seed);
  std::vector<uint8_t> key(length);
  do {
    auto word = static_cast<uint16_t>(random.next());
    for (uint32_t i = 0; i < length; ++i) key[i] = static_cast<uint8_t>(i % 2 == 0 ? word >> 8 : word);
  } while (!reaches_all(wire::Toeplitz(key), &wire::Toeplitz::of_local_port, 0, 16, most_tables_log));
  return key;
}

void ask_for_rss(Port& port, const Config& config, const rte_eth_dev_info& info, rte_eth_conf& conf) {
  if (port.cores.size() == 1) return;
  uint32_t length = std::max<uint32_t>(info.hash_key_size, usual_key);
  if (port.rss_key.empty()) port.rss_key = make_rss_key(config.seed, length);
  bool fits = std::has_single_bit(info.reta_size) && info.reta_size <= wire::Steering::max_table &&
              info.reta_size >= port.cores.size();
  uint64_t offered = info.flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_TCP;
  if (port.queues == 1) port.steering_reason = "one queue";
  else if (!config.hardware_steering) port.steering_reason = "as asked for";
  else if (offered == 0) port.steering_reason = "the driver offers no RSS for TCP";
  else if (!fits) port.steering_reason = "its redirection table cannot be used";
  if (!port.steering_reason.empty()) return;
  conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
  conf.rx_adv_conf.rss_conf.rss_hf = offered;
  conf.rx_adv_conf.rss_conf.rss_key = port.rss_key.data();
  conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size != 0 ? info.hash_key_size : usual_key;
  conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
  port.steering_mode = SteeringMode::hardware;
}

// What the hardware says its key is. It may not say; then the first packets will.
static void read_key(Port& port) {
  std::vector<uint8_t> key(std::max<size_t>(longest_key, port.rss_key.size()));
  rte_eth_rss_conf conf{};
  conf.rss_key = key.data();
  conf.rss_key_len = static_cast<uint8_t>(port.rss_key.size());
  if (rte_eth_dev_rss_hash_conf_get(port.id, &conf) != 0) return;
  bool says_something = std::any_of(key.begin(), key.end(), [](uint8_t byte) { return byte != 0; });
  key.resize(port.rss_key.size());
  if (says_something) port.rss_key = key;
}

static uint32_t queue_at(const std::vector<rte_eth_rss_reta_entry64>& table, uint32_t i) {
  return table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
}

// Sets the redirection table to the owners' queues and reads it back. If it says otherwise, the owners follow it: each
// entry goes to a core of the queue that it has. False: it cannot be known.
static bool agree_on_table(const Port& port, std::vector<uint8_t>& owners) {
  auto size = static_cast<uint16_t>(owners.size());
  std::vector<rte_eth_rss_reta_entry64> table((size + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE);
  for (auto& group : table) group.mask = UINT64_MAX;
  for (uint32_t i = 0; i < size; ++i)
    table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] = port.queue_of(owners[i]);
  bool set = rte_eth_dev_rss_reta_update(port.id, table.data(), size) == 0;
  for (auto& group : table) std::fill(std::begin(group.reta), std::end(group.reta), uint16_t{0});
  if (rte_eth_dev_rss_reta_query(port.id, table.data(), size) != 0) return set;
  for (uint32_t i = 0; i < size; ++i) {
    uint32_t queue = queue_at(table, i);
    if (queue >= port.queues) return false;
    if (queue == port.queue_of(owners[i])) continue;
    auto cores_of_queue = static_cast<uint32_t>((port.cores.size() - queue + port.queues - 1) / port.queues);
    owners[i] = static_cast<uint8_t>(queue + port.queues * (i / port.queues % cores_of_queue));
  }
  return true;
}

void agree_on_owners(Port& port, const rte_eth_dev_info& info) {
  auto cores = static_cast<uint32_t>(port.cores.size());
  if (cores == 1) return;
  constexpr uint32_t usual_table = 128, entries_per_core = 8;
  bool hardware = port.steering_mode == SteeringMode::hardware;
  uint32_t size = hardware ? info.reta_size : std::max(usual_table, std::bit_ceil(cores * entries_per_core));
  std::vector<uint8_t> owners(size);
  for (uint32_t i = 0; i < size; ++i) owners[i] = static_cast<uint8_t>(i % cores);
  if (hardware && !agree_on_table(port, owners)) {
    port.steering_mode = SteeringMode::software;
    port.steering_reason = "its redirection table cannot be set";
  }
  if (hardware) read_key(port);
  port.steering = std::make_unique<wire::Steering>(port.rss_key, owners);
}

std::string describe_steering(const Port& port) {
  auto cores = port.cores.size();
  if (cores == 1) return "1 rx, 1 tx: no steering needed";
  std::string out = std::to_string(port.queues) + " rx, " + std::to_string(port.queues) + " tx for " +
                    std::to_string(cores) + " cores: ";
  if (port.steering_mode == SteeringMode::hardware)
    return out + "RSS in hardware, its key and table read back; each frame is checked";
  return out + "steering in software (" + port.steering_reason + ")";
}

}  // namespace millrace::nic
