// SPDX-License-Identifier: BSD-3-Clause
// Which EAL options a device and a machine ask for. (nic/eal.h)
#include "nic/eal.h"

#include <fcntl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_pdump.h>
#include <rte_version.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "millrace/config.h"
#include "nic/device.h"
#include "nic/machine.h"
#include "nic/overheard.h"
#include "nic/topology.h"

namespace millrace::nic {

static bool started = false;
static std::string& shared_as = *new std::string;  // needed after all statics have gone

static bool starts_with(const std::string& text, const char* prefix) {
  return text.rfind(prefix, 0) == 0;
}

static void choose_memory(const EalNeeds& needs, bool is_pci, std::vector<std::string>& options) {
  size_t need = needs.packet_bytes + eal_base_bytes;
  if (!needs.share.empty()) {
    // Another process maps the same files, so there must be some. What a killed one of this name has left is free.
    if (huge_bytes() < need)
      throw ConfigError("--share needs " + std::to_string(need >> 20) + " MB of huge pages: echo " +
                        std::to_string((need >> 21) + 1) + " | sudo tee /proc/sys/vm/nr_hugepages");
    if (hugetlbfs_mounts().empty())
      throw ConfigError("--share needs huge pages as files: sudo mkdir -p /dev/hugepages && sudo mount -t hugetlbfs nodev "
                        "/dev/hugepages");
    return;
  }
  if (free_huge_bytes() >= need) {
    if (std::string why = huge_pages_obstacle(needs.lcore, allowed_cpus(), (need >> 21) + 1); !why.empty())
      throw ConfigError(why, "core.lcore");
    options.push_back("--in-memory");  // leaves no files behind, whatever end the program comes to
    if (starts_with(needs.device, "net_virtio_user") || starts_with(needs.device, "net_vhost"))
      options.push_back("--single-file-segments");  // else the link is up and nothing passes
    return;
  }
  if (is_pci) need = eal_base_bytes + 2 * needs.packet_bytes;  // one in each page at most (nic/mempool)
  // Never together with --in-memory: DPDK 22.11 does not start then.
  options.insert(options.end(), {"--no-huge", "--no-shconf", "-m", std::to_string(need >> 20)});
  // What this CPU alone touches is as fast in any page.
  if (needs.device.empty() || copies_by_cpu(needs.device)) return;
  std::fprintf(
      stderr,
      "millrace: %zu MB of huge pages are not free: going on with ordinary memory, which costs up to a "
      "quarter of the speed%s; to reserve: echo %zu | sudo tee /proc/sys/vm/nr_hugepages\n",
      need >> 20, is_pci ? " and asks the NIC for an IOMMU" : "", (need >> 21) + 1);
}

static std::vector<std::string> choose(const EalNeeds& needs) {
  std::string pci = pci_address(needs.device);
  std::vector<std::string> options = {"-l",
                                      std::to_string(needs.lcore),
                                      "--file-prefix=" + (needs.share.empty() ? "millrace" + std::to_string(getpid())
                                                                               : needs.share),
                                      "--log-level=lib.*:error",
                                      "--log-level=pmd.*:error",
                                      "--log-level=bus.*:error"};
  if (pci.empty())
    // An allow-list without PCI devices would not stop the scan. No device here does DMA: virtual addresses
    // do.
    options.insert(options.end(), {"--no-pci", "--iova-mode=va"});
  else
    options.insert(options.end(),
                   {"-a", pci + needs.device.substr(std::min(needs.device.find(','), needs.device.size()))});
  choose_memory(needs, !pci.empty(), options);
  return options;
}

static rlim_t open_descriptors() {
  std::error_code ignored;
  rlim_t count = 0;
  for (std::filesystem::directory_iterator i("/proc/self/fd", ignored), end; !ignored && i != end; i.increment(ignored)) ++count;
  return count;
}

// The limit is raised as far as this process may. Libraries below do not all say that they got no descriptor: some end the
// program.
static void demand_descriptors(uint32_t cores) {
  constexpr rlim_t of_process = 40, of_core = 8;  // files, sockets and queues, and some that come and go
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t needed = open_descriptors() + of_process + of_core * cores;
  if (limit.rlim_cur >= needed) return;
  limit.rlim_cur = std::min(limit.rlim_max, needed);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= needed) return;
  throw ConfigError("only " + std::to_string(limit.rlim_max) + " files may be open at a time, and " + std::to_string(needed) +
                    " are needed: ulimit -n " + std::to_string(needed));
}

// EAL prints its whole usage to stdout when an option is wrong; the sentence that follows is enough.
static int init_without_usage(std::vector<char*>& argv) {
  std::fflush(stdout);
  int saved = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
  int result = rte_eal_init(static_cast<int>(argv.size()) - 1, argv.data());
  int error = rte_errno;
  std::fflush(stdout);
  if (saved >= 0) dup2(saved, STDOUT_FILENO);
  close(saved);
  close(nowhere);
  rte_errno = error;
  return result;
}

// EAL leaves its directory behind, and all that is shared. A program that has not started has nothing there: the name
// may be another's.
static void remove_files() {
  if (!started) return;
  if (shared_as.empty()) {
    rmdir(rte_eal_get_runtime_dir());
    return;
  }
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::remove_all(rte_eal_get_runtime_dir(), ignored);
  for (const std::string& mount : hugetlbfs_mounts())
    for (const auto& file : fs::directory_iterator(mount, ignored))
      if (starts_with(file.path().filename(), (shared_as + "map_").c_str())) fs::remove(file.path(), ignored);
}

void start_eal(const EalNeeds& needs) {
  if (started) return;
  if (!cpu_exists(needs.lcore))
    throw ConfigError("no CPU " + std::to_string(needs.lcore) + " here: give --lcore 0 to " +
                      std::to_string(cpu_count() - 1));
  demand_descriptors(needs.cores);
  std::vector<std::string> options = needs.options.empty() ? choose(needs) : needs.options;

  // EAL keeps the pointers, so the strings live as long as the process.
  static std::vector<std::string> words;
  static std::vector<char*> argv;
  words = {"millrace"};
  words.insert(words.end(), options.begin(), options.end());
  std::string line;
  for (std::string& word : words) {
    argv.push_back(word.data());
    line += (line.empty() ? "" : " ") + word;
  }
  argv.push_back(nullptr);
  // Telemetry's socket is unlinked by a function of EAL's own at the end. What is registered earlier is called later.
  if (needs.options.empty()) std::atexit(remove_files);
  {
    Overheard heard;
    for (const std::string& option : needs.options)
      if (starts_with(option, "--log-level")) Overheard::show_all();
    if (init_without_usage(argv) < 0) {
      std::string reason = heard.reason();
      throw ConfigError("DPDK's EAL does not start with " + line.substr(words[0].size() + 1) +
                        (reason.empty() ? std::string(" (") + rte_strerror(rte_errno) + ")" : reason) +
                        (needs.share.empty() ? "" : "; does another program share as " + needs.share + "?"));
    }
    if (!needs.options.empty()) Overheard::show_all();
  }
  // Only who shares its memory can be attached to; the tables for it take 4 MB.
  if (access((std::string(rte_eal_get_runtime_dir()) + "/config").c_str(), F_OK) == 0 && rte_eal_has_hugepages() != 0)
    static_cast<void>(rte_pdump_init());
  shared_as = needs.share;
  started = true;
}

std::vector<uint32_t> lcore_cpus(const std::vector<std::string>& options, const std::vector<uint32_t>& chosen) {
  bool named = false;
  for (const std::string& option : options)
    named |= starts_with(option, "-l") || starts_with(option, "-c") || starts_with(option, "--lcores");
  std::vector<uint32_t> cpus;
  auto add = [&](unsigned lcore) {
    rte_cpuset_t set = rte_lcore_cpuset(lcore);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) return cpus.push_back(cpu);
  };
  if (named) {
    add(rte_get_main_lcore());
    unsigned lcore = 0;
    RTE_LCORE_FOREACH_WORKER(lcore) add(lcore);
  }
  if (cpus.empty()) return chosen;
  size_t count = chosen.size();
  for (size_t given = cpus.size(); cpus.size() < count;) cpus.push_back(cpus[cpus.size() - given]);
  cpus.resize(count);
  return cpus;
}

bool small_pages() {
  return rte_eal_has_hugepages() == 0;
}

std::string eal_version() {
  return rte_version();
}

namespace {
struct Registration {
  bool ours = false;
  Registration() { ours = rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0; }
  ~Registration() {
    if (ours) rte_thread_unregister();
  }
};
}  // namespace

void register_thread() {
  thread_local Registration registration;
}

}  // namespace millrace::nic
