// SPDX-License-Identifier: BSD-3-Clause
// Huge pages, and memory at all. (run/doctor.h)
#include <algorithm>
#include <cstdlib>

#include "nic/machine.h"
#include "run/doctor.h"
#include "run/memory.h"

namespace millrace::run {

static const std::string huge_files = "/sys/kernel/mm/hugepages/";

static std::string megabytes(uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MB";
}

namespace {
struct Pages {
  std::string directory;  // "hugepages-2048kB"
  uint64_t size = 0;      // bytes
  uint64_t total = 0, free = 0;
};
}  // namespace

static std::vector<Pages> pages_in(const Tree& tree, const std::string& directory) {
  std::vector<Pages> out;
  for (const std::string& name : tree.names(directory)) {
    if (name.rfind("hugepages-", 0) != 0) continue;
    auto count = [&](const char* file) {
      return static_cast<uint64_t>(std::max<int64_t>(0, tree.number(directory + name + file).value_or(0)));
    };
    out.push_back({name, std::strtoull(name.c_str() + 10, nullptr, 10) * 1024, count("/nr_hugepages"),
                   count("/free_hugepages")});
  }
  std::sort(out.begin(), out.end(), [](const Pages& a, const Pages& b) { return a.size < b.size; });
  return out;
}

static uint64_t free_bytes(const std::vector<Pages>& all) {
  uint64_t bytes = 0;
  for (const Pages& pages : all) bytes += pages.free * pages.size;
  return bytes;
}

// Pages of the smallest size, on the device's node if it has one.
static std::string reserve(const std::string& directory, const Pages& pages, uint64_t missing) {
  uint64_t count = pages.total + (missing + pages.size - 1) / pages.size;
  return "echo " + std::to_string(count) + " | sudo tee " + directory + pages.directory +
         "/nr_hugepages (at each boot: hugepagesz=" + std::to_string(pages.size >> 20) +
         "M hugepages=" + std::to_string(count) + " on the kernel's command line)";
}

void examine_huge_pages(const Case& c, Findings& out) {
  const char* subject = "huge pages";
  auto all = pages_in(c.tree, huge_files);
  uint64_t free = free_bytes(all), need = c.packet_bytes;
  std::string needed = megabytes(need) + " for packets";
  if (c.copies_by_cpu()) {
    std::string what = free >= need ? megabytes(free) + " are free, and used"
                                    : "not needed for " + c.driver + ": " + needed + " are ordinary memory";
    return out.push_back({Finding::good, subject, what, ""});
  }
  if (all.empty())
    return out.push_back({Finding::poor, subject, "this kernel shows none (" + huge_files + ")",
                          "a kernel with CONFIG_HUGETLBFS; in a container, one that shows the host's /sys"});
  // A device without an IOMMU needs addresses that stay.
  std::string kernel_driver = c.pci.empty() ? "" : c.tree.link(c.pci_files() + "/driver");
  bool by_address =
      kernel_driver == "igb_uio" || kernel_driver == "uio_pci_generic" || c.iommu_group().empty();
  bool must = !c.pci.empty() && by_address && nic::verbs_module(kernel_driver).empty();
  if (free < need)
    return out.push_back(
        {must ? Finding::bad : Finding::poor, subject,
         megabytes(free) + " are free, " + needed + " are wanted" +
             (must ? "; " + c.what() + " works in no other memory" : ": ordinary memory is slower"),
         reserve(huge_files, all[0], need - free)});
  int node = c.numa_node();
  std::string node_files = "/sys/devices/system/node/node" + std::to_string(node) + "/hugepages/";
  auto near = node < 0 ? std::vector<Pages>{} : pages_in(c.tree, node_files);
  if (!near.empty() && free_bytes(near) < need)
    return out.push_back({Finding::poor, subject,
                          megabytes(free_bytes(near)) + " are free on the device's node " +
                              std::to_string(node) + ", " + needed + " are wanted there",
                          reserve(node_files, near[0], need - free_bytes(near))});
  out.push_back({Finding::good, subject, megabytes(free) + " are free, " + needed, ""});
}

void examine_memory(const Case& c, Findings& out) {
  bool huge = free_bytes(pages_in(c.tree, huge_files)) >= c.packet_bytes;
  uint64_t need = c.stack_bytes + (huge ? 0 : c.packet_bytes);
  auto left = memory_left(c.tree);
  if (!left) return out.push_back({Finding::unseen, "memory", "/proc/meminfo says nothing of it here", ""});
  std::string where = left->where;
  std::string what = megabytes(need) + " are wanted beside huge pages, " + where + " has " + megabytes(left->bytes);
  if (left->bytes < need)
    return out.push_back(
        {Finding::bad, "memory", what,
         "fewer --max-connections, --time-wait-records or --packet-buffers" +
             std::string(where == "this container" ? "; or a higher limit: docker run --memory" : "")});
  out.push_back({Finding::good, "memory", what, ""});
}

void examine_transparent_pages(const Case& c, Findings& out) {
  const std::string file = "/sys/kernel/mm/transparent_hugepage/enabled";
  auto text = c.tree.line(file);
  if (!text) return out.push_back({Finding::unseen, "transparent huge pages", "not shown here", ""});
  if (text->find("[never]") == std::string::npos)
    return out.push_back(
        {Finding::good, "transparent huge pages", "given to connections, which ask for them", ""});
  out.push_back({Finding::poor, "transparent huge pages",
                 "switched off: " + megabytes(c.stack_bytes) + " of connections lie in small pages",
                 "echo madvise | sudo tee " + file});
}

// A peer that does not read holds what was sent to it.
void examine_buffers(const Case& c, Findings& out) {
  const char* subject = "buffers";
  for (const Config& one : c.configs) {
    std::string what = std::to_string(one.packet_buffers) + " for packets, for " + std::to_string(one.max_connections) + " connections";
    if (one.packet_buffers < one.max_connections)
      return out.push_back({Finding::poor, subject,
                            what + ": as many peers that stop reading would leave none for the others",
                            "--packet-buffers " + std::to_string(one.max_connections) + ", or fewer --max-connections"});
    if (&one == &c.configs.back()) out.push_back({Finding::good, subject, what, ""});
  }
}

}  // namespace millrace::run
