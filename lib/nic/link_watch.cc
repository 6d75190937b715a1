// SPDX-License-Identifier: BSD-3-Clause
// Looking at a link now and then. (nic/link_watch.h)
#include "nic/link_watch.h"

#include <net/if.h>
#include <rte_alarm.h>
#include <rte_ethdev.h>

#include <cerrno>
#include <cstdio>

#include "nic/machine.h"
#include "nic/port.h"
#include "nic/tap.h"

namespace millrace::nic {

static constexpr uint64_t period_us = 200'000;

bool link_is_up(const Port& port) {
  if (!port.interface.empty()) return interface_flags(port.interface) & IFF_RUNNING;
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port.id, &link) < 0 || link.link_status == RTE_ETH_LINK_UP;
}

bool interface_is_gone(const Port& port) {
  if (port.tap_descriptor >= 0) return tap_is_deleted(port.tap_descriptor);
  char name[IF_NAMESIZE];
  return port.interface_index != 0 && if_indextoname(port.interface_index, name) == nullptr && errno == ENXIO;
}

LinkWatch::LinkWatch(Port& port) : port_(port), up_(port.link_up) {
  rte_eal_alarm_set(period_us, look, this);
}

LinkWatch::~LinkWatch() {
  rte_eal_alarm_cancel(look, this);
}

// Then nobody looks any more. A core that sleeps wakes, and sees it.
void LinkWatch::tell_gone() {
  up_.store(false, std::memory_order_relaxed);
  std::fprintf(stderr, "millrace: %s: its interface has been deleted: the end\n", port_.name.c_str());
  port_.is_gone.store(true, std::memory_order_relaxed);
  for (const CorePort& core : port_.cores) core.wakeup->signal();
}

void LinkWatch::look(void* watch) {
  auto& self = *static_cast<LinkWatch*>(watch);
  if (interface_is_gone(self.port_)) return self.tell_gone();
  bool up = link_is_up(self.port_), lost = self.up() && !up;
  if (up != self.up()) {
    self.up_.store(up, std::memory_order_relaxed);
    std::fprintf(stderr, "millrace: %s: the link is %s\n", self.port_.name.c_str(), up ? "up" : "DOWN");
  }
  if (!lost || !self.port_.down_for_good) rte_eal_alarm_set(period_us, look, watch);
}

}  // namespace millrace::nic
