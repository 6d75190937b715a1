// SPDX-License-Identifier: BSD-3-Clause
// The device as such: is it there, may we have it, is its link up, and whose are the addresses?
// (run/doctor.h)
#include <cstdlib>

#include "nic/machine.h"
#include "nic/tap.h"
#include "run/doctor.h"
#include "run/settings.h"

namespace millrace::run {

static std::string interface_of(const Case& c) {
  return nic::interface_of(c.config.device);
}

static bool is_tap(const Case& c) {
  return nic::is_tap(c.driver);
}
static bool is_on_interface(const Case& c) {
  return c.is("net_af_packet") || c.is("net_af_xdp");
}

static std::string net_files(const Case& c) {
  return "/sys/class/net/" + interface_of(c);
}

void examine_device(const Case& c, Findings& out) {
  if (c.rings)
    return out.push_back({Finding::good, "device",
                          "none: net_ring joins both ends in this process, no NIC and no root needed", ""});
  if (!c.pci.empty()) {
    if (!c.tree.exists("/sys/bus/pci/devices"))
      return out.push_back({Finding::unseen, "device", "/sys/bus/pci is not shown here", ""});
    std::string files = c.pci_files();
    if (!c.tree.exists(files))
      return out.push_back(
          {Finding::bad, "device", "no PCI device " + c.pci + " here", "dpdk-devbind.py --status-dev net"});
    if (std::string kind = c.tree.line(files + "/class").value_or("0x02"); kind.rfind("0x02", 0) != 0)
      return out.push_back({Finding::bad, "device", c.pci + " is no network device (class " + kind + ")",
                            "dpdk-devbind.py --status-dev net"});
    return out.push_back({Finding::good, "device", c.pci + " is there", ""});
  }
  if (is_tap(c) && !c.tree.exists("/dev/net/tun"))
    return out.push_back(
        {Finding::bad, "device", "no /dev/net/tun here: no taps",
         "sudo modprobe tun; in a container: docker run --device /dev/net/tun --cap-add NET_ADMIN"});
  if (is_tap(c) && nic::tap_is_in_use(interface_of(c), c.tree.path("")))
    return out.push_back({Finding::bad, "device", interface_of(c) + " is in use by another program",
                          "end it, or another name: --device " + c.driver + "0,iface=..."});
  if (is_on_interface(c) && !c.tree.exists(net_files(c)))
    return out.push_back(
        {Finding::bad, "device", "no interface " + interface_of(c) + " here", "ip -brief link"});
  // Sockets, files and arguments, as the start sees them: of this machine alone.
  if (c.tree.path("").empty() && !is_tap(c) && !is_on_interface(c)) {
    try {
      nic::check_device(c.config);
    } catch (const ConfigError& error) {
      std::string text = error.what();
      size_t colon = text.rfind(": ");
      return out.push_back({Finding::bad, "device", text.substr(0, colon),
                            colon == std::string::npos ? "" : text.substr(colon + 2)});
    }
  }
  out.push_back({Finding::good, "device", c.driver + " is a virtual device", ""});
}

static void examine_vfio_file(const Case& c, Findings& out) {
  if (c.tree.link(c.pci_files() + "/driver") != "vfio-pci") return;
  std::string group = c.tree.link(c.pci_files() + "/iommu_group");
  std::string file = "/dev/vfio/" + std::string(c.iommu_group().empty() ? "noiommu-" : "") + group;
  if (!c.tree.may_open(file))
    return out.push_back({Finding::bad, "permissions", file + " may not be opened",
                          "sudo chown $USER " + file +
                              ", or run with sudo; in a container: docker run --device /dev/vfio/vfio "
                              "--device " +
                              file});
  for (const std::string& line : c.tree.lines("/proc/self/limits"))
    if (line.rfind("Max locked memory", 0) == 0 && line.compare(26, 9, "unlimited") != 0 &&
        !c.may(cap_ipc_lock) && std::strtoull(line.c_str() + 26, nullptr, 10) < c.packet_bytes)
      return out.push_back({Finding::bad, "permissions",
                            "too little memory may be locked for the device (ulimit -l): " +
                                std::to_string(std::strtoull(line.c_str() + 26, nullptr, 10) >> 20) + " MB",
                            "echo \"$USER - memlock unlimited\" | sudo tee /etc/security/limits.d/vfio.conf, "
                            "and log in anew; in "
                            "a container: docker run --ulimit memlock=-1"});
  out.push_back({Finding::good, "permissions", file + " may be opened", ""});
}

void examine_permissions(const Case& c, Findings& out) {
  if (c.rings || (c.pci.empty() && !is_tap(c) && !is_on_interface(c))) return;
  if (!c.pci.empty()) return examine_vfio_file(c, out);
  bool raw = is_on_interface(c), admin = !c.is("net_af_packet");
  std::string missing = admin && !c.may(cap_net_admin) ? "CAP_NET_ADMIN" : "";
  if (raw && !c.may(cap_net_raw)) missing += missing.empty() ? "CAP_NET_RAW" : " and CAP_NET_RAW";
  if (!missing.empty())
    return out.push_back({Finding::bad, "permissions", c.driver + " needs " + missing,
                          "run with sudo; in a container: docker run --cap-add NET_ADMIN --cap-add NET_RAW"});
  out.push_back({Finding::good, "permissions", "enough for " + c.driver, ""});
}

void examine_link(const Case& c, Findings& out) {
  if (c.rings) return;
  if (is_tap(c)) return out.push_back({Finding::good, "link", "of a tap: up while the program runs", ""});
  std::string files = net_files(c), name = interface_of(c);
  if (!c.pci.empty()) {
    auto interfaces = c.interfaces();
    if (interfaces.empty())
      return out.push_back(
          {Finding::unseen, "link", "the kernel does not see the device: only a start tells", ""});
    name = interfaces[0], files = "/sys/class/net/" + name;
  } else if (!is_on_interface(c)) {
    return;
  }
  if (!c.tree.exists(files)) return;
  // A bound device's link is the driver's own matter; the carrier tells of the cable, while the interface is
  // up.
  auto carrier = c.tree.number(files + "/carrier");
  if (!carrier)
    return out.push_back({c.pci.empty() ? Finding::bad : Finding::unseen, "link", name + " is down",
                          c.pci.empty() ? "sudo ip link set " + name + " up" : ""});
  if (*carrier != 1)
    return out.push_back({Finding::bad, "link", name + " has no carrier",
                          "the cable, and the port at its other end: ethtool " + name});
  auto mtu = c.tree.number(files + "/mtu");
  if (mtu && c.pci.empty() && *mtu < c.config.mtu)
    return out.push_back({Finding::bad, "link",
                          name + " has an MTU of " + std::to_string(*mtu) + ", less than ours of " +
                              std::to_string(c.config.mtu),
                          "--mtu " + std::to_string(*mtu) + ", or sudo ip link set " + name + " mtu " +
                              std::to_string(c.config.mtu)});
  out.push_back({Finding::good, "link", name + " is up", ""});
}

// With several cores a start tells: what a driver can do of it, only the driver knows.
void examine_queues(const Case& c, Findings& out) {
  if (!c.rings && c.config.cores == 1)
    out.push_back({Finding::good, "RSS", "not needed: one core has one queue", ""});
}

void examine_addresses(const Case& c, Findings& out) {
  if (c.rings) return;
  if (!c.tree.exists("/proc/net/fib_trie"))
    return out.push_back({Finding::unseen, "addresses", "the kernel's own are not shown here", ""});
  bool has_neighbor = false;
  const wire::LocalAddresses ours = local_addresses(c.config);
  for (Ipv4Address a : kernel_addresses(c.tree)) {
    if (ours.contains(a))
      return out.push_back({c.pci.empty() ? Finding::bad : Finding::poor, "addresses",
                            to_string(a) + " is this kernel's own, too: it answers in our place",
                            "another --address, or sudo ip address del " + to_string(a) + "/... dev ..."});
    has_neighbor |= is_neighbor(c.config, a);
  }
  if (!is_tap(c) || has_neighbor)
    return out.push_back({Finding::good, "addresses", "ours are nobody else's here", ""});
  out.push_back({Finding::poor, "addresses",
                 "this kernel has none in our network: nobody is at the other end of the tap",
                 "sudo ip tuntap add dev " + interface_of(c) + " mode tap multi_queue; " + kernel_end_of_tap(c.config)});
}

}  // namespace millrace::run
