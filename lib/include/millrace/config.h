// SPDX-License-Identifier: BSD-3-Clause
// How an endpoint is set up. A value: fill it in, or take it from a command line. It is checked when the Endpoint is
// made, which throws ConfigError with the name of the key in a file (config/README.md has them all, with their bounds).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "millrace/address.h"
#include "millrace/connection.h"
#include "millrace/tcp_options.h"

namespace millrace {

// What is wrong with a configuration or the machine, in one sentence with what mends it. Programs print it and
// exit with 2.
struct ConfigError : std::runtime_error {
  explicit ConfigError(const std::string& what, std::string which = {})
      : std::runtime_error(what), key(std::move(which)) {}
  std::string key;  // of a configuration file, if one is to blame: "port.gateway"
};

// Where Endpoint::run() calls its application.
enum class Mode : uint8_t {
  inlined,  // on the worker's own thread, each turn: lowest latency
  thread,   // on a thread of its own, through the same rings: it may take its time, and costs a hop between CPUs
};

// What a core does when it has nothing to do.
enum class Idle : uint8_t {
  automatic,  // sleep where a kernel is at the other end (net_tap, net_af_packet, net_af_xdp), else spin
  spin,       // look again at once: lowest latency, and all of a CPU
  pause,      // with pauses that grow to a microsecond: the same, easier on a hyper-thread beside it
  sleep,      // after a while without work: until a frame, a request or a timer, by rx interrupt where the driver has
              // it, else half a millisecond at a time
};

struct Config {
  std::string device = "net_tap0,iface=millrace0";  // any ethdev: a vdev with its arguments, or a PCI address
  Ipv4Address address = ipv4(10, 9, 0, 2);
  uint8_t prefix_length = 24;
  uint32_t address_count = 1;          // consecutive ones, from `address`: 1 to 65536, within the prefix
  Ipv4Address gateway;                 // in our network, or with /32 any on the link; unspecified: none, and other
                                       // networks are unreachable
  MacAddress mac;                      // unspecified: the device's, or one made from `address`
  uint16_t mtu = 1500;                 // bytes of an IP packet: 576 to 9000. Above 1500 packet buffers are as long
  uint16_t vlan = 0;                   // of all its frames: 1 to 4094; 0: they have no tag
  std::vector<StaticNeighbor> neighbors;  // 128 at most
  uint16_t port = 7;                   // for programs: where to listen or connect; the endpoint does not look at it
  Mode mode = Mode::inlined;           // for Endpoint::run()
  uint32_t cores = 1;                  // each runs a share of the flows; 256 at most. What follows is for each of them
  // The CPU that runs the first; the others take the next that the process may use. any_lcore: those of the device's NUMA node
  // before others.
  static constexpr uint32_t any_lcore = UINT32_MAX;
  uint32_t lcore = any_lcore;
  uint32_t queues = 0;                 // of the device; 0: one for each core, as far as it has them
  Idle idle = Idle::automatic;
  bool hardware_steering = true;       // let the NIC bring frames to their cores (RSS) where it can. Of a pair: both
                                       // ends have a flow on the same core
  uint32_t max_connections = 16384;    // at a time, to 16777214; all memory for them is taken at the start
  uint32_t max_time_wait = 65536;      // connections in TIME-WAIT, 64 bytes each; beyond, the oldest ends early
  // mbufs of 2.4 KB for each of receiving, sending and the application's own: 4096 to 67108864. Text that waits in
  // queues or for the application holds them
  uint32_t packet_buffers = 16384;
  uint32_t port_pools = 0;             // destinations of connects at a time, 128 KB each; 0: 64, or 4 for each address
  uint32_t ring_size = 1024;           // events of a Channel; requests likewise. A power of two, 2 to 1048576
  uint32_t max_half_open = 0;          // passive opens under way; 0: as max_connections, from 256 to 65536
  uint32_t listener_half_open = 0;     // of them, one listener's at most; 0: three quarters
  uint16_t first_port = 1024;          // local ports of connects that name none (RFC6056-3.2b)
  uint16_t last_port = 65535;
  TcpOptions tcp;                      // timers, windows, options: millrace/tcp_options.h
  std::string pcap;                    // a file to write all frames to (pcapng); empty: none
  bool hardware_checksums = true;      // use the NIC's where it has them; off: all are computed here
  bool hardware_segmentation = true;   // let the NIC cut long segments (TSO) where it can; needs its checksums
  bool hardware_vlan = true;           // let the NIC insert and strip tags where it can
  // Bytes of a slice of text that are copied into the frame; longer ones are sent from where they lie, if the device reads
  // them there. Half the MTU at least. Without such no longer buffers than these are made, and frames are freed faster
  uint32_t copy_limit = 2048;
  uint64_t seed = 0;                   // 0: from the system's random source
  std::string share;                   // the name under which other DPDK processes can attach (dpdk-dumpcap); empty: none
  std::vector<std::string> eal;        // EAL options of the user's own, instead of those that are chosen for the device

  // What all simple programs share (millrace/settings.h): [EAL options --] [--config FILE] --device DEV
  // --address A.B.C.D/LEN [--gateway A.B.C.D] [--port N] and more. Prints help and exits with 0, or says what is wrong
  // in one line on stderr and exits with 2. On the main thread, before any endpoint.
  static Config from_arguments(int argc, char** argv);
};

}  // namespace millrace
