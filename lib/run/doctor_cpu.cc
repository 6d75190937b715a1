// SPDX-License-Identifier: BSD-3-Clause
// The CPUs that poll: are they there, near the device, left alone, fast, and not rationed? (run/doctor.h)
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "nic/machine.h"
#include "run/doctor.h"

namespace millrace::run {

static const std::string cpu_files = "/sys/devices/system/cpu/";

static std::string cpu_name(const Case& c) {
  return (c.cpus.size() == 1 ? "CPU " : "CPUs ") + to_text(c.cpus);
}

static Cpus without(const Cpus& all, const Cpus& some) {
  Cpus rest;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::inserter(rest, rest.end()));
  return rest;
}

// This process's directory of a controller: cgroup v2 if `controller` is empty. In a container that sees only
// its own, the path of the outside is not there, and the top is its own.
static std::vector<std::string> cgroups(const Case& c, const std::string& controller) {
  std::vector<std::string> out;
  for (const std::string& line : c.tree.lines("/proc/self/cgroup")) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    bool is_it = controller.empty() ? controllers == ",,"
                                    : controllers.find("," + controller + ",") != std::string::npos;
    if (!is_it) continue;
    std::string top = "/sys/fs/cgroup/" + controller;
    for (std::string path = line.substr(second + 1);; path.erase(path.rfind('/'))) {
      if (path.size() > 1) out.push_back(top + path);
      if (path.rfind('/') == std::string::npos || path.size() <= 1) break;
    }
    out.push_back(top);
    if (controller.empty()) out.push_back("/sys/fs/cgroup/unified");
  }
  return out;
}

void examine_cpu(const Case& c, Findings& out) {
  auto online = c.tree.line(cpu_files + "online");
  if (!online) return out.push_back({Finding::unseen, "CPU", "which CPUs there are is not shown here", ""});
  Cpus absent = without(c.cpus, parse_cpus(*online));
  if (!absent.empty())
    return out.push_back({Finding::bad, "CPU", "no CPU " + to_text(absent) + " here, but " + *online,
                          "--lcore N, one of " + *online});
  std::optional<std::string> allowed;
  for (const std::string& group : cgroups(c, ""))
    if (!allowed) allowed = c.tree.line(group + "/cpuset.cpus.effective");
  for (const std::string& group : cgroups(c, "cpuset"))
    if (!allowed) allowed = c.tree.line(group + "/cpuset.effective_cpus");
  if (Cpus denied = allowed ? without(c.cpus, parse_cpus(*allowed)) : Cpus{};
      !denied.empty() && !allowed->empty())
    return out.push_back(
        {Finding::bad, "CPU", "this container may not use CPU " + to_text(denied) + ", only " + *allowed,
         "--lcore N, one of " + *allowed + "; or docker run --cpuset-cpus=" + to_text(c.cpus)});
  uint32_t cores = 0;
  for (const Config& one : c.configs) cores = std::max(cores, one.cores);
  if (cores > c.cpus.size())
    return out.push_back({Finding::poor, "CPU", std::to_string(cores) + " cores take turns on " + cpu_name(c),
                          "--cores " + std::to_string(c.cpus.size())});
  out.push_back({Finding::good, "CPU", cpu_name(c) + " of " + *online, ""});
}

void examine_numa(const Case& c, Findings& out) {
  int node = c.numa_node();
  if (c.pci.empty()) return;
  if (node < 0)
    return out.push_back({Finding::unseen, "NUMA",
                          "the device's node is not said: this machine has one, or its firmware "
                          "does not tell",
                          ""});
  auto near = c.tree.line("/sys/devices/system/node/node" + std::to_string(node) + "/cpulist");
  if (!near)
    return out.push_back(
        {Finding::unseen, "NUMA", "the CPUs of node " + std::to_string(node) + " are not shown", ""});
  Cpus far = without(c.cpus, parse_cpus(*near));
  if (far.empty())
    return out.push_back(
        {Finding::good, "NUMA", c.pci + " and " + cpu_name(c) + " are on node " + std::to_string(node), ""});
  Cpus isolated = parse_cpus(c.tree.line(cpu_files + "isolated").value_or("")), best;
  for (uint32_t cpu : parse_cpus(*near))
    if (isolated.contains(cpu)) best.insert(cpu);
  out.push_back({Finding::poor, "NUMA",
                 "CPU " + to_text(far) + " is on another node than " + c.pci + " (node " +
                     std::to_string(node) + "): each packet crosses between sockets",
                 "--lcore N, one of " + (best.empty() ? *near : to_text(best))});
}

void examine_isolation(const Case& c, Findings& out) {
  if (c.has_kernel_behind())
    return out.push_back({Finding::good, "CPU isolation",
                          "not needed for " + c.driver + ": the kernel works for each packet", ""});
  auto online = c.tree.line(cpu_files + "online"), isolated = c.tree.line(cpu_files + "isolated");
  if (!isolated || !online) return out.push_back({Finding::unseen, "CPU isolation", "not shown here", ""});
  Cpus busy = without(c.cpus, parse_cpus(*isolated));
  Cpus ticking = without(c.cpus, parse_cpus(c.tree.line(cpu_files + "nohz_full").value_or("")));
  Cpus rest = without(parse_cpus(*online), c.cpus);
  std::string list = to_text(c.cpus);
  std::string mend =
      "on the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, sudo update-grub, reboot): "
      "isolcpus=managed_irq,domain," +
      list + " nohz_full=" + list + " rcu_nocbs=" + list + " irqaffinity=" + to_text(rest);
  if (rest.empty())
    return out.push_back(
        {Finding::poor, "CPU isolation",
         "all CPUs of this machine poll: the kernel and everybody else take their time from them",
         "a machine with one CPU more than poll"});
  if (c.cpus.contains(0) && !busy.empty())
    return out.push_back(
        {Finding::poor, "CPU isolation", "CPU 0 polls, and does the kernel's own work",
         "--lcore N, another one, and that isolated: isolcpus=managed_irq,domain,N nohz_full=N rcu_nocbs=N "
         "on the kernel's command line"});
  if (!busy.empty())
    return out.push_back(
        {Finding::poor, "CPU isolation",
         "the scheduler may put others on CPU " + to_text(busy) + ": they show in the latency", mend});
  if (!ticking.empty())
    return out.push_back(
        {Finding::poor, "CPU isolation",
         "CPU " + to_text(ticking) + " is isolated, but its timer interrupt ticks (no nohz_full)", mend});
  out.push_back({Finding::good, "CPU isolation", cpu_name(c) + ": isolated, without a tick", ""});
}

void examine_governor(const Case& c, Findings& out) {
  Cpus slow, unseen;
  std::string governor;
  for (uint32_t cpu : c.cpus) {
    auto text = c.tree.line(cpu_files + "cpu" + std::to_string(cpu) + "/cpufreq/scaling_governor");
    if (!text)
      unseen.insert(cpu);
    else if (*text != "performance")
      slow.insert(cpu), governor = *text;
  }
  std::string each;
  for (uint32_t cpu : slow) each += " " + std::to_string(cpu);
  if (!slow.empty())
    return out.push_back({Finding::poor, "CPU frequency", "CPU " + to_text(slow) + " is governed by " + governor,
                          "for c in" + each + "; do echo performance | sudo tee /sys/devices/system/cpu/cpu$c/cpufreq/" +
                              "scaling_governor; done"});
  if (!unseen.empty())
    return out.push_back(
        {Finding::unseen, "CPU frequency",
         "no governor of CPU " + to_text(unseen) + " here: a virtual machine's is its host's matter", ""});
  out.push_back({Finding::good, "CPU frequency", cpu_name(c) + ": performance", ""});
}

void examine_quota(const Case& c, Findings& out) {
  if (!c.tree.exists("/proc/self/cgroup"))
    return out.push_back({Finding::unseen, "CPU quota", "no /proc/self/cgroup here", ""});
  double quota = nic::cpu_quota(c.tree.path("/proc/self/cgroup"), c.tree.path("/sys/fs/cgroup"));
  if (quota == 0) return out.push_back({Finding::good, "CPU quota", "none", ""});
  char text[64];
  std::snprintf(text, sizeof text, "%.2g CPUs", quota);
  double threads = static_cast<double>(c.cpus.size()) + (!c.rings && c.config.mode == Mode::thread ? 1 : 0);
  if (quota >= threads)
    return out.push_back({Finding::good, "CPU quota", text + std::string(", enough"), ""});
  out.push_back({Finding::poor, "CPU quota",
                 "this control group may use " + std::string(text) + " and polls with " +
                     std::to_string(static_cast<int>(threads)) +
                     ": it is stopped for the rest of each period",
                 "docker run without --cpus (--cpuset-cpus=" + to_text(c.cpus) +
                     " instead); Kubernetes: the static CPU manager and whole CPUs; systemd: CPUQuota="});
}

void examine_clock(const Case& c, Findings& out) {
  for (const std::string& line : c.tree.lines("/proc/cpuinfo")) {
    if (line.rfind("flags", 0) != 0) continue;
    std::string flags = line + " ";
    if (flags.find(" constant_tsc ") != std::string::npos && flags.find(" nonstop_tsc ") != std::string::npos)
      return out.push_back({Finding::good, "clock", "the time stamp counter runs evenly", ""});
    return out.push_back(
        {Finding::poor, "clock",
         "the time stamp counter is not said to run evenly (constant_tsc, nonstop_tsc): times may be wrong",
         "in a virtual machine: have its CPU show the host's (QEMU: -cpu host,+invtsc)"});
  }
  out.push_back({Finding::unseen, "clock", "/proc/cpuinfo has no flags here", ""});
}

}  // namespace millrace::run
