// SPDX-License-Identifier: BSD-3-Clause
// Looking at a link now and then. (nic/link_watch.h)
#include "nic/link_watch.h"

#include <net/if.h>
#include <rte_alarm.h>
#include <rte_ethdev.h>

#include <cstdio>

#include "nic/machine.h"
#include "nic/port.h"

namespace millrace::nic {

static constexpr uint64_t period_us = 200'000;

bool link_is_up(const Port& port) {
  if (!port.interface.empty()) return interface_flags(port.interface) & IFF_RUNNING;
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port.id, &link) < 0 || link.link_status == RTE_ETH_LINK_UP;
}

LinkWatch::LinkWatch(const Port& port) : port_(port), up_(port.link_up) {
  rte_eal_alarm_set(period_us, look, this);
}

LinkWatch::~LinkWatch() {
  rte_eal_alarm_cancel(look, this);
}

void LinkWatch::look(void* watch) {
  auto& self = *static_cast<LinkWatch*>(watch);
  bool up = link_is_up(self.port_), lost = self.up() && !up;
  if (up != self.up()) {
    self.up_.store(up, std::memory_order_relaxed);
    std::fprintf(stderr, "millrace: %s: the link is %s\n", self.port_.name.c_str(), up ? "up" : "DOWN");
  }
  if (!lost || !self.port_.down_for_good) rte_eal_alarm_set(period_us, look, watch);
}

}  // namespace millrace::nic
