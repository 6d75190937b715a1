// SPDX-License-Identifier: BSD-3-Clause
// How a core sleeps, beside a packet's way: until its queue has a frame, a producer wakes it, Ctrl-C, or a time. DPDK's
// order: enable the interrupt, look again, sleep, disable it.
#pragma once

#include <cstdint>
#include <string>

#include "millrace/config.h"
#include "millrace/time.h"
#include "nic/port.h"
#include "nic/wakeup.h"

namespace millrace::nic {

// What Config::idle comes to on a device.
Idle choose_idle(Idle wanted, const std::string& driver);

// What becomes readable when a queue has a frame.
struct RxInterrupt {
  int fd = -1;               // below 0: the driver has none
  bool is_switched = false;  // it comes only where rte_eth_dev_rx_intr_enable has asked for it
  bool counts = false;       // an eventfd, to be read; else the device itself, readable as long as there is a frame
};
// Of a queue that runs, of a port that was configured with intr_conf.rxq.
RxInterrupt find_rx_interrupt(uint16_t port, uint16_t queue);

// For the banner: "sleep, by rx interrupt".
std::string describe_idle(const Port& port);

class Sleeper {
 public:
  // `interrupt`: a descriptor that ends all sleep once it is readable.
  void init(Port& port, uint32_t core, int interrupt);

  // From here on frames interrupt and producers wake. Then all sources are to be looked at once more.
  void announce();
  bool is_announced() const { return wakeup_->is_announced(); }
  // There is work.
  void withdraw();
  // Not longer than that, and shorter where nothing tells of frames. True: something has come, perhaps, and it is to be
  // announced anew; false: time has passed, and the announcement holds.
  bool sleep(Duration at_most);

 private:
  void disable();

  Port* port_ = nullptr;
  Wakeup* wakeup_ = nullptr;
  uint16_t queue_ = 0;
  bool polls_ = false;  // a queue that nothing tells of, or nothing yet: not every driver's interrupt comes
  bool is_enabled_ = false;
  int interrupt_ = -1;
  RxInterrupt rx_;
  Duration nap_;
};

}  // namespace millrace::nic
