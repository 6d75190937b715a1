// SPDX-License-Identifier: BSD-3-Clause
// Files under /sys and /proc, read at start. (nic/machine.h)
#include "nic/machine.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace millrace::nic {

namespace fs = std::filesystem;

static size_t sum_of_huge_pages(const std::string& directory, const char* which) {
  size_t bytes = 0;
  std::error_code ignored;
  for (auto& entry : fs::directory_iterator(directory, ignored)) {
    std::string name = entry.path().filename();  // hugepages-2048kB
    size_t count = 0;
    if (name.rfind("hugepages-", 0) == 0 && std::ifstream(entry.path() / which) >> count)
      bytes += count * 1024 * std::strtoull(name.c_str() + 10, nullptr, 10);
  }
  return bytes;
}

size_t free_huge_bytes(const std::string& directory) { return sum_of_huge_pages(directory, "free_hugepages"); }
size_t huge_bytes() { return sum_of_huge_pages(all_huge_pages, "nr_hugepages"); }

std::vector<std::string> hugetlbfs_mounts() {
  std::ifstream mounts("/proc/self/mounts");
  std::vector<std::string> out;
  std::string device, place, type, rest;
  while (mounts >> device >> place >> type && std::getline(mounts, rest))
    if (type == "hugetlbfs") out.push_back(place);
  return out;
}

uint32_t cpu_count() {
  return static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
}

bool cpu_exists(uint32_t cpu) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cpu < cpu_count();
  return cpu < CPU_SETSIZE && (CPU_ISSET(cpu, &allowed) || cpu < cpu_count());
}

const std::vector<uint32_t>& allowed_cpus() {
  static const std::vector<uint32_t> cpus = [] {
    std::vector<uint32_t> out;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
      for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed)) out.push_back(cpu);
    if (out.empty()) out.push_back(0);
    return out;
  }();
  return cpus;
}

// "50000 100000" of a cpu.max, or the two files of the first version. 0: no limit.
static double quota_in(const fs::path& group) {
  std::string quota, period;
  std::ifstream(group / "cpu.max") >> quota >> period;
  if (quota.empty()) {
    std::ifstream(group / "cpu.cfs_quota_us") >> quota;
    std::ifstream(group / "cpu.cfs_period_us") >> period;
  }
  double granted = std::atof(quota.c_str()), of = std::atof(period.c_str());
  return granted > 0 && of > 0 ? granted / of : 0;
}

// Each group up to the root may have one; the least counts.
double cpu_quota(const std::string& own_groups, const std::string& root) {
  double least = 0;
  std::ifstream groups(own_groups);
  for (std::string line; std::getline(groups, line);) {  // "0::/a/b", or "4:cpu,cpuacct:/a/b"
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    bool has_cpu = controllers.empty() || ("," + controllers + ",").find(",cpu,") != std::string::npos;
    if (!has_cpu) continue;
    // Beside groups of the first version those of the second lie deeper.
    std::vector<fs::path> bases = {fs::path(root) / "cpu"};
    if (controllers.empty()) bases = {fs::path(root), fs::path(root) / "unified"};
    for (const fs::path& base : bases)
      for (fs::path group = fs::path(line.substr(second + 1)).relative_path();; group = group.parent_path()) {
        double quota = quota_in(base / group);
        if (quota > 0 && (least == 0 || quota < least)) least = quota;
        if (group.empty()) break;
      }
  }
  return least;
}

std::string quota_warning(uint32_t cores) {
  double quota = cpu_quota();
  if (quota == 0 || quota >= cores) return "";
  char text[160];
  std::snprintf(text, sizeof text,
                "  WARNING: a control group grants %.2f CPUs' time: %u busy %s stopped again and again; "
                "raise its cpu.max\n",
                quota, cores, cores == 1 ? "core is" : "cores are");
  return text;
}

static ifreq ask_of_interface(const std::string& name, unsigned long what) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s >= 0 && ioctl(s, what, &request) != 0) request = {};
  if (s >= 0) close(s);
  return request;
}
unsigned interface_flags(const std::string& name) {
  return static_cast<unsigned short>(ask_of_interface(name, SIOCGIFFLAGS).ifr_flags);
}
uint32_t interface_mtu(const std::string& name) {
  ifreq answer = ask_of_interface(name, SIOCGIFMTU);
  return answer.ifr_name[0] == '\0' ? 0 : static_cast<uint32_t>(answer.ifr_mtu);
}

std::string interface_driver(const std::string& name) {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&info);
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool told = s >= 0 && ioctl(s, SIOCETHTOOL, &request) == 0;
  if (s >= 0) close(s);
  return told ? info.driver : "";
}

static bool has_capability(unsigned bit) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("CapEff:", 0) == 0) return std::strtoull(line.c_str() + 7, nullptr, 16) >> bit & 1;
  return geteuid() == 0;
}
bool may_administer_network() {
  return has_capability(12);
}
bool may_open_raw_sockets() {
  return has_capability(13);
}

std::string pci_address(const std::string& device) {
  std::string address = device.substr(0, device.find(','));
  if (address.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos) return {};
  unsigned domain = 0, bus = 0, slot = 0, function = 0;
  int end = 0;
  const char* text = address.c_str();
  bool full = std::sscanf(text, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &end) == 4;
  if (!full) {
    domain = 0;
    if (std::sscanf(text, "%x:%x.%x%n", &bus, &slot, &function, &end) != 3) return {};
  }
  if (text[end] != '\0' || bus > 0xff || slot > 0x1f || function > 7) return {};
  char out[32];
  std::snprintf(out, sizeof out, "%04x:%02x:%02x.%x", domain & 0xffff, bus, slot, function);
  return out;
}

static std::string pci_directory(const std::string& root, const std::string& address) {
  return root + "/sys/bus/pci/devices/" + address;
}

bool pci_exists(const std::string& address, const std::string& root) {
  std::error_code ignored;
  return fs::exists(pci_directory(root, address), ignored);
}

std::string pci_kernel_driver(const std::string& address, const std::string& root) {
  std::error_code error;
  fs::path driver = fs::read_symlink(pci_directory(root, address) + "/driver", error);
  return error ? std::string() : driver.filename().string();
}

std::string verbs_module(const std::string& kernel_driver) {
  if (kernel_driver == "mlx5_core") return "mlx5_ib";
  if (kernel_driver == "mlx4_core") return "mlx4_ib";
  if (kernel_driver == "mana") return "mana_ib";
  return {};
}

static_assert(sizeof(cpu_set_t) == 128);

Affinity::Affinity() {
  if (pthread_getaffinity_np(pthread_self(), sizeof saved_, reinterpret_cast<cpu_set_t*>(saved_)) != 0)
    std::memset(saved_, 0xff, sizeof saved_);
}

void Affinity::pin(uint32_t cpu) const {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

void Affinity::restore() const {
  pthread_setaffinity_np(pthread_self(), sizeof saved_, reinterpret_cast<const cpu_set_t*>(saved_));
}

}  // namespace millrace::nic
