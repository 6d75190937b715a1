// SPDX-License-Identifier: BSD-3-Clause
// examine() on machines made of files: one where all is well, and each thing that can be wrong with it.
#include <gtest/gtest.h>
#include <millrace/doctor.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace millrace {
namespace {

namespace fs = std::filesystem;

const std::string nic = "/sys/bus/pci/devices/0000:3b:00.0";
const std::string cpus = "/sys/devices/system/cpu";

class Machine {
 public:
  Machine() : root_(testing::TempDir() + "millrace_machine_" + std::to_string(getpid())) {
    fs::remove_all(root_);
  }
  ~Machine() { fs::remove_all(root_); }
  Machine(const Machine&) = delete;

  Machine& file(const std::string& path, const std::string& text = "") {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text << "\n";
    return *this;
  }
  Machine& link(const std::string& path, const std::string& target) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    fs::remove(root_ + path);
    fs::create_symlink(target, root_ + path);
    return *this;
  }
  Machine& remove(const std::string& path) {
    fs::remove_all(root_ + path);
    return *this;
  }
  std::vector<Finding> examine(std::vector<Config> configs) const {
    return millrace::examine(configs, root_);
  }

 private:
  const std::string root_;
};

// What does not depend on the device: eight CPUs, 2 and 3 isolated, no container.
void add_computer(Machine& m) {
  m.file("/proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff")
      .file("/proc/self/limits",
            "Max locked memory         unlimited            unlimited            bytes     ")
      .file("/proc/self/cgroup", "0::/user.slice/a.scope")
      .file("/proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable:   8000000 kB")
      .file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t\t: fpu constant_tsc nonstop_tsc sse2")
      .file("/proc/net/route", "Iface\tDestination\neth0\t00000000")
      .file("/proc/net/fib_trie",
            "Local:\n  |-- 127.0.0.1\n   /32 host LOCAL\n  |-- 198.51.100.4\n   /32 host LOCAL")
      .file("/sys/fs/cgroup/cpu.max", "max 100000")
      .file("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
      .file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1024")
      .file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "1024")
      .file(cpus + "/online", "0-7")
      .file(cpus + "/isolated", "2-3")
      .file(cpus + "/nohz_full", "2-3");
  for (int i = 0; i < 8; ++i)
    m.file(cpus + "/cpu" + std::to_string(i) + "/cpufreq/scaling_governor", "performance");
}

void add_nic(Machine& m) {
  m.file(nic + "/class", "0x020000")
      .file(nic + "/numa_node", "1")
      .file(nic + "/current_link_width", "8")
      .file(nic + "/max_link_width", "8")
      .file(nic + "/current_link_speed", "8.0 GT/s PCIe")
      .file(nic + "/max_link_speed", "8.0 GT/s PCIe")
      .link(nic + "/driver", "../../../bus/pci/drivers/vfio-pci")
      .link(nic + "/iommu_group", "../../../kernel/iommu_groups/12")
      .file("/sys/kernel/iommu_groups/12/devices/0000:3b:00.0")
      .file("/dev/vfio/12")
      .file("/sys/devices/system/node/node1/cpulist", "2-5")
      .file("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "512")
      .file("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "512");
}

Config on_nic() {
  Config config;
  config.device = "0000:3b:00.0";
  config.address = ipv4(192, 0, 2, 2);
  config.lcore = 2;
  return config;
}
Config on_tap() {
  Config config;
  config.device = "net_tap0,iface=mr0";
  return config;
}

// A device that VFIO has shows its link to nobody.
void expect_well(const Finding& f) {
  EXPECT_EQ(f.verdict, f.subject == "link" && f.what.find("only a start tells") != std::string::npos
                           ? Finding::unseen
                           : Finding::good)
      << f.subject << ": " << f.what;
}

class Doctor : public testing::Test {
 protected:
  Doctor() {
    add_computer(machine);
    add_nic(machine);
    machine.file("/dev/net/tun");
  }

  // The one finding of a subject, which is all that is not as well as `others`.
  Finding only(const std::string& subject, const std::vector<Config>& configs) {
    Finding found{};
    size_t count = 0;
    for (const Finding& f : machine.examine(configs)) {
      if (f.subject == subject)
        found = f, ++count;
      else
        expect_well(f);
    }
    EXPECT_EQ(count, 1u) << subject;
    return found;
  }
  void expect(const std::string& subject, Finding::Verdict verdict, const std::string& what,
              const std::string& mend, const std::vector<Config>& configs = {on_nic()}) {
    Finding f = only(subject, configs);
    EXPECT_EQ(f.verdict, verdict) << f.what;
    EXPECT_NE(f.what.find(what), std::string::npos) << f.what;
    EXPECT_NE(f.mend.find(mend), std::string::npos) << f.mend;
    if (verdict == Finding::good || verdict == Finding::unseen) {
      EXPECT_EQ(f.mend, "");
    }
  }

  Machine machine;
};

TEST_F(Doctor, finds_nothing_wrong_where_all_is_well) {
  for (const Finding& f : machine.examine({on_nic()})) {
    expect_well(f);
    EXPECT_EQ(f.mend, "");
  }
}

TEST_F(Doctor, says_what_it_cannot_see_and_names_nothing_bad_for_it) {
  Machine empty;
  Config left, right;
  for (const Finding& f : empty.examine({left, right}))
    EXPECT_LE(f.verdict, Finding::unseen) << f.subject << f.what;
}

TEST_F(Doctor, fewer_buffers_than_connections) {
  Config config = on_nic();
  config.packet_buffers = 4096;
  config.max_connections = 5000;
  expect("buffers", Finding::poor, "4096 for packets, for 5000 connections", "--packet-buffers 5000", {config});
}

// --- the driver ---

TEST_F(Doctor, a_nic_that_is_not_there) {
  machine.remove(nic);
  expect("device", Finding::bad, "no PCI device 0000:3b:00.0", "dpdk-devbind.py --status-dev net");
}
TEST_F(Doctor, a_device_that_is_no_nic) {
  machine.file(nic + "/class", "0x010802");
  expect("device", Finding::bad, "no network device", "dpdk-devbind.py");
}
TEST_F(Doctor, a_nic_that_the_kernel_has) {
  machine.link(nic + "/driver", "../drivers/ixgbe");
  expect("driver", Finding::bad, "bound to the kernel's ixgbe",
         "sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0");
}
TEST_F(Doctor, a_nic_that_nobody_has) {
  machine.remove(nic + "/driver");
  expect("driver", Finding::bad, "no driver", "--bind=vfio-pci 0000:3b:00.0");
}
TEST_F(Doctor, a_nic_by_which_one_may_be_logged_in) {
  machine.link(nic + "/driver", "../drivers/virtio-pci").file(nic + "/virtio2/net/eth0/x");
  machine.file("/sys/class/net/eth0/carrier", "1");
  expect("driver", Finding::bad, "eth0 (virtio-pci), and this machine's routes",
         "sudo ip link set eth0 down");
}
TEST_F(Doctor, uio_works_and_is_not_safe) {
  machine.link(nic + "/driver", "../drivers/igb_uio");
  expect("driver", Finding::poor, "igb_uio", "--bind=vfio-pci 0000:3b:00.0");
}
TEST_F(Doctor, a_bifurcated_nic_needs_no_binding_but_verbs) {
  machine.link(nic + "/driver", "../drivers/mlx5_core");
  expect("driver", Finding::bad, "bifurcated", "modprobe -a ib_uverbs mlx5_ib");
  machine.file("/sys/class/infiniband_verbs/uverbs0/dev", "231:192");
  for (const Finding& f : machine.examine({on_nic()})) expect_well(f);
}

// --- the IOMMU ---

TEST_F(Doctor, no_iommu) {
  machine.remove(nic + "/iommu_group").file("/dev/vfio/noiommu-");
  expect("IOMMU", Finding::bad, "none is at work", "intel_iommu=on iommu=pt");
  machine.file("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\nflags\t\t: constant_tsc nonstop_tsc");
  expect("IOMMU", Finding::bad, "none is at work", "AMD-Vi");
  machine.file("/proc/cpuinfo", "flags\t\t: constant_tsc nonstop_tsc hypervisor");
  expect("IOMMU", Finding::bad, "virtual machine", "enable_unsafe_noiommu_mode");
}
TEST_F(Doctor, vfio_that_is_told_to_go_without) {
  machine.file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y")
      .file("/sys/kernel/iommu_groups/12/name", "vfio-noiommu")
      .file("/dev/vfio/noiommu-12");
  expect("IOMMU", Finding::poor, "goes without", "");
}
TEST_F(Doctor, a_group_of_which_the_kernel_has_a_part) {
  std::string other = "/sys/bus/pci/devices/0000:3b:00.1";
  machine.file("/sys/kernel/iommu_groups/12/devices/0000:3b:00.1")
      .link(other + "/driver", "../drivers/ixgbe");
  expect("IOMMU", Finding::bad, "0000:3b:00.1 (ixgbe)", "--bind=vfio-pci 0000:3b:00.1");
  machine.link(other + "/driver", "../drivers/vfio-pci");
  expect("IOMMU", Finding::good, "group 12", "");
  machine.link(other + "/driver", "../drivers/pcieport")
      .file(other + "/class", "0x060400");  // a bridge may stay
  expect("IOMMU", Finding::good, "group 12", "");
}

// --- permissions ---

TEST_F(Doctor, a_vfio_group_that_may_not_be_opened) {
  machine.remove("/dev/vfio/12");
  expect("permissions", Finding::bad, "/dev/vfio/12", "sudo chown $USER /dev/vfio/12");
}
TEST_F(Doctor, too_little_memory_to_lock) {
  machine.file("/proc/self/limits",
               "Max locked memory         8388608              8388608              bytes     ");
  expect("permissions", Finding::good, "", "");  // CAP_IPC_LOCK
  machine.file("/proc/self/status", "CapEff:\t0000000000000000");
  expect("permissions", Finding::bad, "8 MB", "memlock unlimited");
}
TEST_F(Doctor, devices_that_need_capabilities) {
  machine.file("/proc/self/status", "CapEff:\t0000000000000000")
      .file("/proc/net/fib_trie", "|-- 10.9.0.1\n /32 host LOCAL");
  expect("permissions", Finding::bad, "net_tap needs CAP_NET_ADMIN", "sudo", {on_tap()});
  Config config = on_tap();
  config.device = "net_af_packet0,iface=eth1";
  machine.file("/sys/class/net/eth1/carrier", "1").file("/sys/class/net/eth1/mtu", "1500");
  expect("permissions", Finding::bad, "CAP_NET_RAW", "--cap-add NET_RAW", {config});
}

// --- virtual devices ---

TEST_F(Doctor, a_tap_needs_neither_huge_pages_nor_vfio) {
  machine.remove("/sys/kernel")
      .remove("/dev/vfio")
      .file("/proc/net/fib_trie", "|-- 10.9.0.1\n /32 host LOCAL");
  machine.file("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never").remove(nic);
  expect("huge pages", Finding::good, "not needed for net_tap", "", {on_tap()});
  expect("IOMMU, VFIO", Finding::good, "not needed for net_tap", "", {on_tap()});
  expect("CPU isolation", Finding::good, "not needed for net_tap", "", {on_tap()});
}
TEST_F(Doctor, a_pair_needs_nothing) {
  machine.remove("/sys/bus").remove("/dev").remove("/sys/kernel/mm/hugepages");
  Config left = on_nic(), right = on_nic();
  expect("device", Finding::good, "no NIC and no root", "", {left, right});
  expect("huge pages", Finding::good, "not needed for net_ring", "", {left, right});
}
TEST_F(Doctor, no_taps_here) {
  machine.remove("/dev/net/tun").file("/proc/net/fib_trie", "|-- 10.9.0.1\n /32 host LOCAL");
  expect("device", Finding::bad, "/dev/net/tun", "modprobe tun", {on_tap()});
}
TEST_F(Doctor, a_tap_that_somebody_has) {
  machine.file("/sys/class/net/mr0/carrier", "1").file("/proc/net/fib_trie", "|-- 10.9.0.1\n /32 host LOCAL");
  expect("device", Finding::bad, "mr0 is in use", "another name", {on_tap()});
}
TEST_F(Doctor, a_tap_with_nobody_at_its_other_end) {
  expect("addresses", Finding::poor, "nobody is at the other end",
         "sudo ip tuntap add dev mr0 mode tap multi_queue; sudo ip address add 10.9.0.1/24 dev mr0",
         {on_tap()});
}
TEST_F(Doctor, an_address_that_the_kernel_has_too) {
  machine.file("/proc/net/fib_trie", "|-- 10.9.0.2\n /32 host LOCAL");
  expect("addresses", Finding::bad, "10.9.0.2 is this kernel's own", "sudo ip address del 10.9.0.2",
         {on_tap()});
}
TEST_F(Doctor, an_interface_under_af_packet) {
  Config config = on_nic();
  config.device = "net_af_packet0,iface=eth1";
  expect("device", Finding::bad, "no interface eth1", "ip -brief link", {config});
  machine.file("/sys/class/net/eth1/mtu", "1400");
  expect("link", Finding::bad, "eth1 is down", "sudo ip link set eth1 up", {config});
  machine.file("/sys/class/net/eth1/carrier", "0");
  expect("link", Finding::bad, "no carrier", "ethtool eth1", {config});
  machine.file("/sys/class/net/eth1/carrier", "1");
  expect("link", Finding::bad, "MTU of 1400", "--mtu 1400", {config});
  machine.file("/sys/class/net/eth1/mtu", "1500");
  expect("link", Finding::good, "eth1 is up", "", {config});
}

// --- memory ---

TEST_F(Doctor, too_few_huge_pages) {
  machine.file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0");
  expect("huge pages", Finding::poor, "0 MB are free",
         "| sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  Config config = on_nic();
  config.packet_buffers = 4096;  // 3 x 4096 x 2432 bytes and 96 MB, in pages of 2 MB: 63 more
  config.max_connections = 4096;
  expect("huge pages", Finding::poor, "125 MB", "echo 1087 |", {config});
}
TEST_F(Doctor, huge_pages_on_the_wrong_node) {
  machine.file("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "3");
  expect("huge pages", Finding::poor, "6 MB are free on the device's node 1",
         "| sudo tee /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
}
TEST_F(Doctor, huge_pages_that_a_device_without_an_iommu_must_have) {
  machine.link(nic + "/driver", "../drivers/uio_pci_generic");
  machine.file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0");
  auto found = machine.examine({on_nic()});
  auto pages =
      std::find_if(found.begin(), found.end(), [](const Finding& f) { return f.subject == "huge pages"; });
  ASSERT_NE(pages, found.end());
  EXPECT_EQ(pages->verdict, Finding::bad) << pages->what;
}
TEST_F(Doctor, too_little_memory) {
  machine.file("/proc/meminfo", "MemAvailable:   1000 kB");
  expect("memory", Finding::bad, "this machine has 1 MB", "--max-connections");
  machine.file("/proc/meminfo", "MemAvailable:   8000000 kB")
      .file("/sys/fs/cgroup/memory.max", "30000000")
      .file("/sys/fs/cgroup/memory.current", "20000000");
  expect("memory", Finding::bad, "this container has 10 MB", "docker run --memory");
}
TEST_F(Doctor, no_transparent_huge_pages) {
  machine.file("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]");
  expect("transparent huge pages", Finding::poor, "switched off",
         "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
}

// --- CPUs ---

TEST_F(Doctor, a_cpu_that_is_not_there) {
  machine.file(cpus + "/online", "0-1").file(cpus + "/isolated", "0-3");
  expect("CPU", Finding::bad, "no CPU 2", "one of 0-1");
}
TEST_F(Doctor, a_cpu_that_the_container_may_not_use) {
  machine.file("/sys/fs/cgroup/cpuset.cpus.effective", "4-5");
  expect("CPU", Finding::bad, "may not use CPU 2", "--cpuset-cpus=2");
}
TEST_F(Doctor, a_cpu_on_another_node) {
  machine.file("/sys/devices/system/node/node1/cpulist", "4-7");
  expect("NUMA", Finding::poor, "CPU 2 is on another node", "one of 4-7");
}
TEST_F(Doctor, a_cpu_that_nobody_has_chosen_is_of_the_devices_node) {
  machine.file("/sys/devices/system/node/node0/cpulist", "0-3").file("/sys/devices/system/node/node1/cpulist", "4-7");
  Config config = on_nic();
  config.lcore = Config::any_lcore;
  std::string said;
  for (const Finding& f : machine.examine({config}))
    if (f.subject == "NUMA") said = std::string(name(f.verdict)) + ": " + f.what;
  EXPECT_EQ(said, "good: 0000:3b:00.0 and CPU 4 are on node 1");
}
TEST_F(Doctor, a_cpu_that_is_not_left_alone) {
  machine.file(cpus + "/isolated", "3");
  expect("CPU isolation", Finding::poor, "on CPU 2",
         "isolcpus=managed_irq,domain,2 nohz_full=2 rcu_nocbs=2 irqaffinity=0-1,3-7");
  machine.file(cpus + "/isolated", "2").file(cpus + "/nohz_full", "(null)");
  expect("CPU isolation", Finding::poor, "ticks", "nohz_full=2");
}
TEST_F(Doctor, a_cpu_that_is_not_at_full_speed) {
  machine.file(cpus + "/cpu2/cpufreq/scaling_governor", "powersave");
  expect("CPU frequency", Finding::poor, "powersave",
         "for c in 2; do echo performance | sudo tee /sys/devices/system/cpu/cpu$c/cpufreq/scaling_governor; done");
  machine.remove(cpus + "/cpu2/cpufreq");
  expect("CPU frequency", Finding::unseen, "virtual machine", "");
}
TEST_F(Doctor, a_container_with_half_a_cpu) {
  machine.file("/sys/fs/cgroup/cpu.max", "50000 100000");
  expect("CPU quota", Finding::poor, "0.5 CPUs", "docker run without --cpus");
  machine.file("/sys/fs/cgroup/cpu.max", "200000 100000");
  expect("CPU quota", Finding::good, "2 CPUs, enough", "");
  machine.file("/sys/fs/cgroup/user.slice/cpu.max", "10000 100000");  // a parent's counts
  expect("CPU quota", Finding::poor, "0.1 CPUs", "CPUQuota");
}
TEST_F(Doctor, a_container_of_the_older_kind) {
  machine.remove("/sys/fs/cgroup").file("/proc/self/cgroup", "4:cpu,cpuacct:/docker/a\n3:cpuset:/docker/a");
  machine.file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
      .file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  expect("CPU quota", Finding::good, "none", "");
  machine.file("/sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us", "25000");
  machine.file("/sys/fs/cgroup/cpu/docker/a/cpu.cfs_period_us", "100000");
  expect("CPU quota", Finding::poor, "0.25 CPUs", "--cpuset-cpus=2");
}
TEST_F(Doctor, a_narrow_slot) {
  machine.file(nic + "/current_link_width", "4");
  expect("PCIe slot", Finding::poor, "8.0 GT/s PCIe x4, where the device can 8.0 GT/s PCIe x8",
         "lspci -vv -s 0000:3b:00.0");
}
TEST_F(Doctor, a_time_stamp_counter_that_stops) {
  machine.file("/proc/cpuinfo", "flags\t\t: constant_tsc sse2");
  expect("clock", Finding::poor, "not said to run evenly", "invtsc");
}

}  // namespace
}  // namespace millrace
