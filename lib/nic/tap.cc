// SPDX-License-Identifier: BSD-3-Clause
// Questions about taps, to rtnetlink and to the tun driver. (nic/tap.h)
#include "nic/tap.h"

#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string_view>

namespace millrace::nic {

namespace fs = std::filesystem;
using Bytes = std::span<const std::byte>;

// The value of an attribute among others. Nothing: there is none of that type.
static std::optional<Bytes> attribute(Bytes all, unsigned type) {
  while (all.size() >= sizeof(rtattr)) {
    rtattr head;
    std::memcpy(&head, all.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > all.size()) return {};
    if ((head.rta_type & NLA_TYPE_MASK) == type) return all.subspan(sizeof head, head.rta_len - sizeof head);
    all = all.subspan(std::min<size_t>(RTA_ALIGN(head.rta_len), all.size()));
  }
  return {};
}

static uint32_t number_in(std::optional<Bytes> value) {
  uint32_t number = 0;
  if (value) std::memcpy(&number, value->data(), std::min(value->size(), sizeof number));
  return number;
}

static std::string_view text_in(Bytes value) {
  std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
  return text.substr(0, text.find('\0'));
}

// The attributes of an interface (RTM_GETLINK), in `answer`. Empty: there is no such interface.
static Bytes ask_for_link(unsigned index, std::span<std::byte> answer) {
  struct {
    nlmsghdr head;
    ifinfomsg link;
  } question{};
  question.head.nlmsg_len = sizeof question;
  question.head.nlmsg_type = RTM_GETLINK;
  question.head.nlmsg_flags = NLM_F_REQUEST;
  question.link.ifi_index = static_cast<int>(index);
  int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  ssize_t got = -1;
  if (s >= 0 && send(s, &question, sizeof question, 0) == sizeof question) got = recv(s, answer.data(), answer.size(), 0);
  if (s >= 0) close(s);
  nlmsghdr head{};
  if (got < static_cast<ssize_t>(sizeof question)) return {};
  std::memcpy(&head, answer.data(), sizeof head);
  if (head.nlmsg_type != RTM_NEWLINK || head.nlmsg_len > static_cast<size_t>(got)) return {};
  return Bytes(answer).subspan(sizeof question, head.nlmsg_len - sizeof question);
}

bool tap_is_in_use(const std::string& interface, const std::string& root) {
  if (!root.empty()) {
    int carrier = 0;
    return std::ifstream(root + "/sys/class/net/" + interface + "/carrier") >> carrier && carrier == 1;
  }
  unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) return false;
  alignas(nlmsghdr) std::byte answer[32768];
  Bytes link = ask_for_link(index, answer);
  auto info = attribute(link, IFLA_LINKINFO);
  auto kind = info ? attribute(*info, IFLA_INFO_KIND) : std::nullopt;
  if (!kind || text_in(*kind) != "tun") return false;
  // Of a tap with several queues the kernel counts who is attached; of one queue the carrier tells it.
  auto data = attribute(*info, IFLA_INFO_DATA);
  auto queues = data ? attribute(*data, IFLA_TUN_NUM_QUEUES) : std::nullopt;
  if (queues) return number_in(queues) + number_in(attribute(*data, IFLA_TUN_NUM_DISABLED_QUEUES)) != 0;
  return number_in(attribute(link, IFLA_CARRIER)) != 0;
}

int attached_descriptor(const std::string& interface) {
  constexpr unsigned tun_major = 10, tun_minor = 200;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd", ignored)) {
    int fd = std::atoi(entry.path().filename().c_str());
    struct stat is {};
    if (fstat(fd, &is) != 0 || !S_ISCHR(is.st_mode) || is.st_rdev != makedev(tun_major, tun_minor)) continue;
    ifreq request{};
    if (ioctl(fd, TUNGETIFF, &request) == 0 && interface == request.ifr_name) return fd;
  }
  return -1;
}

bool tap_is_deleted(int descriptor) {
  ifreq request{};
  return ioctl(descriptor, TUNGETIFF, &request) != 0 && errno == EBADFD;
}

}  // namespace millrace::nic
