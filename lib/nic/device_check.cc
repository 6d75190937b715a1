// SPDX-License-Identifier: BSD-3-Clause
// What keeps a device from being made, as far as it can be seen before a driver tries: each as one sentence with the
// remedy. What is left for the driver to say, it says in words of its own. (nic/device.h)
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <rte_eal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "millrace/config.h"
#include "nic/device.h"
#include "nic/machine.h"
#include "nic/tap.h"

namespace millrace::nic {

namespace fs = std::filesystem;

static std::string base_name(const std::string& device) {
  return device.substr(0, device.find(','));
}

std::string driver_prefix(const std::string& device) {
  std::string name = base_name(device);
  size_t end = name.find_last_not_of("0123456789");
  return end == std::string::npos ? name : name.substr(0, end + 1);
}

static std::vector<std::pair<std::string, std::string>> arguments_of(const std::string& device) {
  std::vector<std::pair<std::string, std::string>> out;
  std::istringstream in(device);
  std::string part;
  std::getline(in, part, ',');
  while (std::getline(in, part, ',')) {
    size_t equals = part.find('=');
    out.emplace_back(part.substr(0, equals), equals == std::string::npos ? "" : part.substr(equals + 1));
  }
  return out;
}

std::optional<std::string> device_argument(const std::string& device, const std::string& name) {
  for (const auto& [key, value] : arguments_of(device))
    if (key == name) return value;
  return {};
}

bool is_tap(const std::string& driver) {
  return driver == "net_tap" || driver == "net_tun";
}
bool is_on_interface(const std::string& driver) {
  return driver == "net_af_packet" || driver == "net_af_xdp";
}

bool drives_others(const std::string& driver) {
  return driver == "net_bonding" || driver == "net_failsafe";
}

// net_memif copies, too, unless it was told not to.
bool copies_by_cpu(const std::string& device) {
  std::string driver = driver_prefix(device);
  if (driver == "net_memif") return device_argument(device, "zero-copy").value_or("no") != "yes";
  return is_tap(driver) || driver == "net_null" || driver == "net_pcap" || driver == "net_af_packet";
}

std::string interface_of(const std::string& device) {
  std::string driver = driver_prefix(device);
  if (!is_tap(driver) && !is_on_interface(driver)) return "";
  std::string fallback = driver == "net_tap" ? "dtap0" : driver == "net_tun" ? "dtun0" : "";
  return device_argument(device, "iface").value_or(fallback);
}

uint32_t most_queues(const std::string& driver) {
  return is_tap(driver) ? RTE_MP_MAX_FD_NUM / 2 : UINT16_MAX;
}

std::string queues_argument(const std::string& driver) {
  if (driver == "net_af_packet") return "qpairs";
  if (driver == "net_af_xdp") return "queue_count";
  if (driver == "net_vhost" || driver == "net_virtio_user") return "queues";
  return "";
}

// net_af_xdp fills its ring for the kernel at the start and keeps it full; what has just been sent waits in another. (From a
// pool of 4096 nothing passes, without an error.)
uint32_t buffers_kept(const std::string& driver) {
  constexpr uint32_t ring = 2048;
  return driver == "net_af_xdp" ? 2 * ring : 0;
}

// net_e1000_em lets 17 ms pass between two (its ITR), and with MSI-X (82574) routes none to a vector.
bool rx_interrupts_in_time(const std::string& driver) {
  return driver != "net_e1000_em";
}

// Of drivers that pass over what they do not know, or over all of it.
static void check_names(const Config& config, const std::string& driver, std::initializer_list<const char*> known) {
  std::string list;
  for (const char* name : known) list += (list.empty() ? "" : ", ") + std::string(name);
  for (const auto& [key, value] : arguments_of(config.device))
    if (std::none_of(known.begin(), known.end(), [&](const char* name) { return key == name; }))
      throw ConfigError(driver + " has no argument " + key + ", but " + list, "port.device");
}

// --- PCI ---

std::string pci_obstacle(const std::string& pci, const std::string& root) {
  if (!pci_exists(pci, root))
    return "no PCI device " + pci + " here; to see which there are: dpdk-devbind.py --status-dev net";
  std::string driver = pci_kernel_driver(pci, root);
  std::error_code ignored;
  if (std::string verbs = verbs_module(driver); !verbs.empty()) {
    if (!fs::is_empty(root + "/sys/class/infiniband_verbs", ignored) && !ignored) return "";
    return pci + " stays with the kernel's " + driver + ", whose verbs are not loaded: sudo apt install ibverbs-providers " +
           "&& sudo modprobe -a ib_uverbs " + verbs;
  }
  if (driver == "vfio-pci" || driver == "uio_pci_generic" || driver == "igb_uio") return "";
  return pci + " is " + (driver.empty() ? "bound to no driver" : "bound to the kernel's " + driver) +
         ": sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci " + pci;
}

// --- the kernel's interfaces ---

static void check_permissions(const std::string& driver) {
  if ((is_tap(driver) || driver == "net_af_xdp") && !may_administer_network())
    throw ConfigError(driver + " needs root or CAP_NET_ADMIN: run with sudo");
  if (is_on_interface(driver) && !may_open_raw_sockets())
    throw ConfigError(driver + " needs root or CAP_NET_RAW: run with sudo");
}

// What there is must be a tap, free, and of several queues, which is how the driver opens each. First it is asked who is
// attached, for to be attached even for a moment raises the carrier, and takes frames from another program's tap.
static void check_existing_tap(const std::string& driver, const std::string& name) {
  if (if_nametoindex(name.c_str()) == 0) return;
  // The driver would join it as one more queue and take half of its frames.
  if (tap_is_in_use(name)) throw ConfigError(name + " is in use by another program: give another name, iface=...");
  int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0) return;
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  const char* mode = driver == "net_tap" ? "tap" : "tun";
  request.ifr_flags = static_cast<short>((driver == "net_tap" ? IFF_TAP : IFF_TUN) | IFF_NO_PI | IFF_MULTI_QUEUE);
  int error = ioctl(tun, TUNSETIFF, &request) == 0 ? 0 : errno;
  close(tun);
  if (error == EINVAL)
    throw ConfigError(name + " is there, and is no " + mode + " with several queues: another name, iface=...; or make it " +
                      "anew: sudo ip tuntap add dev " + name + " mode " + mode + " multi_queue");
  if (error == EBUSY) throw ConfigError(name + " is in use by another program: give another name, iface=...");
}

static void check_tap(const Config& config, const std::string& driver) {
  if (access("/dev/net/tun", F_OK) != 0)
    throw ConfigError("no /dev/net/tun here, so no taps: sudo modprobe tun; in a container: docker run --device /dev/net/tun");
  check_names(config, driver, {"iface", "mac", "remote", "persist"});
  constexpr size_t longest_name = IFNAMSIZ - 1;
  std::string interface = interface_of(config.device);
  if (interface.empty() || interface.size() > longest_name)
    throw ConfigError("iface=" + interface + " is no name for an interface: give 1 to 15 characters");
  check_existing_tap(driver, interface);
  if (auto remote = device_argument(config.device, "remote"); remote && if_nametoindex(remote->c_str()) == 0)
    throw ConfigError("no interface " + *remote + " here for remote=: ip -brief link");
}

// Of net_af_packet's ring, which has the kernel's head before each frame.
static void check_frame_size(const Config& config) {
  constexpr uint32_t head = 64, ethernet = 14, usual = 2048, usual_mtu = 1500;
  auto given = device_argument(config.device, "framesz");
  uint32_t size = given ? static_cast<uint32_t>(std::strtoul(given->c_str(), nullptr, 10)) : usual;
  uint32_t needed = std::bit_ceil(config.mtu + ethernet + head);
  if (size >= config.mtu + ethernet + head || config.mtu > usual_mtu) return;  // longer ones are refused anyway
  throw ConfigError("an MTU of " + std::to_string(config.mtu) + " needs larger frames of net_af_packet's ring than " +
                    std::to_string(size) + " bytes: framesz=" + std::to_string(needed) + ",blocksz=" +
                    std::to_string(std::max(needed, 4096u)) + " behind iface, or --mtu " +
                    std::to_string(size > ethernet + head ? size - ethernet - head : 0));
}

static void check_interface(const Config& config, const std::string& driver) {
  std::string name = interface_of(config.device);
  if (name.empty())
    throw ConfigError(driver + " needs an interface of the kernel's: --device " + base_name(config.device) + ",iface=eth1");
  if (if_nametoindex(name.c_str()) == 0) throw ConfigError("no interface " + name + " here: ip -brief link");
  uint32_t mtu = interface_mtu(name);
  if (mtu < config.mtu)
    throw ConfigError(name + " has an MTU of " + std::to_string(mtu) + ", less than ours of " + std::to_string(config.mtu) +
                      ": --mtu " + std::to_string(mtu) + ", or sudo ip link set " + name + " mtu " +
                      std::to_string(config.mtu));
  if (driver == "net_af_packet") return check_frame_size(config);
  if (!(interface_flags(name) & IFF_UP))
    throw ConfigError(name + " is down, and net_af_xdp starts on none that is: sudo ip link set " + name + " up");
}

// --- sockets of other processes ---

static void check_path(const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un{}.sun_path))
    throw ConfigError("the path of a socket has 107 characters at most: " + path);
}

// A file that is to be made.
static void check_new(const std::string& file, const char* what) {
  fs::path directory = fs::path(file).parent_path();
  if (directory.empty()) directory = ".";
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored))
    throw ConfigError("no directory " + directory.string() + " for " + what + " " + file + ": mkdir -p " + directory.string());
  if (access(directory.c_str(), W_OK | X_OK) != 0)
    throw ConfigError("no permission to make " + std::string(what) + " " + file + ": another directory, or run with sudo");
}

static bool is_socket(const std::string& file) {
  struct stat is{};
  return stat(file.c_str(), &is) == 0 && S_ISSOCK(is.st_mode);
}

// Does somebody listen there? Looked up, not tried: a peer may take one connection only. One in another network namespace
// is not in the list.
static bool is_listened_at(const std::string& path, bool abstract) {
  constexpr unsigned long accepts = 0x10000;
  std::ifstream list("/proc/net/unix");
  for (std::string line; std::getline(list, line);) {  // "0000: 00000002 00000000 00010000 0005 01 12345 /run/a.sock"
    std::istringstream words(line);
    std::string address, references, protocol, flags, type, state, inode, name;
    words >> address >> references >> protocol >> flags >> type >> state >> inode >> std::ws;
    std::getline(words, name);
    if (abstract) name.erase(name.find_last_not_of('@') + 1);
    if (name == (abstract ? "@" : "") + path && std::strtoul(flags.c_str(), nullptr, 16) & accepts) return true;
  }
  return false;
}

// 0, or what a connect says.
static int try_to_connect(const std::string& path, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  int s = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int error = connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  close(s);
  return error == EAGAIN ? 0 : error;
}

// One that we are to listen at. A file that nobody listens at is what a program that was killed has left.
static void check_to_listen(const std::string& path, int type) {
  check_path(path);
  check_new(path, "the socket");
  if (access(path.c_str(), F_OK) != 0) return;
  if (!is_socket(path)) throw ConfigError(path + " is there, and is no socket: another name, or rm " + path);
  if (!is_listened_at(path, false) && try_to_connect(path, type) == ECONNREFUSED)
    throw ConfigError(path + " is left from a program that has gone: rm " + path);
  throw ConfigError("another program listens at " + path + ": another name, or end it");
}

// One that another program must listen at by now.
static void check_to_connect(const std::string& path, bool abstract, int type, const std::string& other) {
  check_path(path);
  if (!abstract && access(path.c_str(), F_OK) == 0 && access(path.c_str(), W_OK) != 0)
    throw ConfigError("no permission to connect to " + path + ": run with sudo, or sudo chmod a+rw " + path);
  if (is_listened_at(path, abstract)) return;
  if (!abstract && is_socket(path) && try_to_connect(path, type) == 0) return;
  throw ConfigError("nobody listens at " + std::string(abstract ? "the abstract socket " : "") + path + ": first start " + other);
}

static void check_memif(const Config& config) {
  check_names(config, "net_memif", {"role", "socket", "socket-abstract", "id", "bsize", "rsize", "mac", "secret",
                                    "zero-copy", "owner-uid", "owner-gid"});
  auto role = device_argument(config.device, "role").value_or("client");
  if (role == "slave" || role == "master") role = role == "slave" ? "client" : "server";
  if (role != "client" && role != "server")
    throw ConfigError("net_memif has no role=" + role + ": one end is role=server, the other role=client");
  auto path = device_argument(config.device, "socket").value_or("/run/memif.sock");
  bool abstract = device_argument(config.device, "socket-abstract").value_or("yes") == "yes";
  std::string name = base_name(config.device);
  if (role == "client")
    return check_to_connect(path, abstract, SOCK_SEQPACKET,
                            "its end, role=server,socket=" + path + (abstract ? "" : ",socket-abstract=no"));
  if (!abstract) return check_to_listen(path, SOCK_SEQPACKET);
  if (is_listened_at(path, true))
    throw ConfigError("another program listens at the abstract socket " + path + ": another name, or end it");
}

static void check_vhost(const Config& config) {
  auto path = device_argument(config.device, "iface");
  if (!path || path->empty())
    throw ConfigError("net_vhost needs a socket's path: --device " + base_name(config.device) + ",iface=/run/vhost.sock");
  check_path(*path);
  if (device_argument(config.device, "client").value_or("0") == "0") check_to_listen(*path, SOCK_STREAM);
}

static void check_virtio_user(const Config& config) {
  auto path = device_argument(config.device, "path");
  if (!path || path->empty())
    throw ConfigError("net_virtio_user needs a socket's path: --device " + base_name(config.device) + ",path=/run/vhost.sock");
  check_path(*path);
  if (device_argument(config.device, "server").value_or("0") != "0") return check_to_listen(*path, SOCK_STREAM);
  if (path->starts_with("/dev/")) {
    if (access(path->c_str(), F_OK) != 0) throw ConfigError("no " + *path + " here: sudo modprobe vhost_net");
    if (access(path->c_str(), R_OK | W_OK) != 0) throw ConfigError("no permission to open " + *path + ": run with sudo");
    return;
  }
  check_to_connect(*path, false, SOCK_STREAM, "its end, net_vhost0,iface=" + *path);
}

static void check_pcap(const Config& config) {
  constexpr const char* needs = "net_pcap needs files: net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap";
  bool any = false;
  for (const auto& [key, value] : arguments_of(config.device)) {
    any = true;
    if (key == "rx_pcap" && access(value.c_str(), R_OK) != 0)
      throw ConfigError("cannot read the capture " + value + " (" + std::strerror(errno) + "): rx_pcap=FILE");
    if (key == "tx_pcap") check_new(value, "the capture");
    bool is_interface = key == "iface" || key == "rx_iface" || key == "tx_iface" || key == "rx_iface_in";
    if (is_interface && if_nametoindex(value.c_str()) == 0)
      throw ConfigError("no interface " + value + " here: ip -brief link");
    if (is_interface && !may_open_raw_sockets())
      throw ConfigError("net_pcap on an interface needs root or CAP_NET_RAW: run with sudo");
  }
  if (!any) throw ConfigError(needs);
}

void check_device(const Config& config) {
  if (std::string pci = pci_address(config.device); !pci.empty()) {
    if (std::string obstacle = pci_obstacle(pci); !obstacle.empty()) throw ConfigError(obstacle);
    return;
  }
  for (const std::string& option : config.eal)  // EAL makes it, with arguments of its own
    if (option.find(base_name(config.device)) != std::string::npos) return;
  std::string driver = driver_prefix(config.device);
  check_permissions(driver);
  if (is_tap(driver)) check_tap(config, driver);
  if (is_on_interface(driver)) check_interface(config, driver);
  if (driver == "net_memif") check_memif(config);
  if (driver == "net_vhost") check_vhost(config);
  if (driver == "net_virtio_user") check_virtio_user(config);
  if (driver == "net_pcap") check_pcap(config);
}

}  // namespace millrace::nic
