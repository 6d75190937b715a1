// SPDX-License-Identifier: BSD-3-Clause
// What is read of a machine before anything starts, on machines made of files: its nodes, who gets which CPU, and what a
// PCI device is bound to. Of a second node this machine has nothing to show: the guest has (nic/guest/guest_memory.py).
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "millrace/config.h"
#include "nic/device.h"
#include "nic/machine.h"
#include "nic/overheard.h"
#include "nic/topology.h"

namespace millrace::nic {
namespace {

namespace fs = std::filesystem;
using Cpus = std::vector<uint32_t>;

class Machine : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "millrace_machine_XXXXXX";
    ASSERT_NE(mkdtemp(root_.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(root_ + file).parent_path());
    std::ofstream(root_ + file) << text << "\n";
  }
  void link(const std::string& file, const std::string& to) {
    fs::create_directories(fs::path(root_ + file).parent_path());
    fs::create_symlink(to, root_ + file);
  }
  void node(int number, const std::string& cpus, const std::string& distance = "") {
    std::string files = "/sys/devices/system/node/node" + std::to_string(number);
    write(files + "/cpulist", cpus);
    if (!distance.empty()) write(files + "/distance", distance);
  }
  // Two sockets, whose hyperthreads come behind the cores; nodes 0 and 1.
  void two_nodes() {
    node(0, "0-3,8-11", "10 21");
    node(1, "4-7,12-15", "21 10");
  }
  Topology topology(const Cpus& allowed) const { return read_topology(allowed, root_); }
  std::string root_;
};

const Cpus sixteen = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

TEST_F(Machine, EachCpuHasItsNode) {
  two_nodes();
  Topology read = topology(sixteen);
  for (const Topology::Cpu& cpu : read.cpus) EXPECT_EQ(cpu.node, cpu.number / 4 % 2) << cpu.number;
  EXPECT_EQ(read.between(0, 1), 21u);
  EXPECT_EQ(read.between(1, 1), 10u);
}

TEST_F(Machine, LcoresComeFromTheDevicesNodeFirst) {
  two_nodes();
  Topology all = topology(sixteen);
  EXPECT_EQ(choose_cpus(all, Config::any_lcore, 4, 1), (Cpus{4, 5, 6, 7}));
  EXPECT_EQ(choose_cpus(all, Config::any_lcore, 4, 0), (Cpus{0, 1, 2, 3}));
  // More than the node has: then those of the other.
  EXPECT_EQ(choose_cpus(all, Config::any_lcore, 10, 1), (Cpus{4, 5, 6, 7, 12, 13, 14, 15, 0, 1}));
  // More than there are: they take turns, near ones first.
  EXPECT_EQ(choose_cpus(topology({3, 4, 5}), Config::any_lcore, 5, 1), (Cpus{4, 5, 3, 4, 5}));
}

TEST_F(Machine, OnlyCpusThatMayBeUsed) {
  two_nodes();
  EXPECT_EQ(choose_cpus(topology({2, 3, 6, 13}), Config::any_lcore, 3, 1), (Cpus{6, 13, 2}));
  EXPECT_EQ(choose_cpus(topology({2, 3}), Config::any_lcore, 1, 1), (Cpus{2}));  // none is near
}

TEST_F(Machine, TheNearestNodeIsNext) {
  node(0, "0", "10 40 20");
  node(1, "1", "40 10 30");
  node(2, "2", "20 30 10");
  EXPECT_EQ(choose_cpus(topology({0, 1, 2}), Config::any_lcore, 3, 1), (Cpus{1, 2, 0}));
  EXPECT_EQ(choose_cpus(topology({0, 1, 2}), Config::any_lcore, 3, 0), (Cpus{0, 2, 1}));
}

// Nodes without CPUs (memory alone), holes in their numbers, and no distances.
TEST_F(Machine, OddNodes) {
  node(0, "0-1");
  node(2, "");
  node(8, "2-3");
  EXPECT_EQ(choose_cpus(topology({0, 1, 2, 3}), Config::any_lcore, 3, 8), (Cpus{2, 3, 0}));
  EXPECT_EQ(choose_cpus(topology({0, 1, 2, 3}), Config::any_lcore, 2, 2), (Cpus{0, 1}));
}

TEST_F(Machine, ADeviceOfNoNodeOrAMachineThatDoesNotSay) {
  two_nodes();
  EXPECT_EQ(choose_cpus(topology(sixteen), Config::any_lcore, 3, -1), (Cpus{0, 1, 2}));
  fs::remove_all(root_ + "/sys");
  Topology silent = topology({2, 5});
  EXPECT_EQ(silent.cpus[0].node, -1);
  EXPECT_EQ(choose_cpus(silent, Config::any_lcore, 3, 1), (Cpus{2, 5, 2}));
}

TEST_F(Machine, ACpuThatIsNamedIsTakenWhereverItIs) {
  two_nodes();
  Topology all = topology(sixteen);
  EXPECT_EQ(choose_cpus(all, 2, 3, 1), (Cpus{2, 3, 4}));
  EXPECT_EQ(choose_cpus(all, 0, 1, 1), (Cpus{0}));
  EXPECT_EQ(choose_cpus(all, 15, 2, 1), (Cpus{15, 0}));
  EXPECT_EQ(choose_cpus(topology({4, 6}), 5, 3, 1), (Cpus{5, 6, 4}));  // perhaps it may be had all the same
}

TEST_F(Machine, ADevicesNode) {
  write("/sys/bus/pci/devices/0000:3b:00.0/numa_node", "1");
  write("/sys/bus/pci/devices/0000:3c:00.0/numa_node", "-1");
  write("/sys/class/net/eth1/device/numa_node", "1");
  EXPECT_EQ(device_node("3b:00.0", root_), 1);
  EXPECT_EQ(device_node("0000:3c:00.0", root_), -1);
  EXPECT_EQ(device_node("0000:3d:00.0", root_), -1);
  EXPECT_EQ(device_node("net_af_packet0,iface=eth1", root_), 1);
  EXPECT_EQ(device_node("net_af_xdp0,iface=eth2", root_), -1);
  EXPECT_EQ(device_node("net_memif0,role=server", root_), -1);
}

TEST_F(Machine, WhatIsFarApartIsTold) {
  const Placement near[] = {{4, 1, 1}, {5, 1, 1}};
  EXPECT_EQ(describe_nodes(1, near), "  NUMA: device on node 1, lcore 4 on node 1; 5 on node 1\n");
  EXPECT_EQ(describe_nodes(-1, near), "  NUMA: device on any node, lcore 4 on node 1; 5 on node 1\n");
  const Placement far[] = {{4, 1, 1}, {2, 0, 0}, {3, 0, 1}};
  std::string said = describe_nodes(1, far);
  EXPECT_NE(said.find("WARNING: lcore 2, 3 sits on another NUMA node than the device: choose --lcore from node 1"),
            std::string::npos) << said;
  EXPECT_NE(said.find("WARNING: packet buffers of lcore 3 lie on node 1, not on its node 0"), std::string::npos) << said;
  EXPECT_EQ(said.find("buffers of lcore 2"), std::string::npos) << said;
  const Placement unsaid[] = {{0, -1, 0}, {1, 0, -1}};
  EXPECT_EQ(describe_nodes(-1, unsaid).find("WARNING"), std::string::npos);
}

// As far as this machine goes: the memory that a thread on a CPU touches first lies on the CPU's node.
TEST_F(Machine, HugePagesOnAnotherNodeAlone) {
  two_nodes();
  auto has_free = [&](int node, const std::string& size, int count) {
    write("/sys/devices/system/node/node" + std::to_string(node) + "/hugepages/hugepages-" + size + "/free_hugepages",
          std::to_string(count));
  };
  const Cpus all = {1, 5, 9};
  EXPECT_EQ(huge_pages_obstacle(1, all, 80, root_), "");  // it is not said
  has_free(0, "2048kB", 0);
  has_free(1, "2048kB", 0);
  EXPECT_EQ(huge_pages_obstacle(1, all, 80, root_), "");  // there are none anywhere, which others see to
  has_free(1, "1048576kB", 2);
  EXPECT_EQ(huge_pages_obstacle(1, all, 80, root_),
            "no huge page is free on node 0, that of lcore 1, but on node 1: --lcore 5, or reserve some: echo 80 | sudo tee "
            "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages");
  EXPECT_EQ(huge_pages_obstacle(5, all, 80, root_), "");
  has_free(0, "2048kB", 1);
  EXPECT_EQ(huge_pages_obstacle(1, all, 80, root_), "");
}

TEST(ThisMachine, MemoryLiesWhereItIsTouched) {
  Topology here = read_topology(allowed_cpus());
  ASSERT_FALSE(here.cpus.empty());
  for (const Topology::Cpu& cpu : here.cpus) {
    Affinity before;
    before.pin(cpu.number);
    constexpr size_t bytes = 1 << 16;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    before.restore();
    ASSERT_NE(memory, MAP_FAILED);
    int node = node_of_memory(memory);
    munmap(memory, bytes);
    if (node < 0 || cpu.node < 0) GTEST_SKIP() << "this kernel, or this container, tells no nodes";
    EXPECT_EQ(node, cpu.node) << cpu.number;
  }
}

// --- CPUs ---

TEST(Cpus, LcoresTakeWhatTheProcessMayUseInTurn) {
  const std::vector<uint32_t>& cpus = allowed_cpus();
  Config config;
  config.cores = static_cast<uint32_t>(2 * cpus.size());
  std::vector<uint32_t> chosen = cpus_for(config);
  ASSERT_EQ(chosen.size(), 2 * cpus.size());
  for (size_t i = 0; i < chosen.size(); ++i) EXPECT_EQ(chosen[i], cpus[i % cpus.size()]);
  config.lcore = cpus.back();
  EXPECT_EQ(cpus_for(config)[0], cpus.back());
}

class Quota : public Machine {
 protected:
  double quota() { return cpu_quota(root_ + "/self", root_); }
};

TEST_F(Quota, TheLeastOfAllGroupsAbove) {
  write("/self", "0::/a/b/c");
  EXPECT_EQ(quota(), 0);
  write("/a/b/c/cpu.max", "max 100000");
  EXPECT_EQ(quota(), 0);
  write("/a/cpu.max", "150000 100000");
  write("/a/b/cpu.max", "400000 100000");
  EXPECT_DOUBLE_EQ(quota(), 1.5);
  write("/cpu.max", "50000 100000");
  EXPECT_DOUBLE_EQ(quota(), 0.5);
}

TEST_F(Quota, TheFirstVersionToo) {
  write("/self", "5:memory:/x\n4:cpu,cpuacct:/a");
  write("/cpu/a/cpu.cfs_quota_us", "-1");
  write("/cpu/a/cpu.cfs_period_us", "100000");
  EXPECT_EQ(quota(), 0);
  write("/cpu/a/cpu.cfs_quota_us", "250000");
  EXPECT_DOUBLE_EQ(quota(), 2.5);
}

// --- drivers ---

TEST(DriverDeathTest, ADriverThatEndsTheProgramHasItsLastWordsShown) {
  EXPECT_DEATH(
      {
        Overheard heard;
        std::fputs("EAL: starting\n", stderr);
        Overheard inner;
        std::fputs("PANIC in a_driver(): no memory\n", stderr);
        std::fflush(stderr);
        std::abort();
      },
      "PANIC in a_driver..: no memory");
  { Overheard heard; }
  EXPECT_DEATH(std::abort(), "^$");  // and later nothing of it
}

// Whatever else EAL complains of before, of a prefix that is taken the lock tells.
TEST(Driver, TheLockOfAnotherProgramIsWhatIsQuoted) {
  std::string said;
  {
    Overheard heard;
    std::fputs("EAL: Detected CPU lcores: 2\nEAL: cannot open a file of sysfs\n"
               "EAL: Cannot create lock on '/run/dpdk/x/config'. Is another primary process running?\n"
               "EAL: FATAL: Cannot init config\n", stderr);
    said = heard.reason();
  }
  EXPECT_EQ(said, " (it says: Cannot create lock on '/run/dpdk/x/config'. Is another primary process running?)");
}

// --- PCI ---

TEST_F(Machine, WhatAPciDeviceIsBoundTo) {
  const std::string pci = "0000:3b:00.0", files = "/sys/bus/pci/devices/" + pci;
  EXPECT_NE(pci_obstacle(pci, root_).find("no PCI device 0000:3b:00.0 here; to see which there are"), std::string::npos);
  fs::create_directories(root_ + files);
  EXPECT_NE(pci_obstacle(pci, root_).find(pci + " is bound to no driver: sudo modprobe vfio-pci && sudo dpdk-devbind.py "
                                                "--bind=vfio-pci " + pci), std::string::npos);
  auto bound_to = [&](const std::string& driver) {
    fs::remove(root_ + files + "/driver");
    link(files + "/driver", "/sys/bus/pci/drivers/" + driver);
    return pci_obstacle(pci, root_);
  };
  EXPECT_NE(bound_to("ixgbe").find(pci + " is bound to the kernel's ixgbe: sudo modprobe vfio-pci"), std::string::npos);
  for (const char* driver : {"vfio-pci", "uio_pci_generic", "igb_uio"}) EXPECT_EQ(bound_to(driver), "") << driver;
  // Bifurcated ones stay with their kernel driver, if its verbs are there.
  EXPECT_NE(bound_to("mlx5_core").find("modprobe -a ib_uverbs mlx5_ib"), std::string::npos);
  fs::create_directories(root_ + "/sys/class/infiniband_verbs/uverbs0");
  EXPECT_EQ(bound_to("mlx5_core"), "");
}

TEST(DeviceName, ItsArguments) {
  EXPECT_EQ(device_argument("net_tap0,iface=mr0,mac=fixed", "iface"), "mr0");
  EXPECT_EQ(device_argument("net_tap0,iface=mr0,mac=fixed", "mac"), "fixed");
  EXPECT_EQ(device_argument("net_tap0,iface=", "iface"), "");
  EXPECT_FALSE(device_argument("net_tap0", "iface"));
  EXPECT_EQ(interface_of("net_tap0"), "dtap0");
  EXPECT_EQ(interface_of("net_af_xdp0,iface=eth1,queue_count=2"), "eth1");
  EXPECT_EQ(interface_of("net_vhost0,iface=/run/vhost.sock"), "");  // a socket
  EXPECT_TRUE(copies_by_cpu("net_memif0,role=client"));
  EXPECT_FALSE(copies_by_cpu("net_memif0,role=client,zero-copy=yes"));
  EXPECT_FALSE(copies_by_cpu("net_vhost0,iface=/run/vhost.sock"));
}

}  // namespace
}  // namespace millrace::nic
