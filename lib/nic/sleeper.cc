// SPDX-License-Identifier: BSD-3-Clause
// rx interrupts, and sleeping on them. (nic/sleeper.h)
#include "nic/sleeper.h"

#include <poll.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nic/device.h"
#include "nic/overheard.h"

namespace millrace::nic {

// Without an interrupt: short at first, then as long as a first frame may wait, half a millisecond.
static constexpr Duration shortest_nap = microseconds(20);
static constexpr Duration longest_nap = microseconds(500);

// Where a kernel is at the other end a poll is worth little, and the kernel needs the CPU.
Idle choose_idle(Idle wanted, const std::string& driver) {
  if (wanted != Idle::automatic) return wanted;
  bool has_kernel = is_tap(driver) || driver == "net_af_packet" || driver == "net_af_xdp";
  return has_kernel ? Idle::sleep : Idle::spin;
}

static bool is_eventfd(int fd) {
  char target[64] = {};
  std::string link = "/proc/self/fd/" + std::to_string(fd);
  return readlink(link.c_str(), target, sizeof target - 1) > 0 && std::strstr(target, "[eventfd]") != nullptr;
}

// net_tap has no switch (ENOTSUP) and gives the tap itself. An eventfd without one would never be written; and what has one
// and is none (uio's, net_vhost's) stays readable although the frames were taken.
RxInterrupt find_rx_interrupt(uint16_t port, uint16_t queue) {
  RxInterrupt found;
  Overheard heard;
  found.fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port, queue);
  if (found.fd < 0) return {};
  found.is_switched = rte_eth_dev_rx_intr_enable(port, queue) == 0;
  if (found.is_switched) rte_eth_dev_rx_intr_disable(port, queue);
  found.counts = is_eventfd(found.fd);
  return found.counts == found.is_switched ? found : RxInterrupt{};
}

std::string describe_idle(const Port& port) {
  if (port.idle == Idle::spin) return "spin";
  if (port.idle == Idle::pause) return "pause";
  return find_rx_interrupt(port.id, 0).fd >= 0
             ? "sleep, by rx interrupt"
             : "sleep for " + std::to_string(longest_nap.us()) + " us at most: the driver has no rx interrupt";
}

void Sleeper::init(Port& port, uint32_t core, int interrupt) {
  port_ = &port;
  wakeup_ = port.cores[core].wakeup.get();
  interrupt_ = interrupt;
  nap_ = shortest_nap;
  if (port.idle != Idle::sleep) return;
  wakeup_->open();
  if (!port.has_queue(core)) return;  // its frames come by rings
  queue_ = static_cast<uint16_t>(core);
  rx_ = find_rx_interrupt(port.id, queue_);
  polls_ = rx_.fd < 0 || rx_.is_switched;
}

void Sleeper::announce() {
  if (rx_.is_switched && !is_enabled_) is_enabled_ = rte_eth_dev_rx_intr_enable(port_->id, queue_) == 0;
  wakeup_->announce();
}

void Sleeper::disable() {
  if (!is_enabled_) return;
  is_enabled_ = false;
  rte_eth_dev_rx_intr_disable(port_->id, queue_);
}

void Sleeper::withdraw() {
  wakeup_->withdraw();
  nap_ = shortest_nap;
  disable();
}

bool Sleeper::sleep(Duration at_most) {
  if (polls_ || (rx_.is_switched && !is_enabled_)) {
    at_most = std::min(at_most, nap_);
    nap_ = std::min(nap_ * 2, longest_nap);
  }
  pollfd sources[] = {{wakeup_->descriptor(), POLLIN, 0}, {rx_.fd, POLLIN, 0}, {interrupt_, POLLIN, 0}};  // -1: none
  timespec time{static_cast<time_t>(at_most.ns / 1'000'000'000), static_cast<long>(at_most.ns % 1'000'000'000)};
  int readable = ppoll(sources, std::size(sources), &time, nullptr);
  if (readable == 0) return false;
  if (readable > 0 && sources[0].revents != 0) wakeup_->drain();
  uint64_t count = 0;
  if (readable > 0 && (sources[1].revents & ~POLLIN) != 0) {
    rx_ = {};  // an error tells of no frame, and stays (the interface has been deleted: nic/link_watch): from now on naps
    polls_ = true;
  } else if (readable > 0 && sources[1].revents != 0) {
    polls_ = false;
    if (rx_.counts) static_cast<void>(!read(rx_.fd, &count, sizeof count));
  }
  wakeup_->withdraw();
  disable();
  return true;
}

}  // namespace millrace::nic
