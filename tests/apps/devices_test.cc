// SPDX-License-Identifier: BSD-3-Clause
// Devices that cannot be: one sentence with what mends it, nothing of EAL's or a driver's own talk, and exit code 2. Those
// that take a namespace, or root, are in tests/interop (cases_wrong.py).
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "program.h"

namespace {

namespace fs = std::filesystem;

// A directory with what is in the way. The names of sockets must be short.
class Place {
 public:
  Place() : path_("/tmp/millrace-devices-" + std::to_string(getpid())) {
    fs::create_directory(path_);
    std::ofstream(path_ + "/text") << "no capture, and no socket\n";
    left_behind("old", SOCK_SEQPACKET);
    left_behind("old-vhost", SOCK_STREAM);
  }
  ~Place() { fs::remove_all(path_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  const std::string& path() const { return path_; }

 private:
  // As of a program that was killed: the file stays.
  void left_behind(const std::string& name, int type) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (path_ + "/" + name).copy(address.sun_path, sizeof address.sun_path - 1);
    int s = socket(AF_UNIX, type, 0);
    ASSERT_EQ(bind(s, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    close(s);
  }
  std::string path_;
};

std::string put_in(std::string text, const std::string& place) {
  for (size_t at = 0; (at = text.find('@', at)) != std::string::npos; at += place.size()) text.replace(at, 1, place);
  return text;
}

struct Wrong {
  const char* name;
  const char* arguments;
  const char* said;  // '@': the directory
};

class WrongDevice : public testing::TestWithParam<Wrong> {};

TEST_P(WrongDevice, is_one_sentence_and_exit_code_2) {
  Place place;
  Outcome outcome = run(put_in(GetParam().arguments, place.path()) + " </dev/null");
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  std::istringstream lines(outcome.output);
  std::string line, last;
  // What goes on with ordinary memory says so before.
  for (; std::getline(lines, line); last = line)
    EXPECT_TRUE(line.find("millrace") < line.find(": ") && line.find("EAL:") != 0) << outcome.output;
  EXPECT_NE(last.find(put_in(GetParam().said, place.path())), std::string::npos) << outcome.output;
}

constexpr Wrong wrong[] = {
    {"memif_without_its_server", "--device net_memif0,role=client,socket=@/none,socket-abstract=no",
     "nobody listens at @/none: first start its end, role=server,socket=@/none,socket-abstract=no"},
    {"memif_without_its_abstract_server", "--device net_memif0,socket=@/none",
     "nobody listens at the abstract socket @/none: first start its end, role=server,socket=@/none"},
    {"memif_of_one_that_has_gone", "--device net_memif0,role=client,socket=@/old,socket-abstract=no",
     "nobody listens at @/old: first start"},
    {"memif_server_without_a_directory", "--device net_memif0,role=server,socket=@/a/b,socket-abstract=no",
     "no directory @/a for the socket @/a/b: mkdir -p @/a"},
    {"memif_server_on_a_socket_left", "--device net_memif0,role=server,socket=@/old,socket-abstract=no",
     "@/old is left from a program that has gone: rm @/old"},
    {"memif_server_on_a_file", "--device net_memif0,role=server,socket=@/text,socket-abstract=no",
     "@/text is there, and is no socket: another name, or rm @/text"},
    {"memif_role", "--device net_memif0,role=boss", "net_memif has no role=boss: one end is role=server"},
    {"memif_argument", "--device net_memif0,role=server,sockt=@/a", "net_memif has no argument sockt, but role, socket,"},
    {"memif_ring_size", "--device net_memif0,role=server,socket=@/a,rsize=99",
     "net_memif does not make net_memif0,role=server,socket=@/a,rsize=99 (it says: Invalid ring size: 99 (max 14))"},
    {"virtio_user_without_a_path", "--device net_virtio_user0", "net_virtio_user needs a socket's path: --device"},
    {"virtio_user_without_its_host", "--device net_virtio_user0,path=@/none",
     "nobody listens at @/none: first start its end, net_vhost0,iface=@/none"},
    {"virtio_user_of_one_that_has_gone", "--device net_virtio_user0,path=@/old-vhost", "nobody listens at @/old-vhost"},
    {"virtio_user_with_a_long_path",
     "--device net_virtio_user0,path=@/abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
     "abcdefghijklmnopqrstuvwxyz",
     "the path of a socket has 107 characters at most"},
    {"vhost_without_a_path", "--device net_vhost0", "net_vhost needs a socket's path: --device net_vhost0,iface=/run/vhost.sock"},
    {"vhost_without_a_directory", "--device net_vhost0,iface=@/a/b", "no directory @/a for the socket @/a/b"},
    {"vhost_on_a_socket_left", "--device net_vhost0,iface=@/old-vhost",
     "@/old-vhost is left from a program that has gone: rm @/old-vhost"},
    {"pcap_without_a_file", "--device net_pcap0", "net_pcap needs files: net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap"},
    {"pcap_that_is_not_there", "--device net_pcap0,rx_pcap=@/none",
     "cannot read the capture @/none (No such file or directory): rx_pcap=FILE"},
    {"pcap_that_is_none", "--device net_pcap0,rx_pcap=@/text",
     "net_pcap does not make net_pcap0,rx_pcap=@/text (it says: Couldn't open @/text: unknown file format)"},
    {"pcap_without_a_directory", "--device net_pcap0,tx_pcap=@/a/b", "no directory @/a for the capture @/a/b"},
    {"queues_that_it_lacks", "--device net_pcap0,tx_pcap=@/b --cores 2 --queues 2",
     "net_pcap0 has 1 queue each way, and 2 were asked for: --queues 1"},
    {"queues_that_are_an_argument", "--device net_vhost0,iface=@/b --cores 2 --queues 2",
     "net_vhost0 has 1 queue each way, and 2 were asked for: net_vhost0,iface=@/b,queues=2, or --queues 1"},
    {"no_driver", "--device net_foo0", "no such device: net_foo0; give a virtual one by driver and number"},
    {"no_pci_device", "--device ffff:fe:1f.7", "no PCI device ffff:fe:1f.7 here; to see which there are: dpdk-devbind.py"},
    {"no_cpu", "--device net_null0 --lcore 1023", "no CPU 1023 here: give --lcore 0 to "},
    {"mtu", "--device net_null0 --mtu 64", "--mtu: '64' is not a number from 576 to "},
    {"memory_for_connections", "--device net_null0 --cores 256 --max-connections 16777214",
     "left: fewer --max-connections, --time-wait-records or --packet-buffers"},
    {"memory_for_packets", "--device net_null0 --cores 64 --packet-buffers 67108864",
     "left: fewer --max-connections, --time-wait-records or --packet-buffers"},
    {"eal_option", "--no-hgue -- --device net_null0",
     "DPDK's EAL does not start with --no-hgue (it says: millrace: unrecognized option '--no-hgue')"},
};
INSTANTIATE_TEST_SUITE_P(Devices, WrongDevice, testing::ValuesIn(wrong), [](const auto& test) { return test.param.name; });

}  // namespace
